"""Webhooks: where another system wants to hear of new flags and reviews, and what was told to it or is still to be."""

import uuid

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, User


class WebhookEndpoint(models.Model):
    """The secrets are kept encrypted: signing needs them. The former one signs as well until its time is over."""

    class Event(models.TextChoices):
        FLAG = "flag.opened", _("A finding was raised")
        REVIEW = "review.opened", _("A review was opened")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    name = models.CharField(max_length=80)
    url = models.CharField(max_length=500)
    events = ArrayField(models.CharField(max_length=16, choices=Event.choices))
    secret = models.TextField()
    former_secret = models.TextField(blank=True)
    former_until = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    told_until = models.DateTimeField(default=timezone.now)  # what was opened before has its delivery
    ended_at = models.DateTimeField(null=True)
    ended_because = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.name


class WebhookDelivery(models.Model):
    """One thing that one system is told; the row is the queue. `object_id` is the flag's or the review's."""

    class State(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        SENDING = "sending", _("Sending")
        DELIVERED = "delivered", _("Delivered")
        GIVEN_UP = "given_up", _("Given up")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="deliveries")
    event = models.CharField(max_length=16, choices=WebhookEndpoint.Event.choices)
    object_id = models.BigIntegerField()
    patient_id = models.BigIntegerField()
    hip_id = models.BigIntegerField()
    opened_at = models.DateTimeField()
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    not_before = models.DateTimeField(default=timezone.now)
    lease_until = models.DateTimeField(null=True)
    claimed_by = models.CharField(max_length=80, blank=True)
    reason = models.CharField(max_length=200, blank=True)
    decided_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-opened_at", "-id"]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "event", "object_id", "opened_at"], name="webhook_told_once"),
            models.CheckConstraint(condition=~Q(state="sending") | Q(lease_until__isnull=False), name="webhook_lease"),
            models.CheckConstraint(
                condition=~Q(state="given_up") | ~Q(reason=""), name="webhook_given_up_gives_reason"
            ),
        ]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=["waiting", "sending"]), name="webhooks_due"),
            models.Index(fields=["endpoint", "state"], name="webhooks_by_endpoint"),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.object_id}"
