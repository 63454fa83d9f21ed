"""Lesion: its measured volume and size band, whether it counts as large, and where it lies."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Context, Decimal
from enum import StrEnum
from typing import Final

from patients.record import Imaging
from patients.vocabulary import Action, JicType

from .facts import HipFacts, Mark, measures_volume
from .protocol import Protocol

# Sums are exact for any number a person or a machine would write; plain arithmetic would round at 28 digits.
EXACT: Final = Context(prec=400)
_MODERATE_PERCENT: Final = 15


class SizeBand(StrEnum):
    VERY_SMALL = "VERY_SMALL"
    SMALL = "SMALL"
    MODERATE = "MODERATE"
    LARGE = "LARGE"


@dataclass(frozen=True, slots=True)
class Run:
    """Whether something holds by its latest known value (None: no value is known), and since when unbroken."""

    holds: bool | None
    since: date | None = None


UNKNOWN: Final = Run(None)


def run_of(readings: Iterable[tuple[date, bool]]) -> Run:
    """The state at the end of readings given in order, with the first day of its unbroken run."""
    holds: bool | None = None
    since: date | None = None
    for on, positive in readings:
        if positive and not holds:
            since = on
        holds = positive
    return Run(holds, since if holds else None)


@dataclass(frozen=True, slots=True)
class Lesion:
    measured: list[Imaging]
    latest: Imaging | None
    percent: Decimal | None
    band: SizeBand | None
    large_since: Mark | None
    type_c2: Run
    kerboul_high: Run


def read_lesion(facts: HipFacts, protocol: Protocol) -> Lesion:
    measured = [study for study in facts.readable if measures_volume(study)]
    latest = measured[-1] if measured else None
    return Lesion(
        measured=measured,
        latest=latest,
        percent=latest.lesion_volume_percent if latest else None,
        band=size_band(latest, protocol) if latest else None,
        large_since=_large_since(measured, facts.decided.get(Action.LARGE_LESION_REVIEW), protocol),
        type_c2=run_of((at.on, at.jic_type is JicType.C2) for at in facts.locations if at.jic_type is not None),
        kerboul_high=run_of(
            (at.on, at.kerboul_modified_degrees >= protocol.kerboul_high_degrees)
            for at in facts.locations
            if at.kerboul_modified_degrees is not None
        ),
    )


def percent_of(study: Imaging) -> Decimal:
    """The measured volume of a study that has one."""
    return study.lesion_volume_percent or Decimal(0)


def size_band(study: Imaging, protocol: Protocol) -> SizeBand:
    percent, cm3 = percent_of(study), study.lesion_volume_cm3
    if percent >= protocol.large_lesion_percent:
        return SizeBand.LARGE
    if percent >= _MODERATE_PERCENT:
        return SizeBand.MODERATE
    if percent < protocol.very_small_percent and (cm3 is None or cm3 < protocol.very_small_cm3):
        return SizeBand.VERY_SMALL
    return SizeBand.SMALL


def _large_since(measured: list[Imaging], decided_on: date | None, protocol: Protocol) -> Mark | None:
    """The first volume by which the lesion is large today, None if it is not.

    A smaller volume relaxes the ones before it only once a large lesion review is decided on or after its date: a
    shrinking lesion relaxes nothing until somebody decides.
    """
    since: Mark | None = None
    for study in measured:
        if percent_of(study) >= protocol.large_lesion_percent:
            since = since or Mark(study.on, study.id)
        elif decided_on is not None and study.on <= decided_on:
            since = None
    return since


def large_volumes(measured: list[Imaging], protocol: Protocol) -> list[Mark]:
    """The volumes that ask for a review: the first large one, each after a smaller one, each that grew markedly."""
    marks: list[Mark] = []
    highest: Decimal | None = None
    before: Decimal | None = None
    for study in measured:
        percent = percent_of(study)
        if percent >= protocol.large_lesion_percent:
            returned = before is None or before < protocol.large_lesion_percent
            grown = highest is not None and percent >= EXACT.add(highest, protocol.volume_growth_points)
            if not marks or returned or grown:
                marks.append(Mark(study.on, study.id))
        highest = percent if highest is None else max(highest, percent)
        before = percent
    return marks


def implausible_volumes(measured: list[Imaging]) -> list[Mark]:
    """The studies whose percent and cm3 imply a femoral head of less than 30 or more than 90 cm3."""
    return [
        Mark(study.on, study.id)
        for study in measured
        if (cm3 := study.lesion_volume_cm3) is not None and not _plausible(percent_of(study), cm3)
    ]


def _plausible(percent: Decimal, cm3: Decimal) -> bool:
    hundredfold = EXACT.multiply(cm3, Decimal(100))
    return EXACT.multiply(percent, Decimal(30)) <= hundredfold <= EXACT.multiply(percent, Decimal(90))
