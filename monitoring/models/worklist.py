"""Worklist: what came of trying to reach a patient, promises to come back later, and lists a person looks at often."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient, User


class ContactAttempt(models.Model):
    class Outcome(models.TextChoices):
        REACHED = "reached", _("Reached")
        NO_ANSWER = "no_answer", _("No answer")
        MESSAGE_LEFT = "message_left", _("Message left")
        BOOKED = "booked", _("Booked")
        DECLINED = "declined", _("Declined for now")
        MOVED = "moved", _("Moved away")
        WRONG_NUMBER = "wrong_number", _("Wrong number or address")
        NOTE = "note", _("Note")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="contact_attempts")
    outcome = models.CharField(max_length=14, choices=Outcome.choices)
    next_on = models.DateField(null=True, blank=True)
    owner = models.ForeignKey(User, on_delete=models.SET_NULL, null=True, blank=True, related_name="owned_contacts")
    note = models.CharField(max_length=500, blank=True)
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=120)
    undone_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["patient", "-at"], name="contacts_by_patient")]

    def __str__(self) -> str:
        return self.get_outcome_display()


class Snooze(models.Model):
    """A promise to return on `until`; it never changes an evaluation and ends by itself."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="snoozes")
    from_on = models.DateField()
    until = models.DateField()
    reason = models.CharField(max_length=200)
    owner = models.ForeignKey(User, on_delete=models.PROTECT, related_name="snoozes")
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=120)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-until", "-id"]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="snooze_has_reason"),
            models.CheckConstraint(
                condition=Q(until__gt=models.F("from_on")) & Q(until__lte=models.F("from_on") + 90),
                name="snooze_is_short",
            ),
            models.UniqueConstraint(
                fields=["patient"], condition=Q(ended_at__isnull=True), name="one_snooze_per_patient"
            ),
        ]
        indexes = [models.Index(fields=["clinic", "until"], condition=Q(ended_at__isnull=True), name="snoozes_running")]

    def __str__(self) -> str:
        return f"until {self.until}"


class SavedView(models.Model):
    """A tab with its filters under a name; it narrows what its owner may see and grants nothing."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    tab = models.CharField(max_length=16)
    query = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["user", "name"], name="view_name_once_per_person"),
            models.CheckConstraint(condition=~Q(name=""), name="view_has_name"),
        ]

    def __str__(self) -> str:
        return self.name
