"""Windows: calendar arithmetic, the visits after a core decompression, and the follow-up window with its status.

Months and birthdays clamp to the end of the month: 31 August + 6 months is 28 or 29 February. The calendar ends
with the year 9999; a sum beyond it stops at its last day.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from .protocol import Protocol

GAP_MONTHS: Final = 6  # symptoms come at least six months before collapse: a longer silence can miss the whole warning
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Status(StrEnum):
    """Where today lies in the window; each begins on the window's date of that name."""

    UPCOMING = "upcoming"
    OPEN = "open"
    DUE = "due"
    OVERDUE = "overdue"
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class Window:
    """The next follow-up of one hip. Each date is the first day of its status; no anchor: never started."""

    anchor_on: date | None
    opens_on: date
    due_on: date
    overdue_on: date
    escalate_on: date
    trace_on: date
    gap_on: date

    def status(self, day: date) -> Status:
        if day >= self.gap_on:
            return Status.GAP
        if day >= self.overdue_on:
            return Status.OVERDUE
        if day >= self.due_on:
            return Status.DUE
        return Status.OPEN if day >= self.opens_on else Status.UPCOMING

    def to_json(self) -> dict[str, str | None]:
        return {
            "anchor_on": self.anchor_on.isoformat() if self.anchor_on else None,
            "opens_on": self.opens_on.isoformat(),
            "due_on": self.due_on.isoformat(),
            "overdue_on": self.overdue_on.isoformat(),
            "escalate_on": self.escalate_on.isoformat(),
            "trace_on": self.trace_on.isoformat(),
            "gap_on": self.gap_on.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class DueVisit:
    """The earliest scheduled visit after a core decompression that no follow-up has kept."""

    on: date
    months: int | None  # None for a visit that is counted in weeks
    weeks: int | None
    yearly: bool


def add_days(day: date, days: int) -> date:
    try:
        return day + timedelta(days)
    except OverflowError:
        return date.max if days > 0 else date.min


def add_months(day: date, months: int) -> date:
    """The same day of the month so many months on (or back), or that month's last day."""
    years, month = divmod(day.month - 1 + months, 12)
    year = day.year + years
    if not 1 <= year <= 9999:
        return date.max if year > 9999 else date.min
    last = 29 if month == 1 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else _DAYS[month]
    return date(year, month + 1, min(day.day, last))


def birthday(born_on: date, years: int) -> date:
    """The first day on which somebody is so many years old; 29 February counts on the 28th in a common year."""
    return add_months(born_on, 12 * years)


def due_visit(decompressed_on: date, anchor_on: date | None, protocol: Protocol) -> DueVisit:
    """The earliest visit not kept. A follow-up after the surgery keeps every visit that had opened by its date."""
    kept_until = None
    if anchor_on is not None and anchor_on > decompressed_on:
        kept_until = add_days(anchor_on, protocol.opens_days_before)
    for visit in protocol.decompression_visits:
        weekly = visit.unit == "weeks"
        on = add_days(decompressed_on, 7 * visit.count) if weekly else add_months(decompressed_on, visit.count)
        if kept_until is None or on > kept_until:
            return DueVisit(on, None if weekly else visit.count, visit.count if weekly else None, yearly=False)
    return _yearly_visit(decompressed_on, kept_until or decompressed_on, protocol)


def _yearly_visit(decompressed_on: date, kept_until: date, protocol: Protocol) -> DueVisit:
    every = protocol.decompression_then_every_months
    first = protocol.decompression_visits[-1].count
    passed = 12 * (kept_until.year - decompressed_on.year) + kept_until.month - decompressed_on.month
    months = first + every * max(1, (passed - first) // every)
    on = add_months(decompressed_on, months)
    while on <= kept_until < date.max:
        months += every
        on = add_months(decompressed_on, months)
    return DueVisit(on, months, None, yearly=True)


def window_from(
    due_on: date, *, anchor_on: date | None, followed_since: date, yearly: bool, protocol: Protocol
) -> Window:
    """The window around a due date. A gap is counted from the last follow-up, for yearly visits from the due date."""
    overdue_on = add_days(due_on, protocol.overdue_after_days)
    quiet_since = followed_since if anchor_on is None else max(anchor_on, followed_since)
    silent_until = due_on if yearly else add_months(quiet_since, GAP_MONTHS)
    return Window(
        anchor_on=anchor_on,
        opens_on=add_days(due_on, -protocol.opens_days_before),
        due_on=due_on,
        overdue_on=overdue_on,
        escalate_on=add_days(due_on, protocol.escalate_after_days),
        trace_on=add_days(due_on, protocol.trace_after_days),
        gap_on=max(overdue_on, add_days(silent_until, protocol.gap_grace_days)),
    )
