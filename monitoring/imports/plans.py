"""Plans: what saving one arrival will do, and every reason why it does nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from patients.models import Ending, Patient

from .arrivals import Arrival, Remark, SaidExposure, SaidVisit
from .known import Known
from .written import Wrote


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass
class Earlier:
    """What this source's earlier rows said of one record number; kept for the whole source.

    `known` is kept only while nothing is saved: afterwards the registry itself has it.
    """

    line: int
    person: Mapping[str, Any]
    known: Known | None


@dataclass
class Plan:
    """What saving one arrival will do. With a remark that refuses, nothing."""

    arrival: Arrival
    patient: Patient | None  # None: to be enrolled
    remarks: list[Remark]
    changes: dict[str, Any] = field(default_factory=dict)
    visits: list[SaidVisit] = field(default_factory=list)
    exposures: list[SaidExposure] = field(default_factory=list)
    email_wish: tuple[bool, str] | None = None
    dies: bool = False
    returns: list[Ending] = field(default_factory=list)  # to be withdrawn: the patient is followed again
    fact_keys: set[int] = field(default_factory=set)
    subject_keys: set[int] = field(default_factory=set)
    saved: Patient | None = None
    wrote: Wrote | None = None  # set by saving

    @property
    def refused(self) -> bool:
        return any(remark.refuses for remark in self.remarks)

    @property
    def outcome(self) -> Outcome:
        if self.refused:
            return Outcome.REFUSED
        if self.patient is None or self.returns:
            return Outcome.CREATED
        if self.changes or self.visits or self.exposures or self.email_wish or self.dies:
            return Outcome.UPDATED
        return Outcome.UNCHANGED


def plain(value: Any) -> str:
    """A detail as it is compared and shown: nothing is an empty word."""
    return "" if value is None else str(value)
