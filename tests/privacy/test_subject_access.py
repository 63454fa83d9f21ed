"""Subject access: the ZIP holds every row about the person, who looked among them, and nobody else's."""

import io
import json
import zipfile
from datetime import date
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.urls import reverse
from django.utils import timezone

from monitoring import audit, pipeline
from monitoring.models import AuditEntry
from monitoring.privacy import subject_access
from monitoring.privacy.inventory import OF_TWO_PEOPLE, tables
from monitoring.web.chart import MODELS, read_chart
from patients import access, recording
from patients.models import Imaging, Patient
from patients.vocabulary import Side


@pytest.fixture
def admin(clinic: Any, make_user: Any) -> Any:
    return make_user(clinic, "admin", name="Ada Okoye")


@pytest.fixture
def known(clinic: Any, enrol: Any, actor: Any) -> Patient:
    with pipeline.deferred():
        who = enrol(clinic, family_name="Lindqvist", language="de", address="Mill Lane 4\nNorthside")
        image = Imaging(on=date(2026, 3, 1), modality="XR", necrosis=True, note="seen # by *two* people")
        recording.record_facts(who.pk, [(Side.LEFT, image)], by=actor)
        enrol(clinic, family_name="Somebody-Else")
    audit.looked(actor, [(clinic.pk, who.pk)], "patient page")
    return who


def opened(admin: Any, patient: Patient) -> tuple[dict[str, Any], zipfile.ZipFile]:
    to = io.BytesIO()
    subject_access.write_export(access.viewer_for(admin), patient, to)
    archive = zipfile.ZipFile(to)
    return json.loads(archive.read("everything.json")), archive


def test_every_row_of_the_person_is_there_and_nobody_elses(known: Patient, admin: Any) -> None:
    everything, _archive = opened(admin, known)
    whole = everything["tables"]
    assert whole["patients_imaging"][0]["note"] == "seen # by *two* people"
    assert [row["object"] for row in whole["monitoring_auditentry"] if row["act"] == "look"] == ["patient page"]
    assert whole["patients_patientevent"] != []
    assert "Somebody-Else" not in json.dumps(everything)


def test_the_pdf_is_in_the_patients_language(known: Patient, admin: Any) -> None:
    _everything, archive = opened(admin, known)
    assert archive.read("ihre-daten.pdf")[:5] == b"%PDF-"
    paper = subject_access.write(read_chart(known, MODELS), [known.pk], timezone.now())
    assert paper.title == "Was wir über Sie gespeichert haben"
    lines = {line.term: line.words for section in paper.sections for line in section.lines}
    assert lines["Ada Okoye"]
    assert "seen # by *two* people" in " ".join(lines.values())


def test_the_pdf_is_tagged(known: Patient, admin: Any) -> None:
    _everything, archive = opened(admin, known)
    assert b"StructTreeRoot" in archive.read("ihre-daten.pdf")


def test_what_became_part_of_the_record_is_in_it(clinic: Any, enrol: Any, actor: Any, admin: Any) -> None:
    one, other = enrol(clinic, family_name="Berg"), enrol(clinic, family_name="Berg")
    recording.propose_merge(one.pk, other.pk, by=actor, reason="one person")
    everything, _archive = opened(admin, one)
    assert everything["records"] == [one.pk, other.pk]
    assert {row["id"] for row in everything["tables"]["patients_patient"]} == {one.pk, other.pk}


def test_it_is_audited_and_for_administrators(known: Patient, admin: Any, clinic: Any, make_user: Any) -> None:
    opened(admin, known)
    assert AuditEntry.objects.get(act="export").object == "everything held"
    with pytest.raises(PermissionDenied):
        opened(make_user(clinic, "clinician"), known)


def test_the_page_gives_the_file(known: Patient, admin: Any, sign_in: Any) -> None:
    where = reverse("patient_everything", args=[known.pk])
    browser = sign_in(admin)
    assert browser.get(where).status_code == 200
    assert b"".join(browser.post(where).streaming_content)[:2] == b"PK"


def test_every_table_that_names_a_patient_is_in_the_inventory() -> None:
    known = {table.model for table in tables()} | set(OF_TWO_PEOPLE)
    naming = {
        model
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if field.name == "patient_id" or (field.is_relation and field.related_model is Patient)
    }
    assert naming <= known
    assert {"schedules_reminderevent", "monitoring_casenote"} <= {table.name for table in tables()}
