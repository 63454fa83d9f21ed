"""How long a simulated registry takes: living alone, then living, writing and evaluating.

    DATA_DIR=/path .venv/bin/python benchmarks/simulate.py --patients 2000 --processes 2

Needs a migrated database; writes into a synthetic clinic named after the moment, or with --registry into the first of
those that benchmarks/copies.py multiplies.
"""

import argparse
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.utils import timezone  # noqa: E402

from benchmarks.figures import note  # noqa: E402
from monitoring.management.commands.simulate_registry import synthetic_clinic  # noqa: E402
from monitoring.simulation.lives import Setting, live  # noqa: E402
from monitoring.simulation.registry import Order, simulate  # noqa: E402
from patients.models import Clinic  # noqa: E402
from patients.recording import today_at  # noqa: E402
from schedules.guideline.protocol import Protocol  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--patients", type=int, default=1000)
    parser.add_argument("--years", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--registry", action="store_true")
    chosen = parser.parse_args()
    now = timezone.now()
    known = {"mail_name": "Benchmark", "telephone": "+442079460999", "synthetic": True}
    name = f"Benchmark {now:%Y-%m-%d %H:%M:%S}"
    clinic = synthetic_clinic(1) if chosen.registry else Clinic.objects.create(name=name, **known)
    today = today_at(clinic, now)

    few = min(chosen.patients, 500)
    setting = Setting(chosen.seed, today, chosen.years, "en", Protocol())
    began = time.perf_counter()
    facts = sum(len(live(setting, number).told) for number in range(1, few + 1))
    seconds = time.perf_counter() - began
    alone = 1000 * seconds / few
    print(f"living only: {1000 * seconds / few:.2f} ms a patient, {facts / few:.0f} facts each (of {few})")

    began = time.perf_counter()
    done = simulate(Order(clinic.pk, chosen.patients, chosen.years, chosen.seed, today), processes=chosen.processes)
    seconds = time.perf_counter() - began
    told = f"{done:,} patients, {chosen.years:g} years, {chosen.processes} processes"
    note("simulate", told, "ms a patient", 1000 * seconds / done, baseline=alone, against="living alone")
    print(f"lived, written and evaluated: {done:,} patients in {seconds:.1f} s, {1000 * seconds / done:.1f} ms each")


if __name__ == "__main__":
    main()
