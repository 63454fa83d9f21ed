"""Reminders: which mail is due, who has claimed it, what came of it. The row is the queue."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient

from .appointment import Appointment


class Reminder(models.Model):
    """One mail of one patient, for both hips. `cycle_on` and `due_on` name the episode that it belongs to.

    A mail about an appointment names that and the `sequence` that it tells of; both days are then the appointment's.
    """

    class Step(models.TextChoices):
        SYMPTOM_CHECK = "symptom_check", _("Symptom check")
        BOOKING_PROMPT = "booking_prompt", _("Time to book")
        DUE = "due", _("Due")
        MISSED = "missed", _("Missed")
        SECOND_MISSED = "second_missed", _("Second missed")
        APPOINTMENT_SOON = "visit_in_3_days", _("Appointment in 3 days")
        APPOINTMENT_NEAR = "visit_in_1_day", _("Appointment tomorrow")
        APPOINTMENT_MOVED = "visit_moved", _("Appointment moved")
        APPOINTMENT_CANCELLED = "visit_cancelled", _("Appointment cancelled")

    OF_APPOINTMENTS = (Step.APPOINTMENT_SOON, Step.APPOINTMENT_NEAR, Step.APPOINTMENT_MOVED, Step.APPOINTMENT_CANCELLED)

    class State(models.TextChoices):
        PLANNED = "planned", _("Planned")
        SENDING = "sending", _("Sending")
        SENT = "sent", _("Sent")
        REFUSED = "refused", _("Not sent")
        EXPIRED = "expired", _("Too late, not sent")
        CANCELLED = "cancelled", _("No longer needed")
        FAILED = "failed", _("Failed")
        UNCERTAIN = "uncertain", _("Uncertain")

    # Whether the mail went out can be uncertain; whether it may be tried again never is. What was sent may come back.
    # A mail that was put off stands as planned until it is known whose fault that was; then it may have failed.
    TRANSITIONS: dict[str, frozenset[str]] = {
        State.PLANNED: frozenset({State.SENDING, State.REFUSED, State.EXPIRED, State.CANCELLED, State.FAILED}),
        State.SENDING: frozenset({State.SENT, State.FAILED, State.PLANNED, State.UNCERTAIN}),
        State.UNCERTAIN: frozenset({State.SENT, State.PLANNED, State.FAILED}),
        State.REFUSED: frozenset({State.PLANNED}),
        State.CANCELLED: frozenset({State.PLANNED}),
        State.FAILED: frozenset({State.PLANNED}),
        State.EXPIRED: frozenset(),
        State.SENT: frozenset({State.FAILED}),
    }

    # No index of these three alone: each begins one of those below, and every mail would write them twice.
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="reminders", db_index=False)
    appointment = models.ForeignKey(
        Appointment,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="reminders",
        db_constraint=False,
        db_index=False,
    )
    appointment_sequence = models.PositiveSmallIntegerField(null=True, blank=True)
    cycle_on = models.DateField()
    due_on = models.DateField()
    step = models.CharField(max_length=16, choices=Step.choices)
    send_on = models.DateField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.PLANNED)
    reason = models.CharField(max_length=200, blank=True)  # why not sent, or why uncertain, in words
    language = models.CharField(max_length=8, blank=True)
    sent_to = models.EmailField(blank=True)
    message_id = models.CharField(max_length=120, blank=True)
    provider_id = models.CharField(max_length=200, blank=True)  # under which a provider tells what became of it
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(null=True, blank=True)  # after a transient failure
    claimed_by = models.CharField(max_length=80, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["send_on", "id"]
        constraints = [
            # By clinic first: lists of one go by it. Other rows are tied to all three.
            models.UniqueConstraint(fields=["clinic", "id", "patient"], name="reminder_of_one_patient"),
            models.UniqueConstraint(
                fields=["patient", "cycle_on", "due_on", "step"],
                condition=Q(appointment__isnull=True),
                name="reminder_once_per_step",
            ),
            models.UniqueConstraint(
                fields=["appointment", "appointment_sequence", "step"],
                condition=Q(appointment__isnull=False),
                name="reminder_once_per_appointment_step",
            ),
            models.CheckConstraint(
                condition=Q(appointment__isnull=True, appointment_sequence__isnull=True)
                | Q(appointment__isnull=False, appointment_sequence__isnull=False),
                name="reminder_tells_of_one_sequence",
            ),
            models.CheckConstraint(
                condition=~Q(state="sending") | Q(lease_until__isnull=False), name="sending_has_lease"
            ),
            models.CheckConstraint(condition=~Q(state="sent") | ~Q(sent_to=""), name="sent_names_address"),
            models.CheckConstraint(
                condition=~Q(state__in=["refused", "expired", "uncertain", "failed"]) | ~Q(reason=""),
                name="not_sent_gives_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["send_on", "id"], condition=Q(state="planned"), name="reminders_to_send"),
            models.Index(fields=["lease_until"], condition=Q(state="sending"), name="reminders_in_flight"),
            models.Index(fields=["clinic", "state", "-send_on"], name="reminders_by_state"),
            models.Index(fields=["patient", "-send_on"], name="reminders_by_patient"),
            models.Index(fields=["message_id"], condition=~Q(message_id=""), name="reminders_by_message_id"),
            models.Index(fields=["provider_id"], condition=~Q(provider_id=""), name="reminders_by_provider_id"),
        ]

    def __str__(self) -> str:
        return f"{self.get_step_display()} {self.send_on}"


class ReminderEvent(models.Model):
    """What happened to a reminder, in order; rows are only added."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    reminder = models.ForeignKey(Reminder, on_delete=models.PROTECT, related_name="events")
    at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=10, choices=Reminder.State.choices)
    reason = models.CharField(max_length=200, blank=True)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["at", "id"]

    def __str__(self) -> str:
        return f"{self.state} {self.at:%Y-%m-%d %H:%M}"
