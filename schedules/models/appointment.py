"""Appointments: when a patient is to come, what for, and what came of it. Changed in place, with a history."""

import uuid
from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient, User


class Appointment(models.Model):
    """One arranged time. `uid` names it in calendars for good; `sequence` rises with each change that they must see."""

    class Purpose(models.TextChoices):
        VISIT = "visit", _("Clinic visit")
        RADIOGRAPHS = "radiographs", _("Radiographs")
        MRI = "mri", _("MRI")
        CT = "ct", _("CT")
        TELEPHONE = "telephone", _("Telephone call")

    class State(models.TextChoices):
        BOOKED = "booked", _("Booked")
        MOVED = "moved", _("Moved")
        CANCELLED = "cancelled", _("Cancelled")
        ATTENDED = "attended", _("Attended")
        DID_NOT_ATTEND = "did_not_attend", _("Did not attend")

    # Whether somebody came can be corrected; a cancelled time is booked anew.
    TRANSITIONS: dict[str, frozenset[str]] = {
        State.BOOKED: frozenset({State.MOVED, State.CANCELLED, State.ATTENDED, State.DID_NOT_ATTEND}),
        State.MOVED: frozenset({State.MOVED, State.CANCELLED, State.ATTENDED, State.DID_NOT_ATTEND}),
        State.ATTENDED: frozenset({State.DID_NOT_ATTEND}),
        State.DID_NOT_ATTEND: frozenset({State.ATTENDED}),
        State.CANCELLED: frozenset(),
    }
    STANDING = (State.BOOKED, State.MOVED)

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="appointments", db_constraint=False)
    starts_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField(default=30)
    purpose = models.CharField(max_length=14, choices=Purpose.choices, default=Purpose.VISIT)
    place = models.CharField(max_length=120, blank=True)  # mail names it: it must not tell the disease
    clinician = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="appointments_held"
    )
    state = models.CharField(max_length=14, choices=State.choices, default=State.BOOKED)
    uid = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    sequence = models.PositiveSmallIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)  # for staff; never in mail
    cancelled_reason = models.CharField(max_length=200, blank=True)
    booked_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    actor = models.CharField(max_length=120)  # of the latest change
    created_at = models.DateTimeField(default=timezone.now)
    changed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["starts_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "patient", "clinic"], name="appointment_of_one_patient"),
            models.UniqueConstraint(
                fields=["patient", "starts_at"],
                condition=Q(state__in=["booked", "moved"]),
                name="appointment_once_at_a_time",
            ),
            models.CheckConstraint(condition=Q(minutes__gte=5, minutes__lte=480), name="appointment_has_length"),
            models.CheckConstraint(
                condition=~Q(state="cancelled") | ~Q(cancelled_reason=""), name="cancelled_appointment_gives_reason"
            ),
            models.CheckConstraint(
                condition=Q(purpose__in=["visit", "radiographs", "mri", "ct", "telephone"]),
                name="appointment_purpose_known",
            ),
        ]
        indexes = [
            models.Index(fields=["clinic", "starts_at"], name="appointments_by_day"),
            models.Index(fields=["patient", "-starts_at"], name="appointments_by_patient"),
            models.Index(fields=["clinician", "starts_at"], name="appointments_by_clinician"),
        ]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.starts_at:%Y-%m-%d %H:%M}"

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.minutes)

    @property
    def is_standing(self) -> bool:
        return self.state in self.STANDING


class AppointmentEvent(models.Model):
    """What happened to an appointment, in order; rows are only added."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    appointment = models.ForeignKey(Appointment, on_delete=models.PROTECT, related_name="events", db_constraint=False)
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=14, choices=Appointment.State.choices)
    sequence = models.PositiveSmallIntegerField()
    starts_at = models.DateTimeField()
    minutes = models.PositiveSmallIntegerField()
    purpose = models.CharField(max_length=14, choices=Appointment.Purpose.choices)
    place = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.state} {self.starts_at:%Y-%m-%d %H:%M}"


class CalendarFeed(models.Model):
    """The address at which a clinician's calendar may be read; a new `serial` makes the earlier address void."""

    user = models.OneToOneField(User, on_delete=models.CASCADE, related_name="calendar_feed")
    serial = models.PositiveIntegerField(default=1)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.user_id}.{self.serial}"
