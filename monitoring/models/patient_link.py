"""Patients' links: which of them were used up, so that each answers once."""

from django.db import models
from django.utils import timezone

from patients.models import Clinic, Patient
from schedules.links import Purpose
from schedules.models import Reminder


class PatientLinkUse(models.Model):
    """A link of this purpose in this mail did what it is good for; rows are only added."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    reminder = models.ForeignKey(Reminder, on_delete=models.PROTECT, related_name="link_uses")
    purpose = models.CharField(max_length=12, choices=[(purpose.value, purpose.value) for purpose in Purpose])
    used_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["used_at", "id"]
        constraints = [models.UniqueConstraint(fields=["purpose", "reminder"], name="patient_link_used_once")]

    def __str__(self) -> str:
        return f"{self.purpose} {self.used_at:%Y-%m-%d %H:%M}"
