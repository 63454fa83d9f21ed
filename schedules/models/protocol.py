"""Protocol versions: the guideline's parameters as a clinic group adopted them, fixed by digest."""

import pghistory
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from patients.models import User


@pghistory.track(level=pghistory.Statement, append_only=True)
class ProtocolVersion(models.Model):
    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SUBMITTED = "submitted", _("Submitted")
        UNDER_REVIEW = "under_review", _("Under review")
        APPROVED = "approved", _("Approved")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    name = models.CharField(max_length=60)  # "onfh-small-lesion/1"
    parameters = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT)
    in_force_from = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    actor = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-in_force_from", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="protocol_version_once"),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(in_force_from__isnull=False), name="approved_protocol_has_date"
            ),
        ]

    def __str__(self) -> str:
        return self.name
