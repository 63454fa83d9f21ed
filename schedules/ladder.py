"""Ladder: which mails a follow-up window calls for, on which day each goes out and until when it still helps."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from operator import itemgetter
from typing import Literal, Protocol

from .models import Reminder

DAY = timedelta(days=1)
Anchor = Literal["midway", "opens_on", "due_on", "overdue_on"]


class Window(Protocol):
    """The days of a follow-up window that steps are counted from; a stored plan has them too."""

    @property
    def cycle_on(self) -> date: ...
    @property
    def opens_on(self) -> date: ...
    @property
    def due_on(self) -> date: ...
    @property
    def overdue_on(self) -> date: ...


@dataclass(frozen=True, slots=True)
class Rung:
    """One step: it goes out so many days after an anchor and is useful up to and including so many days after another.

    Each rung is useful until the day before the next one at most: of several steps in the past at most one is ever
    sent. `bounds`: between which days a clinic may choose. `rest`: so many days must have passed since the last
    complete follow-up, or the window is too short for the step. `only_ahead`: not planned, so not missed either, when
    its time had passed before the window was known.
    """

    step: Reminder.Step
    anchor: Anchor
    days: int
    until: Anchor
    until_days: int
    bounds: tuple[int, int] = (0, 0)
    rest: int = 0
    only_ahead: bool = False

    def send_on(self, window: Window) -> date:
        return _day(window, self.anchor) + timedelta(days=self.days)

    def useful_until(self, window: Window) -> date:
        return _day(window, self.until) + timedelta(days=self.until_days)

    def has_room(self, window: Window) -> bool:
        return not self.rest or self.send_on(window) >= window.cycle_on + timedelta(days=self.rest)


def _day(window: Window, anchor: Anchor) -> date:
    if anchor == "midway":
        return window.cycle_on + (window.due_on - window.cycle_on) // 2
    day: date = getattr(window, anchor)
    return day


LADDER = (
    Rung(
        Reminder.Step.SYMPTOM_CHECK,
        "midway",
        0,
        until="midway",
        until_days=27,
        rest=28,
        only_ahead=True,
    ),
    Rung(Reminder.Step.BOOKING_PROMPT, "due_on", -42, until="due_on", until_days=-8, bounds=(-70, -21), rest=14),
    Rung(Reminder.Step.DUE, "due_on", 0, until="due_on", until_days=0, bounds=(-7, 0)),
    Rung(Reminder.Step.MISSED, "due_on", 1, until="overdue_on", until_days=74, bounds=(1, 14)),
    Rung(Reminder.Step.SECOND_MISSED, "overdue_on", 14, until="overdue_on", until_days=74, bounds=(7, 42)),
)
_BY_STEP = {rung.step: rung for rung in LADDER}


def rung_of(step: str) -> Rung:
    return _BY_STEP[Reminder.Step(step)]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a clinic chose of one step."""

    on: bool
    days: int


def chosen(choices: Mapping[str, Choice]) -> tuple[Rung, ...]:
    """The ladder of a clinic: the steps that it sends, on its days; what it says nothing of is as in LADDER."""
    return tuple(
        replace(rung, days=choices[rung.step].days) if rung.step in choices else rung
        for rung in LADDER
        if rung.step not in choices or choices[rung.step].on
    )


def steps_of(window: Window, ladder: Sequence[Rung] = LADDER) -> Iterator[tuple[Rung, date, date]]:
    """Each step that the window has room for, with the day on which it goes out and the last day on which it helps."""
    days = [(rung.send_on(window), rung) for rung in ladder if rung.has_room(window)]
    days.sort(key=itemgetter(0))
    for place, (send_on, rung) in enumerate(days, start=1):
        useful_until = rung.useful_until(window)
        if place < len(days):
            useful_until = min(useful_until, days[place][0] - DAY)
        if useful_until >= send_on:
            yield rung, send_on, useful_until
