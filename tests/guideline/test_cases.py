"""The cases: whole histories with the answer worked out by hand, from this folder and from beside the repository."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.stream import read_question
from schedules.guideline.values import parse_json

OWN = Path(__file__).parent / "cases"
GIVEN = Path(
    os.environ.get("HIPWATCH_VIGNETTES") or Path(__file__).resolve().parents[2] / ".." / "shared" / "vignettes"
)


def cases(folder: Path) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(folder.glob("*.json"))]


def answer(path: Path) -> dict[str, Any]:
    record, as_of = read_question(parse_json(path.read_text()))
    return evaluate(record, DEFAULT, as_of).to_json()


def differences(expect: dict[str, Any], answer: dict[str, Any]) -> list[tuple[Any, ...]]:
    """What is expected and not so, as (where, expected, found)."""
    hips = {hip["side"]: hip for hip in answer["hips"]}
    found = [(name, value, answer[name]) for name, value in expect.items() if name != "hips" and answer[name] != value]
    for hip in expect.get("hips", []):
        found += [(hip["side"], *rest) for rest in hip_differences(hip, hips[hip["side"]])]
    return found


def hip_differences(expect: dict[str, Any], hip: dict[str, Any]) -> list[tuple[Any, ...]]:
    rules = [finding["rule"] for finding in hip["findings"]]
    by_rule = {finding["rule"]: finding for finding in hip["findings"]}
    found: list[tuple[Any, ...]] = []
    for name, value in expect.items():
        match name:
            case "findings":
                found += [(name, value, rules)] if sorted(value) != sorted(rules) else []
            case "findings_order":
                found += [(name, value, rules)] if value != rules else []
            case "findings_include":
                found += [(name, rule, rules) for rule in value if rule not in rules]
            case "findings_exclude":
                found += [(name, rule, rules) for rule in value if rule in rules]
            case "findings_detail":
                for rule, details in value.items():
                    found += [(rule, k, v, by_rule[rule][k]) for k, v in details.items() if by_rule[rule][k] != v]
            case "window" if value is not None:
                found += [(name, k, v, hip["window"][k]) for k, v in value.items() if hip["window"][k] != v]
            case _:
                found += [(name, value, hip[name])] if hip[name] != value else []
    return found


@pytest.mark.parametrize("path", cases(OWN))
def test_case(path: Path) -> None:
    assert differences(json.loads(path.read_text())["expect"], answer(path)) == []


@pytest.mark.skipif(not GIVEN.is_dir(), reason="the vignettes are not beside this repository")
@pytest.mark.parametrize("path", cases(GIVEN))
def test_given_vignette(path: Path) -> None:
    assert differences(json.loads(path.read_text())["expect"], answer(path)) == []
