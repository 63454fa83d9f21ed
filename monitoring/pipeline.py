"""Pipeline: when patients are evaluated: as soon as something is recorded of them, and when time changes the answer.

A sweep is a row with shares, each a chunk of patients of one clinic. Any number of workers take shares, each in a
transaction of its own, so a sweep whose workers die goes on where it was and nobody is evaluated twice.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Q, Sum
from django.utils import timezone

from patients import access
from patients.changes import Actor, Change
from patients.clock import shared_clock
from patients.models import Clinic
from patients.prepared import rows_of
from patients.recording import today_at
from schedules import adoption

from . import heartbeats
from .evaluating import Counts, evaluate_patients, evaluate_recorded
from .models import EvaluationRun, PatientEvaluation, SweepShare

__all__ = ["Counts", "EvaluationRun", "deferred", "evaluate_patients", "on_change", "sweep", "take_turn"]
log = logging.getLogger(__name__)
CHUNK = 500
NAME = "sweep"
PLANNING = 0x48495057  # "HIPW": held by whoever plans a sweep
FAILED = "The evaluation failed; it is tried again."
_deferred: ContextVar[set[int] | None] = ContextVar("deferred", default=None)


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
            evaluate_recorded(change.patient_id, change.by, now)
    except Exception:
        log.exception("evaluation of patient %s failed after %s", change.patient_id, change.act)
        PatientEvaluation.objects.filter(patient=change.patient_id).update(error=FAILED)


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


def _finish(run: EvaluationRun, counts: Counts, now: datetime | None) -> None:
    run.finished_at = now
    run.patients, run.changed, run.failed = counts.patients, counts.changed, counts.failed
    run.save(update_fields=["finished_at", "patients", "changed", "failed"])


# ---- Who is due

_DUE = """
SELECT clinic.id AS clinic_id, due.patient_id
  FROM unnest(%(clinics)s::bigint[], %(days)s::date[], %(protocols)s::text[]) AS clinic(id, today, protocol)
 CROSS JOIN LATERAL (
       SELECT patient_id FROM monitoring_unevaluated WHERE clinic_id = clinic.id
        UNION SELECT patient_id FROM monitoring_patientevaluation
               WHERE clinic_id = clinic.id AND next_change_on <= clinic.today
        UNION SELECT patient_id FROM monitoring_patientevaluation
               WHERE clinic_id = clinic.id AND protocol < clinic.protocol
        UNION SELECT patient_id FROM monitoring_patientevaluation
               WHERE clinic_id = clinic.id AND protocol > clinic.protocol) AS due
"""
_EVERYBODY = "SELECT clinic_id, id AS patient_id FROM patients_patient WHERE clinic_id = ANY(%(clinics)s::bigint[])"
_SHARE_OUT = """
INSERT INTO monitoring_sweepshare (run_id, clinic_id, patient_ids, evaluated, changed, failed)
SELECT %(run)s, clinic_id, array_agg(patient_id ORDER BY patient_id), 0, 0, 0
  FROM (SELECT clinic_id, patient_id, row_number() OVER (PARTITION BY clinic_id ORDER BY patient_id) - 1 AS place
          FROM ({whom}) AS whom) AS placed
 GROUP BY clinic_id, place / %(size)s
 ORDER BY clinic_id, place / %(size)s
RETURNING cardinality(patient_ids)
"""
_COUNT = f"SELECT count(*) FROM ({_DUE}) AS due"  # noqa: S608
_SHARE_OUT_DUE, _SHARE_OUT_ALL = _SHARE_OUT.format(whom=_DUE), _SHARE_OUT.format(whom=_EVERYBODY)


def _conditions(clinics: list[Clinic], now: datetime) -> dict[str, Any]:
    """What day it is in each clinic, and which protocol is in force there."""
    days = [today_at(clinic, now) for clinic in clinics]
    in_force = {day: str(adoption.protocol_in_force(day)) for day in set(days)}
    return {
        "clinics": [clinic.pk for clinic in clinics],
        "days": days,
        "protocols": [in_force[day] for day in days],
    }


def count_due(clinics: list[Clinic], now: datetime) -> int:
    """How many patients of these clinics have an answer that no longer holds: never evaluated, stale, due to change,
    or under another protocol. By indexes; it takes no longer the more patients there are."""
    return int(rows_of(_COUNT, _conditions(clinics, now))[0][0])


# ---- Sharing out


@dataclass(frozen=True, slots=True)
class Shares:
    """How many shares a new sweep has, and whether one is under way."""

    made: int = 0
    there: bool = False


def plan_sweep(now: datetime, *, actor: Actor | None = None, everything: bool = False) -> Shares:
    """Share out who is due, or everybody, unless a sweep is under way or somebody else plans one just now.

    Where nobody is due, the sweep has come to its end with that.
    """
    with access.system_run(NAME) as viewer:
        if rows_of("SELECT pg_try_advisory_xact_lock(%s)", [PLANNING]) != [(True,)]:
            return Shares()
        if SweepShare.objects.exists():
            return Shares(there=True)
        clinics = list(access.clinics_for(viewer).order_by("id"))
        asked = _conditions(clinics, now)
        if not everything and not rows_of(_COUNT, asked)[0][0]:
            heartbeats.finished(NAME, now, began_at=now)
            return Shares()
        heartbeats.started(NAME, now)
        run = EvaluationRun.objects.create(
            kind="all" if everything else NAME, actor=(actor or viewer.actor).name[:120], started_at=now, planned=0
        )
        shares = rows_of(_SHARE_OUT_ALL if everything else _SHARE_OUT_DUE, asked | {"run": run.pk, "size": CHUNK})
        run.planned = sum(size for (size,) in shares)
        run.save(update_fields=["planned"])
    return Shares(made=len(shares), there=True)


_STILL_DUE = """
SELECT patient.id FROM patients_patient AS patient
  LEFT JOIN monitoring_patientevaluation AS answer ON answer.patient_id = patient.id
 WHERE patient.id = ANY(%(patients)s::bigint[])
   AND (%(everybody)s OR answer.patient_id IS NULL OR answer.record_version < patient.record_version
        OR answer.next_change_on <= %(today)s OR answer.protocol <> %(protocol)s
        OR EXISTS (SELECT FROM monitoring_unevaluated AS missed WHERE missed.patient_id = patient.id))
 ORDER BY patient.id
   FOR NO KEY UPDATE OF patient SKIP LOCKED
"""


def work_share(now: datetime) -> Counts | None:
    """Evaluate one share that nobody works on, in one transaction; None where there is none.

    Whoever is being recorded just now is passed over: that recording evaluates them.
    """
    with access.system_run(NAME):
        free = SweepShare.objects.filter(done_at__isnull=True).order_by("id")
        share = free.select_related("run", "clinic").select_for_update(skip_locked=True, of=("self",)).first()
        if share is None:
            return None
        access.bind_clinics([share.clinic_id])
        counts = _evaluate_share(share, now)
        share.evaluated, share.changed, share.failed = counts.patients, counts.changed, counts.failed
        share.done_at = now
        share.save(update_fields=["done_at", "evaluated", "changed", "failed"])
    return counts


def _evaluate_share(share: SweepShare, now: datetime) -> Counts:
    today = today_at(share.clinic, now)
    asked = {
        "patients": share.patient_ids,
        "everybody": share.run.kind == "all",
        "today": today,
        "protocol": str(adoption.protocol_in_force(today)),
    }
    ids = [pk for (pk,) in rows_of(_STILL_DUE, asked)]
    try:
        with transaction.atomic():
            return evaluate_patients(ids, run=share.run, now=now)
    except Exception:
        log.exception("a share of %s patients failed; each is evaluated by itself", len(ids))
    counts = Counts()
    for pk in ids:
        counts += _evaluate_alone(pk, share.run, now)
    return counts


def _evaluate_alone(patient_id: int, run: EvaluationRun, now: datetime) -> Counts:
    """One patient whose fault must not keep others from being evaluated."""
    try:
        with transaction.atomic():
            return evaluate_patients([patient_id], run=run, now=now)
    except Exception:
        log.exception("evaluation of patient %s failed in a sweep", patient_id)
        PatientEvaluation.objects.filter(patient=patient_id).update(error=FAILED)
        return Counts(patients=1, failed=1)


def finish_sweeps(now: datetime) -> int:
    """Sum up the sweeps of which every share is done, or say how far they are. Returns how many shares are left."""
    with access.system_run(NAME) as viewer:
        open_runs = EvaluationRun.objects.filter(planned__isnull=False, finished_at__isnull=True)
        left = SweepShare.objects.filter(done_at__isnull=True).count()
        for run in open_runs.select_for_update(skip_locked=True).order_by("id"):
            shares = SweepShare.objects.filter(run=run)
            # In one statement: a share that is done between two would be in neither's count.
            done = shares.aggregate(
                patients=Sum("evaluated", default=0),
                changed=Sum("changed", default=0),
                failed=Sum("failed", default=0),
                undone=Count("id", filter=Q(done_at__isnull=True)),
            )
            undone = done.pop("undone")
            counts = Counts(**done)
            if undone:
                heartbeats.under_way(NAME, behind=max((run.planned or 0) - counts.patients, 0))
                _finish(run, counts, None)
                continue
            _finish(run, counts, now)
            shares.delete()
            clinics = list(access.clinics_for(viewer).order_by("id"))
            heartbeats.finished(NAME, now, behind=count_due(clinics, now))
    return left


def sweep(now: datetime, *, actor: Actor | None = None, everything: bool = False) -> Counts:
    """Evaluate every patient whose answer changes with time or is stale; with `everything`, all of them.

    Other workers may help; what was left of a sweep whose workers died is done as well.
    """
    counts, began = Counts(), time.monotonic()
    if not plan_sweep(now, actor=actor, everything=everything).there:
        return counts
    while (done := work_share(now)) is not None:
        counts += done
    finish_sweeps(now + timedelta(seconds=time.monotonic() - began))
    return counts


@dataclass(frozen=True, slots=True)
class Turn:
    """What one worker did: how many shares it made for a new sweep, and how many are left for anybody."""

    planned: int
    left: int
    counts: Counts


def take_turn(seconds: float) -> Turn:
    """Plan a sweep unless one is under way, and work on it for so long at most, by the clock that workers share."""
    clock = shared_clock()
    shares, counts, until = plan_sweep(clock()), Counts(), time.monotonic() + seconds
    if not shares.there:
        return Turn(0, 0, counts)
    while time.monotonic() < until and (done := work_share(clock())) is not None:
        counts += done
    return Turn(shares.made, finish_sweeps(clock()), counts)
