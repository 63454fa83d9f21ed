"""Recording a visit: both hips in one form, nothing half-saved, and what it moves."""

from datetime import date

import pytest

from monitoring.models import AuditEntry, ReviewCase
from patients import recording
from patients.models import BmiReading, Imaging, Patient, Score, Staging, SymptomReport, Visit
from patients.vocabulary import Side
from schedules.models import Plan
from tests.monitoring.test_patient_page import hurts

TODAY = "2026-07-08"


@pytest.fixture
def send(watched, client_):
    """`send(**{"left-symptom-pain_nrs": 4})`: the answer to a visit of today with these fields."""

    def post(**fields):
        version = fields.pop("record_version", Patient.objects.get(pk=watched.pk).record_version)
        data = {"on": TODAY, "kind": "clinic", "record_version": version, "seen_entry": 0, **fields}
        return client_.post(f"/patients/{watched.pk}/visit/", data)

    return post


COMPLETE = {
    "left-symptom-symptomatic": "no",
    "left-symptom-pain_nrs": "0",
    "left-radiograph-views": ["AP_PELVIS", "FROG_LATERAL"],
    "left-radiograph-crescent": "absent",
}


def told(answer, client_):
    return " ".join(str(message) for message in client_.get(answer.url).context["messages"])


def test_the_form_shows_last_times_values_and_fills_none_in(watched, client_):
    answer = client_.get(f"/patients/{watched.pk}/visit/")
    text = answer.content.decode()
    assert "12 on 10 Jan 2026" in text and "AP pelvis, Frog lateral on 10 Jan 2026" in text
    assert all(section.is_empty() for _side, section in answer.context["entry"].sections())


def test_the_form_says_what_a_complete_follow_up_still_needs(watched, client_, actor):
    film = Imaging(on=date(2026, 7, 7), modality="XR", views=["AP_PELVIS"])
    recording.record_facts(watched.pk, [(Side.LEFT, film)], by=actor)
    answer = client_.get(f"/patients/{watched.pk}/visit/")
    [left] = [hip for hip in answer.context["hips"] if hip["side"] == "left"]
    assert [code for code, _words in left["needed"].parts] == ["lateral", "symptoms"]


def test_both_hips_are_saved_as_one_visit(watched, send):
    answer = send(**COMPLETE, **{"right-symptom-symptomatic": "no", "person-value": "23.5", "note": "walks well"})
    assert answer.status_code == 302
    visit = Visit.objects.get(patient=watched)
    assert (visit.note, visit.symptomreports.count(), visit.imagings.count()) == ("walks well", 2, 1)
    assert BmiReading.objects.get(visit=visit).value == 23.5


def test_a_complete_follow_up_says_when_the_next_is_due(watched, send, client_):
    words = told(send(**COMPLETE), client_)
    assert "Left hip: Follow-up complete. Next due 8 Jan 2027 (was 10 Jul 2026)." in words
    assert Plan.objects.get(hip__side="left", patient=watched, state="current").due_on == date(2027, 1, 8)


def test_an_incomplete_one_says_so(send, client_):
    words = told(send(**{**COMPLETE, "left-radiograph-views": ["AP_PELVIS"]}), client_)
    assert "Follow-up not complete yet." in words and "Still due 10 Jul 2026." in words


def test_new_pain_tells_of_the_review_it_opens(watched, send, client_):
    words = told(send(**{"left-symptom-symptomatic": "yes", "left-symptom-pain_nrs": "4"}), client_)
    assert "New: Core decompression review, act by 22 Jul 2026." in words
    assert ReviewCase.objects.get(patient=watched, state="open").action == "CORE_DECOMPRESSION_REVIEW"


def test_an_empty_form_records_nothing(watched, send):
    answer = send()
    assert answer.status_code == 422 and "Nothing is filled in yet" in answer.content.decode()
    assert not Visit.objects.exists()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"on": "2026-07-20", "left-symptom-symptomatic": "no"}, "Date of the visit: The date lies in the future."),
        ({"on": "1980-01-01", "left-symptom-symptomatic": "no"}, "before the patient"),
        ({"left-symptom-pain_nrs": "11"}, "Enter a whole number from 0 to 10."),
        ({"left-mri-lesion_volume_percent": "12"}, "Say how the lesion was measured."),
        ({"left-harris-pain": "none"}, "Without this there is no total."),
        ({"left-oxford-total": "60"}, "Enter a whole number from 0 to 48."),
        ({"left-procedure-operator": "Dr Lind"}, "Say which treatment."),
        ({"left-staging-stage": "ARCO|2019|IIC"}, "not one of the available choices"),
        ({"person-weight": "80"}, "Weight and height are both needed."),
    ],
)
def test_bad_input_is_told_at_its_field_and_nothing_is_saved(watched, send, fields, words):
    answer = send(**{"right-symptom-symptomatic": "no", **fields})
    assert answer.status_code == 422
    assert words in " ".join(problem.text for problem in answer.context["errors"]).replace("&#x27;", "'")
    assert not Visit.objects.exists() and SymptomReport.objects.filter(patient=watched).count() == 1


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"left-mri-necrosis": "no"}, "No necrosis now, but there was on 10 Jan 2026."),
        (
            {
                "left-mri-lesion_volume_percent": "12",
                "left-mri-lesion_volume_cm3": "40",
                "left-mri-volume_method": "MRI_SLICE_SUM",
            },
            "imply a femoral head that no adult has",
        ),
        (
            {"left-mri-lesion_volume_percent": "5", "left-mri-volume_method": "MRI_SLICE_SUM"},
            "5 % is much less than 12 % of 10 Jan 2026.",
        ),
        ({"left-symptom-symptomatic": "no", "left-symptom-pain_nrs": "5"}, "No symptoms, but pain of 5."),
        ({"right-staging-stage": "ARCO|2019|II"}, "Is it the other side?"),
        (
            {"left-procedure-procedure": "THA", "left-procedure-done_on": "2020-01-01"},
            "Replaced on 1 Jan 2020, this hip is not followed any more",
        ),
        (
            {"left-radiograph-depression_mm": "3.5", "left-staging-stage": "ARCO|2019|II"},
            "ARCO II (2019) is a stage before collapse, but this shows more: Radiograph, 8 Jul 2026: depression 3.5 mm",
        ),
        (
            {"right-mri-necrosis": "no", "right-mri-lesion_volume_percent": "8", "right-mri-volume_method": "VISUAL"},
            "No necrosis, but a lesion of 8 %.",
        ),
    ],
)
def test_a_contradiction_asks_for_a_reason_before_anything_is_saved(send, fields, words):
    answer = send(**fields)
    assert answer.status_code == 422
    assert words in " ".join(warning.text for warning in answer.context["warnings"])
    assert not Visit.objects.exists()
    again = send(**fields, warned=answer.context["warned"], go_on_reason="read twice")
    assert again.status_code == 302 and Visit.objects.get().note == "read twice"


@pytest.mark.parametrize(
    "fields",
    [
        {"left-radiograph-depression_mm": "3.5", "left-radiograph-crescent": "absent"},
        {"left-radiograph-depression_mm": "3.5", "left-staging-stage": "ARCO|2019|IIIB"},
        {"left-radiograph-depression_mm": "0", "left-staging-stage": "ARCO|2019|II"},
        {"left-symptom-symptomatic": "yes", "left-symptom-pain_nrs": "0"},  # stiff, or not in these seven days
        {"left-procedure-procedure": "THA"},
        {"left-procedure-procedure": "CORE_DECOMPRESSION", "left-procedure-done_on": "2026-01-01"},
    ],
)
def test_what_goes_together_is_not_asked_about(send, fields):
    assert send(**fields).status_code == 302


def test_two_of_one_visit_that_do_not_go_together_are_told_once(send):
    answer = send(**{"left-radiograph-crescent": "present", "left-staging-stage": "ARCO|2019|I"})
    assert answer.status_code == 422 and len(answer.context["warnings"]) == 1


def test_a_lower_stage_goes_on_only_with_a_reason_which_is_kept(watched, send, actor):
    recording.record_facts(
        watched.pk, [(Side.LEFT, Staging(on=date(2026, 3, 1), system="ARCO", version="2019", code="II"))], by=actor
    )
    answer = send(**{"left-staging-stage": "ARCO|2019|I"})
    assert "Stages do not heal" in answer.content.decode()
    silent = send(**{"left-staging-stage": "ARCO|2019|I"}, warned=answer.context["warned"], go_on_reason=" ")
    assert silent.status_code == 422 and not Visit.objects.exists()
    send(**{"left-staging-stage": "ARCO|2019|I"}, warned=answer.context["warned"], go_on_reason="new reader")
    assert Staging.objects.get(code="I", on=date(2026, 7, 8)).note.endswith("new reader")


def test_a_reason_does_not_count_for_a_warning_that_was_not_shown(send):
    answer = send(**{"left-mri-necrosis": "no"}, warned="0" * 16, go_on_reason="whatever comes")
    assert answer.status_code == 422 and not Visit.objects.exists()


def test_a_replaced_hip_takes_no_second_arthroplasty_unasked(watched, send):
    send(**{"left-procedure-procedure": "THA"})
    answer = send(**{"left-procedure-procedure": "THA", "left-procedure-done_on": "2026-07-07"})
    assert (
        answer.status_code == 302
        or "recorded already" in answer.content.decode()
        or "was replaced" in answer.content.decode()
    )
    assert "was replaced on" in send(**{"left-procedure-procedure": "THA"}).content.decode()


def test_somebody_elses_change_is_shown_and_what_was_typed_is_kept(watched, send, actor):
    version = Patient.objects.get(pk=watched.pk).record_version
    seen = AuditEntry.objects.latest("id").pk
    hurts(watched, actor)
    answer = send(**COMPLETE, record_version=version, seen_entry=seen, note="typed with care")
    text = answer.content.decode()
    assert answer.status_code == 409 and "Ada Okoye: Recorded facts" in text and "typed with care" in text
    assert not Visit.objects.exists()
    current = answer.context["entry"].visit["record_version"].value()
    assert send(**COMPLETE, record_version=current, note="typed with care").status_code == 302


def test_sent_twice_is_saved_once(watched, send):
    version = Patient.objects.get(pk=watched.pk).record_version
    assert send(**COMPLETE, record_version=version).status_code == 302
    assert send(**COMPLETE, record_version=version).status_code == 409
    assert Visit.objects.count() == 1


def test_scores_are_computed_from_their_items(send):
    items = {"stairs": 0, "uneven_surface": 1, "rising": 0, "bending": 0, "lying": 0, "sitting": 0}
    send(**{f"left-hoos-{name}": value for name, value in items.items()})
    score = Score.objects.get(instrument="HOOS_JR")
    assert (float(score.value), score.items["uneven_surface"]) == (92.34, 1)


BEST = {
    "pain": "none", "limp": "none", "support": "none", "distance": "unlimited", "stairs": "no_rail",
    "shoes_socks": "ease", "sitting": "ordinary_chair_hour", "transport": "able",
    "fixed_flexion": 0, "fixed_adduction": 0, "fixed_internal_rotation": 0, "leg_length_difference_cm": 0,
    "flexion": 120, "abduction": 40, "external_rotation": 40, "adduction": 25, "internal_rotation": 30,
    "variant": "ARC_TABLE",
}  # fmt: skip


@pytest.mark.parametrize(
    ("item", "value", "most"),
    [("flexion", 161, 160), ("abduction", 91, 90), ("adduction", -1, 60), ("fixed_adduction", 61, 60)],
)
def test_an_angle_that_no_hip_has_is_refused_at_its_field(item, value, most, send):
    answer = send(**{f"right-harris-{name}": said for name, said in {**BEST, item: value}.items()})
    assert answer.status_code == 422 and not Score.objects.exists()
    (wrong,) = answer.context["errors"]
    assert wrong.id == f"id_right-harris-{item}" and f"Enter a whole number from 0 to {most}." in wrong.text


def test_a_harris_score_keeps_its_variant_and_items(send):
    send(**{f"right-harris-{name}": value for name, value in BEST.items()})
    score = Score.objects.get(instrument="HHS")
    assert (score.value, score.variant, score.hip.side) == (100, "ARC_TABLE", "right")


def test_the_form_takes_few_queries(watched, client_, django_assert_max_num_queries):
    client_.get(f"/patients/{watched.pk}/visit/")
    with django_assert_max_num_queries(32):
        client_.get(f"/patients/{watched.pk}/visit/")


@pytest.mark.parametrize(
    ("kind", "is_open"),
    [("telephone", {"symptom"}), ("report", {"radiograph", "mri", "ct"}), ("", {"symptom", "radiograph"})],
)
def test_a_quick_report_opens_only_what_it_is_about(watched, client_, kind, is_open):
    answer = client_.get(f"/patients/{watched.pk}/visit/?kind={kind}")
    [left] = [hip for hip in answer.context["hips"] if hip["side"] == "left"]
    assert {section["key"] for section in left["sections"] if section["open"]} == is_open


@pytest.mark.parametrize(
    ("kind", "title", "asked"),
    [
        ("telephone", "Telephone report", {"symptom"}),
        ("report", "Imaging report", {"radiograph", "mri", "ct"}),
    ],
)
def test_a_quick_report_asks_for_nothing_else_and_says_what_it_is(watched, client_, kind, title, asked):
    answer = client_.get(f"/patients/{watched.pk}/visit/?kind={kind}")
    page = answer.content.decode()
    assert f"<h1>{title}</h1>" in page and "Record the report" in page and "Record a whole visit instead" in page
    assert all({section["key"] for section in hip["sections"]} == asked for hip in answer.context["hips"])
    assert f'type="hidden" name="kind" value="{kind}"' in page and "harris" not in page


def test_a_quick_report_is_recorded_as_what_it_is_and_keeps_what_is_refused(watched, client_):
    url = f"/patients/{watched.pk}/visit/?kind=telephone"
    page = client_.get(url)
    sent = {
        "on": "2026-03-05",
        "kind": "telephone",
        "record_version": page.context["entry"].visit["record_version"].value(),
        "left-symptom-symptomatic": "yes",
        "left-symptom-pain_nrs": "15",
        "left-symptom-source": "patient",
    }
    refused = client_.post(url, sent)
    assert refused.status_code == 422 and "<h1>Telephone report</h1>" in refused.content.decode()
    assert client_.post(url, {**sent, "left-symptom-pain_nrs": "5"}).status_code == 302
    assert Visit.objects.latest("pk").kind == "telephone"
    assert SymptomReport.objects.latest("pk").pain_nrs == 5


def test_what_is_said_on_the_telephone_is_the_patients_own_report(watched, client_):
    answer = client_.get(f"/patients/{watched.pk}/visit/?kind=telephone")
    [symptom] = [s for s in answer.context["entry"].hips[Side.LEFT] if s.key == "symptom"]
    assert symptom["source"].value() == "patient" and symptom.is_empty()
