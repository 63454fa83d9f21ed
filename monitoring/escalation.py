"""Escalation: to whom an overdue follow-up goes when nothing ends it, since when and why, and that it reaches somebody.

A coordinator has it from the day it is overdue, the clinician from the protocol's day of escalation (30 days after it
was due), the administrator from the day of tracing (90 days) or a gap. It stays with each of them while it is open.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Protocol

from django.db.models import Q

from patients.models import Membership, Role

LATE = ("overdue", "gap")


class Rung(StrEnum):
    """Who acts; later ones stand higher."""

    COORDINATOR = "coordinator"
    CLINICIAN = "clinician"
    ADMIN = "admin"


class Why(StrEnum):
    OVERDUE = "overdue"
    DUE_LONG_AGO = "due_long_ago"  # the protocol's days after the due date have passed
    GAP = "gap"


HEIGHT = {rung: height for height, rung in enumerate(Rung)}


@dataclass(frozen=True, slots=True)
class Step:
    """One rung that a late hip has come to."""

    rung: Rung
    since: date
    why: Why
    days: int = 0  # after the due date


class LateHip(Protocol):
    """The days of a window by which a follow-up that nothing ends goes higher."""

    @property
    def due_on(self) -> date | None: ...
    @property
    def overdue_on(self) -> date | None: ...
    @property
    def escalate_on(self) -> date | None: ...
    @property
    def trace_on(self) -> date | None: ...
    @property
    def gap_on(self) -> date | None: ...


def steps_of(hips: Iterable[LateHip], today: date) -> list[Step]:
    """Every rung that late hips have come to: the highest first, and on it the longest."""
    found = []
    for hip in hips:
        for rung, day, why in (
            (Rung.COORDINATOR, hip.overdue_on, Why.OVERDUE),
            (Rung.CLINICIAN, hip.escalate_on, Why.DUE_LONG_AGO),
            (Rung.ADMIN, hip.trace_on, Why.DUE_LONG_AGO),
            (Rung.ADMIN, hip.gap_on, Why.GAP),
        ):
            if day and day <= today:
                found.append(Step(rung, day, why, (day - hip.due_on).days if hip.due_on else 0))
    return sorted(found, key=lambda step: (-HEIGHT[step.rung], step.since, step.why))


def has_come_to(rungs: Collection[Rung], colleagues: Sequence[int], today: date) -> Q:
    """Standings with a late hip that has come to one of these rungs; to clinicians not where it is a colleague's."""
    there = Q(pk__in=[])
    if Rung.CLINICIAN in rungs:
        there |= Q(clinician_from__lte=today) & ~Q(responsible__in=colleagues)
    if Rung.ADMIN in rungs:
        there |= Q(admin_from__lte=today)
    return Q(late=True) & there


# ---- Who answers


@dataclass(frozen=True, slots=True)
class Team:
    """Who works in a clinic today, by role; those who were deactivated do not count."""

    clinic_id: int
    coordinators: frozenset[int]
    clinicians: frozenset[int]
    admins: frozenset[int]

    @property
    def everyone(self) -> frozenset[int]:
        return self.coordinators | self.clinicians | self.admins

    def answering(self, rung: Rung) -> frozenset[int]:
        """Those of the rung; where there is none the others who may decide, and then whoever is there."""
        if rung == Rung.CLINICIAN:
            return self.clinicians or self.admins or self.coordinators
        if rung == Rung.ADMIN:
            return self.admins or self.clinicians or self.coordinators
        return self.coordinators or self.admins or self.clinicians

    def rungs_of(self, user_id: int) -> frozenset[Rung]:
        """Those above the coordinators' on which this person answers."""
        return frozenset(rung for rung in (Rung.CLINICIAN, Rung.ADMIN) if user_id in self.answering(rung))

    def colleagues_of(self, user_id: int) -> list[int]:
        """The other clinicians. Nobody is a colleague's for whom none is named, or one who no longer is a clinician."""
        return sorted(self.clinicians - {user_id})

    def stands_in(self, user_id: int, rung: Rung) -> bool:
        """True for a person who answers on a rung whose own role nobody holds."""
        own = {Rung.CLINICIAN: self.clinicians, Rung.ADMIN: self.admins, Rung.COORDINATOR: self.coordinators}[rung]
        return not own and user_id in self.answering(rung)


def teams_of(clinic_ids: Collection[int]) -> list[Team]:
    """One query for any number of clinics."""
    held: dict[int, dict[str, set[int]]] = {pk: {role: set() for role in Role.values} for pk in clinic_ids}
    active = Membership.objects.filter(clinic__in=list(clinic_ids), user__is_active=True).order_by("id")
    for clinic, user, role in active.values_list("clinic_id", "user_id", "role"):
        held[clinic][role].add(user)
    return [
        Team(pk, *(frozenset(roles[role]) for role in (Role.COORDINATOR, Role.CLINICIAN, Role.ADMIN)))
        for pk, roles in held.items()
    ]


def escalated_to(user_id: int, clinic_ids: Collection[int], today: date) -> Q:
    """Standings of whom an overdue follow-up has been escalated to this person in one of these clinics.

    To the responsible clinician, and to every clinician where none is named or who is named no longer is one.
    """
    theirs = Q(pk__in=[])
    for team in teams_of(clinic_ids):
        come = has_come_to(team.rungs_of(user_id), team.colleagues_of(user_id), today)
        theirs |= Q(clinic=team.clinic_id) & come
    return theirs


def step_for(user_id: int, team: Team, steps: Iterable[Step]) -> Step | None:
    """The highest step on which this person answers; `steps` as from steps_of."""
    return next((one for one in steps if one.rung != Rung.COORDINATOR and user_id in team.answering(one.rung)), None)
