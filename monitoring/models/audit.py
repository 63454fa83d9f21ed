"""Audit: who did or looked at what, when and why. The database refuses to change or remove a row."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class AuditEntry(models.Model):
    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=timezone.now)
    actor = models.CharField(max_length=120)
    user_id = models.BigIntegerField(null=True)
    act = models.CharField(max_length=60)
    clinic_id = models.BigIntegerField(null=True)  # no foreign keys: an entry outlives what it tells of
    patient_id = models.BigIntegerField(null=True)
    object = models.CharField(max_length=80, blank=True)
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)
    reason = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=32, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [models.CheckConstraint(condition=~Q(actor=""), name="audit_names_actor")]
        indexes = [
            models.Index(fields=["patient_id", "-id"], name="audit_by_patient"),
            models.Index(fields=["clinic_id", "-id"], name="audit_by_clinic"),
            models.Index(fields=["user_id", "-id"], name="audit_by_user"),
        ]

    def __str__(self) -> str:
        return f"{self.act} by {self.actor}"


class AuditSeal(models.Model):
    """The digest of the entries behind one id and up to another, which takes in the seal before: a chain."""

    after_id = models.BigIntegerField(unique=True)
    until_id = models.BigIntegerField(unique=True)
    count = models.PositiveIntegerField()
    previous = models.CharField(max_length=64, blank=True)
    digest = models.CharField(max_length=64, unique=True)
    sealed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.CheckConstraint(condition=Q(until_id__gt=models.F("after_id")), name="audit_seal_goes_on"),
            models.CheckConstraint(condition=Q(count__gt=0), name="audit_seal_of_something"),
        ]

    def __str__(self) -> str:
        return f"seal {self.pk} until entry {self.until_id}: {self.digest}"
