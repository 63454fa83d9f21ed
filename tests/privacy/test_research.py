"""Research export: only who agreed, only who may, and nothing by which anybody is known."""

import csv
import io
import zipfile
from datetime import date
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.urls import reverse

from monitoring import pipeline
from monitoring.models import AuditEntry
from monitoring.privacy import research
from monitoring.privacy.research import COLUMNS, ExportRefused
from patients import access, recording
from patients.models import Exposure, Imaging, Procedure, Score, SymptomReport
from patients.vocabulary import Side

SECRETS = {
    "family_name": "Xqvortzberg", "given_name": "Zwynthia", "national_id": "7781342", "address": "Kvortzlane 9",
    "next_of_kin": "Yzqthor", "telephone": "+442079461713",
}  # fmt: skip


@pytest.fixture
def agreed(clinic: Any, enrol: Any, actor: Any) -> list[Any]:
    """Six who agreed, of whom one has a rare treatment, and one who did not."""
    made = []
    with pipeline.deferred():
        for number in range(7):
            who = enrol(clinic, **SECRETS, record_number=f"RN-4711{number}", born_on=date(1981, 3, 4), sex="female")
            image = Imaging(on=date(2026, 3, 1), modality="XR", necrosis=True, report="Pwyxquill", note="Pwyxquill",
                            accession_number="ACC-991", reader="Dr Pwyxquill")  # fmt: skip
            pain = SymptomReport(on=date(2026, 3, 3), source="clinician", symptomatic=True, pain_site="Pwyxquill")
            recording.record_facts(who.pk, [(Side.LEFT, image), (Side.LEFT, pain)], by=actor)
            recording.record_exposure(
                who.pk, Exposure(kind="sle" if number else "gaucher", source="Pwyxquill"), by=actor
            )
            made.append(who)
        rare = Procedure(on=date(2026, 4, 1), procedure="HBO", operator="Dr Pwyxquill", complication="Pwyxquill")
        recording.record_facts(made[0].pk, [(Side.LEFT, rare)], by=actor)
        score = Score(on=date(2026, 4, 1), instrument="HHS", value=81)
        recording.record_facts(made[6].pk, [(Side.LEFT, score)], by=actor)
        for who in made[:6]:
            recording.set_consent(
                who.pk, by=actor, purpose="research", allowed=True, how="on paper", on=date(2026, 2, 1)
            )
    return made


@pytest.fixture
def researcher(clinic: Any, make_user: Any) -> Any:
    return make_user(clinic, "research")


def export(user: Any, clinic: Any) -> dict[str, list[dict[str, str]]]:
    to = io.BytesIO()
    research.write_export(access.viewer_for(user), [clinic.pk], to)
    access.bind_clinics([clinic.pk])
    with zipfile.ZipFile(to) as archive:
        return {
            name.removesuffix(".csv"): list(csv.DictReader(io.StringIO(archive.read(name).decode())))
            for name in archive.namelist()
            if name.endswith(".csv")
        }


def test_only_who_agreed_is_told_of(agreed: Any, researcher: Any, clinic: Any) -> None:
    tables = export(researcher, clinic)
    assert len(tables["people"]) == 6
    assert tables["score"] == []


def test_nothing_names_anybody(agreed: Any, researcher: Any, clinic: Any) -> None:
    to = io.BytesIO()
    research.write_export(access.viewer_for(researcher), [clinic.pk], to)
    with zipfile.ZipFile(to) as archive:
        whole = "\n".join(archive.read(name).decode() for name in archive.namelist()).casefold()
    hidden = [*SECRETS.values(), "RN-4711", "1981", "mail.example", "Pwyxquill", "ACC-991", "Northside", "Ada Okoye"]
    assert [word for word in hidden if word.casefold() in whole] == []


def test_no_day_is_the_one_on_which_it_was(agreed: Any, researcher: Any, clinic: Any) -> None:
    tables = export(researcher, clinic)
    assert tables["imaging"] and not {row["on"] for row in tables["imaging"]} & {"2026-03-01"}
    assert tables["symptom"] and not {row["on"] for row in tables["symptom"]} & {"2026-03-03"}


def test_intervals_within_a_person_stay_true(agreed: Any, researcher: Any, clinic: Any) -> None:
    tables = export(researcher, clinic)
    images = {row["person"]: date.fromisoformat(row["on"]) for row in tables["imaging"]}
    pains = {row["person"]: date.fromisoformat(row["on"]) for row in tables["symptom"]}
    assert {(pains[person] - images[person]).days for person in images} == {2}
    assert len(set(images.values())) > 1


def test_what_few_have_is_told_as_other(agreed: Any, researcher: Any, clinic: Any) -> None:
    tables = export(researcher, clinic)
    assert {row["condition"] for row in tables["conditions"]} == {"sle", "other"}
    assert [row["procedure"] for row in tables["procedure"]] == ["other"]


def test_every_column_is_in_the_dictionary(agreed: Any, researcher: Any, clinic: Any) -> None:
    tables = export(researcher, clinic)
    described = {(row["table"], row["column"]) for row in tables.pop("dictionary") if row["means"]}
    assert {(name, column) for name, rows in tables.items() for row in rows for column in row} <= described


def test_no_free_text_can_be_among_the_columns() -> None:
    typed = {"note", "report", "reader", "operator", "complication", "evidence", "pain_site", "walking_aid", "reason"}
    leaving = {(kind, column) for kind, columns in COLUMNS.items() for column in columns} - {("ending", "reason")}
    assert [(kind, column) for kind, column in leaving if column in typed] == []


def test_fewer_than_five_are_not_told_of(agreed: Any, researcher: Any, clinic: Any, actor: Any) -> None:
    for who in agreed[:2]:
        recording.set_consent(who.pk, by=actor, purpose="research", allowed=False, how="by letter", on=date(2026, 9, 1))
    with pytest.raises(ExportRefused):
        export(researcher, clinic)


def test_only_the_role_takes_it_out_and_it_is_audited(
    agreed: Any, researcher: Any, clinic: Any, make_user: Any
) -> None:
    with pytest.raises(PermissionDenied):
        export(make_user(clinic, "admin", "clinician"), clinic)
    export(researcher, clinic)
    assert AuditEntry.objects.get(act="export", object="research").after == {"people": 6, "format": "zip"}


def test_the_page_gives_the_file_and_shows_no_patient(agreed: Any, researcher: Any, clinic: Any, sign_in: Any) -> None:
    browser = sign_in(researcher)
    page = browser.get(reverse("research"))
    assert "6 people have agreed" in page.content.decode()
    sent = browser.post(reverse("research"), {"clinics": [clinic.pk]})
    assert b"".join(sent.streaming_content)[:2] == b"PK"
    assert "Xqvortz" not in browser.get(reverse("patients")).content.decode()


def test_others_do_not_open_the_page(clinic: Any, make_user: Any, sign_in: Any) -> None:
    assert sign_in(make_user(clinic, "coordinator")).get(reverse("research")).status_code == 403
