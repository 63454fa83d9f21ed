"""Reasons: the one plain sentence why a hip is on its pathway and when it is seen next."""

from collections.abc import Callable
from typing import Final

from .case import Case
from .pathways import Pathway
from .stages import Phase


def reason_for(case: Case) -> str:
    """One sentence with its numbers and dates; none that counts days up to today."""
    return _SENTENCES.get(case.plan.pathway, _interval)(case)


def _interval(case: Case) -> str:
    reasons = ", ".join(case.plan.reasons) or _no_reason(case)
    first = "" if case.hip.anchor_on else f" First follow-up due {case.protocol.baseline_days} days after "
    first += f"{case.plan.followed_since}." if first else ""
    return f"{case.plan.interval_months}-month interval: {reasons}.{first}"


def _no_reason(case: Case) -> str:
    if case.plan.pathway is Pathway.NOT_ASSESSED:
        return "nothing is known about this hip"
    return "no known reason for a shorter one"


def _collapse(case: Case) -> str:
    first = case.hip.stages.first_at_least(Phase.COLLAPSE_EARLY)
    return f"{_interval(case)} Collapse since {first.on}." if first else _interval(case)


def _after_decompression(case: Case) -> str:
    visit, operated_on = case.plan.visit, case.hip.decompressed_on
    if visit is None:
        return _interval(case)
    length = f"{visit.weeks} weeks" if visit.weeks else f"{visit.months} months"
    return f"Visit {length} after the core decompression of {operated_on}."


def _ended(case: Case) -> str:
    ends = ", ".join(f"{ending.reason.value.replace('_', ' ')} on {ending.on}" for ending in case.hip.facts.endings)
    return f"Follow-up has ended: {ends}."


def _not_affected(case: Case) -> str:
    clear_by = case.hip.clear_by
    return f"The MR of {clear_by.on} shows no necrosis." if clear_by else "The MR shows no necrosis."


_SENTENCES: Final[dict[Pathway, Callable[[Case], str]]] = {
    Pathway.DECEASED: lambda case: f"Died on {case.patient.died_on}.",
    Pathway.NOT_ENROLLED: lambda case: f"Not enrolled before {case.patient.enrolled_on}.",
    Pathway.ENDED: _ended,
    Pathway.REPLACED: lambda case: f"Replaced on {case.hip.facts.replacements[0].on}.",
    Pathway.COLLAPSE: _collapse,
    Pathway.POST_DECOMPRESSION: _after_decompression,
    Pathway.CONTRALATERAL_WATCH: lambda case: "The other hip is affected; this one is not known to be.",
    Pathway.NOT_AFFECTED: _not_affected,
}
