"""Census: every enrolled hip in exactly one bucket, counted from raw facts apart from the code that sets statuses."""

from django.db import models
from django.utils import timezone

from patients.models import Clinic


class Census(models.Model):
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    on = models.DateField()
    at = models.DateTimeField(default=timezone.now)
    enrolled_hips = models.PositiveIntegerField()
    buckets = models.JSONField()
    disagreements = models.JSONField(default=list)  # hips on which lists and census differ, at most 100, by id
    adds_up = models.BooleanField()

    class Meta:
        ordering = ["-on", "-id"]
        indexes = [models.Index(fields=["clinic", "-id"], name="census_by_clinic")]

    def __str__(self) -> str:
        return f"{self.on}: {self.enrolled_hips}"
