"""Volume: an unusual number of mails on one day waits for a person, who releases it or keeps it stopped."""

import statistics
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from django.db import transaction
from django.db.models import Count, QuerySet
from django.db.models.functions import TruncDate

from patients.changes import Actor, Change, announce
from patients.models import Clinic
from patients.recording import today_at

from .desk import stop_mail
from .message_plans import wishes_of
from .models import MessagePlan, Reminder

SENDING_DAYS = 28
LEAST_USUAL = 20  # mails a day: a small clinic's second mail is no alarm
LOOK_BACK = timedelta(days=200)
GONE = (Reminder.State.SENT, Reminder.State.SENDING, Reminder.State.UNCERTAIN)


def usual_day(clinic: Clinic, today: date) -> int:
    """The median of the mails sent on the clinic's last 28 days with mail before `today`, at least 20."""
    sent = Reminder.objects.filter(clinic=clinic, state=Reminder.State.SENT, decided_at__isnull=False)
    days = (
        sent.filter(send_on__gte=today - LOOK_BACK)
        .annotate(day=TruncDate("decided_at", tzinfo=clinic.zone))
        .filter(day__lt=today)
        .values("day")
        .annotate(mails=Count("id"))
        .order_by("-day")[:SENDING_DAYS]
    )
    counts: list[int] = [row["mails"] for row in days]
    return max(LEAST_USUAL, round(statistics.median(counts or [0])))


def hold_where_unusual(due: Mapping[int, int], *, by: Actor, now: datetime) -> list[int]:
    """Hold the mail of clinics where, with what went out today, more is due than the set multiple of a usual day.

    `due`: mails that are due now, by clinic. What a person released holds for that day of the clinic. Returns whom.
    """
    crowded = [pk for pk, count in due.items() if count > LEAST_USUAL]
    clinics = Clinic.objects.filter(id__in=crowded).exclude(message_plan__held_at__isnull=False).order_by("id")
    wishes = wishes_of(crowded)
    return [
        clinic.pk for clinic in clinics if _hold(clinic, due[clinic.pk], wishes[clinic.pk].volume_multiple, by, now)
    ]


def _hold(clinic: Clinic, due: int, multiple: int, by: Actor, now: datetime) -> bool:
    today = today_at(clinic, now)
    if MessagePlan.objects.filter(clinic=clinic, released_on=today).exists():
        return False
    limit = multiple * usual_day(clinic, today)
    begin = datetime.combine(today, datetime.min.time(), tzinfo=clinic.zone)
    gone = Reminder.objects.filter(clinic=clinic, state__in=GONE, decided_at__gte=begin).count()
    if gone + due <= limit:
        return False
    row, _made = MessagePlan.objects.get_or_create(clinic=clinic)
    row.held_at, row.held_count, row.held_limit = now, gone + due, limit
    row.save(update_fields=["held_at", "held_count", "held_limit"])
    _tell("hold_mail", clinic, by, reason=f"{gone + due} mails on one day; the limit is {limit}.")
    return True


def held(clinic_ids: Iterable[int]) -> dict[int, MessagePlan]:
    """The clinics whose mail waits for a person."""
    return {row.pk: row for row in plans_held(clinic_ids)}


def plans_held(clinic_ids: Iterable[int]) -> QuerySet[MessagePlan]:
    """Of the clinics whose mail waits for a person, by name."""
    rows = MessagePlan.objects.filter(clinic__in=list(clinic_ids), held_at__isnull=False)
    return rows.select_related("clinic").order_by("clinic__name", "pk")


@transaction.atomic
def release(clinic: Clinic, *, by: Actor, now: datetime) -> bool:
    """A person looked: all that is due today may go out. False when nothing was held any more."""
    row = MessagePlan.objects.select_for_update().filter(clinic=clinic, held_at__isnull=False).first()
    if row is None:
        return False
    reason = f"{row.held_count} mails on one day; the limit is {row.held_limit}."
    row.held_at, row.released_on = None, today_at(clinic, now)
    row.save(update_fields=["held_at", "released_on"])
    _tell("release_mail", clinic, by, reason=reason)
    return True


@transaction.atomic
def keep_stopped(clinic: Clinic, *, by: Actor) -> bool:
    """A person looked and mail stays stopped until it is switched on again. False when nothing was held any more."""
    row = MessagePlan.objects.select_for_update().filter(clinic=clinic, held_at__isnull=False).first()
    if row is None:
        return False
    stop_mail(clinic, by=by, reason=f"{row.held_count} mails on one day; the limit is {row.held_limit}.")
    row.held_at = None
    row.save(update_fields=["held_at"])
    return True


def _tell(act: str, clinic: Clinic, by: Actor, *, reason: str) -> None:
    announce(Change(act=act, by=by, clinic_id=clinic.pk, patient_id=None, reason=reason, clinical=False))
