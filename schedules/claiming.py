"""Claiming: which mails may go now, decided on many at a time, and the claim by which a worker takes some of them.

What a decision of a moment ago rests on is looked at once more in the transaction of the claim, under the locks of
the mail and its patient, so that nothing that happened in between is overlooked.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from django.db.models import Case, Q, QuerySet, When

from patients.changes import Actor
from patients.models import Clinic
from patients.prepared import rows_of
from patients.recording import today_at

from . import pace, substitutes
from .circumstances import cases_for
from .eligibility import CONTACT_REASONS, Action, Verdict, decide, is_daytime
from .leases import LEASE
from .mail import message_id
from .mail_server import REFUSES
from .message_plans import clinics_with_wishes
from .models import Appointment, Reminder
from .reminders import move
from .turns import Claimed, Turn, take

State = Reminder.State
AHEAD = (20, 200)  # mails decided on in one transaction, of which each claim takes its part: at least, at most
FRESH = timedelta(seconds=5)  # no claim rests on an older decision
RESERVED = timedelta(seconds=15)  # for which other workers leave alone what this one has decided on


@dataclass
class Ahead:
    """Mails that may go by a decision of `at`, reserved and not claimed yet. `claimed`: how many of them were."""

    rows: list[Reminder] = field(default_factory=list)
    at: datetime | None = None
    claimed: int = 0

    def is_fresh(self, now: datetime) -> bool:
        return bool(self.rows) and self.at is not None and now - self.at <= FRESH

    def without(self, many: int) -> "Ahead":
        return Ahead(self.rows[many:], self.at, self.claimed + len(self.rows[:many]))

    def next_size(self) -> int:
        """How many to decide on next: more when all were claimed while fresh, otherwise as many as were."""
        wanted = self.claimed if self.rows else 2 * self.claimed
        return min(max(wanted, AHEAD[0]), AHEAD[1])


@dataclass
class Decided:
    """How many mails a turn looked at, put off for later, and moved for good by state."""

    looked_at: int = 0
    later: int = 0
    states: Counter[str] = field(default_factory=Counter)


# ---- Which mails are due


def ripe(now: datetime) -> QuerySet[Reminder]:
    """Planned mails whose day has come in clinics where mail is on, not held, and it is day."""
    return _ripe_in(_awake(now), now)


def _awake(now: datetime) -> list[Clinic]:
    """The clinics where mail is on, not held, and it is day."""
    found = clinics_with_wishes(Clinic.objects.filter(mail_stopped=False))
    return [
        clinic
        for clinic, wishes in found
        if not wishes.held and (clinic.synthetic or is_daytime(now, clinic.zone, wishes.hours))
    ]


def _ripe_in(clinics: Iterable[Clinic], now: datetime) -> QuerySet[Reminder]:
    days: dict[date, list[int]] = {}
    for clinic in clinics:
        days.setdefault(today_at(clinic, now), []).append(clinic.pk)
    if not days:
        return Reminder.objects.none()
    due = Q()
    for day, clinic_ids in days.items():
        due |= Q(clinic__in=clinic_ids, send_on__lte=day)
    ready = Q(not_before__isnull=True) | Q(not_before__lte=now)
    return Reminder.objects.filter(due, ready, state=State.PLANNED)


def _lock_due(now: datetime, limit: int, probing: bool) -> list[Reminder]:
    """The next mails that may be due, locked with their patients; what another worker or writer holds is left out.

    The patient's lock keeps two mails to one patient apart, and holds back whoever is recording why none should go.
    Patient, clinic and appointment are loaded.
    """
    clinics = {clinic.pk: clinic for clinic in _awake(now)}
    rows = _ripe_in(clinics.values(), now).select_related("patient")
    order = [Case(When(reason__startswith=REFUSES, then=1), default=0)] if probing else []
    locked = list(
        rows.select_for_update(skip_locked=True, no_key=True, of=("self", "patient")).order_by(*order, "send_on", "id")[
            :limit
        ]
    )
    told = Appointment.objects.in_bulk({row.appointment_id for row in locked if row.appointment_id})
    for row in locked:
        row.clinic = clinics[row.clinic_id]
        row.appointment = told.get(row.appointment_id)
    return locked


# ---- Deciding


_RESERVE = """
UPDATE schedules_reminder SET claimed_by = %(owner)s, not_before = %(until)s::timestamptz
 WHERE id = ANY(%(ids)s::bigint[])
"""


def decide_ahead(owner: str, *, size: int, now: datetime, by: Actor, probing: bool = False) -> tuple[Ahead, Decided]:
    """Decide on the next mails that are due, keep what is decided against them, and reserve those that may go.

    Reserved: still planned, and left alone by other workers for a moment. `probing`: the server refused everybody, so
    mails that it has not refused yet come first. For the caller's transaction.
    """
    due = _lock_due(now, size, probing)
    cases = cases_for(due, now)
    verdicts = [(row, decide(cases[row.pk])) for row in due]
    may_go = _one_a_patient([row for row, verdict in verdicts if verdict.action == Action.SEND])
    may_go, too_many = pace.within(may_go, now)
    if too_many:
        Reminder.objects.filter(pk__in=[row.pk for row in too_many]).update(not_before=pace.next_minute(now))
    rows_of(_RESERVE, {"ids": [row.pk for row in may_go], "owner": owner, "until": now + RESERVED})
    decided = Decided(looked_at=len(due))
    _store_verdicts([pair for pair in verdicts if pair[1].action != Action.SEND], now, by, decided)
    return Ahead(may_go, now), decided


def _one_a_patient(rows: Sequence[Reminder]) -> list[Reminder]:
    """The first mail of each patient, in their order."""
    return list({row.patient_id: row for row in reversed(rows)}.values())[::-1]


def _store_verdicts(verdicts: Iterable[tuple[Reminder, Verdict]], now: datetime, by: Actor, decided: Decided) -> None:
    """Keep every refusal with its reason; what is to wait is asked again when it may be ripe."""
    alike: dict[Verdict, list[int]] = {}
    for row, verdict in verdicts:
        alike.setdefault(verdict, []).append(row.pk)
    refused: set[int] = set()
    for verdict, ids in alike.items():
        if verdict.action == Action.LATER:
            decided.later += len(ids)
            Reminder.objects.filter(pk__in=ids).update(reason=verdict.reason, not_before=verdict.not_before)
        else:
            to = State.EXPIRED if verdict.action == Action.EXPIRE else State.REFUSED
            moved = move(ids, to, out_of=[State.PLANNED], at=now, by=by, reason=verdict.reason)
            decided.states[to] += len(moved)
            refused |= moved if verdict.reason in CONTACT_REASONS else set()
    if refused:
        substitutes.open_for(refused, by=by, at=now)


# ---- Claiming


def claim(rows: Sequence[Reminder], turn: Turn) -> list[Reminder]:
    """Mark these mails, which the caller's transaction has just decided on and reserved, as being sent."""
    if not rows:
        return []
    _stored, told = take(turn, wanted=named(rows))
    claimed = claimed_of(rows, told, turn)
    release([row for row in rows if row not in claimed], turn.owner)
    return claimed


def named(rows: Sequence[Reminder]) -> Sequence[Reminder]:
    """The same, each with the name under which its mail goes out."""
    for row in rows:
        row.message_id = message_id(row)
    return rows


def claimed_of(rows: Sequence[Reminder], told: Mapping[int, Claimed], turn: Turn) -> list[Reminder]:
    """Those that are claimed, as they are now: to whom, in which language, at which attempt."""
    claimed = [row for row in rows if row.pk in told]
    for row in claimed:
        now = told[row.pk]
        row.state, row.claimed_by, row.lease_until = State.SENDING, turn.owner, turn.now + LEASE
        row.attempts, row.sent_to, row.language, row.message_id = (
            now.attempts,
            now.sent_to,
            now.language,
            now.message_id,
        )
        row.patient.email, row.patient.language = now.address, now.language
    return claimed


def release(rows: Sequence[Reminder], owner: str) -> None:
    """What was reserved and is not claimed waits for nothing any more."""
    if rows:
        ids = [row.pk for row in rows]
        Reminder.objects.filter(pk__in=ids, state=State.PLANNED, claimed_by=owner).update(not_before=None)
