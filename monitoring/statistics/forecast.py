"""Forecast: how many patients are expected for radiographs in each of the coming weeks. Pure arithmetic.

Assumed: everybody comes on the day that is due or booked, both hips are filmed at once, the next visit follows after
the shortest interval of the two hips, and those already late come evenly over the first weeks. Nobody is assumed to
fall ill, to be operated on or to stay away, so the number is what the plans ask for and not what will be.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from schedules.guideline.protocol import Protocol
from schedules.guideline.windows import add_months, due_visit

WEEKS: Final = 26
BACKLOG_WEEKS: Final = 4
WORKING_DAYS: Final = 5
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class FollowedHip:
    """One hip with a plan: when it is due, and what its next due date is reckoned from."""

    due_on: date
    interval_months: int | None
    decompressed_on: date | None  # in follow-up after core decompression: visits are counted from it


@dataclass(frozen=True, slots=True)
class FollowedPatient:
    """A patient with at least one followed hip, and the first day from today on that is booked, if any."""

    patient_id: int
    hips: tuple[FollowedHip, ...]
    booked_on: date | None

    @property
    def due_on(self) -> date:
        return min(hip.due_on for hip in self.hips)


@dataclass(frozen=True, slots=True)
class ExpectedVisit:
    """One patient expected in a week. The first visit is planned; later ones follow from it."""

    week: date  # its Monday
    patient_id: int
    kind: str  # backlog, first, repeat


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def first_day(today: date) -> date:
    """Today, or on a weekend the Monday after it: nobody is filmed before."""
    return today if today.weekday() < WORKING_DAYS else monday(today) + WEEK


def weeks_ahead(today: date) -> list[date]:
    """The Mondays of the weeks forecast; the first is this week, on a weekend the next."""
    return [monday(first_day(today)) + number * WEEK for number in range(WEEKS)]


def expected_visits(patients: Iterable[FollowedPatient], today: date, protocol: Protocol) -> list[ExpectedVisit]:
    """Every visit expected within the weeks ahead, in the order of weeks and patients."""
    known = sorted(patients, key=lambda patient: (patient.due_on, patient.patient_id))
    start, end = first_day(today), weeks_ahead(today)[-1] + WEEK
    late = [patient for patient in known if patient.booked_on is None and patient.due_on < monday(start)]
    turns = {patient.patient_id: _turn(place, start) for place, patient in enumerate(late)}
    visits: list[ExpectedVisit] = []
    for patient in known:
        turn = turns.get(patient.patient_id)
        first_on = turn or patient.booked_on or patient.due_on
        visits += _visits(patient, max(first_on, start), "backlog" if turn else "first", end, protocol)
    return sorted(visits, key=lambda visit: (visit.week, visit.patient_id))


def _turn(place: int, start: date) -> date:
    """The day for the patient at this place among those already late: week after week, then day after day."""
    week, day = place % BACKLOG_WEEKS, place // BACKLOG_WEEKS % WORKING_DAYS
    return monday(start) + week * WEEK + timedelta(days=day)


def _visits(
    patient: FollowedPatient, first_on: date, kind: str, end: date, protocol: Protocol
) -> Iterator[ExpectedVisit]:
    on = first_on
    while on < end:
        yield ExpectedVisit(monday(on), patient.patient_id, kind)
        on, kind = min(_next_due(hip, on, protocol) for hip in patient.hips), "repeat"


def _next_due(hip: FollowedHip, seen_on: date, protocol: Protocol) -> date:
    """When the hip is due again after a complete follow-up on this day; always at least a week later."""
    if hip.decompressed_on is not None and hip.decompressed_on < seen_on:
        due_on = due_visit(hip.decompressed_on, seen_on, protocol).on
    else:
        due_on = add_months(seen_on, hip.interval_months or protocol.short_interval_months)
    return max(due_on, seen_on + WEEK)
