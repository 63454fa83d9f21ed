"""Reading, sweeping, recording, census and agreement on the patients that a database holds, beside their baselines.

    DATA_DIR=/path .venv/bin/python benchmarks/evaluation.py --patients 2000 [--only reading sweep-all ...]

Needs a migrated database of simulated patients of its own (`manage.py simulate_registry`): sweeps are real, by
processes of their own, and are committed; at the end everybody is swept again as of today. Every figure of time comes
with the processor's time of our process and of PostgreSQL, which other work on the machine disturbs less.
"""

import argparse
import multiprocessing
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import connection, connections, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.evaluations.one_by_one import evaluate_one  # noqa: E402
from benchmarks.figures import note  # noqa: E402
from config import collecting  # noqa: E402
from monitoring import census, evaluating, pipeline  # noqa: E402
from monitoring.models import EvaluationRun, HipEvaluation  # noqa: E402
from patients import access, recording  # noqa: E402
from patients.models import Clinic, Imaging, Patient, SymptomReport, Visit  # noqa: E402
from patients.reading import read_charts  # noqa: E402
from patients.recording import today_at  # noqa: E402
from patients.vocabulary import Side  # noqa: E402
from schedules import adoption  # noqa: E402
from schedules.guideline.evaluation import evaluate  # noqa: E402

CHUNK = 1000
ROUNDS = 3
WORKERS = 2
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """Seconds by the clock, and of the processor: ours, and those of our connection to PostgreSQL."""

    wall: float
    ours: float
    database: float

    @property
    def processor(self) -> float:
        return self.ours + self.database

    def per(self, count: int, unit: float = 1e6) -> str:
        wall, ours, database = (unit * one / max(count, 1) for one in (self.wall, self.ours, self.database))
        return f"{wall:9.0f} ({ours:.0f} + {database:.0f})"


def cost_of(work: Callable[[], Any]) -> Cost:
    """The median by the clock of three runs, each rolled back."""
    costs = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    for _ in range(ROUNDS):
        with transaction.atomic():
            began = time.perf_counter(), time.process_time(), _seconds_of(backend)
            work()
            costs.append(
                Cost(
                    time.perf_counter() - began[0],
                    time.process_time() - began[1],
                    _seconds_of(backend) - began[2],
                )
            )
            transaction.set_rollback(True)
    return sorted(costs, key=lambda cost: cost.wall)[ROUNDS // 2]


def _seconds_of(pid: int) -> float:
    """Of the processor, by a process of this machine."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(told[11]) + int(told[12])) / TICKS


def chunks(ids: list[int], size: int = CHUNK) -> Iterator[list[int]]:
    for start in range(0, len(ids), size):
        yield ids[start : start + size]


def peak() -> int:
    """Megabytes of memory of this process at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure_reading(ids: list[int]) -> None:
    with CaptureQueriesContext(connection) as asked:
        read_charts(ids[:CHUNK])
    few, first = ids[:200], peak()
    single = cost_of(lambda: [read_charts([pk]) for pk in few])
    all_of_them = cost_of(lambda: [None for chunk in chunks(ids) if read_charts(chunk) is None])
    told, unit = f"{len(ids):,} patients, {CHUNK} a chunk", "us of processor a patient"
    alone = 1e6 * single.processor / len(few)
    note("reading", told, unit, 1e6 * all_of_them.processor / len(ids), baseline=alone, against="one by one")
    print(f"reading      {all_of_them.per(len(ids))} us a patient, {len(asked)} query a chunk of {CHUNK}")
    print(f"  one by one {single.per(len(few))} us a patient")
    print(f"  memory: {first} MB after one chunk, {peak()} MB after {len(ids) * ROUNDS}")


def measure_evaluating(ids: list[int]) -> None:
    """In this process, nothing changed: reading, deciding, comparing; beside the same by objects, one after another."""
    now = timezone.now()
    run = EvaluationRun.objects.create(kind="benchmark", actor="benchmark")
    some, few = ids[:CHUNK], ids[:50]
    charts = read_charts(some)
    in_force = adoption.protocol_in_force(now.date())
    alone = cost_of(lambda: [evaluate(chart.record, in_force, now.date()) for chart in charts])
    ours = cost_of(lambda: evaluating.evaluate_patients(some, run=run, now=now))
    single = cost_of(lambda: [evaluating.evaluate_patients([pk], run=run, now=now) for pk in few])
    objects = cost_of(lambda: [evaluate_one(pk, in_force, now) for pk in few])
    told, unit = f"{len(some):,} patients at once, nothing changed", "us of processor a patient"
    peer = 1e6 * objects.processor / len(few)
    note("evaluating", told, unit, 1e6 * ours.processor / len(some), baseline=peer, against="by objects")
    print(f"evaluating   {ours.per(len(some))} us a patient, {len(some)} at once, nothing changed")
    print(f"  guideline alone  {alone.per(len(some))} us")
    print(f"  one by one {single.per(len(few))} us")
    print(f"  by objects {objects.per(len(few))} us, ratio {objects.wall / len(few) / (ours.wall / len(some)):.1f}")


# ---- Sweeps, by real processes


@dataclass(frozen=True)
class Swept:
    """What came of a sweep by workers, with the megabytes of the largest of them."""

    patients: int
    changed: int
    cost: Cost
    megabytes: int
    workers: int

    def __str__(self) -> str:
        return (
            f"{self.patients} patients, {self.changed} changed, in {self.cost.wall:.1f} s by {self.workers} workers,"
            f" {self.patients / self.cost.wall:.0f} patients/s; {self.cost.per(self.patients)} us a patient;"
            f" {self.megabytes} MB a worker"
        )


def _work(now: datetime, told: "multiprocessing.Queue[tuple[float, float, int]]") -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        backend = cursor.fetchone()[0]
    began = time.process_time()
    while pipeline.work_share(now) is not None:
        pass
    told.put((time.process_time() - began, _seconds_of(backend), peak()))
    connections.close_all()


def swept_by_workers(now: datetime, *, everything: bool = False, workers: int = WORKERS) -> Swept:
    began = time.perf_counter()
    pipeline.plan_sweep(now, everything=everything)
    connections.close_all()
    told: multiprocessing.Queue[tuple[float, float, int]] = multiprocessing.Queue()
    started = [multiprocessing.Process(target=_work, args=(now, told)) for _ in range(workers)]
    for worker in started:
        worker.start()
    ours, database, megabytes = zip(*(told.get() for _ in started), strict=True)
    for worker in started:
        worker.join()
    pipeline.finish_sweeps(now)
    run = EvaluationRun.objects.filter(planned__isnull=False).order_by("-id").first()
    assert run is not None and run.finished_at, "a sweep that did not finish"
    cost = Cost(time.perf_counter() - began, sum(ours), sum(database))
    return Swept(run.patients, run.changed, cost, max(megabytes), workers)


def measure_today() -> None:
    now = timezone.now()
    pipeline.sweep(now)
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        pipeline.sweep(now)
        taken.append(1000 * (time.perf_counter() - began))
    note("sweep-today", "nothing due", "ms", statistics.median(taken), of=taken)
    print(f"sweep-today  nothing due: {statistics.median(taken):.0f} ms")
    for day in range(1, ROUNDS + 1):
        swept = swept_by_workers(now + timedelta(days=day))
        if swept.patients:
            told = f"{swept.patients:,} patients whose day has come, day {day}, {WORKERS} workers"
            note("sweep-today", told, "ms of processor a changed patient", 1000 * swept.cost.processor / swept.patients)
        print(f"  day {day}: {swept}")


def measure_all() -> None:
    """Under another protocol with another interval, so that every row is written anew, and back again."""
    now = timezone.now()
    real = adoption.protocol_in_force, adoption.in_force_from
    other = replace(adoption.protocol_in_force(now.date()), name="benchmark", standard_interval_months=4)
    for by_day, of_rows in ((lambda _day: other, lambda _rows, _day: other), real):
        adoption.protocol_in_force, adoption.in_force_from = by_day, of_rows
        swept = swept_by_workers(now)
        told = f"{swept.patients:,} patients, {swept.changed:,} changed, {WORKERS} workers"
        note("sweep-all", told, "patients/s", swept.patients / swept.cost.wall)
        note("sweep-all", told, "us of processor a patient", 1e6 * swept.cost.processor / max(swept.patients, 1))
        note("sweep-all", told, "MB of a worker", swept.megabytes)
        print(f"sweep-all    {swept}")


def measure_agreement() -> None:
    """As many days later, each swept for what changes on it: how many answers differ from fresh ones."""
    now = timezone.now() + timedelta(days=ROUNDS)
    pipeline.sweep(now)
    differing = hips = 0
    with access.system_run("benchmark"):
        for chunk in chunks(list(Patient.objects.order_by("id").values_list("id", flat=True))):
            stored = dict(HipEvaluation.objects.filter(patient__in=chunk).values_list("hip_id", "answer"))
            for chart in read_charts(chunk):
                today = now.astimezone(chart.zone).date()
                for hip in evaluate(chart.record, adoption.protocol_in_force(today), today).to_json()["hips"]:
                    hips += 1
                    differing += stored.get(chart.hip_ids[hip["side"]]) != hip
    note("agree", f"{hips:,} hips, {ROUNDS} days swept", "hips that differ from a fresh evaluation", differing)
    print(f"agree        {differing} of {hips} hips differ from a fresh evaluation")


def measure_recording(ids: list[int], viewer: access.Viewer) -> None:
    """A visit with radiographs and symptoms of both hips: facts, audit, evaluation, plan, flags, reviews, reminders."""
    clinics = {clinic.pk: clinic for clinic in Clinic.objects.all()}
    taken, asked = [], 0
    for pk in ids:
        patient = Patient.objects.get(pk=pk)
        if patient.died_on:
            continue
        day = max(today_at(clinics[patient.clinic_id], timezone.now()) - timedelta(days=1), patient.enrolled_on)
        facts = [
            fact
            for side in Side
            for fact in (
                (side, Imaging(on=day, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
                (side, SymptomReport(on=day, source="clinician", symptomatic=True, pain_nrs=3)),
            )
        ]
        with transaction.atomic(), CaptureQueriesContext(connection) as queries:
            began = time.perf_counter()
            recording.record_facts(pk, facts, by=viewer.actor, visit=Visit(on=day))
            taken.append(1000 * (time.perf_counter() - began))
            asked = max(asked, len(queries))
            transaction.set_rollback(True)
    taken.sort()
    p95 = taken[int(len(taken) * 0.95) - 1]
    median = statistics.median(taken)
    note("record", "a visit for both hips, p50", "ms", median, of=taken)
    note("record", "a visit for both hips, p95", "ms", p95)
    note("record", "a visit for both hips", "statements at most", asked)
    print(
        f"record       a visit for both hips: p50 {statistics.median(taken):.0f} ms, p95 {p95:.0f} ms,"
        f" {asked} statements at most ({len(taken)} visits)"
    )


def measure_census() -> None:
    clinic = max(Clinic.objects.all(), key=lambda one: one.patients.count())
    hips = 2 * clinic.patients.count()
    counted = cost_of(lambda: census.count_hips(clinic, timezone.now().date()))

    def bare() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM patients_hip WHERE clinic_id = %s", [clinic.pk])

    floor = cost_of(bare)
    note("census", f"{hips:,} hips", "s", counted.wall, baseline=floor.wall, against="count(*) of the same rows")
    print(
        f"census       {counted.wall:.3f} s for {hips} hips; count(*) over the same rows {floor.wall:.4f} s,"
        f" ratio {counted.wall / floor.wall:.0f}"
    )


NAMES = ("reading", "evaluating", "record", "census", "sweep-today", "agree", "sweep-all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--only", nargs="*", choices=NAMES, default=NAMES)
    chosen = parser.parse_args()
    collecting.settle(in_bulk=True)  # as a worker does
    with access.system_run("benchmark") as viewer:
        ids = list(Patient.objects.order_by("id").values_list("id", flat=True)[: chosen.patients])
        if not ids or Patient.objects.filter(synthetic=False).exists():
            sys.exit("This wants a database of simulated patients alone; manage.py simulate_registry makes them.")
        print(f"{len(ids)} patients; medians of {ROUNDS} runs; in brackets processor time, ours + PostgreSQL's")
        for name, measure in (
            ("reading", lambda: measure_reading(ids)),
            ("evaluating", lambda: measure_evaluating(ids)),
            ("record", lambda: measure_recording(ids[:100], viewer)),
            ("census", measure_census),
        ):
            if name in chosen.only:
                measure()
        transaction.set_rollback(True)
    for name, measure in (("sweep-today", measure_today), ("agree", measure_agreement), ("sweep-all", measure_all)):
        if name in chosen.only:
            measure()
    pipeline.sweep(timezone.now(), everything=True)


if __name__ == "__main__":
    main()
