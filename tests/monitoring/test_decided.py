"""What was decided on a hip stays in sight on the patient's page until something answers it."""

from datetime import UTC, date, datetime

import pytest

from patients import recording
from patients.models import Decision, Imaging, Procedure, SymptomReport
from patients.vocabulary import Side
from tests.monitoring.test_patient_page import noon, page, watched  # noqa: F401 - fixtures

MARCH = datetime(2026, 3, 5, 12, tzinfo=UTC)
LATER = datetime(2026, 4, 20, 12, tzinfo=UTC)
OPERATE = {"outcome": "operate", "consequence": "theatre list", "next_on": date(2026, 4, 10)}


@pytest.fixture
def decide(watched, actor):  # noqa: F811
    def decide(action="LARGE_LESION_REVIEW", on=date(2026, 3, 5), **what):
        return recording.record_decision(
            watched.hips.get(side="left"), by=actor, on=on, action=action, reason="pain goes on", **what
        )

    return decide


@pytest.fixture
def shown(page):  # noqa: F811
    """What the left hip's panel says of decisions, with whether the day has passed."""

    def read(rest=""):
        hips = page("clinician", rest).context["hips"]
        panel = next(hip for hip in (hip.get("panel", hip) for hip in hips) if hip["side"] == "left")
        return [(row["text"], row["late"]) for row in panel["decided"]]

    return read


def record(patient, actor, *facts):
    recording.record_facts(patient.pk, [(Side.LEFT, fact) for fact in facts], by=actor)


def test_the_list_tells_what_follows_and_by_when(decide, page):  # noqa: F811
    decide(**OPERATE)
    text = page("clinician", "decisions/").content.decode()
    assert "Operate; theatre list; by 10 Apr 2026: pain goes on" in text


@pytest.mark.parametrize("rest", ["", "print/"])
def test_the_hip_tells_it_with_a_link_to_the_decision(decide, page, rest):  # noqa: F811
    key = decide(**OPERATE).key
    text = page("clinician", rest).content.decode()
    assert "Decided 5 Mar 2026: Operate; theatre list; by 10 Apr 2026</a>" in text
    assert f"decisions/?fact={key}#{key}" in text and "Date passed" not in text


def test_a_day_that_has_passed_is_marked(decide, shown, page, noon):  # noqa: F811
    decide(**OPERATE)
    noon.move_to(LATER)
    assert [late for _text, late in shown()] == [True]
    assert "Date passed" in page().content.decode()


def test_only_surgery_answers_that_it_is_operated_on(decide, shown, watched, actor, noon):  # noqa: F811
    decide(**OPERATE)
    noon.move_to(LATER)
    record(watched, actor, Imaging(on=date(2026, 4, 12), modality="CT"))
    record(watched, actor, Procedure(on=date(2026, 4, 12), procedure="ANALGESIA"))
    assert len(shown()) == 1
    record(watched, actor, Procedure(on=date(2026, 4, 13), procedure="CORE_DECOMPRESSION"))
    assert shown() == []


def test_an_image_after_the_decision_answers_that_one_is_made(decide, shown, watched, actor, noon):  # noqa: F811
    decide(outcome="image_further", next_on=date(2026, 4, 10))
    record(watched, actor, Imaging(on=date(2026, 3, 4), modality="CT"))
    assert len(shown()) == 1
    noon.move_to(LATER)
    record(watched, actor, Imaging(on=date(2026, 4, 8), modality="CT"))
    assert shown() == []


def test_observation_is_answered_by_a_visit_about_its_day(decide, shown, watched, actor, noon):  # noqa: F811
    decide(outcome="observe", next_on=date(2026, 4, 10))
    noon.move_to(LATER)
    record(watched, actor, SymptomReport(on=date(2026, 3, 15), source="clinician", symptomatic=False))
    assert len(shown()) == 1, "a word long before the day is not the visit"
    record(watched, actor, SymptomReport(on=date(2026, 4, 8), source="clinician", symptomatic=False))
    assert shown() == []


def test_of_each_question_the_latest_stands(decide, shown):
    decide(**OPERATE)
    decide(outcome="observe")
    assert shown() == [], "nothing follows from it, and the earlier one is no more"
    decide("CONSIDER_CT", outcome="image_further", next_on=date(2026, 3, 20))
    decide("STAGE_CONFLICT", outcome="other", consequence="read again")
    assert [text.partition(": ")[2] for text, _late in shown()] == [
        "Other; read again",
        "Image further; by 20 Mar 2026",
    ]


def test_one_withdrawn_and_one_later_than_the_day_asked_about_say_nothing(decide, shown, actor):
    decision = decide(**OPERATE)
    assert shown("what-if/?as_of=2026-03-04") == []
    assert len(shown("what-if/?as_of=2026-03-05")) == 1
    recording.withdraw_fact(Decision.objects.get(pk=decision.pk), by=actor, reason="the other hip")
    assert shown() == []
