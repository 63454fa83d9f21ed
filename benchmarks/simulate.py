"""How long a simulated registry takes: living alone, then living, writing and evaluating.

    DATA_DIR=/path .venv/bin/python benchmarks/simulate.py --patients 2000 --processes 2

Needs a migrated database; writes into a synthetic clinic named after the moment.
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
    chosen = parser.parse_args()
    now = timezone.now()
    clinic = Clinic.objects.create(
        name=f"Benchmark {now:%Y-%m-%d %H:%M:%S}", mail_name="Benchmark", telephone="+442079460999", synthetic=True
    )
    today = today_at(clinic, now)

    few = min(chosen.patients, 500)
    setting = Setting(chosen.seed, today, chosen.years, "en", Protocol())
    began = time.perf_counter()
    facts = sum(len(live(setting, number).told) for number in range(1, few + 1))
    seconds = time.perf_counter() - began
    print(f"living only: {1000 * seconds / few:.2f} ms a patient, {facts / few:.0f} facts each (of {few})")

    began = time.perf_counter()
    done = simulate(Order(clinic.pk, chosen.patients, chosen.years, chosen.seed, today), processes=chosen.processes)
    seconds = time.perf_counter() - began
    print(f"lived, written and evaluated: {done:,} patients in {seconds:.1f} s, {1000 * seconds / done:.1f} ms each")


if __name__ == "__main__":
    main()
