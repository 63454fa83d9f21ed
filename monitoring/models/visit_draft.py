"""Visit drafts: what somebody has typed into the visit form and not recorded yet; no clinical fact, for them alone."""

from django.db import models
from django.utils import timezone

from patients.models import Clinic, Patient, User


class VisitDraft(models.Model):
    """One form of one person about one patient. `typed`: {field: [text, ...]} as it was in the form."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+")
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", db_index=False)
    typed = models.JSONField()
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-saved_at", "-id"]
        constraints = [models.UniqueConstraint(fields=["user", "patient"], name="visit_draft_once_a_person")]
        indexes = [models.Index(fields=["saved_at"], name="visit_drafts_by_age")]

    def __str__(self) -> str:
        return f"draft of {self.saved_at:%Y-%m-%d %H:%M}"
