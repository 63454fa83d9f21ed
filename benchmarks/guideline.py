"""Benchmark of the guideline: patients a second on one core, microseconds at p50 and p99, and growth with the facts.

    python -m benchmarks.guideline [--patients 2000] [--seed 1] [--json]

Usual histories have some 25 facts over both hips, crowded ones some 400: contradictory, superseded, on the edges of
windows. Evaluation is timed alone and, as a stream does it, from JSON text to JSON text.
"""

import argparse
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import note
from patients.record import HipRecord, PatientRecord
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.reading import read_record
from schedules.guideline.stream import answer_line
from schedules.guideline.values import parse_json
from tests.guideline.strategies import make_as_of, make_record

USUAL, CROWDED = 5, 60
LISTS = ("imaging", "stagings", "symptoms", "scores", "procedures", "decisions", "locations", "endings")


@dataclass(frozen=True)
class Question:
    line: bytes
    record: PatientRecord
    as_of: date

    @property
    def facts(self) -> int:
        hips = (self.record.left, self.record.right)
        return len(self.record.bmi) + sum(len(getattr(hip, name)) for hip in hips for name in LISTS)


def questions(count: int, *, crowd: int, seed: int) -> list[Question]:
    rng = random.Random(seed)
    return [question(rng, crowd) for _ in range(count)]


def question(rng: random.Random, crowd: int) -> Question:
    data = make_record(rng, crowd=crowd)
    as_of = make_as_of(rng, data)
    line = json.dumps({"record": data, "as_of": as_of.isoformat()}).encode()
    return Question(line, read_record(parse_json(json.dumps(data))), as_of)


def timed(work: Callable[[Question], object], asked: Iterable[Question]) -> list[float]:
    """Microseconds each, sorted."""
    taken = []
    for one in asked:
        start = time.perf_counter()
        work(one)
        taken.append((time.perf_counter() - start) * 1e6)
    return sorted(taken)


def summary(taken: list[float]) -> dict[str, float]:
    return {
        "patients_per_s": round(1e6 / statistics.fmean(taken)),
        "p50_us": round(taken[len(taken) // 2]),
        "p99_us": round(taken[int(len(taken) * 0.99)]),
    }


def evaluated(one: Question) -> object:
    return evaluate(one.record, DEFAULT, one.as_of)


def answered(one: Question) -> object:
    return json.dumps(answer_line(one.line, DEFAULT))


def repeated(one: Question, times: int) -> Question:
    """The same history with every fact so many times over, each copy on its own."""

    def again(hip: HipRecord) -> HipRecord:
        lists = {name: tuple(fact for fact in getattr(hip, name) for _ in range(times)) for name in LISTS}
        return HipRecord(hip.side, **lists)

    record = one.record
    grown = PatientRecord(
        record.enrolled_on, again(record.left), again(record.right), record.born_on, record.died_on, record.conditions,
        tuple(reading for reading in record.bmi for _ in range(times)),
    )  # fmt: skip
    return Question(one.line, grown, one.as_of)


def growth(seed: int) -> dict[str, float]:
    """How much longer ten times the facts take; n log n would be about 14."""
    small = questions(40, crowd=150, seed=seed)
    large = [repeated(one, 10) for one in small]
    times = [min(statistics.fmean(timed(evaluated, asked)) for _ in range(3)) for asked in (small, large)]
    return {
        "facts": round(statistics.fmean(one.facts for one in small)),
        "us": round(times[0]),
        "us_with_ten_times_the_facts": round(times[1]),
        "ratio": round(times[1] / times[0], 1),
    }


def measure(patients: int, seed: int) -> dict[str, dict[str, float]]:
    usual = questions(patients, crowd=USUAL, seed=seed)
    crowded = questions(max(100, patients // 10), crowd=CROWDED, seed=seed)
    timed(evaluated, usual[:200])  # warm
    return {
        "usual": {"facts": round(statistics.fmean(q.facts for q in usual)), **summary(timed(evaluated, usual))},
        "crowded": {"facts": round(statistics.fmean(q.facts for q in crowded)), **summary(timed(evaluated, crowded))},
        "usual, JSON to JSON": summary(timed(answered, usual)),
        "growth": growth(seed),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patients", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = measure(options.patients, options.seed)
    for name in ("usual", "crowded", "usual, JSON to JSON"):
        for percentile in ("p50_us", "p99_us"):
            note("guideline", f"{name} history, {percentile[:3]}", "us a patient", results[name][percentile])
    grown = results["growth"]
    note(
        "guideline",
        "ten times the facts",
        "us",
        grown["us_with_ten_times_the_facts"],
        baseline=grown["us"],
        against="as they are",
    )
    if options.json:
        print(json.dumps(results))
        return
    for name, figures in results.items():
        print(f"{name:<20} " + "  ".join(f"{figure.replace('_', ' ')} {value:g}" for figure, value in figures.items()))


if __name__ == "__main__":
    main()
