"""Vignettes: whole histories with the answer worked out by hand, kept beside the guideline and run against it."""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from .evaluation import Answer, evaluate
from .protocol import Protocol
from .stream import read_question
from .values import parse_json

FOLDER: Final = Path(__file__).parent / "cases"


@dataclass(frozen=True, slots=True)
class Difference:
    """What is expected and not so. `side` is empty where the patient is meant."""

    side: str
    what: str
    expected: Any
    found: Any


@dataclass(frozen=True, slots=True)
class Vignette:
    """One case as it is written: what it is about, why the answer is so, the question and what is expected."""

    name: str
    title: str
    why: str
    question: dict[str, Any]
    expect: dict[str, Any]

    def answer(self, protocol: Protocol) -> Answer:
        record, as_of = read_question(self.question)
        return evaluate(record, protocol, as_of)


@dataclass(frozen=True, slots=True)
class Run:
    """One case, run now."""

    vignette: Vignette
    answer: Answer
    differences: tuple[Difference, ...]


def read_vignette(path: Path) -> Vignette:
    written = parse_json(path.read_text(encoding="utf-8"))
    question = {"record": written["record"], "as_of": written["as_of"]}
    expect = json.loads(path.read_text(encoding="utf-8"))["expect"]
    return Vignette(path.stem, written.get("title", path.stem), written.get("why", ""), question, expect)


@lru_cache(maxsize=1)
def vignettes() -> tuple[Vignette, ...]:
    """The cases of this folder, in their order."""
    return tuple(read_vignette(path) for path in sorted(FOLDER.glob("*.json")))


def run(vignette: Vignette, protocol: Protocol) -> Run:
    """The answer to a case under a protocol, and where it is not what is expected."""
    answer = vignette.answer(protocol)
    return Run(vignette, answer, tuple(differences(vignette.expect, answer.to_json())))


def differences(expect: dict[str, Any], answer: dict[str, Any]) -> list[Difference]:
    """What is expected and not so."""
    hips = {hip["side"]: hip for hip in answer["hips"]}
    found = [
        Difference("", name, value, answer[name])
        for name, value in expect.items()
        if name != "hips" and answer[name] != value
    ]
    for hip in expect.get("hips", []):
        found += [Difference(hip["side"], *rest) for rest in _of_hip(hip, hips[hip["side"]])]
    return found


def _of_hip(expect: dict[str, Any], hip: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    rules = [finding["rule"] for finding in hip["findings"]]
    found: list[tuple[str, Any, Any]] = []
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
                found += _of_findings(value, hip["findings"])
            case "window" if value is not None:
                window = hip["window"] or {}
                found += [(key, wanted, window.get(key)) for key, wanted in value.items() if window.get(key) != wanted]
            case _:
                found += [(name, value, hip[name])] if hip[name] != value else []
    return found


def _of_findings(expect: dict[str, dict[str, Any]], findings: list[dict[str, Any]]) -> list[tuple[str, Any, Any]]:
    by_rule = {finding["rule"]: finding for finding in findings}
    return [
        (f"{rule} {key}", value, by_rule.get(rule, {}).get(key))
        for rule, details in expect.items()
        for key, value in details.items()
        if by_rule.get(rule, {}).get(key) != value
    ]
