"""Imports: one batch a file, with every row's outcome and what it wrote; and how a clinic's headings are read."""

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Patient, User


class ImportBatch(models.Model):
    class State(models.TextChoices):
        MAPPING = "mapping", _("Columns to be matched")
        CHECKED = "checked", _("Checked, nothing saved")
        WAITING = "waiting", _("Waiting to be saved")
        RUNNING = "running", _("Running")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")
        UNDOING = "undoing", _("Being undone")
        UNDONE = "undone", _("Undone")

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
    undo_reason = models.CharField(max_length=160, blank=True)
    undo_by = models.ForeignKey(User, on_delete=models.PROTECT, null=True, related_name="+")
    undo_actor = models.CharField(max_length=120, blank=True)
    undone_at = models.DateTimeField(null=True)
    undone = models.JSONField(default=dict)  # how many of what was taken back, by name

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.file_name


class ImportRow(models.Model):
    """One row that asks for attention or was saved; rows without either are only counted.

    `wrote` says what saving it wrote and `undone` what undoing took back and left, both as monitoring.imports.written
    has them; batches of before this was kept have neither.
    """

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    batch = models.ForeignKey(ImportBatch, on_delete=models.CASCADE, related_name="rows")
    number = models.PositiveIntegerField()  # line of the file, the heading being 1
    outcome = models.CharField(max_length=10)  # created, updated, unchanged, refused
    problems = models.JSONField(default=list)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, null=True, related_name="+")
    wrote = models.JSONField(default=dict)
    undone = models.JSONField(null=True)

    class Meta:
        ordering = ["number", "id"]
        indexes = [models.Index(fields=["batch", "outcome", "number"], name="import_rows_by_outcome")]

    def __str__(self) -> str:
        return f"row {self.number}: {self.outcome}"


class ImportMapping(models.Model):
    """Which of our columns the headings of a clinic's files mean, kept under a name for files with these headings."""

    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_index=False)
    name = models.CharField(max_length=60)
    headings = models.CharField(max_length=64)  # digest of the headings in their order
    columns = models.JSONField()  # the file's heading -> our column, "" where it is left out
    actor = models.CharField(max_length=120)
    kept_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["clinic", "name"], name="import_mapping_name_once_per_clinic"),
            models.CheckConstraint(condition=~models.Q(name=""), name="import_mapping_has_name"),
        ]
        indexes = [models.Index(fields=["clinic", "headings", "-kept_at"], name="import_mapping_by_headings")]

    def __str__(self) -> str:
        return self.name
