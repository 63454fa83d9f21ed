"""Reading: what is accepted is exactly what the schema and the checks accept, and every problem is named by path."""

import json
import random
from copy import deepcopy
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from patients.vocabulary import STAGE_CODES
from schedules.guideline.reading import RecordRefused, read_record
from schedules.guideline.values import NotJson, parse_json

from .builders import ENROLLED, Fact, ended, films, record_of, replacing, seen, silent_lesion, stage
from .strategies import JsonObject, make_record, rngs

SCHEMA = json.loads((Path(__file__).resolve().parents[2] / "docs" / "assess.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA, format_checker=Draft202012Validator.FORMAT_CHECKER)
ODD: list[Any] = [
    None, True, False, 0, 1, -1, 3, 4, 10, 11, 48, 48.5, 49, 100, 100.0, 100.1, 101, 1.0, 1.5, 2.0, 1e300, "", "x",
    "x" * 64, "x" * 65, "2025-02-29", "2024-02-29", "2025-02-30", "20250101", "2025-1-1", "2025-W01-1", "0000-01-01",
    "2025-01-01T00:00:00", "2025-01-01\n", " 2025-01-01", "9999-12-31", "0001-01-01", "\u0662025-01-01", "IIIA", "IA",
    "0",
    "MR", "mr", "left", "OHS", "2019", "ARCO", "1994", 2019, "present", "reopened", [], [1], ["AP", "AP"], ["AP",
    "OTHER"],
    [None], {}, {"id": "a"}, "f1", "f2",
]  # fmt: skip


def problems(record: Any) -> list[tuple[str, str]]:
    try:
        read_record(record)
    except RecordRefused as refused:
        return list(refused.problems)
    return []


def paths(record: Any) -> list[str]:
    return [path for path, _ in problems(record)]


def places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a record."""
    keys = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in keys for place in [(value, key), *places(item)]]


def mutate(record: JsonObject, rng: random.Random) -> JsonObject:
    container, key = rng.choice(places(record))
    match rng.randrange(5):
        case 0 if isinstance(container, dict):
            del container[key]
        case 1 if isinstance(container, dict):
            container[rng.choice(["extra", "on", "side", "value", "views", "supersedes", "id", "adjuncts"])] = (
                rng.choice(ODD)
            )
        case 2 if isinstance(container, list):
            container.append(deepcopy(container[key]))
        case _:
            container[key] = rng.choice(ODD)
    return record


def breaks_a_check(record: JsonObject) -> bool:
    """What the schema cannot say, of a record that fits it; written apart from the code that it tests."""
    hips = record.get("hips", [])
    lists = [
        record["patient"].get("bmi", []),
        *(facts for hip in hips for facts in hip.values() if isinstance(facts, list)),
    ]
    facts = [fact for facts in lists for fact in facts]
    ids = [fact["id"] for fact in facts if "id" in fact]
    born_on = record["patient"].get("born_on")
    days = [record["patient"]["enrolled_on"], record["patient"].get("died_on"), *(fact["on"] for fact in facts)]
    if len(ids) != len(set(ids)) or (born_on and any(day and day < born_on for day in days)):
        return True
    for facts in lists:
        named = {fact["id"]: fact.get("supersedes") for fact in facts if "id" in fact}
        for fact in facts:
            at, steps = fact.get("supersedes"), 0
            while at is not None and steps <= len(facts):
                if at not in named:
                    return True
                at, steps = named[at], steps + 1
            if at is not None:
                return True
    for hip in hips:
        reasons = {ending["id"]: ending["reason"] for ending in hip.get("endings", [])}
        for ending in hip.get("endings", []):
            if ending["reason"] == "reopened" and not ending.get("supersedes"):
                return True
            if reasons.get(ending.get("supersedes")) == "reopened":
                return True
    return False


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(rngs(), st.integers(0, 3))
def test_it_refuses_what_the_schema_and_the_checks_refuse_and_nothing_else(rng: random.Random, changes: int) -> None:
    record = make_record(rng, crowd=3)
    for _ in range(changes):
        record = mutate(record, rng)
    wrong = not VALIDATOR.is_valid(record) or breaks_a_check(record)
    assert bool(problems(record)) == wrong


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("name", ["born_on", "enrolled_on", "conditions", "bmi"])
def test_it_agrees_with_the_schema_on_odd_values_of_the_patient(name: str, odd: Any) -> None:
    record = {"patient": {"enrolled_on": "9999-12-31", name: odd}}
    assert bool(problems(record)) == (not VALIDATOR.is_valid(record))


@pytest.mark.parametrize(("kind", "name"), [
    (kind, name)
    for kind, items in SCHEMA["$defs"]["hip"]["properties"].items() if kind != "side"
    for name in SCHEMA["$defs"][items["items"]["$ref"].rsplit("/", 1)[1]]["properties"] if name != "supersedes"
])  # fmt: skip
def test_it_agrees_with_the_schema_on_odd_values_of_every_field(kind: str, name: str) -> None:
    basis = {
        "imaging": {"modality": "MR"}, "stagings": {"system": "ARCO", "version": "2019", "code": "I"},
        "symptoms": {"source": "patient"}, "scores": {"instrument": "OHS", "value": 1}, "procedures": {"kind": "THA"},
        "decisions": {"action": "CT_HIP", "outcome": "other"}, "locations": {}, "endings": {"reason": "discharged"},
    }[kind]  # fmt: skip
    for odd in ODD:
        fact = {"id": "f1", "on": ENROLLED} | basis | {name: odd}
        record = {"patient": {"enrolled_on": ENROLLED}, "hips": [{"side": "left", kind: [fact]}]}
        expected = not VALIDATOR.is_valid(record) or breaks_a_check(record)
        assert bool(problems(record)) == expected, odd


@pytest.mark.parametrize(("system", "version"), STAGE_CODES)
def test_a_stage_means_something_only_in_its_system(system: str, version: str) -> None:
    for code in sorted({code for codes in STAGE_CODES.values() for code in codes} | {"V", "IIID", "i"}):
        record = record_of((stage(ENROLLED, code, system, version),))
        assert paths(record) == ([] if code in STAGE_CODES[(system, version)] else ["$.hips[0].stagings[0].code"])


def test_every_problem_is_named_at_once() -> None:
    record = {
        "patient": {"born_on": "1990-02-30", "bmi": [{"on": "2026-01-01", "value": True}], "name": "x"},
        "hips": [
            {
                "side": "left",
                "imaging": [{"id": "a", "on": "2026-01-01", "modality": "MR", "lesion_volume_percent": 140}],
            },
            {
                "side": "left",
                "stagings": [{"id": "a", "on": "2026-01-01", "system": "ARCO", "version": "1985", "code": "I"}],
            },
        ],
        "extra": 1,
    }
    assert set(paths(record)) == {
        "$.extra", "$.patient.born_on", "$.patient.bmi[0].value", "$.patient.name", "$.patient.enrolled_on",
        "$.hips[0].imaging[0].lesion_volume_percent", "$.hips[1].side", "$.hips[1].stagings[0].version",
        "$.hips[1].stagings[0].id",
    }  # fmt: skip
    assert all(message for _, message in problems(record))


def test_dates_before_birth_are_refused_where_they_stand() -> None:
    record = record_of((seen("1980-01-01"),), born_on="1990-01-01", enrolled_on="1989-12-31", died_on="1970-01-01")
    record["patient"]["bmi"] = [{"on": "1985-01-01", "value": 24}]
    assert set(paths(record)) == {
        "$.hips[0].symptoms[0].on", "$.patient.enrolled_on", "$.patient.died_on", "$.patient.bmi[0].on",
    }  # fmt: skip
    assert paths(record_of((seen("1990-01-01"),), born_on="1990-01-01", enrolled_on="1990-01-01")) == []


def in_circle() -> tuple[Fact, ...]:
    a, b, c = films(ENROLLED), films(ENROLLED), films(ENROLLED)
    return replacing(a, instead_of=b), replacing(b, instead_of=c), replacing(c, instead_of=a)


SUPERSEDES = [
    ("a circle", in_circle(), 3),
    ("itself", (replacing(mine := seen(ENROLLED), instead_of=mine),), 1),
    ("a fact of another list", (its := seen(ENROLLED), replacing(films(ENROLLED), instead_of=its)), 1),
    ("a later fact", (late := seen("2026-02-01"), replacing(seen(ENROLLED), instead_of=late)), 0),
    ("one twice named", (old := seen(ENROLLED), replacing(seen(ENROLLED), instead_of=old),
                         replacing(seen(ENROLLED), instead_of=old)), 0),
    ("a reopened that names nothing", (ended(ENROLLED, "reopened"),), 1),
    ("a reopened that names a reopened", (first := ended(ENROLLED), second := replacing(ended(ENROLLED, "reopened"),
     instead_of=first), replacing(ended(ENROLLED, "reopened"), instead_of=second)), 1),
    ("an ending that names a reopened", (one := ended(ENROLLED), two := replacing(ended(ENROLLED, "reopened"),
     instead_of=one), replacing(ended(ENROLLED), instead_of=two)), 1),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "count"), [pytest.param(f, n, id=title) for title, f, n in SUPERSEDES])
def test_supersedes(facts: tuple[Fact, ...], count: int) -> None:
    found = paths(record_of(facts))
    assert len(found) == count
    assert all(path.endswith(".supersedes") for path in found)


def test_facts_of_one_list_come_by_date_and_then_as_given() -> None:
    record = read_record(
        record_of((seen("2026-03-01", 1), seen("2026-01-20", 2), seen("2026-03-01", 3), seen(ENROLLED, 4)))
    )
    assert [report.pain_nrs for report in record.left.symptoms] == [4, 2, 1, 3]


def test_what_is_not_named_is_unknown() -> None:
    record = read_record({"patient": {"enrolled_on": ENROLLED}})
    assert (record.born_on, record.bmi, record.left.imaging, record.right.side) == (None, (), (), "right")
    assert record.enrolled_on == date(2026, 1, 10)


def test_numbers_stay_as_they_were_written() -> None:
    text = json.dumps(record_of(silent_lesion())).replace(
        '"lesion_volume_percent": 12', '"lesion_volume_percent": 12.10'
    )
    percent = read_record(parse_json(text)).left.imaging[0].lesion_volume_percent
    assert str(percent) == "12.10"
    assert read_record(json.loads(text)).left.imaging[0].lesion_volume_percent == Decimal("12.1")


@pytest.mark.parametrize(
    "text",
    ['{"a": NaN}', "[Infinity]", "[-Infinity]", '{"a": 1, "a": 1}', "", "{", "[1e99999999999999999999]", "[" * 100_000],
)
def test_text_that_is_not_json(text: str) -> None:
    with pytest.raises(NotJson):
        parse_json(text)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN"), Decimal("Infinity"), Decimal("-0.001")])
def test_numbers_that_are_none(value: object) -> None:
    assert paths({"patient": {"enrolled_on": ENROLLED, "bmi": [{"on": ENROLLED, "value": value}]}}) == [
        "$.patient.bmi[0].value"
    ]
    record = record_of((seen(ENROLLED, value),))  # type: ignore[arg-type]
    assert paths(record) == ["$.hips[0].symptoms[0].pain_nrs"]
