"""Arrivals: what a source says of one person, whatever it was read from, before it is compared with the registry."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from patients.models import Fact
from patients.vocabulary import Side


@dataclass(frozen=True)
class Remark:
    """Something about one place of the source. A remark that `refuses` keeps the whole row out.

    `about`: the patient of the registry, other than the row's own, of whom the text tells something.
    `doubt`: the record speaks against it, and whoever saves the row has been told so.
    """

    column: str
    text: str
    refuses: bool = True
    about: int | None = None
    doubt: bool = False

    def to_json(self) -> dict[str, Any]:
        said: dict[str, Any] = {"column": self.column, "text": self.text, "refuses": self.refuses}
        return said | ({"about": self.about} if self.about else {}) | ({"doubt": True} if self.doubt else {})


@dataclass(frozen=True)
class SaidFact:
    """An unsaved fact, its side (None: the person's own), and the column that each of its fields came from."""

    side: Side | None
    fact: Fact
    columns: Mapping[str, str] = field(default_factory=dict)

    def column(self, attribute: str) -> str:
        return self.columns.get(attribute, attribute)


@dataclass(frozen=True)
class SaidVisit:
    on: date
    facts: tuple[SaidFact, ...]
    kind: str = "clinic"
    note: str = ""


@dataclass(frozen=True)
class SaidExposure:
    kind: str
    side: str = ""
    started_on: date | None = None
    source: str = ""

    @property
    def is_bare(self) -> bool:
        """Whether nothing is said but that the person has it."""
        return not (self.side or self.started_on or self.source)


@dataclass(frozen=True)
class Arrival:
    """What one row or one patient's resources say. `person` holds only what was said; silence erases nothing."""

    line: int
    record_number: str
    person: Mapping[str, Any]  # fields of Patient, without record_number
    visits: tuple[SaidVisit, ...] = ()
    exposures: tuple[SaidExposure, ...] = ()
    email_wish: tuple[bool, str] | None = None
    died_on: date | None = None
    death_source: str = ""
    remarks: tuple[Remark, ...] = ()
