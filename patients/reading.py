"""Reading: stored facts as the records that the guideline reads, in a fixed number of queries for any number of them.

Withdrawn facts are not read. Facts of one list come in the order of date, then of recording.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any

from . import record
from .models import (
    BmiReading,
    Decision,
    Ending,
    Exposure,
    Hip,
    HipFact,
    Imaging,
    LesionLocation,
    Patient,
    Procedure,
    Score,
    Staging,
    SymptomReport,
)
from .vocabulary import (
    Action,
    Adjunct,
    Condition,
    Crescent,
    EndReason,
    Instrument,
    JicType,
    Modality,
    Outcome,
    ProcedureKind,
    Side,
    StagingSystem,
    SymptomSource,
    View,
    VolumeMethod,
)

_Row = tuple[Any, ...]
_Maker = Callable[..., Any]
_MODALITY = {str(m): m for m in Modality}
_VIEW = {str(v): v for v in View}
_METHOD: dict[str | None, VolumeMethod | None] = {None: None, **{str(m): m for m in VolumeMethod}}
_CRESCENT: dict[str | None, Crescent | None] = {None: None, **{str(c): c for c in Crescent}}


def _decimal(stored: Any) -> Any:
    """As it would be written: columns pad with zeros."""
    return None if stored is None else Decimal(f"{stored.normalize():f}")


def _imaging(key: str, old: str | None, on: Any, modality: str, views: list[str], *read: Any) -> record.Imaging:
    diagnostic, necrosis, effusion, edema, percent, cm3, method, crescent, depression, narrowed, suspected = read
    return record.Imaging(
        key, on, _MODALITY[modality], frozenset(_VIEW[view] for view in views), diagnostic, necrosis, effusion, edema,
        _decimal(percent), _decimal(cm3), _METHOD[method], _CRESCENT[crescent], _decimal(depression), narrowed,
        suspected, old,
    )  # fmt: skip


def _staging(key: str, old: str | None, on: Any, system: str, version: str, code: str) -> record.Staging:
    return record.Staging(key, on, StagingSystem(system), version, code, old)


def _symptom(key: str, old: str | None, on: Any, source: str, *said: Any) -> record.Symptom:
    symptomatic, nrs, sudden, night, weight = said
    return record.Symptom(key, on, SymptomSource(source), symptomatic, nrs, sudden, night, weight, old)


def _score(key: str, old: str | None, on: Any, instrument: str, value: Any) -> record.Score:
    return record.Score(key, on, Instrument(instrument), _decimal(value), old)


def _procedure(key: str, old: str | None, on: Any, kind: str, adjuncts: list[str]) -> record.Procedure:
    return record.Procedure(key, on, ProcedureKind(kind), frozenset(map(Adjunct, adjuncts)), old)


def _decision(key: str, old: str | None, on: Any, action: str, outcome: str) -> record.Decision:
    return record.Decision(key, on, Action(action), Outcome(outcome), old)


def _location(key: str, old: str | None, on: Any, jic_type: str | None, kerboul: Any) -> record.Location:
    return record.Location(key, on, JicType(jic_type) if jic_type else None, _decimal(kerboul), old)


def _ending(key: str, old: str | None, on: Any, reason: str) -> record.Ending:
    return record.Ending(key, on, EndReason(reason), old)


# List of the record -> its table, the columns read after (id, supersedes, on), and what makes the fact of them.
_LISTS: dict[str, tuple[type[HipFact], tuple[str, ...], _Maker]] = {
    "imaging": (
        Imaging,
        ("modality", "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
         "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed",
         "collapse_suspected"),
        _imaging,
    ),
    "stagings": (Staging, ("system", "version", "code"), _staging),
    "symptoms": (
        SymptomReport,
        ("source", "symptomatic", "pain_nrs", "sudden_worsening", "night_pain", "cannot_bear_weight"),
        _symptom,
    ),
    "scores": (Score, ("instrument", "value"), _score),
    "procedures": (Procedure, ("procedure", "adjuncts"), _procedure),
    "decisions": (Decision, ("action", "outcome"), _decision),
    "locations": (LesionLocation, ("jic_type", "kerboul_modified_degrees"), _location),
    "endings": (Ending, ("reason",), _ending),
}  # fmt: skip


def read_records(patient_ids: Iterable[int]) -> dict[int, record.PatientRecord]:
    """The records of these patients by id; a patient that cannot be seen is missing. Twelve queries."""
    ids = list(patient_ids)
    people = list(Patient.objects.filter(id__in=ids).values_list("id", "enrolled_on", "born_on", "died_on"))
    conditions: dict[int, set[Condition]] = defaultdict(set)
    exposures = Exposure.objects.filter(patient__in=ids, withdrawn_at__isnull=True).order_by()
    for patient_id, kind in exposures.values_list("patient_id", "kind"):
        conditions[patient_id].add(Condition(kind))
    bmi: dict[int, list[record.Bmi]] = defaultdict(list)
    for patient_id, pk, old, on, value in _standing(BmiReading, ids, ("value",), "patient_id"):
        bmi[patient_id].append(record.Bmi(on, _decimal(value), f"bmi-{pk}", f"bmi-{old}" if old else None))
    hips = list(Hip.objects.filter(patient__in=ids).order_by().values_list("id", "patient_id", "side"))
    lists = {name: _facts_by_hip(name, ids) for name in _LISTS}
    sides: dict[int, dict[str, record.HipRecord]] = defaultdict(dict)
    for hip_id, patient_id, side in hips:
        facts = {name: tuple(by_hip[hip_id]) for name, by_hip in lists.items() if hip_id in by_hip}
        sides[patient_id][side] = record.HipRecord(Side(side), **facts)
    return {
        pk: record.PatientRecord(
            enrolled_on=enrolled_on,
            left=sides[pk][Side.LEFT],
            right=sides[pk][Side.RIGHT],
            born_on=born_on,
            died_on=died_on,
            conditions=frozenset(conditions[pk]),
            bmi=tuple(bmi[pk]),
        )
        for pk, enrolled_on, born_on, died_on in people
    }


def _standing(model: type[Any], ids: list[int], columns: tuple[str, ...], of: str) -> Iterable[_Row]:
    rows = model.objects.filter(patient__in=ids, withdrawn_at__isnull=True).order_by("on", "id")
    result: Iterable[_Row] = rows.values_list(of, "id", "supersedes_id", "on", *columns)
    return result


def _facts_by_hip(name: str, ids: list[int]) -> dict[int, list[Any]]:
    model, columns, make = _LISTS[name]
    kind = model.kind
    standing = list(_standing(model, ids, columns, "hip_id"))
    known = {row[1] for row in standing}
    found: dict[int, list[Any]] = defaultdict(list)
    for hip_id, pk, old, *values in standing:
        # What a withdrawn fact superseded stands again; what superseded a withdrawn fact supersedes nothing.
        found[hip_id].append(make(f"{kind}-{pk}", f"{kind}-{old}" if old in known else None, *values))
    return found


def read_record(patient_id: int) -> record.PatientRecord:
    """One patient's record. Raises KeyError when there is none to be seen."""
    return read_records([patient_id])[patient_id]
