"""Flags: findings that stand, one row per hip, rule and since. Opened and closed by the evaluation only."""

from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.models import Clinic, Hip, Patient


class Flag(models.Model):
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="flags", db_constraint=False)
    hip = models.ForeignKey(Hip, on_delete=models.PROTECT, related_name="flags")
    rule = models.CharField(max_length=4)
    since = models.DateField()
    action = models.CharField(max_length=32)
    urgency = models.CharField(max_length=8)
    act_by = models.DateField(null=True)
    step = models.CharField(max_length=10, blank=True)
    because = models.CharField(max_length=400)
    evidence = models.JSONField(default=list)
    sources = models.JSONField(default=list)
    opened_at = models.DateTimeField(default=timezone.now)
    closed_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["act_by", "since", "rule", "id"]
        constraints = [models.UniqueConstraint(fields=["hip", "rule", "since"], name="flag_once_per_hip_rule_and_day")]
        indexes = [
            models.Index(fields=["clinic", "opened_at"], condition=Q(closed_at__isnull=True), name="flags_by_opening"),
            models.Index(fields=["clinic", "id"], condition=Q(closed_at__isnull=True), name="open_flags_by_clinic"),
            models.Index(fields=["patient"], condition=Q(closed_at__isnull=True), name="open_flags_by_patient"),
            models.Index(
                fields=["clinic", "action", "act_by"], condition=Q(closed_at__isnull=True), name="open_flags_by_action"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.rule} {self.since}"
