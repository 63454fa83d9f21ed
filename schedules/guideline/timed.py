"""Timed findings: those that come and go with the calendar. Each is a spell, the days on which it is present.

Because every finding is a spell with a first day and an end, the next day on which the answer changes is read off
and never searched for.
"""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from .case import Case
from .facts import XR, Mark
from .windows import Window, add_days


class Step(StrEnum):
    """How far the search for a patient who does not come has got."""

    OVERDUE = "overdue"
    ESCALATE = "escalate"
    TRACE = "trace"


@dataclass(frozen=True, slots=True)
class Spell:
    """The days from `from_on` to the day before `until` on which a rule's finding is present."""

    rule: str
    since: date
    from_on: date
    until: date | None
    evidence: tuple[str, ...]
    first: Mark
    step: Step | None = None


def timed_spells(case: Case) -> list[Spell]:
    """The spells of R01, R20, R21, R22, R25 and R42 of a hip in care."""
    window = case.plan.window
    spells = _protected_weight_bearing(case)
    if window is None:
        return spells
    return [
        *_baseline_radiograph(case, window),
        *_repeat_views(case, window),
        *_overdue(window),
        _spell("R22", Mark(window.gap_on), window.gap_on, None),
        *spells,
        *_clinical_review(case),
    ]


def _spell(rule: str, first: Mark, from_on: date, until: date | None, step: Step | None = None) -> Spell:
    return Spell(rule, first.on, from_on, until, (first.id,) if first.id else (), first, step)


def _baseline_radiograph(case: Case, window: Window) -> list[Spell]:
    """While due; from overdue on R21 asks."""
    if case.hip.view_days:
        return []
    return [_spell("R01", Mark(window.due_on), window.due_on, window.overdue_on)]


def _repeat_views(case: Case, window: Window) -> list[Spell]:
    """A radiograph that makes no follow-up, as no day on or after it has both views."""
    complete_on = case.hip.view_days[-1] if case.hip.view_days else date.min
    after = max(complete_on, case.hip.anchor_on or date.min)
    for study in case.hip.facts.imaging:
        if study.modality is XR and study.on > after and study.on >= case.plan.followed_since:
            return [_spell("R20", Mark(study.on, study.id), study.on, window.overdue_on)]
    return []


def _overdue(window: Window) -> list[Spell]:
    since = Mark(window.overdue_on)
    return [
        _spell("R21", since, window.overdue_on, window.escalate_on, Step.OVERDUE),
        _spell("R21", since, window.escalate_on, window.trace_on, Step.ESCALATE),
        _spell("R21", since, window.trace_on, None, Step.TRACE),
    ]


def _protected_weight_bearing(case: Case) -> list[Spell]:
    if not case.hip.facts.decompressions:
        return []
    surgery = case.hip.facts.decompressions[-1]
    return [_spell("R25", surgery, surgery.on, add_days(surgery.on, case.protocol.protected_weight_bearing_days + 1))]


def _clinical_review(case: Case) -> list[Spell]:
    """Days with both views that no clinician's report goes with yet, each as long as one still can; oldest first."""
    pairing, after = case.protocol.pairing_days, case.hip.anchor_on or date.min
    oldest = max(case.plan.followed_since, add_days(case.patient.as_of, -pairing))
    days = [day for day in case.hip.view_days if day > after and day >= oldest]
    if not days:
        return []
    ids = {film.on: film.id for film in reversed(case.hip.facts.films)}
    begins = [days[0], *(add_days(day, pairing + 1) for day in days[:-1])]
    return [
        _spell("R42", Mark(day, ids[day]), begin, add_days(day, pairing + 1))
        for begin, day in zip(begins, days, strict=True)
    ]
