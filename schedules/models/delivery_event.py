"""Delivery events: what a mail provider, or a mail that came back, told of a mail after its server had taken it."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient

from .reminder import Reminder


class DeliveryEvent(models.Model):
    """One report of one mail; rows are only added. `event_id` is the provider's own or made of what the report says.

    `address`: whom the mail had gone to. `permanent`: of a bounce, that the address takes no mail at all. `at` is the
    time that the report gives.
    """

    class Kind(models.TextChoices):
        DELIVERED = "delivered", _("Delivered")
        BOUNCED = "bounced", _("Came back")
        COMPLAINED = "complained", _("Marked as unwanted")
        DEFERRED = "deferred", _("Delayed on its way")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    reminder = models.ForeignKey(Reminder, on_delete=models.PROTECT, related_name="delivery_events")
    kind = models.CharField(max_length=12, choices=Kind.choices)
    permanent = models.BooleanField(default=False)
    at = models.DateTimeField()
    received_at = models.DateTimeField(default=timezone.now)
    provider = models.CharField(max_length=24)
    event_id = models.CharField(max_length=120)
    address = models.EmailField()
    words = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["provider", "event_id"], name="delivery_event_once"),
            models.CheckConstraint(
                condition=Q(kind__in=["delivered", "bounced", "complained", "deferred", "unsubscribed"]),
                name="delivery_event_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(permanent=False) | Q(kind="bounced"), name="only_a_bounce_can_be_permanent"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.at:%Y-%m-%d %H:%M}"
