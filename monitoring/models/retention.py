"""Retention: for how long a clinic keeps who somebody was, and each run that took names out of records."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, User


class RetentionRule(models.Model):
    """One row a clinic and kind; without one everything is kept. `automatic`: done every night, nobody is asked."""

    class Kind(models.TextChoices):
        ENDED_PATIENTS = "ended_patients", _("Names of patients whose follow-up is over")
        MESSAGES = "messages", _("Addresses to which mail went")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=16, choices=Kind.choices)
    months = models.PositiveSmallIntegerField()
    automatic = models.BooleanField(default=False)
    changed_at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["clinic", "kind"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "kind"], name="retention_rule_once"),
            models.CheckConstraint(condition=Q(kind__in=["ended_patients", "messages"]), name="retention_kind_known"),
            models.CheckConstraint(condition=Q(months__gte=12, months__lte=600), name="retention_months_in_bounds"),
        ]

    def __str__(self) -> str:
        return f"{self.kind}: {self.months} months"


class RetentionRun(models.Model):
    """What a rule found, as it was proposed, and what became of it. `subjects`: ids of patients."""

    class State(models.TextChoices):
        PROPOSED = "proposed", _("Waits for a second person")
        APPROVED = "approved", _("Being carried out")
        DONE = "done", _("Done")
        REJECTED = "rejected", _("Rejected")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_index=False)
    kind = models.CharField(max_length=16, choices=RetentionRule.Kind.choices)
    months = models.PositiveSmallIntegerField()
    before = models.DateField()
    subjects = ArrayField(models.BigIntegerField())
    automatic = models.BooleanField(default=False)
    state = models.CharField(max_length=8, choices=State.choices, default=State.PROPOSED)
    done = models.PositiveIntegerField(default=0)
    skipped = models.PositiveIntegerField(default=0)
    proposed_at = models.DateTimeField(default=timezone.now)
    proposed_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    proposed_actor = models.CharField(max_length=120)
    decided_at = models.DateTimeField(null=True)
    decided_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+", db_index=False)
    decided_actor = models.CharField(max_length=120, blank=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["clinic", "-id"], name="retention_runs_latest")]
        constraints = [
            models.CheckConstraint(
                condition=~Q(state__in=["approved", "done"])
                | Q(automatic=True)
                | (Q(proposed_by__isnull=False, decided_by__isnull=False) & ~Q(proposed_by=F("decided_by"))),
                name="retention_run_by_two",
            ),
            models.CheckConstraint(
                condition=~Q(state="rejected") | ~Q(reason=""), name="retention_rejected_with_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind}, {len(self.subjects)}: {self.state}"
