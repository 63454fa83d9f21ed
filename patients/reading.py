"""Reading: stored facts as the records that the guideline reads, in one query for any number of them.

Withdrawn facts are not read. Facts of one list come in the order of date, then of recording.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from . import record
from .prepared import Ask, Rows, rows_of
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

_day = date.fromisoformat
_Row = list[Any]  # hip, id, supersedes, on, and the columns of its list
_Maker = Callable[[str, str | None, date, _Row], Any]

# Values as JSON has them -> as the record has them. A table is faster than the enum's own search.
_MODALITY = {str(one): one for one in Modality}
_VIEW = {str(one): one for one in View}
_METHOD: dict[str | None, VolumeMethod | None] = {None: None, **{str(one): one for one in VolumeMethod}}
_CRESCENT: dict[str | None, Crescent | None] = {None: None, **{str(one): one for one in Crescent}}
_SYSTEM = {str(one): one for one in StagingSystem}
_SOURCE = {str(one): one for one in SymptomSource}
_INSTRUMENT = {str(one): one for one in Instrument}
_JIC: dict[str | None, JicType | None] = {None: None, **{str(one): one for one in JicType}}
_NO_VIEWS: frozenset[View] = frozenset()


def _imaging(key: str, old: str | None, on: date, row: _Row) -> record.Imaging:
    views, percent, cm3, depression = row[5], row[10], row[11], row[14]
    return record.Imaging(
        key, on, _MODALITY[row[4]], frozenset([_VIEW[view] for view in views]) if views else _NO_VIEWS,
        row[6], row[7], row[8], row[9], percent and Decimal(percent), cm3 and Decimal(cm3), _METHOD[row[12]],
        _CRESCENT[row[13]], depression and Decimal(depression), row[15], row[16], old,
    )  # fmt: skip


def _staging(key: str, old: str | None, on: date, row: _Row) -> record.Staging:
    return record.Staging(key, on, _SYSTEM[row[4]], row[5], row[6], old)


def _symptom(key: str, old: str | None, on: date, row: _Row) -> record.Symptom:
    return record.Symptom(key, on, _SOURCE[row[4]], row[5], row[6], row[7], row[8], row[9], old)


def _score(key: str, old: str | None, on: date, row: _Row) -> record.Score:
    return record.Score(key, on, _INSTRUMENT[row[4]], Decimal(row[5]), old)


def _procedure(key: str, old: str | None, on: date, row: _Row) -> record.Procedure:
    return record.Procedure(key, on, ProcedureKind(row[4]), frozenset(map(Adjunct, row[5])), old)


def _decision(key: str, old: str | None, on: date, row: _Row) -> record.Decision:
    return record.Decision(key, on, Action(row[4]), Outcome(row[5]), old)


def _location(key: str, old: str | None, on: date, row: _Row) -> record.Location:
    return record.Location(key, on, _JIC[row[4]], row[5] and Decimal(row[5]), old)


def _ending(key: str, old: str | None, on: date, row: _Row) -> record.Ending:
    return record.Ending(key, on, EndReason(row[4]), old)


def _bmi(key: str, old: str | None, on: date, row: _Row) -> record.Bmi:
    return record.Bmi(on, Decimal(row[4]), key, old)


@dataclass(frozen=True, slots=True)
class _List:
    """One list of the record: the name of its facts, their table, the columns read after (hip, id, supersedes, on),
    of which `decimals` come as they would be written, and what makes a fact of them."""

    kind: str
    table: str
    columns: tuple[str, ...]
    make: _Maker
    decimals: frozenset[str] = frozenset()
    of: str = "f.hip_id"

    def sql(self) -> str:
        """The standing facts of patient `p` as one JSON array, in order."""
        columns = ", ".join(f"trim_scale(f.{c})::text" if c in self.decimals else f"f.{c}" for c in self.columns)
        return (
            f'(SELECT json_agg(json_build_array({self.of}, f.id, f.supersedes_id, f."on", {columns})'  # noqa: S608
            f' ORDER BY f."on", f.id) FROM {self.table} f WHERE f.patient_id = p.id AND f.withdrawn_at IS NULL)'
        )


_HIP_LISTS: dict[str, _List] = {
    "imaging": _List(
        "imaging",
        "patients_imaging",
        ("modality", "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
         "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed",
         "collapse_suspected"),
        _imaging,
        decimals=frozenset({"lesion_volume_percent", "lesion_volume_cm3", "depression_mm"}),
    ),
    "stagings": _List("staging", "patients_staging", ("system", "version", "code"), _staging),
    "symptoms": _List(
        "symptom",
        "patients_symptomreport",
        ("source", "symptomatic", "pain_nrs", "sudden_worsening", "night_pain", "cannot_bear_weight"),
        _symptom,
    ),
    "scores": _List("score", "patients_score", ("instrument", "value"), _score, decimals=frozenset({"value"})),
    "procedures": _List("procedure", "patients_procedure", ("procedure", "adjuncts"), _procedure),
    "decisions": _List("decision", "patients_decision", ("action", "outcome"), _decision),
    "locations": _List(
        "location",
        "patients_lesionlocation",
        ("jic_type", "kerboul_modified_degrees"),
        _location,
        decimals=frozenset({"kerboul_modified_degrees"}),
    ),
    "endings": _List("ending", "patients_ending", ("reason",), _ending),
}  # fmt: skip
_BMI = _List("bmi", "patients_bmireading", ("value",), _bmi, decimals=frozenset({"value"}), of="NULL")

# Its only parts are the names of our own tables and columns. Each list is read by its index on the patient.
_CHARTS = (
    "SELECT p.id, p.clinic_id, c.time_zone, p.record_version, p.enrolled_on, p.born_on, p.died_on,"  # noqa: S608
    " json_build_array((SELECT json_object_agg(h.side, h.id) FROM patients_hip h WHERE h.patient_id = p.id),"
    " (SELECT json_agg(DISTINCT e.kind) FROM patients_exposure e"
    " WHERE e.patient_id = p.id AND e.withdrawn_at IS NULL), "
    + ", ".join(one.sql() for one in (_BMI, *_HIP_LISTS.values()))
    + ") FROM patients_patient p JOIN patients_clinic c ON c.id = p.clinic_id WHERE p.id "
)
_OF_ONE, _OF_MANY = _CHARTS + "= %s", _CHARTS + "= ANY(%s::bigint[]) ORDER BY p.id"  # a plan for one suits no thousand


@dataclass(frozen=True, slots=True)
class Chart:
    """One patient's record and whose it is: the clinic and its time zone, the record's version, the hips' ids."""

    patient_id: int
    clinic_id: int
    zone: ZoneInfo
    record_version: int
    hip_ids: Mapping[str, int]  # by side
    record: record.PatientRecord


def read_charts(patient_ids: Iterable[int]) -> list[Chart]:
    """The charts of these patients in the order of their ids; one that cannot be seen is missing. One query."""
    return charts_from(rows_of(*asking_charts(patient_ids)))


def asking_charts(patient_ids: Iterable[int]) -> Ask:
    ids = list(patient_ids)
    return (_OF_ONE, ids) if len(ids) == 1 else (_OF_MANY, [ids])


def charts_from(rows: Rows) -> list[Chart]:
    """The charts asked for."""
    return [_chart(*row) for row in rows]


def _chart(
    pk: int,
    clinic_id: int,
    time_zone: str,
    version: int,
    enrolled_on: date,
    born_on: date | None,
    died_on: date | None,
    facts: list[Any],
) -> Chart:
    hips: dict[str, int]
    hips, conditions, bmi, *lists = facts
    by_hip: dict[int, dict[str, tuple[Any, ...]]] = {hip: {} for hip in hips.values()}
    for (name, of), rows in zip(_HIP_LISTS.items(), lists, strict=True):
        if rows:
            for hip, told in _facts(of, rows).items():
                by_hip[hip][name] = tuple(told)
    whole = record.PatientRecord(
        enrolled_on=enrolled_on,
        left=record.HipRecord(Side.LEFT, **by_hip[hips["left"]]),
        right=record.HipRecord(Side.RIGHT, **by_hip[hips["right"]]),
        born_on=born_on,
        died_on=died_on,
        conditions=frozenset(map(Condition, conditions or ())),
        bmi=tuple(_facts(_BMI, bmi)[None]) if bmi else (),
    )
    return Chart(pk, clinic_id, ZoneInfo(time_zone), version, hips, whole)


def _facts(of: _List, rows: list[list[Any]]) -> dict[Any, list[Any]]:
    """Facts by hip. What a withdrawn fact superseded stands again; what superseded a withdrawn one supersedes none."""
    known = {row[1] for row in rows}
    kind, make = of.kind, of.make
    found: dict[Any, list[Any]] = {}
    for row in rows:
        hip, pk, old, on = row[:4]
        fact = make(f"{kind}-{pk}", f"{kind}-{old}" if old in known else None, _day(on), row)
        if hip in found:
            found[hip].append(fact)
        else:
            found[hip] = [fact]
    return found


def read_records(patient_ids: Iterable[int]) -> dict[int, record.PatientRecord]:
    """The records of these patients by id; a patient that cannot be seen is missing. One query."""
    return {chart.patient_id: chart.record for chart in read_charts(patient_ids)}


def read_record(patient_id: int) -> record.PatientRecord:
    """One patient's record. Raises KeyError when there is none to be seen."""
    return read_records([patient_id])[patient_id]
