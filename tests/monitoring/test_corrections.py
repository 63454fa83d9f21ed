"""Correcting a fact: what speaks against it is asked as at a visit, and nothing typed is lost."""

import re
from datetime import date

import pytest

from patients import recording
from patients.models import Decision, Imaging, Procedure, Score, Staging, SymptomReport
from patients.vocabulary import Side
from schedules.models import Plan


@pytest.fixture
def add(watched, actor):
    """`add(Staging(...))`: recorded of the left hip."""
    return lambda fact: recording.record_facts(watched.pk, [(Side.LEFT, fact)], by=actor).facts[0]


@pytest.fixture
def correct(watched, client_):
    """`correct(fact, value=82)`: the answer to a correction of that fact."""

    def post(fact, **fields):
        sent = {"on": fact.on.isoformat(), "correction_reason": "read again", **fields}
        return client_.post(f"/patients/{watched.pk}/facts/{fact.key}/correct/", sent)

    return post


def stage(code, on):
    return Staging(on=on, system="ARCO", version="2019", code=code)


def film(on, **read):
    return Imaging(on=on, modality="XR", views=["AP_PELVIS"], **read)


def warned_of(answer):
    return " ".join(warning.text for warning in answer.context["warnings"])


MARCH, APRIL, JULY = date(2026, 3, 1), date(2026, 4, 1), date(2026, 7, 1)


def test_a_lower_stage_is_no_correction_without_a_reason(add, correct):
    add(stage("II", MARCH))
    later = add(stage("II", APRIL))
    answer = correct(later, stage="ARCO|2019|I")
    assert answer.status_code == 422 and "Stages do not heal" in warned_of(answer)
    assert not Staging.objects.filter(supersedes=later).exists()
    warned = answer.context["warned"]
    silent = correct(later, stage="ARCO|2019|I", warned=warned, go_on_reason=" ")
    assert silent.status_code == 422 and "Say why it is right all the same" in silent.text
    assert correct(later, stage="ARCO|2019|I", warned=warned, go_on_reason="new reader").status_code == 302
    corrected = Staging.objects.get(supersedes=later)
    assert "Stages do not heal" in corrected.note and corrected.note.endswith("new reader")


def test_a_reason_counts_only_for_what_was_shown(add, correct):
    add(stage("II", MARCH))
    later = add(stage("II", APRIL))
    assert correct(later, stage="ARCO|2019|I", warned="0" * 16, go_on_reason="whatever").status_code == 422


def test_the_entry_that_is_corrected_speaks_against_nothing(add, correct):
    wrong = add(stage("IIIA", MARCH))
    assert correct(wrong, stage="ARCO|2019|II").status_code == 302
    again = Staging.objects.get(supersedes=wrong)
    assert correct(again, stage="ARCO|2019|I").status_code == 302  # nor does what that one corrected


def test_a_stage_before_collapse_does_not_go_with_a_depression(add, correct):
    add(film(MARCH, depression_mm="3.5"))
    read = add(stage("IIIB", MARCH))
    answer = correct(read, stage="ARCO|2019|I")
    assert answer.status_code == 422 and "ARCO I (2019) is a stage before collapse" in warned_of(answer)


def test_a_depression_does_not_go_with_a_later_stage_before_collapse(add, correct):
    seen = add(film(MARCH))
    add(stage("II", APRIL))
    answer = correct(seen, views="AP_PELVIS", depression_mm="3.5")
    assert answer.status_code == 422 and "is a stage before collapse" in warned_of(answer)


def test_a_decompression_is_no_arthroplasty_before_later_images(watched, add, correct):
    done = add(Procedure(on=MARCH, procedure="CORE_DECOMPRESSION"))
    add(film(APRIL))
    answer = correct(done, procedure="THA")
    assert answer.status_code == 422 and "this hip is not followed any more" in warned_of(answer)
    assert Plan.objects.filter(hip__side="left", patient=watched, state="current").exists()


def test_a_corrected_arthroplasty_is_asked_about_where_it_moves_back(add, correct):
    done = add(Procedure(on=APRIL, procedure="THA"))
    add(film(JULY))
    assert correct(done, procedure="THA", on="2026-01-01").status_code == 422
    assert correct(done, procedure="THA", operator="Dr Lind").status_code == 302


def test_a_correction_says_what_follows_for_the_hip(add, correct, client_):
    report = add(SymptomReport(on=JULY, source="clinician", symptomatic=False, pain_nrs=0))
    answer = correct(report, source="clinician", symptomatic="true", pain_nrs="4")
    words = " ".join(str(message) for message in client_.get(answer.url).context["messages"])
    assert "Left hip:" in words and "New: Core decompression review" in words


@pytest.mark.parametrize(
    ("value", "status"), [("55.5", 422), ("60", 422), ("55.985", 302), ("56", 302), ("55.99", 302)]
)
def test_a_value_that_the_scale_does_not_have_is_refused(add, correct, value, status):
    answer = correct(add(Score(on=MARCH, instrument="HOOS_JR", value="92.34")), value=value)
    assert answer.status_code == status
    assert status == 302 or "HOOS JR has 25 values" in str(answer.context["form"].errors["value"])


def test_a_correction_that_changes_nothing_is_refused(add, correct):
    score = add(Score(on=MARCH, instrument="OHS", value=40))
    answer = correct(score, value="40.0")
    assert answer.status_code == 422 and "Nothing is different from the entry as it is" in answer.text
    views = add(Imaging(on=MARCH, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"]))
    assert correct(views, views=["FROG_LATERAL", "AP_PELVIS"]).status_code == 422
    assert not Score.objects.filter(supersedes=score).exists()


def test_who_corrects_second_sees_what_was_done_and_keeps_what_was_typed(add, correct, client_, watched):
    score = add(Score(on=MARCH, instrument="OHS", value=40))
    assert correct(score, value="41", correction_reason="added up again").status_code == 302
    newer = Score.objects.get(supersedes=score)
    answer = correct(score, value="37", correction_reason="the patient rang")
    assert answer.status_code == 409 and Score.objects.count() == 2
    assert f"{newer.actor}: Corrected a fact (added up again)" in answer.text and "41 points" in answer.text
    assert 'value="37"' in answer.text and "the patient rang" in answer.text
    action = re.search(r'<form class="form" method="post" action="([^"]+)"', answer.text).group(1)
    client_.post(action, {"on": "2026-03-01", "value": "37", "correction_reason": "the patient rang"})
    assert Score.objects.get(supersedes=newer).value == 37


def test_what_was_withdrawn_meanwhile_is_said_and_not_corrected(add, correct, actor):
    score = add(Score(on=MARCH, instrument="OHS", value=40))
    recording.withdraw_fact(score, by=actor, reason="another patient")
    answer = correct(score, value="37")
    assert answer.status_code == 409 and "another patient" in answer.text and 'value="37"' in answer.text
    assert "Save the correction" not in answer.text


@pytest.mark.parametrize(
    ("fact", "fields", "field", "words"),
    [
        (
            Procedure(on=MARCH, procedure="ANALGESIA"),
            {"procedure": "ANALGESIA", "stopped_on": "2026-02-01"},
            "stopped_on",
            "The end lies before the beginning.",
        ),
        (Score(on=MARCH, instrument="OHS", value=40), {"value": "60"}, "value", "goes from 0 to 48"),
        (Score(on=MARCH, instrument="HHS", value=40), {"value": "101"}, "value", "at most 100"),
        (film(MARCH), {"depression_mm": "51"}, "depression_mm", "at most 50"),
        (
            Decision(on=MARCH, action="MEASURE_VOLUME", outcome="image_further", reason="asked for"),
            {"outcome": "image_further", "reason": " "},
            "reason",
            "required",
        ),
    ],
)
def test_what_the_database_would_refuse_is_told_in_words_at_its_field(add, correct, fact, fields, field, words):
    fact.pk = None
    answer = correct(add(fact), **fields)
    assert answer.status_code == 422 and "Constraint" not in answer.text
    assert words in str(answer.context["form"].errors[field])
