"""Research export: a ZIP of tables about the people who agreed to it, with nothing in it by which one is known.

Only the columns listed here leave, and only codes, numbers and shifted dates: no name, number, contact, free text,
reader, operator or accession number. docs/privacy.md says what remains possible.
"""

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import IO, Any, Final

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from patients import access
from patients.access import Permission, Viewer
from patients.duplicates import entered_in_error
from patients.models import HIP_FACTS, BmiReading, Clinic, Consent, Exposure, Fact, Hip, HipFact, Patient, Purpose

from .. import audit
from ..models import HipEvaluation
from ..spreadsheets import harmless
from .disguise import SMALLEST, age_band, common, pseudonym, shift_of, told_cells

TOGETHER: Final = 500  # patients read at once
OTHER: Final = "other"
# Columns of each kind of fact, beside whose it is and the day. Whatever people can type into is left out.
COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "imaging": (
        "modality", "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
        "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed", "collapse_suspected",
    ),
    "staging": ("system", "version", "code"),
    "symptom": ("source", "symptomatic", "pain_nrs", "sudden_worsening", "night_pain", "cannot_bear_weight"),
    "score": ("instrument", "value"),
    "procedure": ("procedure",),
    "decision": ("action", "outcome"),
    "location": ("jic_type", "kerboul_modified_degrees"),
    "ending": ("reason",),
    "bmi": ("value",),
}  # fmt: skip
RARE: Final = {"procedure": "procedure", "ending": "reason"}  # values that few people have are told as `other`
_MODELS: Final[tuple[type[Fact], ...]] = (*HIP_FACTS, BmiReading)
_MEANS: Final = {
    "person": "pseudonym; the same in each export of this installation",
    "hip": "left or right",
    "on": "day, shifted by the person's constant number of days",
    "sex": "as recorded; blank where fewer than five share sex and age",
    "age": "band of ten years at enrolment; blank where fewer than five share it",
    "enrolled_on": "first day of follow-up, shifted",
    "died": "yes or no",
    "condition": "aetiology or exposure; other where fewer than five have it",
    "pathway": "what the guideline asks of the hip now",
    "next_on": "day, shifted",
}


class ExportRefused(ValueError):
    """Too few people agreed for anything to be told of them."""


@dataclass(frozen=True)
class Made:
    """What an export holds."""

    people: int
    rows: dict[str, int]


@contextmanager
def _seeing(viewer: Viewer, clinic_ids: Sequence[int]) -> Iterator[None]:
    """The transaction sees these clinics, though the viewer's role shows them no patient."""
    access.bind_clinics(clinic_ids)
    try:
        yield
    finally:
        access.bind_clinics(viewer.clinic_ids)


def clinics_for(viewer: Viewer) -> list[Clinic]:
    """The clinics of which the viewer may take research data out."""
    return list(Clinic.objects.filter(id__in=viewer.clinics_where(Permission.RESEARCH)).order_by("name", "id"))


def how_many(viewer: Viewer, clinic_ids: Sequence[int]) -> int:
    """How many people of these clinics agreed; the exact number of a few is not told: 0 stands for fewer than five."""
    with transaction.atomic(), _seeing(viewer, clinic_ids):
        count = _people(clinic_ids).count()
    return count if count >= SMALLEST else 0


def _people(clinic_ids: Sequence[int]) -> QuerySet[Patient]:
    agreed = Consent.objects.filter(purpose=Purpose.RESEARCH, allowed=True).values("patient")
    living = Patient.objects.filter(clinic__in=clinic_ids, merged_into__isnull=True, pk__in=agreed)
    return living.exclude(*entered_in_error()).order_by("id")


@transaction.atomic
def write_export(viewer: Viewer, clinic_ids: Sequence[int], to: IO[bytes], *, now: datetime | None = None) -> Made:
    """The ZIP of these clinics' tables, audited in each. Raises PermissionDenied, ExportRefused."""
    if not clinic_ids or not set(clinic_ids) <= set(viewer.clinics_where(Permission.RESEARCH)):
        raise PermissionDenied("Your role does not allow you to take research data out.")
    with _seeing(viewer, clinic_ids):
        people = list(_people(clinic_ids))
        if len(people) < SMALLEST:
            raise ExportRefused(f"Fewer than {SMALLEST} people have agreed.")
        writer = _Tables(people)
        with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as archive:
            rows = {name: _write(archive, name, *table) for name, table in writer.tables()}
            _write(archive, "dictionary", ("table", "column", "means"), _dictionary(writer))
            archive.writestr("README.txt", _readme(len(people), now or timezone.now()))
        for clinic_id in clinic_ids:
            count = sum(patient.clinic_id == clinic_id for patient in people)
            after = {"people": count, "format": "zip"}
            audit.note(viewer.actor, "export", clinic_id=clinic_id, object="research", after=after)
    return Made(len(people), rows)


def _write(archive: zipfile.ZipFile, name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    count = 0
    with archive.open(f"{name}.csv", "w", force_zip64=True) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="")
        sheet = csv.writer(text)
        sheet.writerow(columns)
        for row in rows:
            sheet.writerow([_cell(value) for value in row])
            count += 1
        text.flush()
        text.detach()
    return count


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(sorted(value))
    return value.isoformat() if isinstance(value, date) else str(harmless(value))


class _Tables:
    """The tables of an export, each read in chunks of people."""

    def __init__(self, people: list[Patient]) -> None:
        key = settings.RESEARCH_KEY
        self.people = people
        self.names = {p.pk: pseudonym(key, p.clinic_id, p.pk) for p in people}
        self.shifts: dict[int, timedelta] = {p.pk: shift_of(key, p.clinic_id, p.pk) for p in people}
        self.order = sorted((p.pk for p in people), key=self.names.__getitem__)  # not that of enrolment
        self.cells = told_cells({p.pk: (p.sex, age_band(p.born_on, p.enrolled_on)) for p in people})
        self.died_told = len([p for p in people if p.died_on]) >= SMALLEST

    def tables(self) -> Iterator[tuple[str, tuple[tuple[str, ...], Iterable[Sequence[Any]]]]]:
        yield "people", (("person", "sex", "age", "enrolled_on", "died"), self._people())
        yield "conditions", (("person", "condition"), self._conditions())
        yield "hips", (("person", "hip", "pathway"), self._hips())
        for model in _MODELS:
            side = ("hip",) if issubclass(model, HipFact) else ()
            yield model.kind, (("person", *side, "on", *COLUMNS[model.kind]), self._facts(model))

    def _shifted(self, pk: int, day: date | None) -> date | None:
        return None if day is None else day + self.shifts[pk]

    def _people(self) -> Iterator[Sequence[Any]]:
        by_id = {patient.pk: patient for patient in self.people}
        for pk in self.order:
            died = bool(by_id[pk].died_on) if self.died_told else None
            yield self.names[pk], *self.cells[pk], self._shifted(pk, by_id[pk].enrolled_on), died

    def _chunks(self) -> Iterator[list[int]]:
        for first in range(0, len(self.order), TOGETHER):
            yield self.order[first : first + TOGETHER]

    def _conditions(self) -> Iterator[Sequence[Any]]:
        held: dict[int, set[str]] = {pk: set() for pk in self.order}
        for chunk in self._chunks():
            rows = Exposure.objects.filter(patient__in=chunk, withdrawn_at__isnull=True).order_by()
            for pk, kind in rows.values_list("patient_id", "kind"):
                held[pk].add(kind)
        told = common(held.values())
        for pk in self.order:
            for kind in sorted({kind if kind in told else OTHER for kind in held[pk]}):
                yield self.names[pk], kind

    def _hips(self) -> Iterator[Sequence[Any]]:
        for chunk in self._chunks():
            sides = dict(Hip.objects.filter(patient__in=chunk).values_list("id", "side"))
            rows = HipEvaluation.objects.filter(patient__in=chunk).values_list("patient_id", "hip_id", "pathway")
            for pk, hip, pathway in sorted(rows, key=lambda row: (self.names[row[0]], sides[row[1]])):
                yield self.names[pk], sides[hip], pathway

    def _facts(self, model: type[Fact]) -> Iterator[Sequence[Any]]:
        columns = COLUMNS[model.kind]
        rare = RARE.get(model.kind)
        told = self._common_values(model, rare) if rare else frozenset()
        side = ("hip__side",) if issubclass(model, HipFact) else ()
        for chunk in self._chunks():
            standing = self._standing(model, chunk).values_list("patient_id", "on", *side, *columns)
            for pk, on, *values in sorted(standing, key=lambda row: (self.names[row[0]], row[1])):
                head = [values.pop(0)] if side else []
                if rare and values[columns.index(rare)] not in told:
                    values[columns.index(rare)] = OTHER
                yield self.names[pk], *head, self._shifted(pk, on), *values

    def _standing(self, model: type[Fact], chunk: list[int]) -> QuerySet[Any]:
        """Neither withdrawn nor corrected."""
        rows = model._default_manager.filter(patient__in=chunk, withdrawn_at__isnull=True)
        corrected = rows.filter(supersedes__isnull=False).values("supersedes")
        return rows.exclude(pk__in=corrected).order_by("id")

    def _common_values(self, model: type[Fact], column: str) -> frozenset[str]:
        held: dict[int, set[str]] = {}
        for chunk in self._chunks():
            for pk, value in self._standing(model, chunk).values_list("patient_id", column):
                held.setdefault(pk, set()).add(value)
        return common(held.values())


def _dictionary(tables: _Tables) -> Iterator[Sequence[str]]:
    """Each column of each table: what it means, or which values it takes."""
    models = {model.kind: model for model in _MODELS}
    for name, (columns, _rows) in tables.tables():
        for column in columns:
            yield name, column, _MEANS.get(column) or _values_of(models.get(name), column)


def _values_of(model: type[Fact] | None, column: str) -> str:
    if model is None:
        return ""
    field: Any = model._meta.get_field(column)
    choices = getattr(field, "base_field", field).choices
    if choices:
        return " | ".join(str(code) for code, _words in choices)
    return {"BooleanField": "yes | no | blank: not read"}.get(field.get_internal_type(), "number")


def _readme(people: int, now: datetime) -> str:
    return f"""Hipwatch research export of {now.date().isoformat()}: {people} people who agreed to research.

dictionary.csv   what each column means
Dates            All days of a person are shifted by the same number of days, up to half a year either way.
                 Intervals within a person are true; days of the week, seasons and calendar years are not.
Persons          Pseudonyms by a keyed hash; the key stays with the clinic.
Small cells      Sex and age are blank where fewer than {SMALLEST} people share them; conditions, treatments and
                 reasons for the end of follow-up that fewer than {SMALLEST} people have are told as "{OTHER}".
Not in here      Names, numbers, contacts, places, free text, who read or operated, corrections and withdrawn facts.

This is pseudonymised data: do not try to find out who anybody is, do not pass it on, and delete it when you are done.
"""
