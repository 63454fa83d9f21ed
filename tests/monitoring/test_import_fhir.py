"""Importing FHIR R4: every resource is accounted for, an invalid one drops no other, and twice is once."""

import json
import re
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from monitoring.fhir import codes
from monitoring.fhir.loading import Choices, load
from monitoring.fhir.mapping import Unusable, read_person, read_resource
from monitoring.fhir.report import Report
from monitoring.models import AuditEntry, PatientEvaluation
from patients.models import BmiReading, Exposure, Imaging, Patient, Procedure, Score, Staging, SymptomReport

DATA = Path(__file__).resolve().parents[2] / ".." / "shared" / "data"
real_data = pytest.mark.skipif(not (DATA / "fhir-bulk").is_dir(), reason="the folder of real FHIR exports is not there")

PATIENT = {
    "resourceType": "Patient",
    "id": "p1",
    "identifier": [{"type": {"coding": [{"code": "MR"}]}, "value": "MR-77"}],
    "name": [{"use": "official", "family": "Nyström", "given": ["Ida", "Maj"]}],
    "gender": "female",
    "birthDate": "1984-07-09",
    "telecom": [{"system": "email", "value": "ida@mail.example"}, {"system": "phone", "value": "+44 20 7946 0111"}],
    "communication": [{"language": {"coding": [{"system": "urn:ietf:bcp:47", "code": "de-CH"}]}}],
}
OF_P1 = {"subject": {"reference": "Patient/p1"}}
LEFT_HIP = {"coding": [{"system": codes.SNOMED, "code": "24136001"}, {"system": codes.SNOMED, "code": codes.LEFT}]}


def code(system: str, value: str, display: str = "") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": value, **({"display": display} if display else {})}]}


def condition(value: str, system: str = "http://hl7.org/fhir/sid/icd-10-cm", **more: Any) -> dict[str, Any]:
    said = {"code": code(system, value), "onsetDateTime": "2025-02", **more}
    return {"resourceType": "Condition", "id": "c1", **OF_P1, **said}


def observation(loinc: str, value: Any, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation", "id": f"o{loinc}", "status": "final", **OF_P1, "code": code(codes.LOINC, loinc),
        "effectiveDateTime": "2026-01-05T09:00:00+01:00", "valueQuantity": {"value": value}, **more,
    }  # fmt: skip


PAIN = observation(codes.PAIN_NRS, 4, bodySite=LEFT_HIP)
THA = {
    "resourceType": "Procedure", "id": "t1", "status": "completed", **OF_P1, "performedDateTime": "2025-11-30",
    "code": code(codes.SNOMED, "397956004"), "bodySite": [{"text": "Right hip"}],
}  # fmt: skip
STUDY = {
    "resourceType": "ImagingStudy", "id": "s1", "status": "available", **OF_P1, "started": "2026-01-04T10:00:00Z",
    "identifier": [{"system": "urn:dicom:uid", "value": "urn:oid:1.2.840.99"}],
    "series": [{"uid": "1.2.3", "modality": {"code": "DX"}, "bodySite": {"system": codes.SNOMED, "code": "24136001"},
                "laterality": {"system": codes.SNOMED, "code": codes.LEFT}}],
}  # fmt: skip


def bundle(*resources: dict[str, Any]) -> str:
    entries = [{"fullUrl": f"urn:uuid:{r['id']}", "resource": r} for r in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries}, indent=1)


@pytest.fixture
def read(clinic: Any, actor: Any, tmp_path: Path) -> Callable[..., Report]:
    """`read(text, ...)` loads texts as files of one folder; `commit=True` saves."""

    def run(*texts: str, **choices: Any) -> Report:
        for number, text in enumerate(texts):
            (tmp_path / f"{number}.json").write_text(text)
        return load(tmp_path, clinic, by=actor, choices=Choices(**choices), now=timezone.now())

    return run


def counted(report: Report, kind: str) -> dict[str, int]:
    return report.to_json()[kind]


def assert_it_adds_up(report: Report) -> None:
    for row in report.rows():
        _kind, read, invalid, other, understood, new, updated, known, skipped = row
        assert read == invalid + other + understood
        assert understood == new + updated + known + skipped


# ---- Taking in


def test_a_bundle_becomes_a_patient_with_facts_of_the_right_hip(read: Any) -> None:
    bmi = observation(codes.BMI, 27.346)
    report = read(bundle(PATIENT, condition("M87.051"), PAIN, bmi, THA, STUDY), commit=True)
    assert_it_adds_up(report)
    patient = Patient.objects.get()
    assert (patient.record_number, patient.display_name, patient.language) == ("MR-77", "Ida Maj Nyström", "de")
    assert (patient.born_on, patient.email) == (date(1984, 7, 9), "ida@mail.example")
    assert str(patient.telephone) == "+442079460111"
    assert not patient.contact_wishes.exists()
    exposure = Exposure.objects.get()
    assert (exposure.kind, exposure.side, exposure.started_on) == ("idiopathic", "right", None)
    pain = SymptomReport.objects.get()
    assert (pain.hip.side, pain.pain_nrs, pain.source, pain.on) == ("left", 4, "patient", date(2026, 1, 5))
    assert BmiReading.objects.get().value == Decimal("27.35")
    assert Procedure.objects.get().hip.side == "right"
    image = Imaging.objects.get()
    assert (image.hip.side, image.modality, image.necrosis) == ("left", "XR", None)
    assert image.study_instance_uid == "1.2.840.99"
    assert image.origin == "fhir"
    assert image.note == "FHIR ImagingStudy/s1"
    assert PatientEvaluation.objects.filter(patient=patient).exists()
    assert AuditEntry.objects.filter(act="import_fhir").count() == 1


def test_a_check_saves_nothing_and_counts_the_same(read: Any) -> None:
    checked = read(bundle(PATIENT, PAIN, THA))
    assert not Patient.objects.exists()
    assert read(commit=True).rows() == checked.rows()


def test_the_second_time_everything_is_known(read: Any) -> None:
    read(bundle(PATIENT, condition("M87.051"), PAIN, THA, STUDY), commit=True)
    version = Patient.objects.get().record_version
    again = read(commit=True)
    assert again.rows()[-1] == ("all", 5, 0, 0, 5, 0, 0, 5, 0)
    assert Patient.objects.get().record_version == version


def test_an_invalid_entry_is_told_and_drops_no_other(read: Any) -> None:
    broken = {**PAIN, "id": "bad", "valueQuantity": {"value": "much"}}
    nonsense = {"resourceType": "Hip", "id": "h"}
    report = read(bundle(PATIENT, broken, nonsense, THA), commit=True)
    assert_it_adds_up(report)
    assert counted(report, "Observation") == {"read": 1, "invalid": 1}
    assert [row[:2] for row in report.invalid] == [("Observation", "0.json#1"), ("Hip", "0.json#2")]
    assert Procedure.objects.exists()


def test_a_fact_that_cannot_be_true_is_skipped_alone(read: Any) -> None:
    before_birth = {**THA, "id": "t0", "performedDateTime": "1970-01-01"}
    report = read(bundle(PATIENT, before_birth, observation(codes.HARRIS, 140, bodySite=LEFT_HIP), PAIN), commit=True)
    assert_it_adds_up(report)
    assert {why for _kind, why in report.reasons} == {
        "The date lies before the patient's birth.", "Enter a number of at most 100.",
    }  # fmt: skip
    assert SymptomReport.objects.count() == 1
    assert not Score.objects.exists()


def test_bundles_ndjson_and_rubbish_in_one_folder(read: Any, tmp_path: Path) -> None:
    (tmp_path / "bulk.ndjson").write_text("\n".join(json.dumps(r) for r in (PAIN, THA)) + "\n{broken\n")
    (tmp_path / "README.txt").write_text("hello")
    report = read(bundle(PATIENT))
    assert_it_adds_up(report)
    assert report.counts["(no resource)"]["invalid"] == 1
    assert report.left_alone == ["README.txt"]
    assert counted(report, "Observation")["new"] == 1


def test_references_by_full_url_and_by_address_find_the_patient(read: Any) -> None:
    by_url = {**PAIN, "subject": {"reference": "urn:uuid:p1"}}
    absolute = {**THA, "subject": {"reference": "https://ehr.example/fhir/Patient/p1"}}
    nobody = {**STUDY, "subject": {"reference": "Patient/p9"}}
    report = read(bundle(PATIENT, by_url, absolute, nobody))
    assert counted(report, "Observation")["new"] == counted(report, "Procedure")["new"] == 1
    assert report.reasons["ImagingStudy", "Its patient is not in these files."] == 1


def test_everybody_is_enrolled_unless_only_hip_findings_are_asked_for(read: Any) -> None:
    name = {"name": [{"family": "Ek"}], "birthDate": "1950-01-01"}
    other = {**PATIENT, **name, "id": "p2", "identifier": [{"value": "X-2"}]}
    assert read(bundle(PATIENT, other, PAIN)).blank_hips == 1
    report = read(only_with_hip_facts=True, commit=True)
    assert_it_adds_up(report)
    assert list(Patient.objects.values_list("record_number", flat=True)) == ["MR-77"]


def test_the_enrolment_can_be_dated(read: Any) -> None:
    read(bundle(PATIENT), commit=True, enrolled_on=date(2025, 1, 1))
    assert Patient.objects.get().enrolled_on == date(2025, 1, 1)


def test_a_death_is_recorded_and_changes_later_are_updates(read: Any) -> None:
    read(bundle(PATIENT), commit=True)
    dead = {**PATIENT, "deceasedDateTime": "2026-02-01T05:00:00Z"}
    assert counted(read(bundle(dead), commit=True), "Patient") == {"read": 1, "understood": 1, "updated": 1}
    assert Patient.objects.get().died_on == date(2026, 2, 1)
    assert counted(read(commit=True), "Patient")["known"] == 1


# ---- Mapping


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"name": [{"given": ["Ida"]}]}, "no family name"),
        ({"deceasedBoolean": True}, "unknown day"),
        ({"link": [{"type": "replaced-by", "other": {"reference": "Patient/p2"}}]}, "replaces it"),
        ({"identifier": [{"value": "x" * 33}]}, "longer than 32"),
    ],
)
def test_a_person_who_cannot_be_taken_over(change: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        read_person({**PATIENT, **change})


def test_a_uuid_as_record_number_loses_its_hyphens() -> None:
    person = read_person({**PATIENT, "identifier": [{"value": "2cd30bd6-3a87-4191-af90-6daa70f58f55"}]})
    assert person.record_number == "2cd30bd63a874191af906daa70f58f55"


@pytest.mark.parametrize(
    ("resource", "why"),
    [
        (condition("M87.059"), "neither right nor left"),
        (condition("M87.021"), "site is not the hip"),
        (condition("M87.050"), "site is not the hip"),
        (condition("M87.051", verificationStatus={"coding": [{"code": "refuted"}]}), "refuted"),
        (observation(codes.PAIN_NRS, 4), "names no hip"),
        (observation(codes.PAIN_NRS, 4.5, bodySite=LEFT_HIP), "whole number"),
        (observation(codes.PAIN_NRS, 4, bodySite=LEFT_HIP, status="entered-in-error"), "not final"),
        (observation(codes.HARRIS, 80), "neither right nor left"),
        (observation(codes.BMI, 25, effectiveDateTime="2025"), "exact to the day"),
        ({**THA, "status": "not-done"}, "not completed"),
        ({**THA, "bodySite": []}, "neither right nor left"),
        ({**THA, "code": {"text": "Arthroscopy of hip"}}, "no kind for its code"),
    ],
)
def test_what_concerns_a_hip_but_cannot_be_used_says_why(resource: dict[str, Any], why: str) -> None:
    with pytest.raises(Unusable, match=why):
        read_resource(resource)


@pytest.mark.parametrize(
    "resource",
    [
        condition("M17.0"),
        condition("D57.3"),
        {**THA, "code": code(codes.SNOMED, "609588000", "Total knee replacement"), "bodySite": []},
        observation("8480-6", 120),
        {**STUDY, "series": [{"uid": "1", "modality": {"code": "DX"}, "bodySite": {"display": "Wrist"}}]},
        {"resourceType": "Encounter", "id": "e"},
    ],
)
def test_what_does_not_concern_a_hip_is_left_alone(resource: dict[str, Any]) -> None:
    assert read_resource(resource) is None


@pytest.mark.parametrize(
    ("value", "system", "kind", "side"),
    [
        ("M87.051", "http://hl7.org/fhir/sid/icd-10-cm", "idiopathic", "right"),
        ("M87.152", "http://hl7.org/fhir/sid/icd-10-cm", "unknown", "left"),
        ("M90.552", "http://hl7.org/fhir/sid/icd-10-cm", "other", "left"),
        ("D57.1", "http://hl7.org/fhir/sid/icd-10", "sickle_cell", ""),
        ("55464009", codes.SNOMED, "sle", ""),
    ],
)
def test_diseases_and_causes(value: str, system: str, kind: str, side: str) -> None:
    taken = read_resource(condition(value, system))
    assert taken is not None
    assert [(e.kind, e.side) for e in taken.exposures] == [(kind, side)]


def test_a_bilateral_osteonecrosis_is_one_of_each_hip() -> None:
    sites = [{"text": "both femoral heads"}, {"text": "hip"}]
    taken = read_resource(condition("397758007", codes.SNOMED, bodySite=sites))
    assert taken is not None
    assert [exposure.side for exposure in taken.exposures] == ["left", "right"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ARCO 2019 stage IIIA", ("ARCO", "2019", "IIIA")),
        ("Ficat II", ("FICAT", "1985", "II")),
        ("Steinberg stage IV B", ("STEINBERG", "1995", "IVB")),
        ("ARCO III", None),
        ("mild", None),
    ],
)
def test_stages_are_read_where_system_and_version_are_sure(text: str, found: Any) -> None:
    assert codes.stage({"text": text}) == found


def test_a_stage_of_a_condition_becomes_a_reading(read: Any) -> None:
    staged = condition("M87.052", stage=[{"summary": {"text": "ARCO 2019 II"}}], recordedDate="2026-01-02")
    read(bundle(PATIENT, staged), commit=True)
    assert Staging.objects.get().code == "II"


def _verhoeff(number: str) -> bool:
    d = [[(i + j) % 5 if i < 5 and j < 5 else 0 for j in range(10)] for i in range(10)]
    for i in range(10):
        for j in range(10):
            low = (i % 5 + j % 5) % 5 if i < 5 else (i % 5 - j % 5) % 5
            d[i][j] = low + (5 if (i < 5) != (j < 5) else 0)
    p = [list(range(10)), [1, 5, 7, 6, 2, 8, 3, 0, 9, 4]]
    for k in range(2, 8):
        p.append([p[k - 1][p[1][i]] for i in range(10)])
    check = 0
    for position, digit in enumerate(reversed(number)):
        check = d[check][p[position % 8][int(digit)]]
    return check == 0


def test_every_snomed_and_loinc_code_has_its_check_digit() -> None:
    source = Path(codes.__file__).read_text()
    snomed = re.findall(r'"(\d{6,18})"', source)
    assert len(snomed) > 15
    assert [number for number in snomed if not _verhoeff(number)] == []
    for loinc in (codes.PAIN_NRS, codes.HARRIS, codes.HOOS_JR, codes.BMI):
        number, digit = loinc.split("-")
        doubled = [int(x) * 2 if i % 2 == 0 else int(x) for i, x in enumerate(reversed(number))]
        assert -sum(x // 10 + x % 10 for x in doubled) % 10 == int(digit)


# ---- Real exports


@pytest.mark.slow
@real_data
def test_every_resource_of_a_real_bulk_export_is_accounted_for(clinic: Any, actor: Any) -> None:
    report = load(DATA / "fhir-bulk", clinic, by=actor, choices=Choices(commit=True), now=timezone.now())
    assert_it_adds_up(report)
    assert report.rows()[-1][1] == sum(
        sum(1 for line in file.open() if line.strip()) for file in (DATA / "fhir-bulk").glob("*.ndjson")
    )
    assert counted(report, "Patient")["new"] == Patient.objects.count() == 13
    assert report.blank_hips == 13
    again = load(DATA / "fhir-bulk", clinic, by=actor, choices=Choices(), now=timezone.now())
    assert "new" not in again.to_json()["Patient"]


@pytest.mark.slow
@real_data
def test_a_real_bundle_with_invalid_entries_is_loaded_all_the_same(clinic: Any, actor: Any) -> None:
    report = load(DATA / "fhir-bundles", clinic, by=actor, choices=Choices(commit=True), now=timezone.now())
    assert_it_adds_up(report)
    assert report.invalid
    assert counted(report, "Patient")["new"] == 2
    assert BmiReading.objects.count() == counted(report, "Observation")["new"] > 0
    assert report.reasons["Observation", "It names no hip."] > 0


# ---- Command


def test_the_command_prints_the_table_and_saves_when_told(
    clinic: Any, make_user: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    user = make_user(clinic, "coordinator")
    (tmp_path / "a.json").write_text(bundle(PATIENT, PAIN, {**PAIN, "id": "x", "status": None, "valueQuantity": 4}))
    common = {"clinic": clinic.name, "email": user.email}
    call_command("import_fhir", tmp_path, problems=tmp_path / "problems.csv", **common)
    out = capsys.readouterr().out
    assert "1 patients would be enrolled" in out
    assert "Nothing was saved" in out
    assert "invalid,Observation" in (tmp_path / "problems.csv").read_text(encoding="utf-8-sig")
    call_command("import_fhir", tmp_path / "a.json", commit=True, **common)
    assert SymptomReport.objects.count() == 1
    with pytest.raises(CommandError) as missing:
        call_command("import_fhir", tmp_path / "none", **common)
    assert missing.value.returncode == 2
