"""The record: exactly what the guideline may read of a patient, frozen, as plain values.

Fields and meanings are those of docs/assess.schema.json. `None` is "unknown". Numbers that were written as
decimals stay `Decimal`, because cuts such as 30 % are compared as written. Within each tuple facts stand in the
order of date, then position as given; `supersedes` names a fact of the same tuple.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

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


@dataclass(frozen=True, slots=True)
class Bmi:
    """One reading of the body mass index, kg/m2."""

    on: date
    value: Decimal
    id: str | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Imaging:
    """One study of this hip with what was read from it. `diagnostic=False`: too poor to read."""

    id: str
    on: date
    modality: Modality
    views: frozenset[View] = frozenset()
    diagnostic: bool | None = None
    necrosis: bool | None = None
    effusion_grade: int | None = None
    marrow_edema: bool | None = None
    lesion_volume_percent: Decimal | None = None
    lesion_volume_cm3: Decimal | None = None
    volume_method: VolumeMethod | None = None
    crescent: Crescent | None = None
    depression_mm: Decimal | None = None
    joint_space_narrowed: bool | None = None
    collapse_suspected: bool | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Staging:
    id: str
    on: date
    system: StagingSystem
    version: str
    code: str
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Symptom:
    """One symptom report; `pain_nrs` 0-10, worst of the last seven days."""

    id: str
    on: date
    source: SymptomSource
    symptomatic: bool | None = None
    pain_nrs: int | None = None
    sudden_worsening: bool | None = None
    night_pain: bool | None = None
    cannot_bear_weight: bool | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Score:
    id: str
    on: date
    instrument: Instrument
    value: Decimal
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Procedure:
    id: str
    on: date
    kind: ProcedureKind
    adjuncts: frozenset[Adjunct] = frozenset()
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    id: str
    on: date
    action: Action
    outcome: Outcome
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """Where the lesion lies; `kerboul_modified_degrees` is the MRI arc sum, 0-360."""

    id: str
    on: date
    jic_type: JicType | None = None
    kerboul_modified_degrees: Decimal | None = None
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    id: str
    on: date
    reason: EndReason
    supersedes: str | None = None


@dataclass(frozen=True, slots=True)
class HipRecord:
    side: Side
    imaging: tuple[Imaging, ...] = ()
    stagings: tuple[Staging, ...] = ()
    symptoms: tuple[Symptom, ...] = ()
    scores: tuple[Score, ...] = ()
    procedures: tuple[Procedure, ...] = ()
    decisions: tuple[Decision, ...] = ()
    locations: tuple[Location, ...] = ()
    endings: tuple[Ending, ...] = ()


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """One patient; both hips always exist, also one of which nothing is known."""

    enrolled_on: date
    left: HipRecord = HipRecord(Side.LEFT)
    right: HipRecord = HipRecord(Side.RIGHT)
    born_on: date | None = None
    died_on: date | None = None
    conditions: frozenset[Condition] = frozenset()
    bmi: tuple[Bmi, ...] = ()

    def hip(self, side: Side) -> HipRecord:
        return self.left if side is Side.LEFT else self.right
