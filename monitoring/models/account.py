"""What accounts need: invitations to a clinic, mail about an account, forms that a time-out kept from being sent."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone

from patients.models import Clinic, Role, User


class Invitation(models.Model):
    """Who is asked to work in a clinic, with which roles; they hold them once it is accepted.

    Its link is signed from `nonce`, which nobody is shown: a new nonce ends the links mailed before.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    email = models.EmailField()
    name = models.CharField(max_length=120)
    roles = ArrayField(models.CharField(max_length=16, choices=Role.choices))
    nonce = models.CharField(max_length=32)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    invited_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True)
    accepted_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-invited_at", "-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True) | Q(revoked_at__isnull=True),
                name="invitation_not_accepted_and_revoked",
            ),
            models.CheckConstraint(
                condition=Q(accepted_at__isnull=True, accepted_by__isnull=True)
                | Q(accepted_at__isnull=False, accepted_by__isnull=False),
                name="invitation_accepted_by_somebody",
            ),
            models.UniqueConstraint(
                Lower("email"),
                "clinic",
                condition=Q(accepted_at__isnull=True, revoked_at__isnull=True),
                name="invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name}, {self.clinic}"


class AccountMail(models.Model):
    """One mail about somebody's account; what it says is encrypted, and emptied once it has gone."""

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        SENT = "sent"
        FAILED = "failed"

    kind = models.CharField(max_length=40)
    to = models.EmailField()
    content = models.TextField(blank=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    not_before = models.DateTimeField(default=timezone.now)
    useful_until = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["not_before"], condition=Q(state__in=["waiting", "sending"]), name="account_mail_due")
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=["waiting", "sending"]) | Q(content=""), name="account_mail_emptied_when_gone"
            )
        ]

    def __str__(self) -> str:
        return f"{self.kind}, {self.state}"


class KeptForm(models.Model):
    """What somebody sent after their session had ended, encrypted, for them alone and for an hour."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+")
    content = models.TextField()
    kept_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-kept_at", "-id"]
        indexes = [models.Index(fields=["kept_at"], name="kept_forms_by_age")]

    def __str__(self) -> str:
        return f"form of {self.user_id}"
