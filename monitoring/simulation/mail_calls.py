"""Mail calls: which mails a year called for, from the guideline's answers as they were given and from appointments.

Half of the reckoning of a rehearsed year (`mail_reckoning`): no function of the ladder or of eligibility is called.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from zoneinfo import ZoneInfo

from schedules.models import AppointmentEvent

from ..models import EvaluationReceipt

T = TypeVar("T")
Key = tuple[Any, ...]
DAY: Final = timedelta(days=1)
FOR_EVER: Final = datetime.max.replace(tzinfo=ZoneInfo("UTC")) - 2 * DAY


class Track(Generic[T]):
    """A value that changes at moments."""

    def __init__(self, at: datetime, value: T) -> None:
        self.moments, self.values = [at], [value]

    def set(self, at: datetime, value: T) -> None:
        self.moments.append(at)
        self.values.append(value)

    def at(self, moment: datetime) -> T:
        return self.values[max(0, bisect_right(self.moments, moment) - 1)]

    @property
    def now(self) -> T:
        return self.values[-1]


@dataclass
class Known:
    """What the rehearsal did to one patient."""

    patient: int
    clinic: int
    consent: Track[bool | None]
    address: Track[str]
    bounced: Track[bool]
    alive: Track[bool]
    by_hand: list[tuple[datetime, int]] = field(default_factory=list)  # when a letter or call told what, by reminder


@dataclass
class Rules:
    """What one clinic mails: its days by step where they are its own, its hours, and when its mail was stopped."""

    zone: ZoneInfo
    stopped: Track[bool]
    held: Track[bool]
    days: Mapping[str, int] = field(default_factory=dict)
    hours: tuple[int, int] = (8, 18)


@dataclass(frozen=True, slots=True)
class Turn:
    """A moment at which mail runs; `works`: nothing was out; `tidies`: what is too late was taken away after it."""

    at: datetime
    works: bool
    tidies: bool


@dataclass(frozen=True, slots=True)
class Window:
    cycle_on: date
    opens_on: date
    due_on: date
    overdue_on: date


@dataclass(frozen=True, slots=True)
class Answer:
    """What the guideline said of a patient: the window of the hip that is due first, and the hips that are followed."""

    at: datetime
    window: Window | None
    followed: tuple[str, ...]
    hurting: frozenset[str]


@dataclass
class Called:
    """One message that was called for, in the spells during which its reason held."""

    patient: int
    key: Key
    step: str
    send_on: date
    until: date
    spells: list[tuple[datetime, datetime]]
    cycle_on: date | None = None  # of the episode; None for what tells of an appointment
    before: datetime = FOR_EVER
    window: Window | None = None
    told_already: bool = False

    @property
    def is_news(self) -> bool:
        return self.step in ("visit_moved", "visit_cancelled")

    def holds(self, at: datetime) -> bool:
        return any(begin <= at < end for begin, end in self.spells)


def mails_of(window: Window, days: Mapping[str, int]) -> Iterator[tuple[str, date, date]]:
    """The table of docs/messages.md: step, the day on which it goes out, the last day on which it helps."""
    due, overdue = window.due_on, window.overdue_on
    table = []
    if (due - window.cycle_on).days >= 56:
        midway = window.cycle_on + timedelta(days=(due - window.cycle_on).days // 2)
        table.append(("symptom_check", midway, midway + 27 * DAY))
    prompt = due + days.get("booking_prompt", -42) * DAY
    if prompt >= window.cycle_on + 14 * DAY:
        table.append(("booking_prompt", prompt, due - 8 * DAY))
    table.append(("due", due, due))
    table.append(("missed", due + days.get("missed", 1) * DAY, overdue + 74 * DAY))
    table.append(("second_missed", overdue + days.get("second_missed", 14) * DAY, overdue + 74 * DAY))
    table.sort(key=lambda row: row[1])
    for (step, send_on, until), after in zip(table, [*table[1:], None], strict=True):
        last = min(until, after[1] - DAY) if after else until
        if last >= send_on:
            yield step, send_on, last


def answers_of(patients: Mapping[int, date]) -> dict[int, list[Answer]]:
    """The history of each patient's answers; `patients`: id -> first day of follow-up."""
    found: dict[int, list[Answer]] = defaultdict(list)
    rows = EvaluationReceipt.objects.filter(patient__in=patients).order_by("id")
    for patient, at, answer in rows.values_list("patient_id", "at", "answer").iterator(chunk_size=500):
        found[patient].append(_answer(at, answer, patients[patient]))
    return found


def _answer(at: datetime, answer: Mapping[str, Any], enrolled_on: date) -> Answer:
    windows = []
    for hip in answer["hips"]:
        if days := hip["window"]:
            cycle_on = date.fromisoformat(days["anchor_on"]) if days["anchor_on"] else enrolled_on
            named = (date.fromisoformat(days[name]) for name in ("opens_on", "due_on", "overdue_on"))
            windows.append((hip["side"], Window(cycle_on, *named)))
    first = min((window for _side, window in windows), key=lambda one: (one.due_on, one.cycle_on), default=None)
    hurting = frozenset(hip["side"] for hip in answer["hips"] if hip["symptomatic"])
    return Answer(at, first, tuple(side for side, _window in windows), hurting)


def called_by_guideline(patient: int, answers: Sequence[Answer], rules: Rules) -> dict[Key, Called]:
    """Every mail that the patient's windows called for, one after another."""
    found: dict[Key, Called] = {}
    for answer, after in zip(answers, [*answers[1:], None], strict=True):
        if answer.window is None:
            continue
        spell = (answer.at, after.at if after else FOR_EVER)
        today = answer.at.astimezone(rules.zone).date()
        for step, send_on, until in mails_of(answer.window, rules.days):
            key = (patient, answer.window.cycle_on, answer.window.due_on, step)
            if key in found:
                found[key].spells.append(spell)
            elif step != "symptom_check" or today <= until:
                window = answer.window
                found[key] = Called(patient, key, step, send_on, until, [spell], window.cycle_on, window=window)
    return found


@dataclass(frozen=True, slots=True)
class Booking:
    """How one appointment stood from `begin` to `end`."""

    appointment: int
    begin: datetime
    end: datetime
    state: str
    sequence: int
    starts_at: datetime
    purpose: str


def bookings_of(patients: Collection[int]) -> dict[int, list[Booking]]:
    history: dict[tuple[int, int], list[AppointmentEvent]] = defaultdict(list)
    for event in AppointmentEvent.objects.filter(patient__in=patients).order_by("id"):
        history[event.patient_id, event.appointment_id].append(event)
    found: dict[int, list[Booking]] = defaultdict(list)
    for (patient, appointment), events in history.items():
        for event, after in zip(events, [*events[1:], None], strict=True):
            end = after.at if after else FOR_EVER
            stood = (event.state, event.sequence, event.starts_at, event.purpose)
            found[patient].append(Booking(appointment, event.at, end, *stood))
    return found


def called_by_appointments(patient: int, bookings: Iterable[Booking], rules: Rules) -> dict[Key, Called]:
    """The mails that docs/appointments.md names: 3 days and 1 day before, after a move, after a cancellation."""
    found: dict[Key, Called] = {}
    for one in bookings:
        day, today = (moment.astimezone(rules.zone).date() for moment in (one.starts_at, one.begin))
        wanted: list[tuple[str, date, date, bool]] = []
        if one.state in ("booked", "moved"):
            told = one.state == "moved"
            wanted = [("visit_moved", today, day, False)] if told else []
            wanted.append(("visit_in_3_days", day - 3 * DAY, day - 2 * DAY, told and day - 3 * DAY <= today))
            wanted.append(("visit_in_1_day", day - DAY, day, told and day - DAY <= today))
        elif one.state == "cancelled" and one.starts_at > one.begin:
            wanted = [("visit_cancelled", today, day, False)]
        for step, send_on, until, told_already in wanted:
            key = ("appointment", one.appointment, one.sequence, step)
            spell = (one.begin, one.end)
            called = Called(patient, key, step, send_on, until, [spell], before=one.starts_at)
            called.told_already = told_already
            found[key] = called
    return found
