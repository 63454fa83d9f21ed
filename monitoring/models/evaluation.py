"""Evaluations: what the guideline says of each patient and hip now, and the receipts of how it came to say so."""

import json
from typing import Any

import orjson
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

from patients.models import Clinic, Hip, Patient


class QuickDecoder(json.JSONDecoder):
    """For answers, which are long and read fifty at a time."""

    def decode(self, s: str, *_: Any) -> Any:
        return orjson.loads(s)


class EvaluationRun(models.Model):
    """One run: a recording, a sweep, a new protocol. `finished_at` empty: it died or still works.

    `planned`: of a sweep, how many patients it shared out; the counts then say how far it is.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=24)  # recording, sweep, all
    actor = models.CharField(max_length=120)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    planned = models.PositiveIntegerField(null=True)
    patients = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["kind", "-id"], name="runs_by_kind"),
            models.Index(
                fields=["id"], condition=Q(planned__isnull=False, finished_at__isnull=True), name="sweeps_under_way"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.started_at:%Y-%m-%d %H:%M}"


class SweepShare(models.Model):
    """Patients of one clinic that one worker evaluates in one transaction. A sweep that has finished has none."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="shares")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient_ids = ArrayField(models.BigIntegerField())
    done_at = models.DateTimeField(null=True)
    evaluated = models.PositiveIntegerField(default=0)
    changed = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["id"], condition=Q(done_at__isnull=True), name="shares_to_do")]

    def __str__(self) -> str:
        return f"{len(self.patient_ids)} patients of run {self.run_id}"


class Unevaluated(models.Model):
    """A patient whose record has a version that no evaluation has seen.

    PostgreSQL adds the row with every new version of a record, whoever writes it; evaluating takes it away.
    """

    patient = models.OneToOneField(Patient, on_delete=models.PROTECT, primary_key=True, related_name="+")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)

    class Meta:
        indexes = [models.Index(fields=["clinic", "patient"], name="unevaluated_by_clinic")]

    def __str__(self) -> str:
        return str(self.patient_id)


class PatientEvaluation(models.Model):
    """The answer that stands for a patient: of which record version, under which protocol, until when.

    It is stale when the patient's `record_version` is higher, and due when `next_change_on` has come.
    """

    patient = models.OneToOneField(Patient, on_delete=models.PROTECT, primary_key=True, related_name="evaluation")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    record_version = models.PositiveIntegerField()
    protocol = models.CharField(max_length=60)
    as_of = models.DateField()
    due_on = models.DateField(null=True)
    next_change_on = models.DateField(null=True)
    evaluated_at = models.DateTimeField()
    error = models.CharField(max_length=300, blank=True)  # why the last try failed; the answer is then the older one

    class Meta:
        indexes = [
            models.Index(fields=["clinic", "next_change_on"], name="evaluations_to_change"),
            models.Index(fields=["clinic", "protocol"], name="evaluations_by_protocol"),
            models.Index(fields=["patient"], condition=~Q(error=""), name="evaluations_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.patient_id} as of {self.as_of}"


class HipEvaluation(models.Model):
    """What the guideline answers for one hip; `answer` is the whole, the columns are what lists ask for."""

    hip = models.OneToOneField(Hip, on_delete=models.PROTECT, primary_key=True, related_name="evaluation")
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="hip_evaluations")
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    pathway = models.CharField(max_length=24)
    phase = models.CharField(max_length=16, null=True)
    size_band = models.CharField(max_length=12, null=True)
    volume_percent = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    symptomatic = models.BooleanField(null=True)
    interval_months = models.PositiveSmallIntegerField(null=True)
    status = models.CharField(max_length=10, null=True)
    anchor_on = models.DateField(null=True)
    opens_on = models.DateField(null=True)
    due_on = models.DateField(null=True)
    overdue_on = models.DateField(null=True)
    gap_on = models.DateField(null=True)
    next_change_on = models.DateField(null=True)
    because = models.CharField(max_length=300)
    answer = models.JSONField(decoder=QuickDecoder)

    class Meta:
        indexes = [
            models.Index(fields=["clinic", "status", "due_on"], include=["pathway"], name="hips_by_bucket"),
            models.Index(fields=["clinic", "pathway", "patient"], name="hips_by_pathway"),
            models.Index(fields=["clinic", "hip", "status"], include=["patient"], name="hips_of_clinic"),
        ]

    def __str__(self) -> str:
        return f"{self.hip_id} {self.pathway}"


class EvaluationReceipt(models.Model):
    """The answer a run gave, kept whenever it differs from the one before."""

    id = models.BigAutoField(primary_key=True)
    run = models.ForeignKey(EvaluationRun, on_delete=models.PROTECT, related_name="receipts", db_constraint=False)
    clinic = models.ForeignKey(Clinic, on_delete=models.PROTECT, related_name="+", db_constraint=False, db_index=False)
    patient = models.ForeignKey(Patient, on_delete=models.PROTECT, related_name="+", db_constraint=False)
    record_version = models.PositiveIntegerField()
    protocol = models.CharField(max_length=60)
    as_of = models.DateField()
    answer = models.JSONField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["patient", "-id"], name="receipts_by_patient")]

    def __str__(self) -> str:
        return f"{self.patient_id} as of {self.as_of}"
