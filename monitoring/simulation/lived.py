"""Lived: what comes of one invented life: visits, facts as they were recorded, windows, and answered findings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any, Final, Literal

from patients import record as facts
from patients.record import PatientRecord
from patients.vocabulary import Side
from schedules.guideline.evaluation import Answer, HipAnswer
from schedules.guideline.findings import Finding
from schedules.guideline.windows import Window

from .attendance import Habits
from .people import Person

Fact = (
    facts.Imaging
    | facts.Staging
    | facts.Symptom
    | facts.Score
    | facts.Procedure
    | facts.Decision
    | facts.Location
    | facts.Ending
)
ListName = Literal["imaging", "stagings", "symptoms", "scores", "procedures", "decisions", "locations", "endings"]
LISTS: Final[dict[type[Fact], ListName]] = {
    facts.Imaging: "imaging",
    facts.Staging: "stagings",
    facts.Symptom: "symptoms",
    facts.Score: "scores",
    facts.Procedure: "procedures",
    facts.Decision: "decisions",
    facts.Location: "locations",
    facts.Ending: "endings",
}
VisitKind = Literal["clinic", "telephone", "report"]
Details = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attended:
    """One visit, call or report that came in."""

    on: date
    kind: VisitKind
    note: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A fact as it was recorded: when, at which visit (an index), of which hip, and what its row keeps besides."""

    recorded_on: date
    side: Side | None
    fact: Fact | facts.Bmi
    visit: int | None = None
    details: Details = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """The patient's window from `since` on, until a fact moved it."""

    since: date
    cycle_on: date
    window: Window


@dataclass(frozen=True, slots=True)
class Kept:
    """A cycle of one hip that is over: by a complete follow-up on `kept_on`, or because its follow-up ended."""

    side: Side
    cycle_on: date
    hip: HipAnswer
    kept_on: date | None


@dataclass(frozen=True, slots=True)
class Answered:
    """A finding that a clinician answered by a decision (the key of its fact)."""

    side: Side
    finding: Finding
    decision: str
    on: date


@dataclass
class LivedPatient:
    """A whole life, ready to be written."""

    number: int
    person: Person
    habits: Habits
    enrolled_on: date
    died_on: date | None = None
    death_source: str = ""
    visits: list[Attended] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    record: PatientRecord = field(init=False)
    answer: Answer = field(init=False)  # as of the last day
    rng: Random = field(init=False)  # for what follows from the life, such as mail
