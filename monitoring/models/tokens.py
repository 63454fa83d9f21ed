"""API tokens: hashed, scoped, bound to one clinic, expiring; and the replies kept for repeated writes."""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

from patients.models import Clinic, User


class ApiToken(models.Model):
    """Only the SHA-256 of the secret is kept; `prefix` lets people tell tokens apart."""

    name = models.CharField(max_length=80)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    digest = models.CharField(max_length=64, unique=True)
    prefix = models.CharField(max_length=12)
    scopes = ArrayField(models.CharField(max_length=16))  # read, record, work, decide, restricted
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()
    last_used_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at", "-id"]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class IdempotentReply(models.Model):
    """The reply to a write that carried an Idempotency-Key, so that a repeat gets the same and writes nothing."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_index=False)
    token = models.ForeignKey(ApiToken, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=80)
    request_digest = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["token", "key"], name="idempotency_key_once")]

    def __str__(self) -> str:
        return self.key
