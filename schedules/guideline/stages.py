"""Stages: the phase of a hip, from stage readings in any system and from the signs on its images.

The phase is the highest ever shown; a later, lower reading never lowers it. Readings are compared by phase only
and are never converted: a code means nothing without its system and version.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

from patients.record import Imaging, Staging
from patients.vocabulary import STAGE_CODES, Crescent, StagingSystem

from .facts import HipFacts, Mark
from .protocol import Protocol


class Phase(IntEnum):
    """What a stage means for the hip, lowest first."""

    PRE_MRI = 1
    PRE_XR = 2
    COLLAPSE_EARLY = 3
    COLLAPSE_LATE = 4
    OA = 5


NO_PHASE: Final = 0
_PRE_MRI, _PRE_XR, _EARLY, _LATE, _OA = Phase

# The letter after a 1994 or Steinberg stage is its extent and says nothing of phase. A depression beyond 2 mm is
# late collapse in ARCO 2019 and JIC only, so the other systems' collapse is early unless an image shows more.
_PHASES: Final[dict[tuple[StagingSystem, str], dict[str, Phase | None]]] = {
    (StagingSystem.ARCO, "2019"): {"I": _PRE_MRI, "II": _PRE_XR, "IIIA": _EARLY, "IIIB": _LATE, "IV": _OA},
    (StagingSystem.ARCO, "1994"): {"0": _PRE_MRI, "I": _PRE_MRI, "II": _PRE_XR, "III": _EARLY, "IV": _OA},
    (StagingSystem.FICAT, "1985"): {
        "0": _PRE_MRI, "I": _PRE_MRI, "II": _PRE_XR, "TRANSITION": _EARLY, "III": _EARLY, "IV": _OA,
    },
    (StagingSystem.STEINBERG, "1995"): {
        "0": None, "I": _PRE_MRI, "II": _PRE_XR, "III": _EARLY, "IV": _EARLY, "V": _OA, "VI": _OA,
    },
    (StagingSystem.JIC_STAGE, "2001"): {"1": _PRE_MRI, "2": _PRE_XR, "3A": _EARLY, "3B": _LATE, "4": _OA},
}  # fmt: skip


def _rank(phases: dict[str, Phase | None], code: str) -> int:
    phase = phases[code] if code in phases else phases[code.rstrip("ABC")]
    return NO_PHASE if phase is None else int(phase)


_RANKS: Final[dict[tuple[StagingSystem, str, str], int]] = {
    (*system, code): _rank(_PHASES[system], code) for system, codes in STAGE_CODES.items() for code in codes
}


class Showing(NamedTuple):
    """A fact that shows a phase."""

    on: date
    rank: int
    id: str


class Rise(NamedTuple):
    """A fact whose phase is above that of every earlier date; `above` is the highest of those, -1 if there is none."""

    on: date
    rank: int
    above: int
    id: str


@dataclass(frozen=True, slots=True)
class Stages:
    phase: Phase | None
    first: Mark | None
    rises: list[Rise]

    @property
    def before_collapse(self) -> bool:
        return self.phase is None or self.phase < Phase.COLLAPSE_EARLY

    def first_at_least(self, phase: Phase) -> Mark | None:
        """The first fact that shows this phase or a higher one."""
        return next((Mark(rise.on, rise.id) for rise in self.rises if rise.rank >= phase), None)


def staging_rank(staging: Staging) -> int:
    return _RANKS[(staging.system, staging.version, staging.code)]


def sign_rank(study: Imaging, protocol: Protocol) -> int:
    """The phase that the signs on one image show: narrowing of the joint, then depression, then a crescent."""
    if study.joint_space_narrowed:
        return Phase.OA
    if study.depression_mm:
        return Phase.COLLAPSE_LATE if study.depression_mm > protocol.late_depression_mm else Phase.COLLAPSE_EARLY
    return Phase.COLLAPSE_EARLY if study.crescent is Crescent.PRESENT else NO_PHASE


def read_stages(facts: HipFacts, protocol: Protocol) -> Stages:
    """The phase of the hip and how it came to it."""
    showings = [Showing(s.on, rank, s.id) for s in facts.stagings if (rank := staging_rank(s))]
    showings += [Showing(s.on, rank, s.id) for s in facts.readable if (rank := sign_rank(s, protocol))]
    if not showings:
        return Stages(None, None, [])
    showings.sort()
    rises = rises_among(showings)
    return Stages(Phase(max(rise.rank for rise in rises)), Mark(showings[0].on, showings[0].id), rises)


def rises_among(showings: Iterable[Showing]) -> list[Rise]:
    """The facts, given in order of date, that rank above every fact of an earlier date."""
    rises: list[Rise] = []
    above = highest = -1
    day: date | None = None
    for showing in showings:
        if showing.on != day:
            day, above = showing.on, highest
        if showing.rank > above:
            rises.append(Rise(showing.on, showing.rank, above, showing.id))
            highest = max(highest, showing.rank)
    return rises


def staging_rises(stagings: list[Staging]) -> list[Rise]:
    """The stage readings that rank above every reading of an earlier date; a reading of no phase ranks lowest."""
    return rises_among(Showing(s.on, staging_rank(s), s.id) for s in stagings)


def conflicts(stagings: list[Staging]) -> list[Mark]:
    """The readings below the highest that no reading of the highest rank is dated after."""
    if not stagings:
        return []
    ranks = [staging_rank(staging) for staging in stagings]
    highest = max(ranks)
    last_on = max(s.on for s, rank in zip(stagings, ranks, strict=True) if rank == highest)
    return [Mark(s.on, s.id) for s, rank in zip(stagings, ranks, strict=True) if rank < highest and s.on >= last_on]
