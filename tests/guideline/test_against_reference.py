"""The engine against a second reading of the guideline, on random records and on cases worked out by hand."""

import json
import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.reading import read_record
from tests.guideline.reference import reference
from tests.guideline.reference.expectation import mismatches
from tests.guideline.reference.focused import focused_record
from tests.guideline.reference.records import random_record

CASES = sorted((Path(__file__).parent / "reference" / "cases").glob("*.json"))
RECORDS = range(300)


def engine_answer(record, as_of):
    """The engine's answer without its texts, which the reference does not write."""
    answer = evaluate(record, DEFAULT, date.fromisoformat(as_of)).to_json()
    for hip in answer["hips"]:
        del hip["because"]
        for finding in hip["findings"]:
            del finding["because"], finding["evidence"], finding["sources"]
    return answer


def plain(answer):
    """Numbers as JSON has them."""
    return json.loads(json.dumps(answer, default=float))


def days_to_ask(rnd, record, as_of):
    """The day drawn for the record, and a walk along the days on which the engine says that something changes."""
    yield as_of
    day = record["patient"]["enrolled_on"]
    parsed = read_record(record)
    for _ in range(3):
        changes = [hip["next_change_on"] for hip in engine_answer(parsed, day)["hips"] if hip["next_change_on"]]
        if not changes:
            return
        day = rnd.choice(changes)
        yield day
        yield (date.fromisoformat(day) - timedelta(days=1)).isoformat()


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"record-{seed}") for seed in RECORDS])
def test_engine_and_reference_give_the_same_answer(seed):
    rnd = random.Random(seed)
    record, as_of = random_record(rnd)
    parsed = read_record(record)
    for day in days_to_ask(rnd, record, as_of):
        mine = engine_answer(parsed, day)
        theirs = reference.answers_on(record, date.fromisoformat(day), date.fromisoformat(day))
        for hip in mine["hips"]:
            del hip["next_change_on"]
        assert mine["hips"] == plain(reference.as_json(theirs)), f"seed {seed} on {day}"


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"record-{seed}") for seed in RECORDS[::2]])
def test_engine_and_reference_agree_where_edges_meet(seed):
    record, days = focused_record(random.Random(seed))
    parsed = read_record(record)
    for day in days:
        on = date.fromisoformat(day)
        mine = engine_answer(parsed, day)["hips"]
        for hip in mine:
            del hip["next_change_on"]
        assert mine == plain(reference.as_json(reference.answers_on(record, on, on))), f"seed {seed} on {day}"


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"record-{seed}") for seed in RECORDS[::3]])
def test_evidence_names_known_facts_once(seed):
    record, days = focused_record(random.Random(1000 + seed))
    for day in days:
        on = date.fromisoformat(day)
        hips = [reference.read_hip(record, side, on, reference.DEFAULTS, on) for side in ("left", "right")]
        known = {fact["id"] for hip in hips for name in reference.HIP_LISTS for fact in getattr(hip, name)}
        known |= {fact["id"] for hip in hips for fact in hip.studies}
        for hip in evaluate(read_record(record), DEFAULT, on).hips:
            for finding in hip.findings:
                assert len(set(finding.evidence)) == len(finding.evidence), (finding, day)
                assert set(finding.evidence) <= known, (finding, day)


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"record-{seed}") for seed in RECORDS[::8]])
def test_engine_and_reference_name_the_same_next_change(seed):
    record, as_of = random_record(random.Random(seed))
    assert engine_answer(read_record(record), as_of) == plain(reference.assess(record, as_of)), (
        f"seed {seed} on {as_of}"
    )


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"record-{seed}") for seed in range(3)])
def test_next_change_is_the_first_day_that_differs(seed):
    record, as_of = random_record(random.Random(1000 + seed))
    today = date.fromisoformat(as_of)
    horizon = 200
    named = [hip.next_change_on for hip in evaluate(read_record(record), DEFAULT, today).hips]
    within = [day if day is not None and (day - today).days <= horizon else None for day in named]
    assert within == reference.next_changes_day_by_day(record, today, horizon), f"seed {1000 + seed} on {as_of}"


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_case_holds_in_engine_and_reference(path):
    case = json.loads(path.read_text(), parse_float=Decimal)
    answers = [
        evaluate(read_record(case["record"]), DEFAULT, date.fromisoformat(case["as_of"])).to_json(),
        reference.assess(case["record"], case["as_of"]),
    ]
    assert [mismatches(case["expect"], answer) for answer in answers] == [[], []], case["why"]
