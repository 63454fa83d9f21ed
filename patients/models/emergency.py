"""Emergency access to another clinic's record for an hour, and restricted records, which open only with a reason."""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from .clinic import Clinic
from .patient import Patient
from .staff import User


class EmergencyAccess(models.Model):
    """One person's look at a record of a clinic they do not work in: why, until when, what that clinic thinks of it."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    reason = models.CharField(max_length=300)
    opened_at = models.DateTimeField(default=timezone.now)
    ends_at = models.DateTimeField()
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    justified = models.BooleanField(null=True)
    review_note = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["user", "ends_at"], name="emergencies_of_user"),
            models.Index(fields=["clinic", "-id"], name="emergencies_of_clinic"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="emergency_has_reason"),
            models.CheckConstraint(condition=Q(ends_at__gte=F("opened_at")), name="emergency_ends_after_it_began"),
            models.CheckConstraint(
                condition=Q(reviewed_at__isnull=True, reviewed_by__isnull=True, justified__isnull=True)
                | Q(reviewed_at__isnull=False, reviewed_by__isnull=False, justified__isnull=False),
                name="emergency_reviewed_wholly",
            ),
            models.CheckConstraint(
                condition=Q(reviewed_by__isnull=True) | ~Q(reviewed_by=F("user")), name="emergency_reviewed_by_another"
            ),
        ]

    def __str__(self) -> str:
        return f"emergency {self.pk}"


class Restriction(models.Model):
    """A record that is opened only with a reason each time: of staff, of somebody well known."""

    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="restrictions")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    reason = models.CharField(max_length=300)
    set_at = models.DateTimeField(default=timezone.now)
    set_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["patient"], condition=Q(lifted_at__isnull=True), name="restricted_once"),
            models.CheckConstraint(condition=~Q(reason=""), name="restriction_has_reason"),
        ]

    def __str__(self) -> str:
        return f"restriction {self.pk}"
