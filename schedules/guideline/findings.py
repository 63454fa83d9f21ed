"""Findings: how raising facts and decisions become what is asked of the clinic, and on which days."""

from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from patients.vocabulary import Action

from .case import Case
from .facts import Mark
from .pathways import Pathway
from .rules import RULES, Needs, Rule, Urgency
from .timed import Spell, Step, timed_spells
from .windows import add_days, add_months

_RANK: Final = {urgency: rank for rank, urgency in enumerate(Urgency)}
_RECORDED: Final = tuple(rule for rule in RULES.values() if rule.raised_by and rule.needs is not Needs.ENDED)
_AFTER_END: Final = RULES["R41"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One conclusion. `since` is the earliest raising fact that no decision answers; `act_by` is None for DATA."""

    rule: str
    action: Action
    urgency: Urgency
    since: date
    act_by: date | None
    evidence: tuple[str, ...]
    because: str
    sources: tuple[str, ...]
    step: Step | None = None

    def to_json(self) -> dict[str, Any]:
        values: dict[str, Any] = {
            "rule": self.rule,
            "action": self.action.value,
            "urgency": self.urgency.value,
            "since": self.since.isoformat(),
            "act_by": self.act_by.isoformat() if self.act_by else None,
            "evidence": list(self.evidence),
            "because": self.because,
            "sources": list(self.sources),
        }
        if self.step:
            values["step"] = self.step.value
        return values


def spells_of(case: Case) -> list[Spell]:
    """Every spell of every finding that the known facts lead to, past, present and to come."""
    if case.plan.pathway is Pathway.ENDED:
        return _standing(_AFTER_END, case)
    if not case.in_care:
        return []
    spells = timed_spells(case)
    for rule in _RECORDED:
        if _concerns(rule, case):
            spells += _standing(rule, case)
    return [*spells, *_undecided(spells, case)]


def finding_of(spell: Spell, case: Case) -> Finding:
    rule = RULES[spell.rule]
    days = rule.urgency.days(case.protocol)
    return Finding(
        rule=rule.id,
        action=rule.action,
        urgency=rule.urgency,
        since=spell.since,
        act_by=None if days is None else add_days(spell.since, days),
        evidence=spell.evidence,
        because=rule.because(case, spell.first),
        sources=rule.sources,
        step=spell.step,
    )


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: (_RANK[finding.urgency], finding.since, finding.rule)))


def _concerns(rule: Rule, case: Case) -> bool:
    if rule.needs is Needs.DISEASED:
        return case.hip.diseased
    return rule.needs is Needs.ANY or case.plan.window is not None


def _standing(rule: Rule, case: Case) -> list[Spell]:
    """The spell of a rule about recorded facts: from its earliest fact that is not answered, without an end.

    A decision answers the facts dated up to its own day. Where the question is asked again, the months after the
    latest answer count as a fact of their own.
    """
    marks = rule.raised_by(case) if rule.raised_by else []
    if not marks:
        return []
    decided_on = case.hip.facts.decided.get(rule.action) if rule.decided else None
    if decided_on is not None:
        answered, marks = marks, [mark for mark in marks if mark.on > decided_on]
        if not marks and rule.again_months:
            marks = [Mark(add_months(decided_on, rule.again_months(case)), answered[0].id)]
    if not marks:
        return []
    first = min(marks, key=lambda mark: mark.on)
    evidence = tuple(dict.fromkeys(mark.id for mark in marks if mark.id is not None))
    return [Spell(rule.id, max(first.on, case.earliest_since), first.on, None, evidence, first)]


def _undecided(spells: list[Spell], case: Case) -> list[Spell]:
    """R28, once for the hip: the earliest review that waits, so many days on.

    A review that comes later begins later, so the earliest of all spells is the earliest of those present.
    """
    waiting = [spell for spell in spells if RULES[spell.rule].counts_for_overdue]
    if not waiting:
        return []
    longest = min(waiting, key=lambda spell: (spell.since, spell.rule))
    on = add_days(longest.since, case.protocol.decision_overdue_days)
    return [Spell("R28", on, on, None, longest.evidence, Mark(longest.since))]
