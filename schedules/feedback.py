"""Feedback: what becomes of a mail after its server took it, and what follows for the mail and for its patient.

Mail providers tell it by webhook, mail servers by a mail to the return path. Both end in `record`, which does it all in
one transaction under the patient's lock. What is told twice, or of a mail that is not ours, changes nothing.
"""

import logging
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.db.models import Max, Q, QuerySet
from django.utils.translation import gettext_noop as _

from patients import access
from patients.changes import Actor
from patients.models import ContactWish, Patient
from patients.models.patient import Channel
from patients.recording import lock_patient, record_bounce, set_contact_wish, today_at

from . import rehearsal, return_path, substitutes
from .circumstances import cases_for
from .eligibility import Action, decide
from .models import DeliveryEvent, Reminder
from .reminders import move

log = logging.getLogger(__name__)
Kind = DeliveryEvent.Kind
State = Reminder.State
RUN = "mail feedback"
BY = Actor.system(RUN)

MOST_TRANSIENT = 3  # mails that come back for a passing reason, and none delivered in between
TRANSIENT_WITHIN = timedelta(days=90)
AGAIN_AFTER = timedelta(hours=20)  # the next morning, as a rule
ON_ITS_WAY = (State.SENDING, State.UNCERTAIN)

ARRIVED = _("Reported as delivered.")
CAME_BACK = _("The mail came back.")
TRY_AGAIN = _("The mail came back for a passing reason; it is sent again.")
ANOTHER_ADDRESS = _("The mail came back; the patient has another address by now.")
HOW = {
    Kind.COMPLAINED: "complaint reported by the mail provider",
    Kind.UNSUBSCRIBED: "unsubscribed at the mail provider",
}


@dataclass(frozen=True, slots=True)
class Report:
    """What was told of one mail. Its reminder is found by `token`, or by `message_id`, ours or the provider's.

    `address`: of whom it is told, where that is said. `permanent`: the address takes no mail at all.
    """

    kind: DeliveryEvent.Kind
    at: datetime
    provider: str
    event_id: str
    token: str = ""
    message_id: str = ""
    address: str = ""
    permanent: bool = False
    words: str = ""


class Result(StrEnum):
    RECORDED = "recorded"
    REPEATED = "repeated"
    UNKNOWN = "unknown"  # no mail of ours


def record(report: Report, *, now: datetime) -> Result:
    """Store the report and do what follows from it, in one transaction."""
    with access.system_run(RUN):
        row = _find(report)
        if row is None:
            log.warning("%s told of a mail that is not known here", report.provider)
            return Result.UNKNOWN
        patient = lock_patient(row.patient_id)
        row.refresh_from_db(from_queryset=Reminder.objects.select_for_update(no_key=True))
        if report.token and not return_path.is_token_of(report.token, row):
            return Result.UNKNOWN
        if not _store(report, row, now):
            return Result.REPEATED
        if not report.address or _same(report.address, row.sent_to):
            _follow(report, row, patient, now)
    return Result.RECORDED


def _find(report: Report) -> Reminder | None:
    """The mail that is told of; a token that was not made for it finds nothing."""
    if report.token:
        row = Reminder.objects.filter(pk=return_path.reminder_named_in(report.token) or 0).first()
        return row if row and return_path.is_token_of(report.token, row) else None
    return mails_named(report.message_id).first() if report.message_id else None


def mails_named(message_id: str) -> QuerySet[Reminder]:
    """The mails that we or a provider gave this name, the latest first."""
    return Reminder.objects.filter(Q(message_id=message_id) | Q(provider_id=message_id)).order_by("-id")


def _store(report: Report, row: Reminder, now: datetime) -> bool:
    """False where the same was told before."""
    _event, is_new = DeliveryEvent.objects.get_or_create(
        provider=report.provider[:24],
        event_id=report.event_id[:120],
        defaults={
            "clinic_id": row.clinic_id,
            "patient_id": row.patient_id,
            "reminder": row,
            "kind": report.kind,
            "permanent": report.permanent and report.kind == Kind.BOUNCED,
            "at": min(report.at, now),
            "received_at": now,
            "address": report.address or row.sent_to,
            "words": report.words[:200],
        },
    )
    return is_new


def _same(one: str, other: str) -> bool:
    return one.strip().lower() == other.strip().lower()


def told_of(reminders: Collection[Reminder]) -> dict[int, DeliveryEvent]:
    """The latest that was told of each of these mails as it went last, by the reminder's id; one query."""
    by_id = {row.pk: row for row in reminders}
    found: dict[int, DeliveryEvent] = {}
    for event in DeliveryEvent.objects.filter(reminder__in=list(by_id)).order_by("at", "id"):
        row = by_id[event.reminder_id]
        sent_since = row.state == State.SENT and event.kind == Kind.BOUNCED  # it came back, and went again
        if not sent_since and _same(event.address, row.sent_to):
            found[row.pk] = event
    return found


# ---- What follows


def _follow(report: Report, row: Reminder, patient: Patient, now: datetime) -> None:
    match report.kind:
        case Kind.DELIVERED:
            move([row.pk], State.SENT, out_of=ON_ITS_WAY, at=now, by=BY, reason=ARRIVED)
        case Kind.BOUNCED:
            _came_back(report, row, patient, now)
        case Kind.COMPLAINED | Kind.UNSUBSCRIBED:
            move([row.pk], State.SENT, out_of=ON_ITS_WAY, at=now, by=BY, reason=ARRIVED)
            if _same(patient.email, row.sent_to):
                _refuse_mail(report, row, patient, now)


def _came_back(report: Report, row: Reminder, patient: Patient, now: datetime) -> None:
    """The mail has failed; a letter or a call takes its place unless it can be tried again."""
    reason = report.words or CAME_BACK
    to_old_address = not _same(rehearsal.addressee(patient), row.sent_to)
    dead = report.permanent or _transient_failures(row) >= MOST_TRANSIENT
    if dead:
        record_bounce(patient.pk, by=BY, address=row.sent_to, reason=reason, on=today_at(row.clinic, now))
    failed = move([row.pk], State.FAILED, out_of=[State.SENT, *ON_ITS_WAY], at=now, by=BY, reason=reason)
    if not failed:
        return
    if to_old_address and _still_helps(row, now):
        none = -row.attempts
        move(failed, State.PLANNED, out_of=[State.FAILED], at=now, by=BY, reason=ANOTHER_ADDRESS, attempts=none)
    elif not dead and not to_old_address and _still_helps(row, now + AGAIN_AFTER):
        later = now + AGAIN_AFTER
        move(failed, State.PLANNED, out_of=[State.FAILED], at=now, by=BY, reason=TRY_AGAIN, not_before=later)
    elif dead:
        substitutes.open_for(failed, by=BY, at=now)


def _transient_failures(row: Reminder) -> int:
    """How many mails to this address came back for a passing reason lately, this one among them.

    Two servers may tell of one mail: what is told of it on one day counts once.
    """
    told = DeliveryEvent.objects.filter(patient=row.patient_id, address__iexact=row.sent_to)
    came_back = told.filter(kind=Kind.BOUNCED, permanent=False)
    latest = came_back.aggregate(at=Max("at"))["at"]
    if latest is None:
        return 0
    delivered = told.filter(kind=Kind.DELIVERED).aggregate(at=Max("at"))["at"]
    recent = came_back.filter(at__gt=latest - TRANSIENT_WITHIN)
    since = recent.filter(at__gt=delivered) if delivered else recent
    return since.order_by().values("reminder", "at__date").distinct().count()


def _still_helps(row: Reminder, at: datetime) -> bool:
    """Whether the mail could go then, as things stand."""
    fresh = Reminder.objects.select_related("patient", "clinic").get(pk=row.pk)
    return decide(cases_for([fresh], at)[row.pk]).action in (Action.SEND, Action.LATER)


def _refuse_mail(report: Report, row: Reminder, patient: Patient, now: datetime) -> None:
    """The patient wants no e-mail, unless they said otherwise since. What comes is then written or telephoned."""
    day = today_at(row.clinic, min(report.at, now))
    wish = ContactWish.objects.filter(patient=patient, channel=Channel.EMAIL).first()
    if wish and (not wish.allowed or wish.on > day):
        return
    today = today_at(row.clinic, now)
    set_contact_wish(patient.pk, by=BY, channel=Channel.EMAIL, allowed=False, how=HOW[report.kind], on=today)
