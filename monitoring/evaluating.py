"""Evaluating: the answers for some patients and all that follows from them, reconciled in the caller's transaction."""

import gc
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from patients.changes import Actor
from patients.prepared import rows_of
from patients.reading import Chart, read_charts
from patients.rows import add_rows, put_rows
from schedules import adoption, reminders
from schedules.guideline.evaluation import Answer, evaluate
from schedules.guideline.protocol import Protocol
from schedules.plans import WINDOW_FIELDS, HipPlan, PatientWindow, reconcile_plans

from . import review
from .flags import HipFindings, reconcile_flags
from .models import EvaluationReceipt, EvaluationRun, HipEvaluation, PatientEvaluation

log = logging.getLogger(__name__)


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


def evaluate_patients(patient_ids: Iterable[int], *, run: EvaluationRun, now: datetime) -> Counts:
    """Evaluate these patients as of their clinics' today and reconcile all that follows. Runs in the caller's
    transaction, which must see their clinics; a patient whose evaluation fails is counted and left stale."""
    with _without_collecting():
        outcome = _evaluate(list(patient_ids), now)
        changed = _changed_hips(outcome)
        _store(outcome, changed, run)
    return Counts(
        patients=len(outcome.patients) + len(outcome.failed),
        changed=len({hip["patient_id"] for hip in changed}),
        failed=len(outcome.failed),
    )


def evaluate_recorded(patient_id: int, by: Actor, now: datetime) -> None:
    """Evaluate the patient who was recorded by somebody, as a run of its own, in the caller's transaction."""
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
def _without_collecting() -> Iterator[None]:
    """No search for cycles while a chunk's thousands of values are made: none of them has any, and all live on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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


_SEEN = "DELETE FROM monitoring_unevaluated WHERE patient_id = ANY(%s::bigint[])"


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
    rows_of(_SEEN, [[patient["patient_id"] for patient in outcome.patients]])
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
