"""Who may be the same person: points, reasons, and a registry that is asked in few queries."""

import csv
import itertools
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from patients.duplicates import LIKELY, POSSIBLE, Person, compare, find_candidates, find_likely

FEBRL = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "febrl"
ANNA = Person("Müller", "Anna", date(1980, 2, 9))


@pytest.mark.parametrize(
    "other",
    [
        Person("Mueller", "Anna", date(1980, 2, 9)),
        Person("Muller", "ANNA", date(1980, 2, 9)),
        Person("Anna", "Müller", date(1980, 2, 9)),
        Person("Müller", "Anna", date(1980, 2, 9), national_id="1"),
    ],
)
def test_the_same_person_written_otherwise_is_likely(other: Person) -> None:
    assert compare(ANNA, other)[0] >= LIKELY


@pytest.mark.parametrize(
    "other",
    [
        Person("Müller", "Anna", date(1980, 9, 2)),
        Person("Müller", "Anna", date(1980, 2, 8)),
        Person("Müler", "Ana", date(1980, 2, 9)),
    ],
)
def test_a_slip_of_the_pen_is_possible(other: Person) -> None:
    assert compare(ANNA, other)[0] >= POSSIBLE


@pytest.mark.parametrize(
    "other",
    [
        Person("Müller", "Anna", date(1951, 11, 30)),
        Person("Müller", "Bernd", date(1980, 2, 9)),  # a twin
        Person("Kowalski", "Anna", date(1980, 2, 9)),
        Person("Müller"),
    ],
)
def test_namesakes_and_twins_are_not_offered(other: Person) -> None:
    assert compare(ANNA, other)[0] < POSSIBLE


def test_the_reasons_are_said_in_words() -> None:
    score, reasons = compare(replace(ANNA, email="a@x.example"), replace(ANNA, given_name="Ana", email="A@x.example"))
    assert score == 93
    assert reasons == ("same family name", "similar given name", "same date of birth", "same e-mail address")


def test_candidates_come_likeliest_first_from_these_clinics_only(
    clinic: Any, other_clinic: Any, enrol: Any, django_assert_max_num_queries: Any
) -> None:
    same = enrol(clinic, family_name="Mueller", given_name="Anna", born_on=date(1980, 2, 9))
    misread = enrol(clinic, family_name="Müller", given_name="Anna", born_on=date(1980, 9, 2))
    enrol(clinic, family_name="Quist", given_name="Olaf")
    enrol(other_clinic, family_name="Müller", given_name="Anna", born_on=date(1980, 2, 9))
    with django_assert_max_num_queries(5):
        found = find_candidates(
            [clinic.pk],
            family_name="Müller",
            given_name="Anna",
            born_on=date(1980, 2, 9),
            email="x@y.example",
            national_id="9",
        )
    assert [candidate.patient for candidate in found] == [same, misread]
    assert found[0].is_likely


def test_many_people_are_looked_for_in_one_query(clinic: Any, enrol: Any, django_assert_num_queries: Any) -> None:
    same = enrol(clinic, family_name="Mueller", given_name="Anna", born_on=date(1980, 2, 9))
    with django_assert_num_queries(1):
        found = find_likely(clinic.pk, [Person("Quist", "Olaf", date(1980, 2, 9)), ANNA])
    assert found[0] is None
    assert found[1] is not None
    assert found[1].patient == same


def _people(name: str) -> dict[str, Person]:
    people = {}
    with (FEBRL / name).open() as source:
        for row in csv.DictReader(source, skipinitialspace=True):
            try:
                born_on = date.fromisoformat(row["date_of_birth"].strip())
            except ValueError:
                born_on = None
            number = row["rec_id"].split("-")[1]
            people[number] = Person(
                row["surname"].strip(), row["given_name"].strip(), born_on, national_id=row["soc_sec_id"].strip()
            )
    return people


@pytest.mark.skipif(not FEBRL.is_dir(), reason="the folder of known duplicates is not there")
def test_known_duplicates_are_found_and_strangers_are_not() -> None:
    originals, copies = _people("dataset4a.csv"), _people("dataset4b.csv")
    numbers = sorted(copies)[:1500]
    found = sum(compare(copies[number], originals[number])[0] >= POSSIBLE for number in numbers)
    wrong = sum(compare(copies[a], originals[b])[0] >= LIKELY for a, b in itertools.pairwise(numbers))
    assert found / len(numbers) > 0.95
    assert wrong == 0
