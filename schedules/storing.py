"""Storing: what came of mails that were handed over, and whose fault it was where the server put them off.

A mail that is put off is planned again at once and its attempt counts; whose fault that was is known a moment later.
The server's fault gives the attempt back; where it was the third of the mail's own, the mail has failed.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import F

from patients.changes import Actor
from patients.models import Patient
from patients.recording import record_bounce, today_at

from . import rehearsal, substitutes
from .answers import Ending, Outcome
from .leases import MOST_ATTEMPTS, after_failure, after_server_fault
from .mail_server import REFUSES, PutOff, in_its_words
from .models import Reminder, Substitute
from .reminders import move
from .turns import Sent, Turn, take

State = Reminder.State


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed mail on its way, with what came of it."""

    reminder: Reminder
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class Blame:
    """Mails that were put off and stand as planned, when it is known whose fault it was.

    `refused`: mails that stand as failed, and were refused as everybody's mail was.
    """

    servers: Sequence[PutOff] = ()
    own: Sequence[PutOff] = ()
    refused: Sequence[PutOff] = ()


def store(done: Collection[Errand], owner: str, *, now: datetime, by: Actor) -> Counter[str]:
    """What came of each mail, as far as the claim is still `owner`'s. Returns how many moved to which state.

    A late answer settles what had become uncertain meanwhile. For the caller's transaction.
    """
    states: Counter[str] = Counter()
    alike: dict[tuple[State, datetime | None, int, str], list[int]] = {}
    sent = sent_of(done)
    for errand in done:
        if errand.outcome.ending == Ending.ACCEPTED:
            continue
        if errand.outcome.address_bad and not rehearsal.recipient():  # its patient's lock comes before the mail's
            row, day = errand.reminder, today_at(errand.reminder.clinic, now)
            record_bounce(row.patient_id, by=by, address=row.sent_to, reason=errand.outcome.reason, on=day)
        to, not_before, attempts = _consequence(errand.reminder, errand.outcome, now)
        alike.setdefault((to, not_before, attempts, errand.outcome.reason), []).append(errand.reminder.pk)
    if sent:
        states[State.SENT], _none = take(Turn(owner, now, by), sent=sent)
    for (to, not_before, attempts, reason), ids in alike.items():
        moved = move(
            ids,
            to,
            out_of=[State.SENDING] if to == State.UNCERTAIN else [State.SENDING, State.UNCERTAIN],
            at=now,
            by=by,
            reason=reason,
            not_before=not_before,
            claimed_by=owner,
            attempts=attempts,
        )
        states[to] += len(moved)
        if to == State.FAILED:
            substitutes.open_for(moved, by=by, at=now)
    return +states


def sent_of(done: Iterable[Errand]) -> list[Sent]:
    """Those of these mails that their server took."""
    return [Sent(one.reminder.pk, one.outcome.provider_id) for one in done if one.outcome.ending == Ending.ACCEPTED]


def are_all_sent(done: Iterable[Errand]) -> bool:
    return all(errand.outcome.ending == Ending.ACCEPTED for errand in done)


def _consequence(row: Reminder, outcome: Outcome, now: datetime) -> tuple[State, datetime | None, int]:
    """The state that follows, when to try again, and what to add to the attempts."""
    match outcome.ending:
        case Ending.REJECTED:
            return State.FAILED, None, 0
        case Ending.IN_DOUBT:
            return State.UNCERTAIN, None, 0
        case Ending.UNREACHABLE | Ending.NOT_TRIED:  # not this mail's fault: it does not count
            return State.PLANNED, after_server_fault(now), -1
        case Ending.UNWRITABLE if row.attempts >= MOST_ATTEMPTS:
            return State.FAILED, None, 0
    return State.PLANNED, after_failure(row.attempts, now), 0


def take_back(refused: Sequence[PutOff], *, now: datetime, by: Actor) -> Counter[str]:
    """Plan again what failed because the server refuses everybody, with its attempts, unless it was told by hand.

    Returns how many. For the caller's transaction, of which it comes first: patients are locked before their mails.
    """
    if not refused:
        return Counter()
    ids = [one.reminder_id for one in refused]
    found = Patient.objects.filter(pk__in=Reminder.objects.filter(pk__in=ids).values("patient"))
    list(found.select_for_update(no_key=True).order_by("id").values_list("id"))
    told = Substitute.objects.filter(reminder__in=ids, state=Substitute.State.DONE)
    left = sorted(set(ids) - set(told.values_list("reminder_id", flat=True)))
    said, again = in_its_words(refused, REFUSES), after_server_fault(now)
    moved = move(left, State.PLANNED, out_of=[State.FAILED], at=now, by=by, reason=said, not_before=again, attempts=-1)
    return Counter({State.PLANNED.value: len(moved)})


def settle(blame: Blame, *, now: datetime, by: Actor) -> int:
    """Give back the attempts that were the server's fault, and fail the mails whose own third it was.

    Returns how many failed. For the caller's transaction, after they were stored.
    """
    if blame.servers:
        rows = Reminder.objects.filter(pk__in=[one.reminder_id for one in blame.servers], state=State.PLANNED)
        rows.filter(attempts__gt=0).update(attempts=F("attempts") - 1, not_before=after_server_fault(now))
    failed: set[int] = set()
    own = {one.reminder_id: one.outcome.reason for one in blame.own}
    if own:
        rows = Reminder.objects.filter(pk__in=list(own), state=State.PLANNED, attempts__gte=MOST_ATTEMPTS)
        for pk in rows.select_for_update(no_key=True).order_by("id").values_list("pk", flat=True):
            failed |= move([pk], State.FAILED, out_of=[State.PLANNED], at=now, by=by, reason=own[pk])
    if failed:
        substitutes.open_for(failed, by=by, at=now)
    return len(failed)
