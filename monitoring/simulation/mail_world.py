"""Mail world: the clinics, people and outages of a rehearsed year."""

from dataclasses import dataclass, field
from datetime import date, datetime
from random import Random
from typing import Final

from patients.models import Clinic, Ending

from .mail_calls import Known, Rules


@dataclass(frozen=True, slots=True)
class Place:
    """A clinic of the rehearsal: its zone, and what it chose of its mail."""

    name: str
    zone: str
    language: str
    days: tuple[tuple[str, int], ...] = ()
    hours: tuple[int, int] = (8, 18)
    volume_multiple: int = 5


PLACES: Final = (
    Place("West", "America/Los_Angeles", "en", (("booking_prompt", -30), ("second_missed", 21)), (9, 17)),
    Place("Middle", "Europe/Berlin", "de", volume_multiple=2),
    Place("East", "Pacific/Auckland", "en"),
)


@dataclass(frozen=True, slots=True)
class Order:
    patients: int = 240
    days: int = 365
    seed: int = 1
    start: date = date(2026, 1, 5)


@dataclass(frozen=True, slots=True)
class Outage:
    begin: datetime
    end: datetime
    kind: str


@dataclass
class Person:
    """One patient as the rehearsal moves them; `known` is what the reckoning is told."""

    known: Known
    rng: Random
    keeps: float
    wanted: tuple[date, date] | None = None  # the window that `comes_on` answers
    comes_on: date | None = None
    mail_again_on: date | None = None
    addresses: int = 0
    booking: int | None = None
    booked_on: date | None = None
    endings: list[Ending] = field(default_factory=list)
    reopens_on: date | None = None


@dataclass
class Seat:
    """A clinic with its people and the rules that the reckoning goes by."""

    clinic: Clinic
    rules: Rules
    people: list[Person]
    rng: Random
    mail_again_on: date | None = None
