"""Protocol effect: which hips of the viewer's clinics would move under another version, found within a bounded time.

Patients are looked at in an order that has nothing to do with when they were enrolled, so that the first part of a
large registry is a fair sample of the whole; another look goes on where the last one stopped.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Final

from django.db.models import TextField
from django.db.models.functions import MD5, Cast

from patients import access
from patients.access import Viewer
from patients.models import Patient
from patients.reading import read_records
from patients.recording import today_at
from schedules import adoption
from schedules.guideline.comparing import EARLIER, LATER, Move, moves
from schedules.guideline.protocol import Protocol

log = logging.getLogger(__name__)
CHUNK: Final = 100
MOST_LISTED: Final = 2000  # hips; they are counted all the same


@dataclass(frozen=True, slots=True)
class Moved:
    """A hip that would move."""

    patient_id: int
    move: Move


@dataclass
class Effect:
    """What was found so far. `hips` counts the hips that move, `kinds` in which ways, `days` by how much."""

    total: int = 0
    looked: int = 0
    failed: int = 0
    hips: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    rules: Counter[tuple[str, str]] = field(default_factory=Counter)  # (raised or cleared, rule)
    days: Counter[int] = field(default_factory=Counter)
    moved: list[Moved] = field(default_factory=list)
    place: str = ""  # of the last patient looked at, in the order of `_in_order`

    @property
    def is_whole(self) -> bool:
        return self.looked >= self.total

    def usual_days(self, kind: str) -> tuple[int, int] | None:
        """By how many days due dates come earlier or later: the middle one and the most."""
        sign = {EARLIER: -1, LATER: 1}.get(kind, 0)
        found = sorted(abs(days) for days in self.days.elements() if days * sign > 0)
        return (round(median(found)), found[-1]) if found else None

    def of_kind(self, kind: str) -> list[Moved]:
        """The listed hips that move in this way, in any way if none is named; what asks most of people first."""
        rows = [moved for moved in self.moved if not kind or kind in moved.move.kinds]
        return sorted(rows, key=lambda moved: (_weight(moved.move), moved.move.days or 0, moved.patient_id))


def _weight(move: Move) -> int:
    return 0 if move.raised or move.cleared or move.pathway[0] != move.pathway[1] else 1


def look(effect: Effect, protocol: Protocol, *, viewer: Viewer, now: datetime, enough: Callable[[], bool]) -> Effect:
    """Look at the next patients until `enough` says so or none is left; at least one chunk. Adds to `effect`.

    Each is evaluated as of today by the version in force there and by `protocol`. Nothing is stored.
    """
    today = {clinic.pk: today_at(clinic, now) for clinic in access.clinics_for(viewer)}
    standing = {clinic: adoption.protocol_in_force(day) for clinic, day in today.items()}
    rest = _in_order(viewer, effect.place)
    effect.total = effect.looked + len(rest)
    for start in range(0, len(rest), CHUNK):
        chunk = rest[start : start + CHUNK]
        records = read_records([pk for pk, _clinic, _place in chunk])
        for pk, clinic, place in chunk:
            effect.looked, effect.place = effect.looked + 1, place
            try:
                found = moves(records[pk], standing[clinic], protocol, today[clinic])
            except Exception:
                log.exception("the effect of %s on patient %s is not known", protocol, pk)
                effect.failed += 1
                continue
            for move in found:
                _count(effect, Moved(pk, move))
        if enough():
            break
    return effect


def _in_order(viewer: Viewer, after: str) -> list[tuple[int, int, str]]:
    """(patient, clinic, place) of those beyond a place, shuffled, always in the same way."""
    placed = access.patients_for(viewer).annotate(place=MD5(Cast("id", TextField())))
    return list(placed.filter(place__gt=after).order_by("place").values_list("id", "clinic_id", "place"))


def _count(effect: Effect, moved: Moved) -> None:
    move = moved.move
    effect.hips += 1
    effect.kinds.update(move.kinds)
    effect.rules.update(("raised", rule) for rule in move.raised)
    effect.rules.update(("cleared", rule) for rule in move.cleared)
    if move.days:
        effect.days[move.days] += 1
    if len(effect.moved) < MOST_LISTED:
        effect.moved.append(moved)


def people(viewer: Viewer, rows: list[Moved]) -> dict[int, Patient]:
    """The patients of these hips, by id."""
    asked = access.patients_for(viewer).filter(id__in={row.patient_id for row in rows}).select_related("clinic")
    return {patient.pk: patient for patient in asked}
