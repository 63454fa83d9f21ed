"""Evaluating: the answers for some patients and all that follows from them, reconciled in the caller's transaction."""

import gc
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from patients.changes import Actor
from patients.prepared import Steps, rows_of_each, together
from patients.reading import Chart, asking_charts, charts_from
from patients.rows import add_rows, put_rows
from schedules import adoption, reminders
from schedules.guideline.evaluation import Answer, evaluate
from schedules.plans import WINDOW_FIELDS, HipPlan, PatientWindow, reconciling_plans

from . import review
from .flags import HipFindings, reconciling_flags
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
    changed: set[int] = field(default_factory=set)  # patients of whom what is stored differs

    @property
    def counts(self) -> Counts:
        return Counts(len(self.patients) + len(self.failed), len(self.changed), len(self.failed))


def evaluate_patients(patient_ids: Iterable[int], *, run: EvaluationRun, now: datetime) -> Counts:
    """Evaluate these patients as of their clinics' today and reconcile all that follows. Runs in the caller's
    transaction, which must see their clinics; a patient whose evaluation fails is counted and left stale."""
    with _without_collecting():
        outcome = _evaluate(list(patient_ids), now)
        _store(outcome, run.actor, run.pk)
    return outcome.counts


def evaluate_recorded(patient_id: int, by: Actor, now: datetime) -> None:
    """Evaluate the patient who was recorded by somebody, as a run of its own, in the caller's transaction."""
    _store(_evaluate([patient_id], now), by.name[:120])


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
    versions, charts = rows_of_each([adoption.asking_in_force(now), asking_charts(patient_ids)])
    for chart in charts_from(charts):
        today = now.astimezone(chart.zone).date()
        try:
            answer = evaluate(chart.record, adoption.in_force_from(versions, today), today)
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


_NEXT_RUN = "SELECT nextval(pg_get_serial_sequence('monitoring_evaluationrun', 'id'))"
_SEEN = "DELETE FROM monitoring_unevaluated WHERE patient_id = ANY(%s::bigint[])"


def _store(outcome: _Outcome, actor: str, run_id: int | None = None) -> None:
    """Write what differs from what is stored, and that it was looked at; without a run, as one of its own."""
    if outcome.failed:
        PatientEvaluation.objects.filter(patient__in=outcome.failed).update(
            error="The guideline could not be applied; see the log."
        )
    if run_id and not outcome.patients:
        return
    together(
        _storing_answers(outcome, actor, run_id),
        reconciling_plans(outcome.plans),
        reconciling_flags(outcome.findings, outcome.now),
        review.reconciling_cases(outcome.findings, outcome.now),
        reminders.reconciling_reminders(outcome.windows, actor=Actor(name=actor), now=outcome.now),
    )


def _storing_answers(outcome: _Outcome, actor: str, run_id: int | None) -> Steps:
    stored, *next_run = yield [(_ANSWERS, [list(outcome.hips)]), *([] if run_id else [(_NEXT_RUN, [])])]
    before: dict[int, dict[str, Any]] = dict(stored)
    hips = [hip for pk, hip in outcome.hips.items() if before.get(pk) != hip["answer"]]
    outcome.changed |= {hip["patient_id"] for hip in hips}
    own_run = next_run[0][0][0] if next_run else None
    yield [
        *put_rows(HipEvaluation, hips, key=("hip_id",)),
        *put_rows(PatientEvaluation, outcome.patients, key=("patient_id",)),
        (_SEEN, [[patient["patient_id"] for patient in outcome.patients]]),
        *add_rows(EvaluationRun, [_run(own_run, actor, outcome)] if own_run else []),
        *add_rows(EvaluationReceipt, _receipts(outcome, run_id or own_run)),
    ]


def _run(pk: int, actor: str, outcome: _Outcome) -> dict[str, Any]:
    return {
        "id": pk,
        "kind": "recording",
        "actor": actor,
        "started_at": outcome.now,
        "finished_at": outcome.now,
        **asdict(outcome.counts),
    }


def _receipts(outcome: _Outcome, run_id: int | None) -> list[dict[str, Any]]:
    return [
        {
            "run_id": run_id,
            **{name: patient[name] for name in ("clinic_id", "patient_id", "record_version", "protocol", "as_of")},
            "answer": outcome.answers[patient["patient_id"]],
            "at": outcome.now,
        }
        for patient in outcome.patients
        if patient["patient_id"] in outcome.changed
    ]
