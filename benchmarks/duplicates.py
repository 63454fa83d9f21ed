"""The nightly search for duplicates: how its time grows with the registry. In memory, no database.

    .venv/bin/python benchmarks/duplicates.py [10000 100000]

Invented people with the names of the simulation (few, so blocks are larger than in life); one in fifty is written
twice, with a slip. The baseline is the smallest registry of the same run.
"""

import os
import sys
import time
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from benchmarks.figures import note  # noqa: E402
from monitoring.simulation.people import _ORIGINS  # noqa: E402
from patients.duplicate_search import find_pairs  # noqa: E402
from patients.duplicates import Person  # noqa: E402


def people(count: int, chance: Random) -> tuple[dict[int, Person], set[tuple[int, int]]]:
    """Persons by id, and the pairs that are one person."""
    origins = list(_ORIGINS.values())
    made: dict[int, Person] = {}
    same: set[tuple[int, int]] = set()
    while len(made) < count:
        origin = chance.choice(origins)
        born = date(1935, 1, 1) + timedelta(days=chance.randrange(75 * 365))
        given = chance.choice(origin.women + origin.men)
        pk = len(made) + 1
        made[pk] = Person(chance.choice(origin.families), given, born, email=f"p{pk}@mail.example")
        if chance.random() < 0.02 and len(made) < count:
            made[pk + 1] = _slip(made[pk], chance)
            same.add((pk, pk + 1))
    return made, same


def _slip(person: Person, chance: Random) -> Person:
    name = person.family_name
    at = chance.randrange(len(name) - 1)
    return chance.choice(
        [
            replace(person, family_name=name[:at] + name[at + 1] + name[at] + name[at + 2 :], email=""),
            replace(person, family_name=name[:at] + name[at + 1 :], email=""),
            replace(person, given_name=person.family_name, family_name=person.given_name, email=""),
            replace(person, given_name=person.given_name[:1], email=person.email),
        ]
    )


def main() -> None:
    first, counts = 0.0, [int(word) for word in sys.argv[1:]] or [10_000, 100_000]
    smallest = counts[0]
    for count in counts:
        made, same = people(count, Random(7))
        begin = time.perf_counter()
        found = find_pairs(made)
        took = time.perf_counter() - begin
        first = first or took
        if count != smallest:
            note("duplicates", f"{count:,} people", "s", took, baseline=first, against=f"{smallest:,} people")
        right = len(same & found.keys())
        print(
            f"{count} people: {took:.1f} s ({took / first:.1f} times the first), {len(found)} pairs,"
            f" {right / len(same):.1%} of {len(same)} written twice"
        )


if __name__ == "__main__":
    main()
