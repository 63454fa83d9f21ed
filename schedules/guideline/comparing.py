"""Comparing: what one protocol asks of a hip otherwise than another, on the same day by the same facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from patients.record import PatientRecord
from patients.vocabulary import Side

from .evaluation import HipAnswer, evaluate
from .pathways import Pathway
from .protocol import Protocol
from .windows import Status

# Every way in which a hip can move, as it is counted; one hip may move in several.
EARLIER: Final = "earlier"
LATER: Final = "later"
BEGINS: Final = "begins"
ENDS: Final = "ends"
STATUS: Final = "status"
PATHWAY: Final = "pathway"
RAISED: Final = "raised"
CLEARED: Final = "cleared"
DEADLINE: Final = "deadline"
DATES: Final = "dates"
KINDS: Final = (EARLIER, LATER, BEGINS, ENDS, STATUS, PATHWAY, RAISED, CLEARED, DEADLINE, DATES)


@dataclass(frozen=True, slots=True)
class Move:
    """How one hip moves. `days`: by how much the due date does, less than 0 for earlier, None where there are not two.

    `deadlines`: the rules that stand under both and are to be acted on by another day, with that day.
    """

    side: Side
    kinds: tuple[str, ...]
    days: int | None
    due_on: tuple[date | None, date | None]
    status: tuple[Status | None, Status | None]
    pathway: tuple[Pathway, Pathway]
    raised: tuple[str, ...]
    cleared: tuple[str, ...]
    deadlines: tuple[tuple[str, date | None], ...]


def moves(record: PatientRecord, before: Protocol, after: Protocol, as_of: date) -> list[Move]:
    """The hips of this patient of which `after` asks something else than `before`, left first."""
    was, becomes = evaluate(record, before, as_of), evaluate(record, after, as_of)
    pairs = zip(was.hips, becomes.hips, strict=True)
    return [move for old, new in pairs if (move := _move(old, new)).kinds]


def _move(old: HipAnswer, new: HipAnswer) -> Move:
    due = (old.window.due_on if old.window else None, new.window.due_on if new.window else None)
    days = (due[1] - due[0]).days if due[0] and due[1] else None
    asked, asks = _act_by(old), _act_by(new)
    raised = tuple(rule for rule in asks if rule not in asked)
    cleared = tuple(rule for rule in asked if rule not in asks)
    deadlines = tuple((rule, day) for rule, day in asks.items() if rule in asked and asked[rule] != day)
    found = {
        EARLIER: days is not None and days < 0,
        LATER: days is not None and days > 0,
        BEGINS: due[0] is None and due[1] is not None,
        ENDS: due[0] is not None and due[1] is None,
        STATUS: old.status != new.status,
        PATHWAY: old.pathway != new.pathway,
        RAISED: bool(raised),
        CLEARED: bool(cleared),
        DEADLINE: bool(deadlines),
        DATES: days == 0 and old.window != new.window,
    }
    kinds = tuple(kind for kind in KINDS if found[kind])
    pathways, statuses = (old.pathway, new.pathway), (old.status, new.status)
    return Move(old.side, kinds, days, due, statuses, pathways, raised, cleared, deadlines)


def _act_by(answer: HipAnswer) -> Mapping[str, date | None]:
    """By when each finding's rule is to be acted on; a rule has one finding a hip."""
    return {finding.rule: finding.act_by for finding in answer.findings}
