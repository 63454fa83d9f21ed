"""Pipeline: from facts to plans, flags, reviews and reminders, for one patient or a thousand, in one transaction.

Recording evaluates its patient at once; the sweep evaluates those whose answer changes with time or is stale.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from patients import access
from patients.changes import Actor, Change
from patients.models import Clinic, Hip, Patient
from patients.reading import read_records
from patients.recording import today_at
from schedules import adoption, reminders
from schedules.guideline.evaluation import Answer, evaluate
from schedules.plans import WINDOW_FIELDS, HipPlan, PatientWindow, reconcile_plans

from . import heartbeats, review
from .flags import HipFindings, reconcile_flags
from .models import EvaluationReceipt, EvaluationRun, HipEvaluation, PatientEvaluation

log = logging.getLogger(__name__)
CHUNK = 500
SWEEP_LOCK = 0x48495057  # "HIPW"
_deferred: ContextVar[set[int] | None] = ContextVar("deferred", default=None)


@dataclass
class Counts:
    """What a run did."""

    patients: int = 0
    changed: int = 0
    failed: int = 0

    def __iadd__(self, other: "Counts") -> "Counts":
        self.patients += other.patients
        self.changed += other.changed
        self.failed += other.failed
        return self


@dataclass
class _Outcome:
    """The answers of one chunk, turned into what each reconciler wants."""

    now: datetime
    plans: dict[int, HipPlan | None] = field(default_factory=dict)
    findings: dict[int, HipFindings] = field(default_factory=dict)
    windows: dict[int, PatientWindow | None] = field(default_factory=dict)
    hips: list[HipEvaluation] = field(default_factory=list)
    patients: list[PatientEvaluation] = field(default_factory=list)
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)


def on_change(change: Change) -> None:
    """Listener of patients.changes: what was recorded is evaluated in the same transaction.

    A fault in a rule must not block recording: it is undone to a savepoint, logged, shown as stale, and tried again.
    """
    if not change.clinical or change.patient_id is None:
        return
    waiting = _deferred.get()
    if waiting is not None:
        waiting.add(change.patient_id)
        return
    now = timezone.now()
    try:
        with transaction.atomic():
            run = EvaluationRun.objects.create(kind="recording", actor=change.by.name[:120], started_at=now)
            counts = evaluate_patients([change.patient_id], run=run, now=now)
            _finish(run, counts, now)
    except Exception:
        log.exception("evaluation of patient %s failed after %s", change.patient_id, change.act)
        PatientEvaluation.objects.filter(patient=change.patient_id).update(
            error="The evaluation failed; it is tried again."
        )


@contextmanager
def deferred(now: datetime | None = None) -> Iterator[set[int]]:
    """Inside, recording collects patients instead of evaluating each; they are evaluated in chunks at the end.

    As of `now`, for whoever lives by another clock than the wall's; else as of the end.
    """
    waiting: set[int] = set()
    token = _deferred.set(waiting)
    try:
        yield waiting
    finally:
        _deferred.reset(token)
    finished_at = now
    now = now or timezone.now()
    run = EvaluationRun.objects.create(kind="batch", actor="system: batch", started_at=now)
    counts = Counts()
    for chunk in _chunks(sorted(waiting)):
        counts += evaluate_patients(chunk, run=run, now=now)
    _finish(run, counts, finished_at or timezone.now())


def _chunks(ids: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(ids), CHUNK):
        yield ids[start : start + CHUNK]


def _finish(run: EvaluationRun, counts: Counts, now: datetime) -> None:
    run.finished_at = now
    run.patients, run.changed, run.failed = counts.patients, counts.changed, counts.failed
    run.save(update_fields=["finished_at", "patients", "changed", "failed"])


def evaluate_patients(patient_ids: Iterable[int], *, run: EvaluationRun, now: datetime) -> Counts:
    """Evaluate these patients as of their clinics' today and reconcile all that follows. Runs in the caller's
    transaction, which must see their clinics; a patient whose evaluation fails is counted and left stale."""
    ids = list(patient_ids)
    people = {p.pk: p for p in Patient.objects.filter(id__in=ids).select_related("clinic").order_by("id")}
    hips: dict[tuple[int, str], int] = {
        (patient, side): pk
        for pk, patient, side in Hip.objects.filter(patient__in=ids).values_list("id", "patient_id", "side")
    }
    records = read_records(ids)
    days = {p.clinic_id: today_at(p.clinic, now) for p in people.values()}
    protocols = {day: adoption.protocol_in_force(day) for day in set(days.values())}
    outcome, counts = _Outcome(now), Counts(patients=len(people))
    failed: list[int] = []
    for pk, patient in people.items():
        day = days[patient.clinic_id]
        try:
            answer = evaluate(records[pk], protocols[day], day)
        except Exception:
            log.exception("the guideline failed on patient %s", pk)
            failed.append(pk)
            continue
        _collect(outcome, patient, answer, {side: hips[pk, side] for side in ("left", "right")})
    counts.failed = len(failed)
    if failed:
        PatientEvaluation.objects.filter(patient__in=failed).update(
            error="The guideline could not be applied; see the log."
        )
    counts.changed = _store(outcome, run)
    return counts


def _collect(outcome: _Outcome, patient: Patient, answer: Answer, hips: Mapping[str, int]) -> None:
    whole = answer.to_json()
    outcome.answers[patient.pk] = whole
    windows: list[PatientWindow] = []
    for hip, plain in zip(answer.hips, whole["hips"], strict=True):
        hip_id = hips[hip.side.value]
        window = hip.window
        outcome.hips.append(_hip_evaluation(patient, hip_id, plain))
        outcome.findings[hip_id] = HipFindings(
            patient.clinic_id, patient.pk, hip_id, tuple(_finding(finding) for finding in plain["findings"])
        )
        if window is None:
            outcome.plans[hip_id] = None
            continue
        cycle_on = window.anchor_on or patient.enrolled_on
        fields = {name: getattr(window, name) for name in WINDOW_FIELDS}
        fields |= {
            "pathway": plain["pathway"],
            "interval_months": hip.interval_months,
            "because": hip.because[:300],
            "protocol": answer.protocol,
        }
        outcome.plans[hip_id] = HipPlan(patient.clinic_id, patient.pk, hip_id, cycle_on, fields)
        windows.append(
            PatientWindow(patient.pk, patient.clinic_id, cycle_on, window.opens_on, window.due_on, window.overdue_on)
        )
    outcome.windows[patient.pk] = min(windows, key=lambda window: (window.due_on, window.cycle_on), default=None)
    changes = [hip.next_change_on for hip in answer.hips if hip.next_change_on]
    outcome.patients.append(
        PatientEvaluation(
            patient_id=patient.pk,
            clinic_id=patient.clinic_id,
            record_version=patient.record_version,
            protocol=answer.protocol,
            as_of=answer.as_of,
            due_on=answer.due_on,
            next_change_on=min(changes, default=None),
            evaluated_at=outcome.now,
            error="",
        )
    )


def _finding(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **plain,
        "since": date.fromisoformat(plain["since"]),
        "act_by": date.fromisoformat(plain["act_by"]) if plain["act_by"] else None,
        "step": plain.get("step", ""),
        "because": plain["because"][:400],
    }


def _hip_evaluation(patient: Patient, hip_id: int, plain: Mapping[str, Any]) -> HipEvaluation:
    window = plain["window"] or {}
    same = (
        "pathway",
        "phase",
        "size_band",
        "volume_percent",
        "symptomatic",
        "interval_months",
        "status",
        "next_change_on",
    )
    return HipEvaluation(
        hip_id=hip_id,
        patient_id=patient.pk,
        clinic_id=patient.clinic_id,
        because=plain["because"][:300],
        answer=dict(plain),
        **{name: plain[name] for name in same},
        **{name: window.get(name) for name in ("anchor_on", "opens_on", "due_on", "overdue_on", "gap_on")},
    )


_HIP_COLUMNS = [f.name for f in HipEvaluation._meta.concrete_fields if not f.primary_key]
_PATIENT_COLUMNS = [f.name for f in PatientEvaluation._meta.concrete_fields if not f.primary_key]


def _store(outcome: _Outcome, run: EvaluationRun) -> int:
    """Write what differs from what is stored. Returns the number of patients whose answer changed."""
    hip_ids = [hip.hip_id for hip in outcome.hips]
    before = dict(HipEvaluation.objects.filter(hip__in=hip_ids).order_by().values_list("hip_id", "answer"))
    changed_hips = [hip for hip in outcome.hips if before.get(hip.hip_id) != hip.answer]
    changed = {hip.patient_id for hip in changed_hips}
    HipEvaluation.objects.bulk_create(
        changed_hips, update_conflicts=True, unique_fields=["hip"], update_fields=_HIP_COLUMNS
    )
    PatientEvaluation.objects.bulk_create(
        outcome.patients, update_conflicts=True, unique_fields=["patient"], update_fields=_PATIENT_COLUMNS
    )
    reconcile_plans(outcome.plans)
    reconcile_flags(outcome.findings, outcome.now)
    review.reconcile_cases(outcome.findings, outcome.now)
    reminders.reconcile_reminders(outcome.windows, actor=Actor(name=run.actor), now=outcome.now)
    EvaluationReceipt.objects.bulk_create(
        EvaluationReceipt(
            run=run,
            clinic_id=patient.clinic_id,
            patient_id=patient.patient_id,
            record_version=patient.record_version,
            protocol=patient.protocol,
            as_of=patient.as_of,
            answer=outcome.answers[patient.patient_id],
            at=outcome.now,
        )
        for patient in outcome.patients
        if patient.patient_id in changed
    )
    return len(changed)


def behind(clinic: Clinic, now: datetime) -> QuerySet[Patient]:
    """The clinic's patients whose stored answer no longer holds: never evaluated, stale, or due to change."""
    today = today_at(clinic, now)
    protocol = str(adoption.protocol_in_force(today))
    return Patient.objects.filter(clinic=clinic).filter(
        Q(evaluation__isnull=True)
        | Q(evaluation__record_version__lt=F("record_version"))
        | Q(evaluation__next_change_on__lte=today)
        | ~Q(evaluation__protocol=protocol)
    )


def sweep(now: datetime, *, actor: Actor | None = None, everything: bool = False) -> Counts:
    """Evaluate every patient whose answer changes with time or is stale; with `everything`, all of them.

    Chunks are transactions of their own, so a sweep that dies goes on where it was. Only one runs at a time.
    """
    name = "sweep"
    counts = Counts()
    with _only_one(SWEEP_LOCK) as alone:
        if not alone:
            return counts
        with access.system_run(name) as viewer:
            heartbeats.started(name, now)
            run = EvaluationRun.objects.create(
                kind="all" if everything else "sweep", actor=(actor or viewer.actor).name, started_at=now
            )
            clinics = list(access.clinics_for(viewer).order_by("id"))
        for clinic in clinics:
            counts += _sweep_clinic(clinic, run, now, everything=everything)
        with access.system_run(name):
            left = sum(behind(clinic, now).count() for clinic in clinics)
            finished_at = timezone.now()
            _finish(run, counts, finished_at)
            heartbeats.finished(name, finished_at, behind=left)
    return counts


def _sweep_clinic(clinic: Clinic, run: EvaluationRun, now: datetime, *, everything: bool) -> Counts:
    counts, last = Counts(), 0
    while True:
        with access.system_run("sweep", [clinic.pk]):
            waiting = Patient.objects.filter(clinic=clinic) if everything else behind(clinic, now)
            ids = list(waiting.filter(id__gt=last).order_by("id").values_list("id", flat=True)[:CHUNK])
            if not ids:
                return counts
            locked = Patient.objects.filter(id__in=ids).order_by("id").select_for_update(no_key=True, skip_locked=True)
            counts += evaluate_patients(locked.values_list("id", flat=True), run=run, now=now)
            last = ids[-1]


@contextmanager
def _only_one(key: int) -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [key])
        row = cursor.fetchone()
        alone = bool(row and row[0])
        try:
            yield alone
        finally:
            if alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [key])
