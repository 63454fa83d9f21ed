"""Enrolment and its end, and corrections: who may, what is refused, and that nothing is lost."""

from datetime import UTC, date, datetime

import pytest
import time_machine

from monitoring.models import AuditEntry
from patients import recording
from patients.models import ContactWish, Decision, Ending, Exposure, Imaging, Patient, Score, Staging, SymptomReport
from patients.vocabulary import EndReason, Side
from schedules.models import Plan
from tests.monitoring.test_patient_page import baseline, hurts

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
PERSON = {
    "family_name": "Solheim",
    "given_name": "Ingrid",
    "born_on": "1958-02-17",
    "record_number": "HW-19",
    "language": "de",
    "enrolled_on": "2026-03-05",
    "email": "ingrid@mail.example",
}


@pytest.fixture(autouse=True)
def _noon():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def watched(clinic, enrol, actor):
    patient = enrol(clinic)
    recording.record_facts(patient.pk, baseline(), by=actor)
    return patient


@pytest.fixture
def at(clinic, make_user, sign_in):
    """`at("coordinator")`: a client signed in with that role."""
    return lambda role: sign_in(make_user(clinic, role))


def test_a_patient_is_enrolled_with_wishes_and_conditions(clinic, at):
    wishes = {"email_wish": "yes", "letter_wish": "no", "how": "on paper, 5 Mar 2026", "conditions": ["sle", "alcohol"]}
    answer = at("coordinator").post("/patients/new/", {**PERSON, "clinic": clinic.pk, **wishes})
    patient = Patient.objects.get(record_number="HW-19")
    assert answer.status_code == 302 and answer.url == f"/patients/{patient.pk}/"
    assert dict(ContactWish.objects.values_list("channel", "allowed")) == {"email": True, "letter": False}
    assert set(Exposure.objects.values_list("kind", flat=True)) == {"sle", "alcohol"}
    assert patient.hips.count() == 2 and patient.evaluation.error == ""


@pytest.mark.parametrize(
    ("fields", "field", "words"),
    [
        ({"born_on": "2031-01-01"}, "born_on", "future"),
        ({"born_on": "2026-03-05", "enrolled_on": "2026-03-01"}, "born_on", "after the enrolment"),
        ({"family_name": ""}, "family_name", "required"),
        ({"email": "not an address"}, "email", "valid email"),
        ({"telephone": "12"}, "telephone", "valid phone number"),
        ({"email_wish": "yes"}, "how", "Say how"),
        ({"national_id": "9434765918", "national_id_kind": "nhs"}, "national_id", "check digit"),
    ],
)
def test_what_cannot_be_true_is_told_at_its_field(clinic, at, fields, field, words):
    answer = at("coordinator").post("/patients/new/", {**PERSON, "clinic": clinic.pk, **fields})
    assert answer.status_code == 422 and words in str(answer.context["form"].errors[field])
    assert not Patient.objects.exists()


WRONG = {
    "email": "not an address",
    "telephone": "12",
    "born_on": "2031-01-01",
    "national_id": "9434765918",
    "national_id_kind": "nhs",
    "record_number": "hw-20",
}


def test_all_that_is_wrong_with_details_is_told_at_once(clinic, at, enrol):
    enrol(clinic, record_number="HW-20")
    patient = enrol(clinic, record_number="HW-19")
    client = at("coordinator")
    edited = {**PERSON, **WRONG, "record_version": patient.record_version}
    for address, sent in (
        (f"/patients/{patient.pk}/edit/", edited),
        ("/patients/new/", {**PERSON, **WRONG, "clinic": clinic.pk}),
    ):
        errors = client.post(address, sent).context["form"].errors
        assert set(errors) == set(WRONG) - {"national_id_kind"}, address
        assert all(len(texts) == 1 for texts in errors.values())


@pytest.mark.parametrize("day", ["", "31.02.2026"])
def test_a_day_that_cannot_be_read_does_not_keep_other_faults_back(clinic, at, day):
    answer = at("coordinator").post("/patients/new/", {**PERSON, "clinic": clinic.pk, **WRONG, "enrolled_on": day})
    assert {"enrolled_on", "born_on", "email"} <= set(answer.context["form"].errors)


def test_the_line_breaks_of_a_browser_are_no_change_of_the_address(clinic, at, enrol):
    patient = enrol(clinic, address="4 Mill Lane\nLeeds")
    sent = {**PERSON, "address": "4 Mill Lane\r\nLeeds", "record_version": patient.record_version}
    assert at("coordinator").post(f"/patients/{patient.pk}/edit/", sent).status_code == 302
    assert "address" not in AuditEntry.objects.get(act="amend_patient").after


def test_a_likely_duplicate_is_shown_before_anybody_is_enrolled(clinic, at, enrol):
    known = enrol(clinic, family_name="Solheim", given_name="Ingrit", born_on=date(1958, 2, 17))
    client = at("coordinator")
    answer = client.post("/patients/new/", {**PERSON, "clinic": clinic.pk})
    assert answer.status_code == 422 and "Is this the same person?" in answer.content.decode()
    assert Patient.objects.count() == 1
    client.post("/patients/new/", {**PERSON, "clinic": clinic.pk, "not_the_same": known.pk})
    assert Patient.objects.count() == 2


def test_a_record_number_that_is_taken_is_told_at_its_field(clinic, at, enrol):
    known = enrol(clinic, family_name="Quite-Other", record_number="hw-19")
    answer = at("coordinator").post("/patients/new/", {**PERSON, "clinic": clinic.pk, "not_the_same": known.pk})
    assert "already has a patient" in str(answer.context["form"].errors["record_number"])


def test_nobody_is_enrolled_in_another_clinic(other_clinic, at):
    answer = at("coordinator").post("/patients/new/", {**PERSON, "clinic": other_clinic.pk})
    assert answer.status_code == 422 and "clinic" in answer.context["form"].errors


def details(patient, **changes):
    return {
        **PERSON, "family_name": patient.family_name, "given_name": "Marta", "born_on": "1990-03-10",
        "record_number": patient.record_number, "enrolled_on": "2026-01-10", "record_version": patient.record_version,
        **changes,
    }  # fmt: skip


def test_changed_details_are_saved_and_audited(watched, at):
    watched.refresh_from_db()
    answer = at("coordinator").post(
        f"/patients/{watched.pk}/edit/", details(watched, email="new@mail.example", reason="moved")
    )
    assert answer.status_code == 302
    assert Patient.objects.get(pk=watched.pk).email == "new@mail.example"
    assert AuditEntry.objects.get(act="amend_patient").reason == "moved"


def test_changes_on_a_changed_record_are_not_lost_and_not_blind(watched, at, actor):
    watched.refresh_from_db()
    hurts(watched, actor)
    client = at("coordinator")
    answer = client.post(f"/patients/{watched.pk}/edit/", details(watched, next_of_kin="a sister"))
    assert (
        answer.status_code == 409 and "a sister" in answer.content.decode() and "Ada Okoye" in answer.content.decode()
    )
    again = details(watched, next_of_kin="a sister", record_version=answer.context["form"]["record_version"].value())
    assert client.post(f"/patients/{watched.pk}/edit/", again).status_code == 302


def test_a_contact_wish_says_how_it_was_said(watched, at):
    client = at("coordinator")
    url = f"/patients/{watched.pk}/contact/"
    assert client.post(url, {"channel": "email", "allowed": "no"}).status_code == 422
    assert client.post(url, {"channel": "email", "allowed": "no", "how": "by telephone"}).status_code == 302
    assert not ContactWish.objects.get(patient=watched, channel="email").allowed


END = {"on": "2026-03-01", "evidence": "letter of 1 Mar 2026"}


def test_follow_up_ends_by_a_reason_of_the_list_and_is_taken_up_again(watched, at):
    url = f"/patients/{watched.pk}/left/"
    assert at("coordinator").post(f"{url}end/", {**END, "reason": "lost"}).status_code == 422
    assert at("coordinator").post(f"{url}end/", {**END, "reason": "declined_in_writing"}).status_code == 302
    assert not Plan.objects.filter(hip__side="left", patient=watched, state="current").exists()
    assert at("clinician").post(f"{url}reopen/", {"on": "2026-03-05", "reason": "changed her mind"}).status_code == 302
    assert Plan.objects.filter(hip__side="left", patient=watched, state="current").exists()


def test_a_transfer_names_the_receiving_clinic(watched, at):
    answer = at("coordinator").post(f"/patients/{watched.pk}/left/end/", {**END, "reason": "transferred"})
    assert answer.status_code == 422 and "receiving_clinic" in answer.context["form"].errors
    assert not Ending.objects.exists()


def test_a_discharge_is_a_clinicians_decision(watched, at):
    url = f"/patients/{watched.pk}/left/end/"
    assert at("coordinator").post(url, {**END, "reason": "discharged"}).status_code == 422
    assert at("clinician").post(url, {**END, "reason": "discharged"}).status_code == 302


def test_a_coordinator_does_not_reopen(watched, at, actor):
    recording.end_follow_up(
        watched.hips.get(side="left"), by=actor, on=date(2026, 3, 1), reason=EndReason.DISCHARGED, evidence="x"
    )
    assert at("coordinator").get(f"/patients/{watched.pk}/left/reopen/").status_code == 403


def test_death_needs_its_source_and_can_be_taken_back(watched, at):
    client, url = at("coordinator"), f"/patients/{watched.pk}/death/"
    assert client.post(url, {"died_on": "2026-03-01"}).status_code == 422
    assert client.post(url, {"died_on": "2026-03-09", "death_source": "letter"}).status_code == 422
    assert client.post(url, {"died_on": "2026-03-01", "death_source": "letter"}).status_code == 302
    assert not Plan.objects.filter(patient=watched, state="current").exists()
    assert client.post(url, {"reason": "another Marta Berg"}).status_code == 302
    assert Plan.objects.filter(patient=watched, state="current").exists()


def test_a_death_before_what_the_record_saw_is_asked_about_once(watched, at):
    client, url = at("coordinator"), f"/patients/{watched.pk}/death/"
    wrong = {"died_on": "2020-01-01", "death_source": "letter"}
    answer = client.post(url, wrong)
    assert answer.status_code == 422 and "has this person alive on" in answer.content.decode()
    assert 'type="checkbox" name="sure"' in answer.content.decode()
    unsourced = client.post(url, {"died_on": "2020-01-01", "sure": "on"}).content.decode()
    assert 'type="checkbox" name="sure"' in unsourced, "a tick is never sent unseen"
    assert Plan.objects.filter(patient=watched, state="current").exists()
    assert client.post(url, {**wrong, "sure": "on"}).status_code == 302
    watched.refresh_from_db()
    assert watched.died_on == date(2020, 1, 1)


def test_an_end_before_enrolment_is_asked_about_once(watched, at):
    client, url = at("coordinator"), f"/patients/{watched.pk}/left/end/"
    wrong = {**END, "on": "2019-12-01", "reason": "declined_in_writing"}
    answer = client.post(url, wrong)
    assert answer.status_code == 422 and "followed here since" in answer.content.decode()
    assert not Ending.objects.exists()
    assert client.post(url, {**wrong, "sure": "on"}).status_code == 302
    assert Ending.objects.get().on == date(2019, 12, 1)


def test_a_correction_supersedes_with_its_reason(watched, at):
    stage = Staging.objects.get(patient=watched)
    url = f"/patients/{watched.pk}/facts/{stage.key}/correct/"
    fields = {"on": "2026-01-10", "stage": "ARCO|2019|II", "correction_reason": "read again"}
    assert at("coordinator").post(url, {**fields, "correction_reason": ""}).status_code == 422
    assert at("coordinator").post(url, fields).status_code == 302
    corrected = Staging.objects.get(supersedes=stage)
    assert (corrected.code, corrected.correction_reason, corrected.hip_id) == ("II", "read again", stage.hip_id)
    text = at("coordinator").get(f"/patients/{watched.pk}/imaging/").content.decode()
    assert "Corrected later: read again" in text


def test_a_correction_keeps_what_its_form_does_not_change(watched, at):
    study = Imaging.objects.get(patient=watched, modality="MR", necrosis=True)
    fields = {"on": "2026-01-10", "necrosis": "true", "lesion_volume_percent": "13", "volume_method": "MRI_SLICE_SUM"}
    answer = at("coordinator").post(
        f"/patients/{watched.pk}/facts/{study.key}/correct/", {**fields, "correction_reason": "slices counted again"}
    )
    assert answer.status_code == 302
    corrected = Imaging.objects.get(supersedes=study)
    assert (corrected.modality, corrected.necrosis, corrected.lesion_volume_percent) == ("MR", True, 13)


def test_what_cannot_be_true_is_no_correction_either(watched, at):
    report = SymptomReport.objects.get(patient=watched)
    fields = {"on": "2031-01-01", "source": "clinician", "symptomatic": "false", "correction_reason": "x"}
    answer = at("coordinator").post(f"/patients/{watched.pk}/facts/{report.key}/correct/", fields)
    assert answer.status_code == 422 and "future" in str(answer.context["form"].errors["on"])


@pytest.mark.parametrize("kind", ["imaging", "staging", "symptom"])
def test_every_kind_of_fact_has_its_correction_form(watched, at, kind):
    key = (
        {"imaging": Imaging, "staging": Staging, "symptom": SymptomReport}[kind]
        .objects.filter(patient=watched)
        .first()
        .key
    )
    assert at("coordinator").get(f"/patients/{watched.pk}/facts/{key}/correct/").status_code == 200


def test_entered_in_error_needs_a_reason_and_takes_the_finding_back(watched, at, actor):
    fact = hurts(watched, actor)
    url = f"/patients/{watched.pk}/facts/{fact.key}/withdraw/"
    assert at("coordinator").post(url, {"reason": ""}).status_code == 422
    assert at("coordinator").post(url, {"reason": "the other patient"}).status_code == 302
    assert "Core decompression review" not in at("coordinator").get(f"/patients/{watched.pk}/").content.decode()


def test_another_patients_fact_is_not_there(watched, clinic, enrol, at):
    key = Imaging.objects.filter(patient=watched).first().key
    other = enrol(clinic)
    assert at("coordinator").get(f"/patients/{other.pk}/facts/{key}/withdraw/").status_code == 404


def test_a_finding_without_a_case_is_answered_by_a_clinicians_decision(watched, at):
    url = f"/patients/{watched.pk}/right/decide/ASSESS_CONTRALATERAL_HIP/"
    fields = {"outcome": "image_further", "reason": "MRI asked for", "on": "2026-03-05"}
    assert at("coordinator").post(url, fields).status_code == 403
    assert at("clinician").post(url, {**fields, "reason": ""}).status_code == 422
    assert at("clinician").post(url, fields).status_code == 302
    assert Decision.objects.get().action == "ASSESS_CONTRALATERAL_HIP"


def test_what_no_decision_answers_cannot_be_decided(watched, at):
    for action in ("OVERDUE_RADIOGRAPH", "CORE_DECOMPRESSION_REVIEW", "NONSENSE"):
        assert at("clinician").get(f"/patients/{watched.pk}/left/decide/{action}/").status_code == 404


def test_side_belongs_to_the_address(watched, at):
    assert at("clinician").get(f"/patients/{watched.pk}/middle/end/").status_code == 404


def test_a_corrected_total_keeps_no_items_that_do_not_add_up_to_it(watched, at, actor):
    score = Score(on=date(2026, 2, 1), instrument="HHS", value=80, variant="ARC_TABLE", items={"pain": "mild"})
    recording.record_facts(watched.pk, [(Side.LEFT, score)], by=actor)
    fields = {"on": "2026-02-01", "value": "82", "correction_reason": "added up again"}
    assert at("coordinator").post(f"/patients/{watched.pk}/facts/{score.key}/correct/", fields).status_code == 302
    corrected = Score.objects.get(supersedes=score)
    assert (corrected.instrument, corrected.value, corrected.items, corrected.variant) == ("HHS", 82, None, "")


def test_looking_at_a_form_is_audited_too(watched, at):
    at("coordinator").get(f"/patients/{watched.pk}/edit/")
    assert AuditEntry.objects.filter(act="look", patient_id=watched.pk, object="form about the patient").exists()
