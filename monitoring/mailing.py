"""Mailing: what mail must know of monitoring (snoozes, symptoms) and what monitoring hears of mail (its heartbeat)."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from django.db.models import QuerySet
from django.db.models.functions import Greatest, TruncDate

from patients.access import Viewer
from schedules import bounce_mailbox, circumstances, delivery
from schedules.models import MailServer, Reminder

from . import heartbeats
from .models import HipEvaluation, Snooze

AHEAD_DAYS = 14
State = Reminder.State
STATES: dict[str, tuple[State, ...]] = {
    "upcoming": (State.PLANNED, State.SENDING),
    "uncertain": (State.UNCERTAIN,),
    "failed": (State.FAILED,),
    "refused": (State.REFUSED, State.EXPIRED),
    "sent": (State.SENT,),
}


def connect() -> None:
    """Mail waits for snoozed patients, and its runs beat the heart that the pages show."""
    circumstances.snoozes_from(snoozed_until)
    circumstances.symptomatic_from(symptomatic_hips)
    delivery.tell_runs_to(on_run)
    bounce_mailbox.tell_polls_to(on_poll)


def snoozed_until(patient_ids: Collection[int]) -> Mapping[int, date]:
    """The day on which each snoozed patient comes back."""
    running = Snooze.objects.filter(patient__in=list(patient_ids), ended_at__isnull=True)
    return dict(running.values_list("patient_id", "until"))


def symptomatic_hips(patient_ids: Collection[int]) -> Collection[int]:
    """The hips of these patients that hurt, by their standing evaluation."""
    hurting = HipEvaluation.objects.filter(patient__in=list(patient_ids), symptomatic=True)
    return set(hurting.values_list("hip_id", flat=True))


def messages_in(tab: str, viewer: Viewer, today: date, *, clinic: int | None = None) -> QuerySet[Reminder]:
    """The reminders of one view of the Messages page. Raises KeyError for no such view."""
    rows = Reminder.objects.filter(clinic__in=viewer.clinic_ids, state__in=STATES[tab])
    if clinic is not None:
        rows = rows.filter(clinic=clinic)
    if tab == "upcoming":
        rows = rows.filter(send_on__lte=today + timedelta(days=AHEAD_DAYS))
        return rows.order_by(Greatest("send_on", TruncDate("not_before")), "id")  # PostgreSQL's leaves out what is null
    return rows.order_by("-send_on", "-id")


@dataclass(frozen=True, slots=True)
class ServerTrouble:
    """The mail server refuses everything, and so many mails of the viewer's clinics wait for it."""

    server: MailServer
    waiting: int


def server_trouble(refusing: Iterable[MailServer], viewer: Viewer, now: datetime) -> ServerTrouble | None:
    """`refusing`: the rows of `mail_server.refusing`."""
    row = next(iter(refusing), None)
    if row is None:
        return None
    return ServerTrouble(row, delivery.waiting(now).filter(clinic__in=viewer.clinic_ids).count())


def on_run(now: datetime, behind: int) -> None:
    heartbeats.finished("mail", now, behind=behind, note="The mail server refuses everything." if behind else "")


def on_poll(now: datetime, tally: bounce_mailbox.Tally) -> None:
    heartbeats.finished("bounces", now, behind=tally.failed, note=str(tally))
