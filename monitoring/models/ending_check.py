"""Ending checks: somebody has read an ending of follow-up again and says that it still holds; rows are only added."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.models import Clinic, Ending, Patient, User


class EndingCheck(models.Model):
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(
        Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False
    )
    ending = models.ForeignKey(Ending, on_delete=models.PROTECT, related_name="checks")
    known_from = models.CharField(max_length=300)  # how it is known to hold still
    at = models.DateTimeField(default=timezone.now)
    by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["-at", "-id"]
        constraints = [models.CheckConstraint(condition=~Q(known_from=""), name="ending_check_says_how")]

    def __str__(self) -> str:
        return f"{self.ending_id} {self.at:%Y-%m-%d}"
