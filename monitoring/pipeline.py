"""Pipeline: from facts to plans, flags, reviews and reminders, for one patient or a thousand, in one transaction.

Recording evaluates its patient at once; the sweep evaluates those whose answer changes with time or is stale.
"""

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
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
from patients.models import Clinic, Patient
from patients.prepared import rows_of
from patients.reading import Chart, read_charts
from patients.recording import today_at
from patients.rows import add_rows, put_rows
from schedules import adoption, reminders
from schedules.guideline.evaluation import Answer, evaluate
from schedules.guideline.protocol import Protocol
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
    """The answers of one chunk, turned into the rows to be stored and what each reconciler wants."""

    now: datetime
    plans: dict[int, HipPlan | None] = field(default_factory=dict)
    findings: dict[int, HipFindings] = field(default_factory=dict)
    windows: dict[int, PatientWindow | None] = field(default_factory=dict)
    hips: dict[int, dict[str, Any]] = field(default_factory=dict)
    patients: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    failed: list[int] = field(default_factory=list)


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
            _evaluate_recorded(change.patient_id, change.by, now)
    except Exception:
        log.exception("evaluation of patient %s failed after %s", change.patient_id, change.act)
        PatientEvaluation.objects.filter(patient=change.patient_id).update(
            error="The evaluation failed; it is tried again."
        )


def _evaluate_recorded(patient_id: int, by: Actor, now: datetime) -> None:
    outcome = _evaluate([patient_id], now)
    changed = _changed_hips(outcome)
    run = EvaluationRun.objects.create(
        kind="recording",
        actor=by.name[:120],
        started_at=now,
        finished_at=now,
        patients=len(outcome.patients) + len(outcome.failed),
        changed=bool(changed),
        failed=len(outcome.failed),
    )
    _store(outcome, changed, run)


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
    outcome = _evaluate(list(patient_ids), now)
    changed = _changed_hips(outcome)
    _store(outcome, changed, run)
    return Counts(
        patients=len(outcome.patients) + len(outcome.failed),
        changed=len({hip["patient_id"] for hip in changed}),
        failed=len(outcome.failed),
    )


def _evaluate(patient_ids: Collection[int], now: datetime) -> _Outcome:
    """The answers for these patients as of their clinics' today. Nothing is written."""
    outcome = _Outcome(now)
    protocols: dict[date, Protocol] = {}
    for chart in read_charts(patient_ids):
        today = now.astimezone(chart.zone).date()
        if today not in protocols:
            protocols[today] = adoption.protocol_in_force(today)
        try:
            answer = evaluate(chart.record, protocols[today], today)
        except Exception:
            log.exception("the guideline failed on patient %s", chart.patient_id)
            outcome.failed.append(chart.patient_id)
            continue
        _collect(outcome, chart, answer)
    return outcome


def _collect(outcome: _Outcome, chart: Chart, answer: Answer) -> None:
    whole = answer.to_json()
    outcome.answers[chart.patient_id] = whole
    windows: list[PatientWindow] = []
    for hip, plain in zip(answer.hips, whole["hips"], strict=True):
        hip_id = chart.hip_ids[hip.side.value]
        window = hip.window
        outcome.hips[hip_id] = _hip_evaluation(chart, hip_id, plain)
        outcome.findings[hip_id] = HipFindings(
            chart.clinic_id, chart.patient_id, hip_id, tuple(_finding(finding) for finding in plain["findings"])
        )
        if window is None:
            outcome.plans[hip_id] = None
            continue
        cycle_on = window.anchor_on or chart.record.enrolled_on
        fields = {name: getattr(window, name) for name in WINDOW_FIELDS}
        fields |= {
            "pathway": plain["pathway"],
            "interval_months": hip.interval_months,
            "because": hip.because[:300],
            "protocol": answer.protocol,
        }
        outcome.plans[hip_id] = HipPlan(chart.clinic_id, chart.patient_id, hip_id, cycle_on, fields)
        windows.append(
            PatientWindow(
                chart.patient_id, chart.clinic_id, cycle_on, window.opens_on, window.due_on, window.overdue_on
            )
        )
    outcome.windows[chart.patient_id] = min(windows, key=lambda window: (window.due_on, window.cycle_on), default=None)
    changes = [hip.next_change_on for hip in answer.hips if hip.next_change_on]
    outcome.patients.append(
        {
            "patient_id": chart.patient_id,
            "clinic_id": chart.clinic_id,
            "record_version": chart.record_version,
            "protocol": answer.protocol,
            "as_of": answer.as_of,
            "due_on": answer.due_on,
            "next_change_on": min(changes, default=None),
            "evaluated_at": outcome.now,
            "error": "",
        }
    )


def _finding(plain: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **plain,
        "since": date.fromisoformat(plain["since"]),
        "act_by": date.fromisoformat(plain["act_by"]) if plain["act_by"] else None,
        "step": plain.get("step", ""),
        "because": plain["because"][:400],
    }


_SAME = (
    "pathway",
    "phase",
    "size_band",
    "volume_percent",
    "symptomatic",
    "interval_months",
    "status",
    "next_change_on",
)


def _hip_evaluation(chart: Chart, hip_id: int, plain: Mapping[str, Any]) -> dict[str, Any]:
    window = plain["window"] or {}
    return {
        "hip_id": hip_id,
        "patient_id": chart.patient_id,
        "clinic_id": chart.clinic_id,
        "because": plain["because"][:300],
        "answer": plain,
        **{name: plain[name] for name in _SAME},
        **{name: window.get(name) for name in ("anchor_on", "opens_on", "due_on", "overdue_on", "gap_on")},
    }


_ANSWERS = "SELECT hip_id, answer::json FROM monitoring_hipevaluation WHERE hip_id = ANY(%s::bigint[])"


def _changed_hips(outcome: _Outcome) -> list[dict[str, Any]]:
    """The evaluations that differ from what is stored of their hips."""
    if not outcome.hips:
        return []
    before = dict(rows_of(_ANSWERS, [list(outcome.hips)]))
    return [hip for pk, hip in outcome.hips.items() if before.get(pk) != hip["answer"]]


def _store(outcome: _Outcome, changed: list[dict[str, Any]], run: EvaluationRun) -> None:
    """Write what differs from what is stored, and that it was looked at."""
    if outcome.failed:
        PatientEvaluation.objects.filter(patient__in=outcome.failed).update(
            error="The guideline could not be applied; see the log."
        )
    if not outcome.patients:
        return
    put_rows(HipEvaluation, changed, key=("hip_id",))
    put_rows(PatientEvaluation, outcome.patients, key=("patient_id",))
    reconcile_plans(outcome.plans)
    reconcile_flags(outcome.findings, outcome.now)
    review.reconcile_cases(outcome.findings, outcome.now)
    reminders.reconcile_reminders(outcome.windows, actor=Actor(name=run.actor), now=outcome.now)
    add_rows(EvaluationReceipt, _receipts(outcome, {hip["patient_id"] for hip in changed}, run))


def _receipts(outcome: _Outcome, patient_ids: Collection[int], run: EvaluationRun) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run.pk,
            **{name: patient[name] for name in ("clinic_id", "patient_id", "record_version", "protocol", "as_of")},
            "answer": outcome.answers[patient["patient_id"]],
            "at": outcome.now,
        }
        for patient in outcome.patients
        if patient["patient_id"] in patient_ids
    ]


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
