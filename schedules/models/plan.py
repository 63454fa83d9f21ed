"""Plans: the follow-up window of each hip, one row a cycle. Derived from the evaluation; never typed in."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Hip, Patient


class Plan(models.Model):
    """A cycle runs from one complete follow-up (or the start of follow-up) to the next; `cycle_on` is its first day.

    Each date is the first day of its status; see docs/guideline.md, section 5.
    """

    class State(models.TextChoices):
        CURRENT = "current", _("Current")
        KEPT = "kept", _("Kept")  # a complete follow-up began the next cycle
        CLOSED = "closed", _("Closed")  # the hip is no longer followed, or the cycle was derived anew

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="plans", db_constraint=False)
    hip = models.ForeignKey(Hip, on_delete=models.PROTECT, related_name="plans", db_constraint=False)
    cycle_on = models.DateField()
    state = models.CharField(max_length=8, choices=State.choices, default=State.CURRENT)
    pathway = models.CharField(max_length=24)
    interval_months = models.PositiveSmallIntegerField(null=True)
    opens_on = models.DateField()
    due_on = models.DateField()
    overdue_on = models.DateField()
    escalate_on = models.DateField()
    trace_on = models.DateField()
    gap_on = models.DateField()
    because = models.CharField(max_length=300)
    kept_on = models.DateField(null=True, blank=True)
    protocol = models.CharField(max_length=60)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["hip", "cycle_on"]
        constraints = [
            models.UniqueConstraint(fields=["hip", "cycle_on"], name="plan_once_per_hip_and_cycle"),
            models.UniqueConstraint(fields=["hip"], condition=Q(state="current"), name="one_current_plan_per_hip"),
            models.CheckConstraint(
                condition=Q(
                    opens_on__lte=models.F("due_on"),
                    due_on__lte=models.F("overdue_on"),
                    overdue_on__lte=models.F("escalate_on"),
                    escalate_on__lte=models.F("trace_on"),
                ),
                name="plan_dates_in_order",
            ),
        ]
        indexes = [
            models.Index(fields=["patient"], condition=Q(state="current"), name="current_plans_by_patient"),
            models.Index(fields=["clinic", "id"], condition=Q(state="current"), name="current_plans_by_clinic"),
            # What became of the windows of a year is counted from this alone.
            models.Index(
                fields=["clinic", "due_on"],
                include=["opens_on", "overdue_on", "kept_on", "state", "patient", "hip", "cycle_on"],
                name="plans_by_due_day",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.hip_id} due {self.due_on}"
