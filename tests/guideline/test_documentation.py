"""The page docs/guideline.md names every rule with its action and urgency, every pathway and every parameter."""

import re
from dataclasses import fields
from pathlib import Path

from schedules.guideline.pathways import Pathway
from schedules.guideline.protocol import Protocol
from schedules.guideline.rules import RULES, Needs

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "guideline.md").read_text()
LETTERS = {Needs.ANY: "", Needs.DISEASED: "D", Needs.FOLLOWED: "F", Needs.ENDED: "ended"}


def test_the_rules_table_is_the_one_in_the_code() -> None:
    rows = re.findall(r"^\| (R\d\d)(\*?) \| (\w*) ?\| (\w+) \| (\w+) \|", TEXT, flags=re.MULTILINE)
    assert [tuple(row) for row in rows] == [
        (rule.id, "" if rule.decided else "*", LETTERS[rule.needs], rule.action.value, rule.urgency.value)
        for rule in RULES.values()
    ]


def test_every_rule_has_a_sentence_and_a_source() -> None:
    for rule in RULES.values():
        assert rule.asks.endswith(".")
        assert rule.sources
    assert len({rule.action for rule in RULES.values()}) == len(RULES)


def test_every_pathway_and_parameter_is_described() -> None:
    assert [pathway for pathway in Pathway if f"| {pathway} |" not in TEXT] == []
    names = {field.name for field in fields(Protocol)} - {"name", "version", "hhs_fall", "hoos_jr_fall", "ohs_fall"}
    assert [name for name in names | {"score_fall"} if f"`{name}`" not in TEXT] == []
