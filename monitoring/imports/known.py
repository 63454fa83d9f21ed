"""Known: what the registry has already of the people of whom a source speaks, so that nothing is recorded twice.

What undoing an import took back counts as never said.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final, cast

from django.db.models.functions import Upper

from patients.models import HIP_FACTS, BmiReading, Clinic, ContactWish, Ending, Exposure, Fact, HipFact, Patient
from patients.vocabulary import Side

from ..models import ImportRow
from .written import TakenBack

_CONTENT: Final[dict[str, tuple[str, ...]]] = {
    "imaging": (
        "modality", "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
        "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed", "collapse_suspected",
        "report", "accession_number", "study_instance_uid",
    ),
    "staging": ("system", "version", "code"),
    "symptom": (
        "source", "symptomatic", "pain_nrs", "pain_site", "sudden_worsening", "night_pain", "cannot_bear_weight",
        "walking_aid",
    ),
    "score": ("instrument", "value"),
    "location": ("jic_type", "kerboul_modified_degrees", "kerboul_degrees"),
    "procedure": ("procedure", "adjuncts"),
    "bmi": ("value",),
}  # fmt: skip
# What two facts of one day share when they speak of the same thing.
_SUBJECT: Final[dict[str, tuple[str, ...]]] = {
    "imaging": ("modality", "study_instance_uid"),
    "staging": ("system", "version"),
    "symptom": ("source",),
    "score": ("instrument",),
    "location": (),
    "procedure": ("procedure",),
    "bmi": (),
}
_FACT_MODELS: Final[dict[str, type[Fact]]] = {
    model.kind: model for model in cast("tuple[type[Fact], ...]", (*HIP_FACTS, BmiReading)) if model.kind in _CONTENT
}


@dataclass
class Known:
    """What the registry, and the rows before, have of one record number."""

    patient: Patient | None = None
    facts: set[int] = field(default_factory=set)  # hashes of facts: a set of ints stays small
    subjects: set[int] = field(default_factory=set)
    exposures: set[tuple[str, str]] = field(default_factory=set)
    email_wish: bool | None = None
    undone: list[Ending] = field(default_factory=list)  # by which undoing an import ended both hips, still standing


def _hash(kind: str, side: str, on: date, values: Iterable[Any]) -> int:
    return hash((kind, side, on, *(_comparable(value) for value in values)))


def _comparable(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(sorted(str(item) for item in value))
    if value is None or isinstance(value, bool | int | float):
        return value
    return value if hasattr(value, "quantize") else str(value) or None


def fact_key(fact: Fact, side: Side | None) -> int:
    """The same for two facts that say the same of the same day."""
    return _hash(fact.kind, str(side or ""), fact.on, (getattr(fact, name) for name in _CONTENT[fact.kind]))


def subject_key(fact: Fact, side: Side | None) -> int:
    """The same for two facts of one day that speak of the same thing."""
    return _hash(fact.kind, str(side or ""), fact.on, (getattr(fact, name) for name in _SUBJECT[fact.kind]))


def load_known(clinic: Clinic, record_numbers: Iterable[str]) -> dict[str, Known]:
    """By record number in capitals. Withdrawn and superseded facts count: an import does not bring them back."""
    wanted = {number.upper() for number in record_numbers}
    found = Patient.objects.filter(clinic=clinic).alias(number=Upper("record_number")).filter(number__in=wanted)
    by_number = {one.record_number.upper(): _living(one) for one in found.order_by().select_related("clinic")}
    patients = {patient.pk: patient for patient in by_number.values()}
    known = {pk: Known(patient) for pk, patient in patients.items()}
    undone = _load_undone(known)
    facts = {key for taken in undone.values() for key in taken.facts}
    for kind, model in _FACT_MODELS.items():
        _load_facts(kind, model, known, facts)
    taken_back = {pk for taken in undone.values() for pk in taken.exposures}
    exposures = Exposure.objects.filter(patient__in=known).exclude(pk__in=taken_back).order_by()
    for pk, exposure, side in exposures.values_list("patient", "kind", "side"):
        known[pk].exposures.add((exposure, side))
    wishes = ContactWish.objects.filter(patient__in=known, channel="email")
    for pk, allowed, how in wishes.values_list("patient", "allowed", "how"):
        if pk not in undone or allowed or how != undone[pk].wish:
            known[pk].email_wish = allowed
    _load_endings(known, undone)
    return {number: known[patient.pk] for number, patient in by_number.items()}


def _living(patient: Patient) -> Patient:
    """The record that speaks for the person: another one where this was merged."""
    while patient.merged_into is not None:
        patient = patient.merged_into
    return patient


def _load_undone(patient_ids: Iterable[int]) -> dict[int, TakenBack]:
    """By patient, all that undoing imports took back."""
    found: dict[int, TakenBack] = {}
    rows = ImportRow.objects.filter(patient__in=patient_ids, undone__isnull=False).order_by("id")
    for pk, plain in rows.values_list("patient", "undone"):
        taken, before = TakenBack.from_json(plain or {}), found.get(pk, TakenBack())
        found[pk] = TakenBack(
            before.facts + taken.facts,
            before.exposures + taken.exposures,
            before.endings + taken.endings,
            taken.wish or before.wish,
        )
    return found


def _load_endings(known: Mapping[int, Known], undone: Mapping[int, TakenBack]) -> None:
    """Of each patient the endings by which undoing ended both hips, where nobody has taken one of them back."""
    wanted = [pk for taken in undone.values() for pk in taken.endings]
    if not wanted:
        return
    endings = Ending.objects.filter(patient__in=undone, withdrawn_at__isnull=True).order_by("id")
    superseded = {ending.supersedes_id for ending in endings}
    for ending in endings:
        if ending.pk in wanted and ending.pk not in superseded:
            known[ending.patient_id].undone.append(ending)
    for entry in known.values():
        if len(entry.undone) < len(Side):
            entry.undone = []


def _load_facts(kind: str, model: type[Fact], known: dict[int, Known], taken_back: set[tuple[str, int]]) -> None:
    content, subject = _CONTENT[kind], _SUBJECT[kind]
    side = ("hip__side",) if issubclass(model, HipFact) else ()
    rows = model._default_manager.filter(patient__in=known).order_by()
    for pk, patient, on, *values in rows.values_list("pk", "patient", "on", *side, *content):
        if (kind, pk) in taken_back:
            continue
        which = values.pop(0) if side else ""
        named = dict(zip(content, values, strict=True))
        known[patient].facts.add(_hash(kind, which, on, values))
        known[patient].subjects.add(_hash(kind, which, on, (named[name] for name in subject)))
