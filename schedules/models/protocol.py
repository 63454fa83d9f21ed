"""Protocol versions: the guideline's parameters as drafted, reviewed and adopted, and each step on the way.

A version is of the whole installation: what a hip is asked must not depend on which clinic's door it comes through.
"""

import pghistory
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from patients.models import User


@pghistory.track(level=pghistory.Statement, append_only=True)
class ProtocolVersion(models.Model):
    """Its parameters can be changed while it is a draft or was returned; the database fixes them from then on."""

    class State(models.TextChoices):
        DRAFT = "draft", _("Draft")
        SUBMITTED = "submitted", _("Submitted")
        UNDER_REVIEW = "under_review", _("Under review")
        RETURNED = "returned", _("Returned")
        APPROVED = "approved", _("Approved")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    name = models.CharField(max_length=60)  # "onfh-small-lesion/1"
    parameters = models.JSONField()
    digest = models.CharField(max_length=64)
    state = models.CharField(max_length=12, choices=State.choices, default=State.DRAFT)
    in_force_from = models.DateField(null=True, blank=True)
    note = models.TextField(blank=True)
    based_on = models.ForeignKey("self", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    submitted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    approved_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    actor = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-in_force_from", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["name"], name="protocol_version_once"),
            models.UniqueConstraint(
                fields=["in_force_from"], condition=Q(state="approved"), name="one_protocol_comes_into_force_a_day"
            ),
            models.UniqueConstraint(
                fields=["state"],
                condition=Q(state="approved", based_on__isnull=True),
                name="one_protocol_was_the_first",
            ),
            models.CheckConstraint(
                condition=Q(state__in=["draft", "submitted", "under_review", "returned", "approved", "withdrawn"]),
                name="protocol_state_known",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved") | Q(in_force_from__isnull=False), name="approved_protocol_has_date"
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["submitted", "under_review", "returned"]) | Q(submitted_by__isnull=False),
                name="submitted_protocol_says_by_whom",
            ),
            models.CheckConstraint(
                condition=~Q(state="approved")
                | Q(based_on__isnull=True)
                | Q(created_by__isnull=False, submitted_by__isnull=False, approved_by__isnull=False),
                name="approved_protocol_says_by_whom",
            ),
            models.CheckConstraint(
                condition=Q(approved_by__isnull=True)
                | (~Q(approved_by=F("created_by")) & ~Q(approved_by=F("submitted_by"))),
                name="protocol_approved_by_another",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ProtocolStep(models.Model):
    """One step of a version: who did what to it, when, and the digest it had then. Rows are only added."""

    class Act(models.TextChoices):
        DRAFTED = "drafted", _("Drafted")
        EDITED = "edited", _("Parameters changed")
        SUBMITTED = "submitted", _("Submitted")
        TAKEN_UP = "taken_up", _("Review begun")
        RETURNED = "returned", _("Returned")
        APPROVED = "approved", _("Approved")
        WITHDRAWN = "withdrawn", _("Withdrawn")

    version = models.ForeignKey(ProtocolVersion, on_delete=models.PROTECT, related_name="steps")
    act = models.CharField(max_length=12, choices=Act.choices)
    state = models.CharField(max_length=12, choices=ProtocolVersion.State.choices)  # after the step
    digest = models.CharField(max_length=64)
    reason = models.TextField(blank=True)
    user = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=120)
    at = models.DateTimeField()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=~Q(actor=""), name="protocol_step_names_actor"),
            models.CheckConstraint(
                condition=~Q(act__in=["returned", "withdrawn"]) | ~Q(reason=""), name="protocol_step_gives_reason"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_act_display()} {self.actor}"
