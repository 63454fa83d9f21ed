"""Hip: both always exist; and what the patient was exposed to that may have caused the disease."""

import pghistory
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from ..vocabulary import Condition, Side
from .choices import CONDITIONS, SIDES, one_of
from .clinic import Clinic
from .patient import Patient


class Hip(models.Model):
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="hips", db_constraint=False)
    side = models.CharField(max_length=5, choices=SIDES)

    class Meta:
        ordering = ["patient", "side"]
        constraints = [
            models.UniqueConstraint(fields=["patient", "side"], name="one_hip_a_side"),
            models.UniqueConstraint(fields=["id", "patient", "clinic"], name="hip_of_its_patient"),
            one_of("side", Side, name="hip_side_known"),
        ]
        indexes = [models.Index(fields=["clinic", "id"], name="hips_by_clinic")]

    def __str__(self) -> str:
        return f"{self.get_side_display()} hip"


@pghistory.track(level=pghistory.Statement, append_only=True)
class Exposure(models.Model):
    """Aetiology: an exposure or condition, of one hip or of the person, with dose and dates where known."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="exposures")
    side = models.CharField(max_length=5, choices=SIDES, blank=True, help_text=_("Empty: the person, not one hip."))
    kind = models.CharField(max_length=32, choices=CONDITIONS)
    started_on = models.DateField(null=True, blank=True)
    stopped_on = models.DateField(null=True, blank=True)
    dose = models.DecimalField(max_digits=10, decimal_places=2, null=True, blank=True)
    unit = models.CharField(max_length=20, blank=True)
    cumulative = models.CharField(max_length=60, blank=True)
    source = models.CharField(max_length=120, blank=True)
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["patient", "kind", "id"]
        constraints = [
            one_of("kind", Condition, name="exposure_kind_known"),
            models.CheckConstraint(
                condition=Q(stopped_on__isnull=True)
                | Q(started_on__isnull=True)
                | Q(stopped_on__gte=models.F("started_on")),
                name="exposure_stops_after_start",
            ),
        ]

    def __str__(self) -> str:
        return self.get_kind_display()
