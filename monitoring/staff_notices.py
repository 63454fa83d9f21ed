"""Staff notices: one digest a person, clinic and weekday, planned, claimed, sent once, and what came of it.

A row is `sending`, committed, before the mail server hears of it. Whoever dies in between leaves it uncertain, and it
is not sent again that day: the next digest says everything that is still open. Doubled or lost tasks change nothing.
"""

import logging
import time as clocks
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, time

from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from patients import access
from patients.changes import Actor
from patients.clock import Clock, shared_clock
from patients.models import Clinic, Membership, User
from patients.recording import today_at
from schedules import mail_server, rehearsal
from schedules.answers import Ending, Outcome
from schedules.channels import Channel, default_channel
from schedules.leases import (
    DRAIN_FOR,
    LEASE,
    MOST_ATTEMPTS,
    WORKER_DIED,
    after_failure,
    after_server_fault,
    owner_name,
)

from . import audit
from .digest import MORNING, Digest, Section, contents_of
from .digest_mail import compose
from .models import NoticeChoice, StaffNotice

log = logging.getLogger(__name__)
State = StaffNotice.State
Wanted = NoticeChoice.Wanted
RUN = "digest"
BY = Actor.system(RUN)
UNTIL = time(17)  # a digest that an outage kept back helps until the working day ends
SATURDAY = 5

DAY_OVER = _("The day was over before it could be sent.")
SWITCHED_OFF = _("Switched off by its reader.")
NO_ROLE = _("Its reader does not work here any more.")
NOT_WRITTEN = _("The mail could not be written.")


@dataclass
class Tally:
    """What one run did. `unreachable`: why the server was left alone; `more`: the run ended before the work did."""

    states: Counter[str] = field(default_factory=Counter)
    unreachable: str = ""
    more: bool = False

    def __str__(self) -> str:
        parts = [f"{count} {state}" for state, count in sorted(self.states.items())]
        return ", ".join([*parts, *[self.unreachable] * bool(self.unreachable)]) or "nothing due"


@dataclass(frozen=True, slots=True)
class Errand:
    """A claimed digest with its mail."""

    notice: StaffNotice
    message: EmailMultiAlternatives


def is_time(clinic: Clinic, now: datetime) -> bool:
    """True on a weekday, from the clinic's morning until its working day ends."""
    there = now.astimezone(clinic.zone)
    return there.weekday() < SATURDAY and MORNING <= there.time() < UNTIL


def wanted_by(user: User) -> str:
    choice = NoticeChoice.objects.filter(user=user).first()
    return choice.wanted if choice else Wanted.ALL


def choose(user: User, *, wanted: str, language: str, by: Actor) -> None:
    """Keep what a person wants to be told and in which language. Raises ValueError for a choice there is not."""
    if wanted not in Wanted.values or language not in dict(User._meta.get_field("language").flatchoices):
        raise ValueError(wanted)
    with transaction.atomic():
        before = {"wanted": wanted_by(user), "language": user.language}
        NoticeChoice.objects.update_or_create(user=user, defaults={"wanted": wanted, "changed_at": timezone.now()})
        User.objects.filter(pk=user.pk).update(language=language)
        user.language = language
        audit.note(
            by,
            "choose_notices",
            object=f"user-{user.pk}",
            before=before,
            after={"wanted": wanted, "language": language},
        )


def part_wanted(digest: Digest, wanted: str) -> Digest:
    """What of a digest its reader wants."""
    if wanted == Wanted.NONE:
        return digest.only()
    return digest.only(Section.ESCALATED) if wanted == Wanted.ESCALATIONS else digest


# ---- Sending


def send_due(channel: Channel | None = None, *, seconds: float = DRAIN_FOR, clock: Clock | None = None) -> Tally:
    """Plan and send the digests of every clinic where it is time, for at most `seconds`, over one connection.

    Nothing while the mail server is left alone.
    """
    clock = clock or shared_clock()
    recover(now=clock())
    trouble = mail_server.trouble()
    if trouble is not None and mail_server.is_left_alone(trouble, clock()):
        return Tally(unreachable=trouble.said)
    channel, owner = channel or default_channel(), owner_name()
    tally, until = Tally(), clocks.monotonic() + seconds
    try:
        for clinic in _clinics(clock()):
            plan(clinic, now=clock())
            while not tally.unreachable and _send_next(clinic, channel, owner, clock, tally):
                if clocks.monotonic() > until:
                    tally.more = True
                    return tally
    finally:
        channel.close()
    return tally


def _clinics(now: datetime) -> list[Clinic]:
    with access.system_run(RUN):
        return [clinic for clinic in Clinic.objects.order_by("id") if is_time(clinic, now)]


def plan(clinic: Clinic, *, now: datetime) -> None:
    """A row for everybody who works in the clinic today; those there already stay as they are."""
    day = today_at(clinic, now)
    with access.system_run(RUN, [clinic.pk]):
        there = StaffNotice.objects.filter(clinic=clinic, day=day).values("user")
        staff = Membership.objects.filter(clinic=clinic, user__is_active=True).exclude(user__in=there)
        StaffNotice.objects.bulk_create(
            (
                StaffNotice(user_id=user, clinic=clinic, day=day, actor=BY.name)
                for user in sorted(set(staff.order_by().values_list("user", flat=True)))
            ),
            ignore_conflicts=True,
        )


def _send_next(clinic: Clinic, channel: Channel, owner: str, clock: Clock, tally: Tally) -> bool:
    """Decide on the next digest and send it. False when none is left."""
    found, errand = _claim(clinic, owner, clock(), tally)
    if errand is not None:
        _store(errand.notice, channel.send(errand.message), owner, clock(), tally)
    return found


def _claim(clinic: Clinic, owner: str, now: datetime, tally: Tally) -> tuple[bool, Errand | None]:
    """One transaction: the next planned digest is decided on; what is to go out is marked as being sent."""
    with access.system_run(RUN, [clinic.pk]):
        due = StaffNotice.objects.filter(clinic=clinic, day=today_at(clinic, now), state=State.PLANNED)
        due = due.filter(Q(not_before__isnull=True) | Q(not_before__lte=now)).select_related("user")
        notice = due.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("id").first()
        if notice is None:
            return False, None
        wanted = wanted_by(notice.user)
        digest = part_wanted(contents_of(notice.user, clinic, now=now), wanted)
        if not digest:
            works_here = Membership.objects.filter(user=notice.user, clinic=clinic, user__is_active=True).exists()
            reason = NO_ROLE if not works_here else SWITCHED_OFF if wanted == Wanted.NONE else ""
            _settle(notice, State.NOTHING, now, tally, reason=reason)
            return True, None
        try:
            with transaction.atomic():
                message = compose(notice.user, clinic, digest, now=now)
        except Exception:
            log.exception("digest %s could not be written", notice.pk)
            _settle(notice, State.FAILED, now, tally, reason=NOT_WRITTEN)
            return True, None
        notice.state, notice.claimed_by, notice.lease_until = State.SENDING, owner, now + LEASE
        notice.attempts, notice.counts, notice.language = notice.attempts + 1, digest.counts, notice.user.language
        notice.message_id = message.extra_headers["Message-ID"]
        rehearsal.redirect(message)
        notice.sent_to = message.to[0]
        notice.save()
    return True, Errand(notice, message)


def _store(notice: StaffNotice, outcome: Outcome, owner: str, now: datetime, tally: Tally) -> None:
    """What the server said, while the claim is still our own; a late answer settles what had become uncertain."""
    with access.system_run(RUN, [notice.clinic_id]):
        mine = StaffNotice.objects.filter(pk=notice.pk, claimed_by=owner, state__in=[State.SENDING, State.UNCERTAIN])
        held = mine.select_for_update(no_key=True).first()
        if held is None:
            return
        match outcome.ending:
            case Ending.ACCEPTED:
                _settle(held, State.SENT, now, tally)
            case Ending.IN_DOUBT:
                _settle(held, State.UNCERTAIN, now, tally, reason=outcome.reason)
            case Ending.UNREACHABLE:  # not this mail's fault: it does not count
                tally.unreachable = outcome.reason
                held.attempts -= 1
                _put_off(held, after_server_fault(now), outcome.reason)
            case Ending.TRY_LATER | Ending.UNWRITABLE if held.attempts < MOST_ATTEMPTS:
                _put_off(held, after_failure(held.attempts, now), outcome.reason)
            case _:
                _settle(held, State.FAILED, now, tally, reason=outcome.reason)


def _put_off(notice: StaffNotice, not_before: datetime, reason: str) -> None:
    notice.state, notice.not_before, notice.reason = State.PLANNED, not_before, reason[:200]
    notice.lease_until, notice.claimed_by = None, ""
    notice.save()


def _settle(notice: StaffNotice, state: State, now: datetime, tally: Tally, *, reason: str = "") -> None:
    notice.state, notice.reason, notice.decided_at, notice.lease_until = state, reason[:200], now, None
    notice.save()
    tally.states[state.value] += 1
    if state != State.NOTHING:
        audit.note(
            BY,
            "send_digest",
            clinic_id=notice.clinic_id,
            object=f"notice-{notice.pk}",
            after={"user": notice.user_id, "state": state.value, "counts": notice.counts},
            reason=reason,
        )


# ---- Looking after it


def recover(*, now: datetime) -> int:
    """Digests whose worker died become uncertain; what its day was not enough for becomes failed. Returns how many."""
    tally = Tally()
    with access.system_run("digest recovery"):
        lost = StaffNotice.objects.filter(state=State.SENDING, lease_until__lt=now)
        for notice in lost.select_for_update(skip_locked=True, no_key=True).order_by("id"):
            _settle(notice, State.UNCERTAIN, now, tally, reason=WORKER_DIED)
        old = StaffNotice.objects.filter(state=State.PLANNED, day__lt=now.date()).select_related("clinic")
        for notice in old.select_for_update(skip_locked=True, no_key=True, of=("self",)).order_by("id"):
            if notice.day < today_at(notice.clinic, now):
                _settle(notice, State.FAILED, now, tally, reason=DAY_OVER)
    return tally.states.total()
