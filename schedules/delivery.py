"""Delivery: takes the mails that are due, hands them over one after the other, and stores what came of each.

A mail is `sending`, committed, before its server hears of it; what came of it is stored together with the next claim.
So a worker may be killed at any instruction: only the mails of its one open claim are in doubt, and they are shown to
staff, never sent again blindly. Messages from the queue are hints to look here; losing or doubling them does no harm.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from itertools import zip_longest
from typing import TypeVar

from django.core.mail import EmailMessage
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Count, Min, QuerySet

from patients import access
from patients.changes import Actor
from patients.clock import Clock, shared_clock

from . import claiming, mail_server, rehearsal, return_path, storing, substitutes, turns, volume
from .answers import Ending, Outcome
from .channels import Channel, Wire, default_channel
from .claiming import Ahead, ripe
from .leases import DRAIN_FOR, LEASE, MARGIN, WORKER_DIED, owner_name
from .mail import compose
from .mail_server import PutOff
from .models import MailServer, Reminder
from .reminders import move
from .storing import Blame, Errand
from .turns import Turn
from .wire import wire_of

__all__ = [
    "LEASE",
    "WORKER_DIED",
    "Errand",
    "Tally",
    "drain",
    "due_now",
    "finish_run",
    "recover_leases",
    "tell_runs_to",
]

log = logging.getLogger(__name__)
State = Reminder.State
RUN = "mail"
BY = Actor.system(RUN)
PATIENCE = 120.0  # seconds for which the database may be away while what came of a mail is to be stored
BARELY_PUT_OFF = timedelta(minutes=2)  # how long a server's fault keeps one mail back at most

T = TypeVar("T")


@dataclass
class Tally:
    """What one run did: `states` counts moves by state. `unreachable`: why the server was left alone.

    `more`: the run ended before the work did.
    """

    states: Counter[str] = field(default_factory=Counter)
    later: int = 0
    unreachable: str = ""
    more: bool = False

    def __str__(self) -> str:
        parts = [f"{count} {state}" for state, count in sorted(self.states.items())]
        parts += [f"{self.later} later"] * bool(self.later) + [self.unreachable] * bool(self.unreachable)
        return ", ".join(parts) or "nothing due"


@dataclass
class Run:
    """One worker's run: its claim, what it has decided on, and what it has learnt of the server and not stored yet."""

    channel: Channel
    owner: str
    together: int
    clock: Clock
    trouble: MailServer | None = None  # as the server was found before
    tally: Tally = field(default_factory=lambda: Tally(more=True))
    ahead: Ahead = field(default_factory=Ahead)
    done: list[Errand] = field(default_factory=list)
    put_off: list[PutOff] = field(default_factory=list)  # in a row
    refused: list[PutOff] = field(default_factory=list)  # in a row, for good, in words that may mean us
    has_taken: bool = False  # whether the server took a mail of this run
    blame: Blame = field(default_factory=Blame)
    written: dict[int, EmailMessage | Wire] = field(default_factory=dict)  # the mail that follows, by its reminder


def drain(
    channel: Channel | None = None, *, together: int = 1, seconds: float = DRAIN_FOR, clock: Clock | None = None
) -> Tally:
    """Send what is due now, for at most `seconds`, over one connection; nothing while the server is left alone.

    `together`: mails to a claim, which is how many are in doubt when this process is killed. Claims rest on the clock
    that all workers share.
    """
    clock = clock or _insist(shared_clock)
    trouble = _insist(mail_server.trouble)
    if trouble is not None and mail_server.is_left_alone(trouble, clock()):
        return Tally(unreachable=trouble.said)
    run = Run(channel or default_channel(), owner_name(), together, clock, trouble)
    until = time.monotonic() + seconds
    try:
        _insist(partial(_hold_where_unusual, clock))
        while time.monotonic() < until and not run.tally.unreachable:
            claimed = _insist(partial(_turn, run))
            run.done, run.blame = [], Blame()
            if not run.tally.more:
                break
            for reminder, following in zip_longest(claimed, claimed[1:]):
                run.done.append(Errand(reminder, _send(run, reminder, following)))
            _learn(run)
        _judge(run)
        _ask_whether_it_is_back(run)
    finally:
        _insist(partial(_store_the_rest, run))
        run.channel.close()
    return run.tally


# ---- Turns


def _turn(run: Run) -> list[Reminder]:
    """One transaction: what came of the last claim, what is decided of the next mails, and the next claim."""
    now = run.clock()
    if run.ahead.is_fresh(now):
        return _turn_by_decided(run, now)
    with access.system_run(RUN):
        states = _store(run, now)
        claiming.release(run.ahead.rows, run.owner)
        size, probing = max(run.together, run.ahead.next_size()), _refused_everybody(run)
        ahead, decided = claiming.decide_ahead(run.owner, size=size, now=now, by=BY, probing=probing)
        claimed = claiming.claim(ahead.rows[: run.together], Turn(run.owner, now, BY))
    run.ahead = ahead.without(run.together)  # from here on it is committed
    run.tally.states += states + decided.states
    run.tally.later += decided.later
    run.tally.more = bool(decided.looked_at)
    return claimed


def _turn_by_decided(run: Run, now: datetime) -> list[Reminder]:
    """The same where the next mails are decided on: most turns, each one journey to the database."""
    rows, turn = claiming.named(run.ahead.rows[: run.together]), Turn(run.owner, now, BY)
    if run.blame == Blame() and storing.are_all_sent(run.done):
        clinics = {row.clinic_id for row in (*rows, *(errand.reminder for errand in run.done))}
        sent = storing.sent_of(run.done)
        stored, told = turns.take(turn, sent=sent, wanted=rows, since=run.ahead.at, clinics=clinics)
        states = Counter({State.SENT.value: stored})
    else:
        with access.system_run(RUN):
            states = _store(run, now)
            _stored, told = turns.take(turn, wanted=rows, since=run.ahead.at)
    claimed = claiming.claimed_of(rows, told, turn)
    run.ahead = run.ahead.without(run.together)
    run.tally.states += states
    if len(claimed) < len(rows):
        with access.system_run(RUN):
            claiming.release([row for row in rows if row not in claimed], run.owner)
    return claimed


def _store(run: Run, now: datetime) -> Counter[str]:
    states = storing.take_back(run.blame.refused, now=now, by=BY)
    states += storing.store(run.done, run.owner, now=now, by=BY)
    states[State.FAILED] += storing.settle(run.blame, now=now, by=BY)
    return +states


def _store_the_rest(run: Run) -> None:
    if run.done or run.ahead.rows or run.blame != Blame():
        with access.system_run(RUN):
            states = _store(run, run.clock())
            claiming.release(run.ahead.rows, run.owner)
        run.tally.states += states
    _remember_the_server(run)


def _send(run: Run, reminder: Reminder, following: Reminder | None) -> Outcome:
    """Hand one mail over, unless the server was just found to be away or the lease has nearly run out."""
    if run.done and run.done[-1].outcome.ending in (Ending.UNREACHABLE, Ending.NOT_TRIED):
        return Outcome(Ending.NOT_TRIED, run.done[-1].outcome.reason)
    if reminder.lease_until is None or run.clock() > reminder.lease_until - MARGIN:
        return Outcome(Ending.NOT_TRIED, "The run took too long.")
    try:
        message = run.written.pop(reminder.pk, None) or _written(reminder, wire=run.channel.takes_wire)
    except Exception as fault:
        log.exception("reminder %s could not be written", reminder.pk)
        return Outcome(Ending.UNWRITABLE, f"The mail could not be written: {type(fault).__name__}")
    run.channel.following = _write_ahead(run, following)
    return run.channel.send(message)


def _write_ahead(run: Run, following: Reminder | None) -> Wire | None:
    """The mail that follows, so that the server may hear of it with the end of this one."""
    run.written = {}
    if following is None or not run.channel.takes_wire:
        return None
    try:
        message = _written(following, wire=True)
    except Exception:  # written again when it is its turn, which tells of the fault
        return None
    run.written = {following.pk: message}
    return message if isinstance(message, Wire) else None


def _written(reminder: Reminder, *, wire: bool) -> EmailMessage | Wire:
    """The mail: as bytes of a form where that may be, and otherwise put together by the library."""
    if wire and not rehearsal.recipient() and (written := wire_of(reminder, reminder.patient, reminder.clinic)):
        return written
    message = compose(reminder, reminder.patient, reminder.clinic)
    rehearsal.redirect(message)
    return_path.mark(message, reminder)
    return message


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


# ---- Whose fault it is


def _learn(run: Run) -> None:
    """What the outcomes of a claim tell of the server."""
    for errand in run.done:
        row, outcome = errand.reminder, errand.outcome
        found = PutOff(row.pk, row.sent_to.rpartition("@")[2].lower(), outcome)
        match outcome.ending:
            case Ending.ACCEPTED:  # so it was not the server that put the others off, or refused them
                if run.put_off:
                    run.blame = replace(run.blame, own=[*run.blame.own, *run.put_off])
                run.put_off, run.refused, run.has_taken = [], [], True
                _is_back(run)
            case Ending.REJECTED if outcome.may_mean_us and not (run.has_taken and mail_server.was_refused(row)):
                run.refused.append(found)
            case Ending.REJECTED:
                _is_back(run)
            case Ending.TRY_LATER:
                run.put_off.append(found)
            case Ending.UNREACHABLE:
                run.tally.unreachable = outcome.reason
    enough = 1 if _refused_everybody(run) else mail_server.MOST_IN_DOUBT
    if run.tally.unreachable or len(run.put_off) >= mail_server.MOST_IN_DOUBT or len(run.refused) >= enough:
        _judge(run)


def _judge(run: Run) -> None:
    """Say whose fault it was that mails were put off or refused; the server is asked outside any transaction."""
    put_off, refused = run.put_off, run.refused
    run.put_off, run.refused = [], []
    if not put_off and not refused:
        return
    well = False if run.tally.unreachable else run.channel.is_well()
    if mail_server.refuses_everybody(refused, well=well, known=_refused_everybody(run)):
        _spare(run, refused)
    if mail_server.is_at_fault(put_off, well=well):
        run.tally.unreachable = run.tally.unreachable or mail_server.in_its_words(put_off)
        run.blame = replace(run.blame, servers=[*run.blame.servers, *put_off])
    elif put_off:
        run.blame = replace(run.blame, own=[*run.blame.own, *put_off])
    if well and not run.tally.unreachable:
        _is_back(run)


def _refused_everybody(run: Run) -> bool:
    return run.trouble is not None and run.trouble.said.startswith(mail_server.REFUSES)


def _spare(run: Run, refused: Sequence[PutOff]) -> None:
    """It refuses everybody: what it said of these mails is not about them, stored already or not."""
    said = mail_server.in_its_words(refused, mail_server.REFUSES)
    run.tally.unreachable = run.tally.unreachable or said
    ids, ours = {one.reminder_id for one in refused}, Outcome(Ending.UNREACHABLE, said)
    stored = ids - {errand.reminder.pk for errand in run.done}
    run.blame = replace(run.blame, refused=[one for one in refused if one.reminder_id in stored])
    run.done = [replace(errand, outcome=ours) if errand.reminder.pk in ids else errand for errand in run.done]


def _ask_whether_it_is_back(run: Run) -> None:
    """A server that refused everything is asked also when no mail is left to ask it with."""
    if run.trouble is not None and not run.tally.unreachable and not run.tally.more:
        well = run.channel.is_well()
        if well:
            _is_back(run)
        elif well is False:
            run.tally.unreachable = run.trouble.said


def _is_back(run: Run) -> None:
    if run.trouble is not None:
        log.warning("the mail server takes mail again; it had refused everything since %s", run.trouble.refusing_since)
        _insist(mail_server.is_back)
        run.trouble = None


def _remember_the_server(run: Run) -> None:
    if run.tally.unreachable:
        row = mail_server.leave_alone(run.tally.unreachable, now=run.clock())
        level = logging.WARNING if row.tries == 1 else logging.INFO
        log.log(level, "the mail server is left alone until %s: %s", row.ask_again_at, row.said)


# ---- Before and after


def _hold_where_unusual(clock: Clock) -> None:
    """Before anything goes out: clinics with far more mail than usual wait for a person."""
    now = clock()
    with access.system_run(RUN):
        due = dict(ripe(now).order_by().values_list("clinic").annotate(mails=Count("id")))
        for clinic in volume.hold_where_unusual(due, by=BY, now=now):
            log.warning("mail of clinic %s is held: %s mails are due", clinic, due[clinic])


RunListener = Callable[[datetime, int], None]
_run_listeners: list[RunListener] = []


def tell_runs_to(listener: RunListener) -> None:
    """Call `listener` at the end of each run with the time and the number of mails that the server kept waiting."""
    if listener not in _run_listeners:
        _run_listeners.append(listener)


def waiting(now: datetime) -> QuerySet[Reminder]:
    """The mails that a server which refuses everything keeps here."""
    return ripe(now + BARELY_PUT_OFF)


def finish_run(tally: Tally, *, now: datetime) -> None:
    """Drop the letters and calls whose time has passed, and tell whoever watches that a run has come to its end."""
    with access.system_run(RUN):
        substitutes.drop_late(by=BY, now=now)
        behind = waiting(now).count() if tally.unreachable else 0
        for listener in _run_listeners:
            listener(now, behind)


def due_now(now: datetime) -> tuple[int, date | None]:
    """How many mails might go now, and the day of the oldest. The transaction must see the clinics."""
    found = ripe(now).order_by().aggregate(mails=Count("id"), oldest=Min("send_on"))
    return found["mails"], found["oldest"]


def recover_leases(*, now: datetime) -> int:
    """Mails whose worker has not been heard of within its lease become uncertain, for a person to decide."""
    with access.system_run("lease recovery") as run:
        lost = Reminder.objects.filter(state=State.SENDING, lease_until__lt=now).order_by("id")
        ids = list(lost.values_list("id", flat=True)[:1000])
        return len(move(ids, State.UNCERTAIN, out_of=[State.SENDING], at=now, by=run.actor, reason=WORKER_DIED))
