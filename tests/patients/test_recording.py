"""Recording: what is written, refused, superseded and withdrawn."""

from datetime import date

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from patients import access, reading, recording
from patients.models import Ending, Imaging, Patient, Staging, SymptomReport, Visit
from patients.vocabulary import EndReason, Side

MRI = {"modality": "MR", "necrosis": True, "lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}


def mri(**details):
    return Imaging(**{"on": date(2026, 1, 12), **MRI, **details})


def test_an_enrolled_patient_has_both_hips_and_an_evaluation(patient):
    assert sorted(patient.hips.values_list("side", flat=True)) == ["left", "right"]
    assert patient.evaluation.record_version == patient.record_version


def test_what_was_recorded_is_what_the_guideline_reads(patient, actor):
    recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor, visit=Visit(on=date(2026, 1, 12)))
    [image] = reading.read_record(patient.pk).left.imaging
    assert (image.on, image.necrosis, image.lesion_volume_percent) == (date(2026, 1, 12), True, 12)


@pytest.mark.parametrize(
    ("fact", "field", "words"),
    [
        (mri(on=date(2031, 1, 1)), "0.on", "future"),
        (mri(on=date(1980, 1, 1)), "0.on", "birth"),
        (mri(lesion_volume_percent=140), "0.lesion_volume_percent", "at most 100"),
        (Staging(on=date(2026, 1, 12), system="ARCO", version="2019", code="IIC"), "0.code", "has no stage IIC"),
        (Staging(on=date(2026, 1, 12), system="FICAT", version="2019", code="I"), "0.version", "no version"),
        (SymptomReport(on=date(2026, 1, 12), source="clinician"), "0.symptomatic", "Say whether"),
        (SymptomReport(on=date(2026, 1, 12), source="clinician", pain_nrs=11), "0.pain_nrs", "at most 10"),
        (
            Ending(on=date(2026, 1, 12), reason="transferred", evidence="letter"),
            "0.receiving_clinic",
            "Name the clinic",
        ),
    ],
)
def test_what_cannot_be_true_is_refused_in_words_and_nothing_is_saved(patient, actor, fact, field, words):
    before = patient.record_version
    with pytest.raises(recording.RecordingRefused) as refused:
        recording.record_facts(patient.pk, [(Side.LEFT, fact), (Side.LEFT, mri())], by=actor)
    assert words in " ".join(refused.value.problems[field])
    assert Imaging.objects.count() == 0
    assert Patient.objects.get(pk=patient.pk).record_version == before


def test_a_record_number_is_used_once_whatever_its_case(clinic, enrol):
    enrol(clinic, record_number="ab-1")
    with pytest.raises(recording.RecordingRefused, match="already has a patient"):
        enrol(clinic, record_number="AB-1")


def test_a_withdrawn_fact_keeps_its_row_and_is_not_read(patient, actor):
    saved = recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor).facts[0]
    recording.withdraw_fact(saved, by=actor, reason="another patient's study")
    assert reading.read_record(patient.pk).left.imaging == ()
    assert Imaging.objects.get(pk=saved.pk).withdrawn_reason == "another patient's study"


def test_a_stale_form_is_told_so(patient, actor):
    recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor)
    with pytest.raises(recording.StaleRecord):
        recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor, expected_version=patient.record_version)


def test_an_ending_is_taken_back_by_a_reopening(patient, actor):
    hip = patient.hips.get(side="left")
    ending = recording.end_follow_up(
        hip, by=actor, on=date(2026, 2, 1), reason=EndReason.DISCHARGED, evidence="clinic letter"
    )
    recording.reopen_follow_up(ending, by=actor, on=date(2026, 3, 1), reason="discharged by mistake")
    assert [e.reason for e in reading.read_record(patient.pk).left.endings] == ["discharged", "reopened"]


def test_the_database_refuses_a_correction_of_the_other_hips_fact(patient, actor):
    left = recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor).facts[0]
    right = patient.hips.get(side="right")
    wrong = mri(hip=right, patient=patient, clinic=patient.clinic, actor="x", supersedes=left, correction_reason="y")
    with pytest.raises(IntegrityError, match="supersedes_same_hip"), transaction.atomic():
        wrong.save()
        connection.check_constraints()


@pytest.mark.parametrize("statement", ["UPDATE patients_imaging SET necrosis = false", "DELETE FROM patients_imaging"])
def test_the_database_refuses_to_change_or_delete_a_fact(patient, actor, statement):
    recording.record_facts(patient.pk, [(Side.LEFT, mri())], by=actor)
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)


def test_another_clinics_rows_are_not_there_for_the_database_either(patient, other_clinic):
    access.bind_clinics([other_clinic.pk])
    assert not Patient.objects.filter(pk=patient.pk).exists()
    with pytest.raises(DatabaseError, match="row-level security"), transaction.atomic():
        SymptomReport.objects.create(
            clinic=patient.clinic, patient=patient, hip_id=1, on=date(2026, 1, 1), source="clinician", actor="x"
        )


def test_without_a_clinic_a_query_is_an_error_not_an_empty_list(patient):
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.clinic_ids', '', true)")
    with pytest.raises(DatabaseError, match="no clinic is set"), transaction.atomic():
        list(Patient.objects.all())


def test_the_application_does_not_own_its_tables(db):
    access.refuse_unsafe_role()
