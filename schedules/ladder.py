"""Ladder: which mails a follow-up window calls for, on which day each goes out and until when it still helps."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, Protocol

from .models import Reminder

Anchor = Literal["opens_on", "due_on", "overdue_on"]


class Window(Protocol):
    """The days of a follow-up window that steps are counted from; a stored plan has them too."""

    @property
    def opens_on(self) -> date: ...
    @property
    def due_on(self) -> date: ...
    @property
    def overdue_on(self) -> date: ...


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: it goes out so many days after an anchor and is useful up to and including so many days after another.

    Each rung is useful until the day before the next one: of several steps in the past at most one is ever sent.
    """

    step: Reminder.Step
    anchor: Anchor
    days: int
    until: Anchor
    until_days: int

    def send_on(self, window: Window) -> date:
        day: date = getattr(window, self.anchor)
        return day + timedelta(days=self.days)

    def useful_until(self, window: Window) -> date:
        day: date = getattr(window, self.until)
        return day + timedelta(days=self.until_days)


LADDER = (
    Rung(Reminder.Step.DUE, "due_on", 0, until="due_on", until_days=0),
    Rung(Reminder.Step.MISSED, "due_on", 1, until="overdue_on", until_days=13),
    Rung(Reminder.Step.SECOND_MISSED, "overdue_on", 14, until="overdue_on", until_days=74),
)
_BY_STEP = {rung.step: rung for rung in LADDER}


def rung_of(step: str) -> Rung:
    return _BY_STEP[Reminder.Step(step)]


def steps_of(window: Window) -> Iterator[tuple[Rung, date, date]]:
    """Each step with the day on which it goes out and the last day on which it helps."""
    for rung in LADDER:
        yield rung, rung.send_on(window), rung.useful_until(window)
