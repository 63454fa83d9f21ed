"""Reading, evaluating and recording on the patients that a database holds; each beside its baseline in the same run.

    DATA_DIR=/path .venv/bin/python benchmarks/evaluation.py --patients 2000

Needs a migrated database with at least that many patients (benchmarks/simulate.py makes them). Everything that is
written is rolled back. The baselines: one patient after the other through the same code, and the guideline alone.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import connection, transaction  # noqa: E402
from django.test.utils import CaptureQueriesContext  # noqa: E402
from django.utils import timezone  # noqa: E402

from monitoring import census, pipeline  # noqa: E402
from monitoring.models import EvaluationRun  # noqa: E402
from patients import access, recording  # noqa: E402
from patients.models import Clinic, Imaging, Patient, SymptomReport, Visit  # noqa: E402
from patients.reading import read_records  # noqa: E402
from patients.recording import today_at  # noqa: E402
from patients.vocabulary import Side  # noqa: E402
from schedules.guideline.evaluation import evaluate  # noqa: E402
from schedules.guideline.protocol import Protocol  # noqa: E402

CHUNK = 500
ROUNDS = 3


def chunks(ids: list[int], size: int) -> list[list[int]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


def median_seconds(work: Callable[[], None]) -> float:
    """The median of three runs, each rolled back."""
    taken = []
    for _ in range(ROUNDS):
        with transaction.atomic():
            began = time.perf_counter()
            work()
            taken.append(time.perf_counter() - began)
            transaction.set_rollback(True)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    wanted = parser.parse_args().patients
    with access.system_run("benchmark") as viewer:
        ids = list(Patient.objects.order_by("id").values_list("id", flat=True)[:wanted])
        print(f"{len(ids)} patients; a median of {ROUNDS} runs each")
        if not ids:
            sys.exit("There are no patients; run benchmarks/simulate.py first.")
        measure_reading(ids)
        measure_evaluating(ids)
        measure_recording(ids[:100], viewer)
        measure_census()
        transaction.set_rollback(True)


def measure_reading(ids: list[int]) -> None:
    with CaptureQueriesContext(connection) as asked:
        read_records(ids[:CHUNK])
    batch = median_seconds(lambda: [read_records(chunk) for chunk in chunks(ids, CHUNK)] and None)
    few = ids[: min(len(ids), 200)]
    single = median_seconds(lambda: [read_records([pk]) for pk in few] and None) / len(few) * len(ids)
    print(f"reading      {1e6 * batch / len(ids):7.0f} us a patient, {len(asked)} queries a chunk of {CHUNK}")
    print(f"  one by one {1e6 * single / len(ids):7.0f} us a patient; ratio {single / batch:.1f}")


def measure_evaluating(ids: list[int]) -> None:
    now = timezone.now()
    run = EvaluationRun.objects.create(kind="benchmark", actor="benchmark")

    def sweep(size: int, of: list[int]) -> Callable[[], None]:
        return lambda: [pipeline.evaluate_patients(part, run=run, now=now) for part in chunks(of, size)] and None

    records = list(read_records(ids).values())
    today = now.date()
    alone = median_seconds(lambda: [evaluate(record, Protocol(), today) for record in records] and None)
    batch = median_seconds(sweep(CHUNK, ids))
    few = ids[: min(len(ids), 100)]
    single = median_seconds(sweep(1, few)) / len(few) * len(ids)
    print(f"sweep, all   {len(ids) / batch:7.0f} patients/s on one core (nothing changed)")
    print(f"  one by one {len(ids) / single:7.0f} patients/s; ratio {single / batch:.1f}")
    print(f"  guideline alone {1e6 * alone / len(ids):.0f} us of {1e6 * batch / len(ids):.0f} us a patient")


def measure_recording(ids: list[int], viewer: access.Viewer) -> None:
    """A visit with radiographs and symptoms of both hips: facts, audit, evaluation, plan, flags, reviews, reminders."""
    clinics = {clinic.pk: clinic for clinic in Clinic.objects.all()}
    taken = []
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
        with transaction.atomic():
            began = time.perf_counter()
            recording.record_facts(pk, facts, by=viewer.actor, visit=Visit(on=day))
            taken.append(1000 * (time.perf_counter() - began))
            transaction.set_rollback(True)
    taken.sort()
    p95 = taken[int(len(taken) * 0.95) - 1]
    print(
        f"record a visit for both hips: p50 {statistics.median(taken):.0f} ms, p95 {p95:.0f} ms ({len(taken)} visits)"
    )


def measure_census() -> None:
    clinic = max(Clinic.objects.all(), key=lambda one: one.patients.count())
    hips = 2 * clinic.patients.count()
    counted = median_seconds(lambda: census.count_hips(clinic, timezone.now().date()) and None)
    with connection.cursor() as cursor:
        began = time.perf_counter()
        cursor.execute("SELECT count(*) FROM patients_hip")
        bare = time.perf_counter() - began
    print(
        f"census       {counted:.3f} s for {hips} hips; count(*) over the hips {bare:.4f} s, ratio {counted / bare:.0f}"
    )


if __name__ == "__main__":
    main()
