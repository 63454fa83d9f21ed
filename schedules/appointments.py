"""Appointments: booked, moved, cancelled, kept or not, and the mails that tell patients of them.

Every act is one transaction under the patient's lock, names its actor, adds to the appointment's history and is
announced. An appointment is no clinical fact: whether a follow-up took place is known by what was recorded at it.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from patients.changes import Actor, Change, announce
from patients.models import Clinic, Patient, User
from patients.recording import lock_patient, today_at

from . import reminders, substitutes
from .circumstances import ASKING, useful_until
from .eligibility import Reason
from .mail import telling_words
from .models import Appointment, AppointmentEvent, Plan, Reminder

State = Appointment.State
Step = Reminder.Step
DAYS_BEFORE = {Step.APPOINTMENT_SOON: 3, Step.APPOINTMENT_NEAR: 1}
FARTHEST = timedelta(days=2 * 366)
LENGTHS = (5, 480)  # minutes

MISSED_WHEN_BOOKED = gettext_noop("Its day had passed when the appointment was made.")
TOLD_ALREADY = gettext_noop("The mail about the new time tells it.")
TIME_CHANGED = gettext_noop("The appointment was changed.")
NO_LONGER = gettext_noop("The appointment does not take place.")
STANDS_AGAIN = gettext_noop("The patient has an appointment at this time again.")
WAS_KEPT = gettext_noop("The appointment is over.")


class BookingRefused(ValueError):
    """What was asked cannot be done; `field` names the input, the message says why, and nothing was saved."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class AppointmentChanged(RuntimeError):
    """Somebody else changed the appointment meanwhile; `state` is where it stands, in words."""

    def __init__(self, state: str) -> None:
        super().__init__(f"The appointment is {state} by now.")
        self.state = state


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an appointment is to be: when, for how long, what for, where and with whom."""

    starts_at: datetime
    minutes: int = 30
    purpose: str = Appointment.Purpose.VISIT
    place: str = ""
    clinician: User | None = None
    note: str = ""

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)


def moment_at(clinic: Clinic, day: date, at: time) -> datetime:
    """That time by the clinic's clock; the earlier one where the clock shows it twice.

    Raises BookingRefused for a time that the clock leaves out.
    """
    there = datetime.combine(day, at, tzinfo=clinic.zone)
    if there.astimezone(UTC).astimezone(clinic.zone).replace(tzinfo=None) != there.replace(tzinfo=None):
        raise BookingRefused("time", _("The clocks change then: this time does not exist."))
    return there


# ---- What staff do


@transaction.atomic
def book(patient_id: int, wanted: Wanted, *, by: Actor, now: datetime | None = None) -> Appointment:
    """A new appointment, with the mails that remind of it. Raises BookingRefused."""
    now = now or timezone.now()
    patient = lock_patient(patient_id)
    refuse_impossible(patient, wanted, now)
    row = Appointment.objects.create(
        clinic_id=patient.clinic_id,
        patient=patient,
        **_columns(wanted),
        booked_by_id=by.user_id,
        actor=by.name[:120],
        created_at=now,
        changed_at=now,
    )
    _drop_cancellations(row, by=by, now=now)
    _plan_mails(row, patient.clinic, now)
    substitutes.reconsider([patient.pk], by=by, at=now)
    _tell(row, "book_appointment", by=by, now=now)
    return row


@transaction.atomic
def move(
    appointment_id: int, wanted: Wanted, *, by: Actor, sequence: int | None = None, now: datetime | None = None
) -> Appointment:
    """Another time, place or length for what stands; the patient is told once. Raises BookingRefused,
    AppointmentChanged (also when it no longer has the `sequence` that was looked at)."""
    now = now or timezone.now()
    row = _locked(appointment_id, sequence)
    patient, clinic = row.patient, row.patient.clinic
    refuse_impossible(patient, wanted, now, but=row)
    before = _said(row)
    if all(getattr(row, name) == value for name, value in _columns(wanted).items()):
        raise BookingRefused("day", _("Nothing is different: the appointment stands as it was."))
    _change(row, State.MOVED, by=by, now=now, sequence=row.sequence + 1, **_columns(wanted))
    _drop_mails(Reminder.objects.filter(appointment=row), TIME_CHANGED, by=by, now=now)
    _drop_cancellations(row, by=by, now=now)
    _plan_mails(row, clinic, now, news=Step.APPOINTMENT_MOVED)
    _ask_again(row, by=by, now=now)
    _tell(row, "move_appointment", by=by, now=now, before=before)
    return row


@transaction.atomic
def cancel(
    appointment_id: int,
    *,
    by: Actor,
    reason: str,
    tell_patient: bool = True,
    sequence: int | None = None,
    now: datetime | None = None,
) -> Appointment:
    """It does not take place; the patient is told, unless the time has passed, and reminders to come go on.

    Raises BookingRefused without a reason, AppointmentChanged when it does not stand any more.
    """
    now = now or timezone.now()
    if not reason.strip():
        raise BookingRefused("reason", _("Say why it does not take place."))
    row = _locked(appointment_id, sequence)
    before = _said(row)
    _change(row, State.CANCELLED, by=by, now=now, sequence=row.sequence + 1, cancelled_reason=reason.strip()[:200])
    _drop_mails(Reminder.objects.filter(appointment=row), NO_LONGER, by=by, now=now)
    if tell_patient and row.starts_at > now:
        today = today_at(row.patient.clinic, now)
        Reminder.objects.create(**_mail(row, Step.APPOINTMENT_CANCELLED, today, row.patient.clinic, now))
    _ask_again(row, by=by, now=now)
    _tell(row, "cancel_appointment", by=by, now=now, before=before, reason=reason.strip())
    return row


@transaction.atomic
def attended(appointment_id: int, *, by: Actor, now: datetime | None = None) -> Appointment:
    """The patient came. Raises BookingRefused before its day, AppointmentChanged."""
    return _settle(appointment_id, State.ATTENDED, "appointment_attended", by=by, now=now or timezone.now())


@transaction.atomic
def did_not_attend(appointment_id: int, *, by: Actor, now: datetime | None = None) -> Appointment:
    """The patient did not come: reminders go on. Raises BookingRefused before its time, AppointmentChanged."""
    return _settle(appointment_id, State.DID_NOT_ATTEND, "appointment_missed", by=by, now=now or timezone.now())


def _settle(appointment_id: int, to: State, act: str, *, by: Actor, now: datetime) -> Appointment:
    row = _locked(appointment_id)
    clinic = row.patient.clinic
    too_early = (
        now < row.starts_at if to == State.DID_NOT_ATTEND else today_at(clinic, now) < today_at(clinic, row.starts_at)
    )
    if too_early:
        raise BookingRefused("state", _("This can be said when the time has come."))
    before = _said(row)
    _change(row, to, by=by, now=now)
    _drop_mails(Reminder.objects.filter(appointment=row), WAS_KEPT, by=by, now=now)
    _ask_again(row, by=by, now=now)
    _tell(row, act, by=by, now=now, before=before)
    return row


# ---- Checking and storing


def refuse_impossible(patient: Patient, wanted: Wanted, now: datetime, *, but: Appointment | None = None) -> None:
    """Raises BookingRefused for what cannot be an appointment of this patient; `but` is the one that is moved."""
    if patient.died_on is not None:
        raise BookingRefused("day", _("The patient has died."))
    if wanted.starts_at <= now:
        raise BookingRefused("day", _("This time has passed."))
    if wanted.starts_at > now + FARTHEST:
        raise BookingRefused("day", _("This is more than two years ahead."))
    if not LENGTHS[0] <= wanted.minutes <= LENGTHS[1]:
        raise BookingRefused("minutes", _("Give a length between 5 minutes and 8 hours."))
    if wanted.purpose not in Appointment.Purpose.values:
        raise BookingRefused("purpose", _("Choose what the appointment is for."))
    if telling := telling_words(wanted.place):
        said = {"words": ", ".join(telling)}
        raise BookingRefused("place", _("Mail names the place and must not tell the disease: %(words)s.") % said)
    if _standing_but(but).filter(patient=patient, starts_at=wanted.starts_at).exists():
        raise BookingRefused("time", _("The patient has an appointment at this time already."))


def _columns(wanted: Wanted) -> dict[str, object]:
    return {
        "starts_at": wanted.starts_at,
        "minutes": wanted.minutes,
        "purpose": wanted.purpose,
        "place": " ".join(wanted.place.split())[:120],
        "clinician": wanted.clinician,
        "note": wanted.note.strip()[:300],
    }


def _locked(appointment_id: int, sequence: int | None = None) -> Appointment:
    """The appointment under its patient's lock. Raises AppointmentChanged when it has another `sequence` by now."""
    patient = lock_patient(Appointment.objects.values_list("patient_id", flat=True).get(pk=appointment_id))
    row = Appointment.objects.get(pk=appointment_id)
    row.patient = patient
    if sequence is not None and row.sequence != sequence:
        raise AppointmentChanged(str(row.get_state_display()))
    return row


def _change(row: Appointment, to: State, *, by: Actor, now: datetime, **columns: object) -> None:
    """Move the row on from where it was read, or raise AppointmentChanged."""
    if to not in Appointment.TRANSITIONS[row.state]:
        raise AppointmentChanged(str(row.get_state_display()))
    columns |= {"state": to, "actor": by.name[:120], "changed_at": now}
    there = Appointment.objects.filter(pk=row.pk, state=row.state, sequence=row.sequence)
    if not there.update(**columns):
        raise AppointmentChanged(str(row.get_state_display()))
    for name, value in columns.items():
        setattr(row, name, value)


def _said(row: Appointment) -> dict[str, str]:
    there = row.starts_at.astimezone(row.patient.clinic.zone)
    return {
        "appointment": f"{there:%Y-%m-%d %H:%M}",
        "purpose": str(row.purpose),
        "place": row.place,
        "state": str(row.state),
    }


def _tell(
    row: Appointment, act: str, *, by: Actor, now: datetime, before: dict[str, str] | None = None, reason: str = ""
) -> None:
    """Add to the history and announce."""
    AppointmentEvent.objects.create(
        clinic_id=row.clinic_id,
        patient_id=row.patient_id,
        appointment=row,
        at=now,
        reason=reason[:200],
        actor=by.name[:120],
        **{name: getattr(row, name) for name in ("state", "sequence", "starts_at", "minutes", "purpose", "place")},
    )
    announce(
        Change(
            act=act,
            by=by,
            clinic_id=row.clinic_id,
            patient_id=row.patient_id,
            facts=(("appointment", row.pk),),
            before=before or {},
            after=_said(row),
            reason=reason,
            clinical=False,
        )
    )


# ---- Mails


def _plan_mails(row: Appointment, clinic: Clinic, now: datetime, *, news: Step | None = None) -> None:
    """The mails about an appointment as it stands now; `news` goes out first, and what it tells is not said again."""
    today, day = today_at(clinic, now), today_at(clinic, row.starts_at)
    planned = [_mail(row, news, today, clinic, now)] if news else []
    for step, days in DAYS_BEFORE.items():
        send_on = day - timedelta(days=days)
        why = MISSED_WHEN_BOOKED if today > useful_until(step, day) else ""
        if news and send_on <= today:
            why = TOLD_ALREADY
        planned.append(_mail(row, step, send_on, clinic, now, expired=why))
    Reminder.objects.bulk_create(Reminder(**columns) for columns in planned)


def _mail(
    row: Appointment, step: Step, send_on: date, clinic: Clinic, now: datetime, *, expired: str = ""
) -> dict[str, object]:
    day = today_at(clinic, row.starts_at)
    return {
        "clinic_id": row.clinic_id,
        "patient_id": row.patient_id,
        "appointment": row,
        "appointment_sequence": row.sequence,
        "cycle_on": day,
        "due_on": day,
        "step": step,
        "send_on": send_on,
        "state": Reminder.State.EXPIRED if expired else Reminder.State.PLANNED,
        "reason": expired,
        "decided_at": now if expired else None,
        "created_at": now,
    }


def _drop_mails(mails: QuerySet[Reminder], reason: str, *, by: Actor, now: datetime) -> None:
    planned = list(mails.filter(state=Reminder.State.PLANNED).values_list("id", flat=True))
    reminders.move(planned, Reminder.State.CANCELLED, out_of=[Reminder.State.PLANNED], at=now, by=by, reason=reason)


def _drop_cancellations(row: Appointment, *, by: Actor, now: datetime) -> None:
    """What has not gone out yet of an earlier appointment at this time is not true any more; one more would say it."""
    earlier = Appointment.objects.filter(patient=row.patient_id, starts_at=row.starts_at).exclude(pk=row.pk)
    mails = Reminder.objects.filter(appointment__in=earlier, step=Step.APPOINTMENT_CANCELLED)
    _drop_mails(mails, STANDS_AGAIN, by=by, now=now)


def _ask_again(row: Appointment, *, by: Actor, now: datetime) -> None:
    """What the appointment held back is decided on anew: it may stand no more, or at a time that is too late."""
    held = Reminder.objects.filter(
        patient=row.patient_id, step__in=ASKING, state=Reminder.State.PLANNED, reason=Reason.APPOINTMENT_BOOKED
    )
    held.update(not_before=None, reason="")
    substitutes.reconsider([row.patient_id], by=by, at=now)


# ---- Looking


class Fit(StrEnum):
    """Where a day lies in the patient's follow-up window."""

    EARLY = "early"
    WITHIN = "within"
    LATE = "late"
    NONE = "none"


def window_of(patient_id: int) -> Plan | None:
    """The window that is due first."""
    return (
        Plan.objects.filter(patient=patient_id, state=Plan.State.CURRENT).order_by("due_on", "cycle_on", "id").first()
    )


def fit(day: date, window: Plan | None) -> Fit:
    """Whether an appointment on that day keeps the follow-up within its window."""
    if window is None:
        return Fit.NONE
    if day < window.opens_on:
        return Fit.EARLY
    return Fit.WITHIN if day < window.overdue_on else Fit.LATE


def beside(patient: Patient, wanted: Wanted, *, but: Appointment | None = None) -> list[Appointment]:
    """What else of the patient stands on that day by the clinic's clock, or at that time."""
    return _of_that_day(_standing_but(but).filter(patient=patient), wanted, patient.clinic)


def with_clinician(patient: Patient, wanted: Wanted, *, clinics: Collection[int]) -> list[Appointment]:
    """What stands with the same clinician and other patients of these clinics on that day, or at that time."""
    if wanted.clinician is None:
        return []
    theirs = _standing_but(None).filter(clinician=wanted.clinician, clinic__in=clinics).exclude(patient=patient)
    return _of_that_day(theirs, wanted, patient.clinic)


def _standing_but(but: Appointment | None) -> QuerySet[Appointment]:
    return Appointment.objects.filter(state__in=Appointment.STANDING).exclude(pk=but.pk if but else 0)


def _of_that_day(rows: QuerySet[Appointment], wanted: Wanted, clinic: Clinic) -> list[Appointment]:
    """Those on the day by the clinic's clock, or at the time, in order. None is longer than LENGTHS."""
    midnight = datetime.combine(today_at(clinic, wanted.starts_at), time(), tzinfo=clinic.zone)
    until = max(midnight + timedelta(days=1), wanted.ends_at)
    near = rows.filter(starts_at__gt=midnight - timedelta(minutes=LENGTHS[1]), starts_at__lt=until)
    return [row for row in near.order_by("starts_at", "id") if row.ends_at > midnight]


def standing(patient_ids: Iterable[int], *, since: datetime) -> dict[int, Appointment]:
    """The next appointment of each of these patients that stands and begins after `since`."""
    rows = Appointment.objects.filter(
        patient__in=list(patient_ids), state__in=Appointment.STANDING, starts_at__gte=since
    ).order_by("-starts_at", "-id")
    return {row.patient_id: row for row in rows}
