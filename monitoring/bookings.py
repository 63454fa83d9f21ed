"""Bookings: what an appointment does to the worklist: made as the outcome of a contact, and not kept."""

from datetime import date, time

from django.db import transaction
from django.utils.translation import gettext as _

from patients.access import Permission, Viewer
from patients.models import Patient, User
from schedules import appointments
from schedules.appointments import BookingRefused, Wanted
from schedules.models import Appointment

from . import outreach
from .models import ContactAttempt
from .outreach import WorkRefused


@transaction.atomic
def record_booking(
    patient: Patient,
    *,
    viewer: Viewer,
    today: date,
    on: date | None,
    at: time,
    purpose: str,
    clinician: User | None = None,
    owner: User | None = None,
    note: str = "",
) -> ContactAttempt:
    """The patient was reached and booked: both are stored, or neither. Raises WorkRefused at the field."""
    attempt = outreach.record_outcome(
        patient,
        outcome=ContactAttempt.Outcome.BOOKED,
        viewer=viewer,
        today=today,
        next_on=on,
        owner=owner,
        note=note,
    )
    try:
        starts_at = appointments.moment_at(patient.clinic, on or today, at)
        wanted = Wanted(starts_at, purpose=purpose, clinician=clinician)
        appointments.book(patient.pk, wanted, by=viewer.actor, now=attempt.at)
    except BookingRefused as refused:
        raise WorkRefused("next_on" if refused.field == "day" else refused.field, str(refused)) from refused
    return attempt


@transaction.atomic
def take_back(attempt: ContactAttempt, *, viewer: Viewer) -> None:
    """Undo an outcome with the appointment that was made in the same moment; the patient hears of neither."""
    outreach.undo_outcome(attempt, viewer=viewer)
    made = Appointment.objects.filter(
        patient=attempt.patient_id, created_at=attempt.at, booked_by=attempt.by_id, state__in=Appointment.STANDING
    )
    for row in made:
        appointments.cancel(row.pk, by=viewer.actor, reason=_("Taken back"), tell_patient=False)


@transaction.atomic
def did_not_attend(appointment: Appointment, *, viewer: Viewer) -> Appointment:
    """The patient did not come: on the lists at once, snoozed or not. Raises BookingRefused, AppointmentChanged."""
    viewer.check(Permission.WORK, appointment.clinic_id)
    row = appointments.did_not_attend(appointment.pk, by=viewer.actor)
    outreach.end_snooze(row.patient, viewer=viewer)
    return row
