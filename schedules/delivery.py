"""Delivery: claims mails that are due, hands them over one after the other, and stores what came of each.

A mail is `sending`, committed, before its server hears of it; what came of it is stored together with the next claim.
So a worker may be killed at any instruction: only the mails of its one open claim are in doubt, and they are shown to
staff, never sent again blindly. Mails are decided on a handful at a time, and a claim looks once more at what may have
changed. Messages from the queue are hints to look here; losing or doubling them does no harm.
"""

import logging
import os
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count, Exists, Min, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from patients import access
from patients.changes import Actor
from patients.models import Clinic, ContactWish
from patients.models.patient import Channel as PatientChannel
from patients.recording import record_bounce, today_at

from . import pace, rehearsal, return_path, substitutes, volume
from .channels import AFTER_DOT, Channel, Ending, Outcome, default_channel
from .circumstances import WRITTEN, cases_for
from .eligibility import CONTACT_REASONS, Action, Verdict, decide, is_daytime
from .mail import compose, message_id
from .message_plans import clinics_with_wishes
from .models import Reminder
from .reminders import move

log = logging.getLogger(__name__)
State = Reminder.State
RUN = "mail"
BY = Actor.system(RUN)
DRAIN_FOR = 15.0  # seconds: less than a worker is given to stop, and a long run would starve the other tasks
LEASE = timedelta(seconds=AFTER_DOT + 300)  # outlasts the longest wait for a server and a restart of the database
MARGIN = timedelta(seconds=AFTER_DOT + 60)  # a mail is begun only with this much of the lease left
PATIENCE = 120.0  # seconds for which the database may be away while what came of a mail is to be stored
MOST_ATTEMPTS = 3
BACK_OFF = (timedelta(minutes=5), timedelta(minutes=30))
AHEAD = 20  # mails decided on in one transaction, of which each claim takes its part
FRESH = timedelta(seconds=2)  # no claim rests on an older decision
RESERVED = timedelta(seconds=10)  # for which other workers leave alone what this one has decided on
SETBACKS = 3  # mails in a row that a server puts off; then it is left alone until the next run

WORKER_DIED = _("The worker stopped while this mail was on its way; it may or may not have arrived.")
T = TypeVar("T")
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed mail on its way, with what came of it."""

    reminder: Reminder
    outcome: Outcome


@dataclass
class Tally:
    """What one run did: `states` counts moves by state. `unreachable`: why the server was left alone.

    `more`: the run ended before the work did.
    """

    states: Counter[str] = field(default_factory=Counter)
    later: int = 0
    put_off: int = 0  # in a row, by the server
    unreachable: str = ""
    more: bool = False

    def __str__(self) -> str:
        parts = [f"{count} {state}" for state, count in sorted(self.states.items())]
        parts += [f"{self.later} later"] * bool(self.later) + [self.unreachable] * bool(self.unreachable)
        return ", ".join(parts) or "nothing due"


@dataclass
class Ahead:
    """Mails that may go by a decision of `at`, reserved and not claimed yet."""

    rows: list[Reminder] = field(default_factory=list)
    at: datetime | None = None

    def is_fresh(self, now: datetime) -> bool:
        return bool(self.rows) and self.at is not None and now - self.at <= FRESH


def drain(
    channel: Channel | None = None, *, together: int = 1, seconds: float = DRAIN_FOR, clock: Clock = timezone.now
) -> Tally:
    """Send what is due now, for at most `seconds`, over one connection.

    `together`: mails to a claim, which is how many are in doubt when this process is killed.
    """
    channel = channel or default_channel()
    owner = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(6)}"
    tally, until = Tally(more=True), time.monotonic() + seconds
    done: list[Errand] = []
    ahead = Ahead()
    try:
        _insist(partial(_hold_where_unusual, clock))
        while time.monotonic() < until and not _setback(done, tally):
            turn = _store_and_claim_ahead if ahead.is_fresh(clock()) else _store_and_decide
            claimed = _insist(partial(turn, done, ahead, owner, together, clock, tally))
            done = []
            if not tally.more:
                break
            for reminder in claimed:
                done.append(Errand(reminder, _send(channel, reminder, done, clock)))
    finally:
        _insist(partial(_store, done, ahead, owner, clock, tally))
        channel.close()
    return tally


def _send(channel: Channel, reminder: Reminder, done: Sequence[Errand], clock: Clock) -> Outcome:
    """Hand one mail over, unless the server was just found to be away or the lease has nearly run out."""
    if done and done[-1].outcome.ending == Ending.UNREACHABLE:
        return done[-1].outcome
    if reminder.lease_until is None or clock() > reminder.lease_until - MARGIN:
        return Outcome(Ending.UNREACHABLE, "The run took too long.")
    try:
        message = compose(reminder, reminder.patient, reminder.clinic)
        rehearsal.redirect(message)
        return_path.mark(message, reminder)
    except Exception as fault:
        log.exception("reminder %s could not be written", reminder.pk)
        return Outcome(Ending.TRY_LATER, f"The mail could not be written: {type(fault).__name__}")
    return channel.send(message)


def _setback(done: Sequence[Errand], tally: Tally) -> bool:
    """True when the server had better be left alone for now."""
    for errand in done:
        if errand.outcome.ending == Ending.UNREACHABLE:
            tally.unreachable = errand.outcome.reason
            break
        tally.put_off = tally.put_off + 1 if errand.outcome.ending == Ending.TRY_LATER else 0
        tally.unreachable = errand.outcome.reason if tally.put_off >= SETBACKS else ""
    return bool(tally.unreachable)


def _insist(act: Callable[[], T]) -> T:
    """Do it even if the database is away for a while: what came of a mail must not be forgotten."""
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return act()
        except (OperationalError, InterfaceError):
            if time.monotonic() > until or connection.in_atomic_block:
                raise
            log.warning("the database does not answer; trying again")
            connection.close()
            time.sleep(0.5)


# ---- Claiming


def _store_and_decide(
    done: Sequence[Errand], ahead: Ahead, owner: str, together: int, clock: Clock, tally: Tally
) -> list[Reminder]:
    """One transaction: what came of the last claim, what is decided of the next mails, and a claim of the first.

    The others that may go are reserved: still planned, and left alone by other workers for a moment.
    """
    now = clock()
    with access.system_run(RUN):
        _store_outcomes(done, owner, now, tally)
        _release(ahead, owner)
        due = _lock_due(now, max(together, AHEAD))
        cases = cases_for(due, now)
        verdicts = [(row, decide(cases[row.pk])) for row in due]
        may_go = _one_a_patient([row for row, verdict in verdicts if verdict.action == Action.SEND])
        may_go, too_many = pace.within(may_go, now)
        Reminder.objects.filter(pk__in=[row.pk for row in too_many]).update(not_before=pace.next_minute(now))
        claimed = _claim(may_go[:together], owner, now)
        later = [row.pk for row in may_go[together:]]
        Reminder.objects.filter(pk__in=later).update(claimed_by=owner, not_before=now + RESERVED)
        _store_verdicts([pair for pair in verdicts if pair[1].action != Action.SEND], now, tally)
    ahead.rows, ahead.at = may_go[together:], now
    tally.more = bool(due)
    return claimed


def _store_and_claim_ahead(
    done: Sequence[Errand], ahead: Ahead, owner: str, together: int, clock: Clock, tally: Tally
) -> list[Reminder]:
    """One transaction: what came of the last claim, and a claim of mails that were decided on a moment ago."""
    now, rows = clock(), ahead.rows[:together]
    clinics = {row.clinic_id for row in rows} | {errand.reminder.clinic_id for errand in done}
    with access.system_run(RUN, clinics):
        _store_outcomes(done, owner, now, tally)
        claimed = _claim(_lock_unchanged(rows, ahead.at or now, owner), owner, now)
        taken = {row.pk for row in claimed}
        _release(Ahead([row for row in rows if row.pk not in taken]), owner)
    ahead.rows = ahead.rows[together:]
    return claimed


def _lock_unchanged(rows: Sequence[Reminder], decided_at: datetime, owner: str) -> list[Reminder]:
    """Those of the reserved mails that nothing has come between, as they are now, locked with their patients.

    What happens to a patient's follow-up moves the reminder itself. The rest is asked for here: a death, an address or
    wish that changed, mail that was stopped or held, and another mail to the same patient.
    """
    wanted = ContactWish.objects.filter(patient=OuterRef("patient"), channel=PatientChannel.EMAIL, allowed=True)
    written = Reminder.objects.filter(patient=OuterRef("patient"), state__in=WRITTEN, decided_at__gte=decided_at)
    reserved = Reminder.objects.filter(
        Exists(wanted),
        ~Exists(written),
        pk__in=[row.pk for row in rows],
        state=State.PLANNED,
        claimed_by=owner,
        patient__died_on__isnull=True,
        patient__email_bounced_on__isnull=True,
        clinic__mail_stopped=False,
        clinic__message_plan__held_at__isnull=True,
    ).exclude(patient__email="")
    locked = reserved.select_for_update(skip_locked=True, no_key=True, of=("self", "patient"))
    return list(locked.select_related("patient", "clinic", "appointment").order_by("send_on", "id"))


def _release(ahead: Ahead, owner: str) -> None:
    """What was reserved and is not claimed waits for nothing any more."""
    if ahead.rows:
        ids = [row.pk for row in ahead.rows]
        Reminder.objects.filter(pk__in=ids, state=State.PLANNED, claimed_by=owner).update(not_before=None)
        ahead.rows = []


def _one_a_patient(rows: Sequence[Reminder]) -> list[Reminder]:
    """The first mail of each patient, in their order."""
    return list({row.patient_id: row for row in reversed(rows)}.values())[::-1]


def _lock_due(now: datetime, limit: int) -> list[Reminder]:
    """The next mails that may be due, locked with their patients; what another worker or writer holds is left out.

    The patient's lock keeps two mails to one patient apart, and holds back whoever is recording why none should go.
    """
    rows = _ripe(now).select_related("patient", "clinic", "appointment")
    locked = rows.select_for_update(skip_locked=True, no_key=True, of=("self", "patient"))
    return list(locked.order_by("send_on", "id")[:limit])


def _ripe(now: datetime) -> QuerySet[Reminder]:
    """Planned mails whose day has come in clinics where mail is on, not held, and it is day."""
    days: dict[date, list[int]] = {}
    for clinic, wishes in clinics_with_wishes(Clinic.objects.filter(mail_stopped=False)):
        if not wishes.held and (clinic.synthetic or is_daytime(now, clinic.zone, wishes.hours)):
            days.setdefault(today_at(clinic, now), []).append(clinic.pk)
    if not days:
        return Reminder.objects.none()
    due = Q()
    for day, clinic_ids in days.items():
        due |= Q(clinic__in=clinic_ids, send_on__lte=day)
    ready = Q(not_before__isnull=True) | Q(not_before__lte=now)
    return Reminder.objects.filter(due, ready, state=State.PLANNED)


def _hold_where_unusual(clock: Clock) -> None:
    """Before anything goes out: clinics with far more mail than usual wait for a person."""
    now = clock()
    with access.system_run(RUN):
        due = dict(_ripe(now).order_by().values_list("clinic").annotate(mails=Count("id")))
        for clinic in volume.hold_where_unusual(due, by=BY, now=now):
            log.warning("mail of clinic %s is held: %s mails are due", clinic, due[clinic])


def _claim(rows: Sequence[Reminder], owner: str, now: datetime) -> list[Reminder]:
    """Mark the rows as being sent, with whom they go to."""
    lease_until = now + LEASE
    addressed = {
        row.pk: {
            "sent_to": rehearsal.addressee(row.patient),
            "language": row.patient.language,
            "message_id": message_id(row),
        }
        for row in rows
    }
    moved = move(
        addressed,
        State.SENDING,
        out_of=[State.PLANNED],
        at=now,
        by=BY,
        claim=owner,
        lease_until=lease_until,
        attempts=1,
        addressed=addressed,
    )
    claimed = [row for row in rows if row.pk in moved]
    for row in claimed:
        row.state, row.claimed_by, row.lease_until, row.attempts = State.SENDING, owner, lease_until, row.attempts + 1
        for name, value in addressed[row.pk].items():
            setattr(row, name, value)
    return claimed


def _store_verdicts(verdicts: Iterable[tuple[Reminder, Verdict]], now: datetime, tally: Tally) -> None:
    """Keep every refusal with its reason; what is to wait is asked again when it may be ripe."""
    refused: set[int] = set()
    for row, verdict in verdicts:
        if verdict.action == Action.LATER:
            tally.later += 1
            Reminder.objects.filter(pk=row.pk).update(reason=verdict.reason, not_before=verdict.not_before)
        else:
            to = State.EXPIRED if verdict.action == Action.EXPIRE else State.REFUSED
            moved = move([row.pk], to, out_of=[State.PLANNED], at=now, by=BY, reason=verdict.reason)
            tally.states[to] += len(moved)
            refused |= moved if verdict.reason in CONTACT_REASONS else set()
    if refused:
        substitutes.open_for(refused, by=BY, at=now)


# ---- Storing what came of it


def _store(done: Sequence[Errand], ahead: Ahead, owner: str, clock: Clock, tally: Tally) -> None:
    if done or ahead.rows:
        with access.system_run(RUN):
            _store_outcomes(done, owner, clock(), tally)
            _release(ahead, owner)


def _store_outcomes(done: Sequence[Errand], owner: str, now: datetime, tally: Tally) -> None:
    for errand in done:  # every writer takes the patient's lock before the reminder's
        if errand.outcome.address_bad and not rehearsal.recipient():
            row, day = errand.reminder, today_at(errand.reminder.clinic, now)
            record_bounce(row.patient_id, by=BY, address=row.sent_to, reason=errand.outcome.reason, on=day)
        if errand.outcome.provider_id:
            Reminder.objects.filter(pk=errand.reminder.pk).update(provider_id=errand.outcome.provider_id)
    alike: dict[tuple[Reminder.State, datetime | None, int, str], list[int]] = {}
    for errand in done:
        to, not_before, attempts = _consequence(errand.reminder, errand.outcome, now)
        alike.setdefault((to, not_before, attempts, errand.outcome.reason), []).append(errand.reminder.pk)
    for (to, not_before, attempts, reason), ids in alike.items():
        moved = move(
            ids,
            to,
            out_of=[State.SENDING] if to == State.UNCERTAIN else [State.SENDING, State.UNCERTAIN],
            at=now,
            by=BY,
            reason=reason,
            not_before=not_before,
            claimed_by=owner,
            attempts=attempts,
        )
        tally.states[to] += len(moved)
        if to == State.FAILED:
            substitutes.open_for(moved, by=BY, at=now)


def _consequence(row: Reminder, outcome: Outcome, now: datetime) -> tuple[Reminder.State, datetime | None, int]:
    """The state that follows, when to try again, and what to add to the attempts."""
    match outcome.ending:
        case Ending.ACCEPTED:
            return State.SENT, None, 0
        case Ending.REJECTED:
            return State.FAILED, None, 0
        case Ending.IN_DOUBT:
            return State.UNCERTAIN, None, 0
        case Ending.UNREACHABLE:  # not this mail's fault: it does not count
            return State.PLANNED, now + timedelta(seconds=random.uniform(30, 90)), -1
    if row.attempts >= MOST_ATTEMPTS:
        return State.FAILED, None, 0
    return State.PLANNED, now + BACK_OFF[row.attempts - 1] * random.uniform(0.8, 1.2), 0


# ---- Looking after it


RunListener = Callable[[datetime, int], None]
_run_listeners: list[RunListener] = []


def tell_runs_to(listener: RunListener) -> None:
    """Call `listener` at the end of each run with the time and the number of mails that the server kept waiting."""
    if listener not in _run_listeners:
        _run_listeners.append(listener)


def finish_run(tally: Tally, *, now: datetime) -> None:
    """Drop the letters and calls whose time has passed, and tell whoever watches that a run has come to its end."""
    with access.system_run(RUN):
        substitutes.drop_late(by=BY, now=now)
        behind = _ripe(now).count() if tally.unreachable else 0
        for listener in _run_listeners:
            listener(now, behind)


def recover_leases(*, now: datetime) -> int:
    """Mails whose worker has not been heard of within its lease become uncertain, for a person to decide."""
    with access.system_run("lease recovery") as run:
        lost = Reminder.objects.filter(state=State.SENDING, lease_until__lt=now).order_by("id")
        ids = list(lost.values_list("id", flat=True)[:1000])
        return len(move(ids, State.UNCERTAIN, out_of=[State.SENDING], at=now, by=run.actor, reason=WORKER_DIED))


def due_now(now: datetime) -> tuple[int, date | None]:
    """How many mails might go now, and the day of the oldest. The transaction must see the clinics."""
    found = _ripe(now).order_by().aggregate(mails=Count("id"), oldest=Min("send_on"))
    return found["mails"], found["oldest"]
