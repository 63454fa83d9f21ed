"""Imports: one batch a file, with every row's outcome."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient, User


class ImportBatch(models.Model):
    class State(models.TextChoices):
        CHECKED = "checked", _("Checked, nothing saved")
        WAITING = "waiting", _("Waiting to be saved")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+")
    file_name = models.CharField(max_length=200)
    digest = models.CharField(max_length=64)
    content = models.BinaryField(null=True)  # kept between dry run and commit, then dropped
    all_or_nothing = models.BooleanField(default=True)
    state = models.CharField(max_length=8, choices=State.choices, default=State.CHECKED)
    rows_total = models.PositiveIntegerField(default=0)
    rows_done = models.PositiveIntegerField(default=0)
    rows_created = models.PositiveIntegerField(default=0)
    rows_updated = models.PositiveIntegerField(default=0)
    rows_unchanged = models.PositiveIntegerField(default=0)
    rows_refused = models.PositiveIntegerField(default=0)
    note = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    actor = models.CharField(max_length=120)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name


class ImportRow(models.Model):
    """One row that asks for attention or made a patient; rows without either are only counted."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()  # line of the file, the heading being 1
    outcome = models.CharField(max_length=10)  # created, updated, unchanged, refused
    problems = models.JSONField(default=list)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")

    class Meta:
        ordering = ["number", "id"]
        indexes = [models.Index(fields=["batch", "outcome", "number"], name="import_rows_by_outcome")]

    def __str__(self) -> str:
        return f"row {self.number}: {self.outcome}"
