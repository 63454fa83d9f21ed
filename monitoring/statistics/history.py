"""History: in which bucket every hip stands now, and how many stood in each on the nights that were counted."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import Count, QuerySet, Value
from django.db.models.functions import Coalesce

from patients.at_once import Length, read_at_once
from patients.models import Hip

from ..models import Census, HipEvaluation
from .scope import Scope

NOT_EVALUATED: Final = "not_evaluated"
IN_TIME: Final = ("upcoming", "open", "due")
LATE: Final = ("overdue", "gap")
FOLLOWED: Final = (*IN_TIME, *LATE, "lost")


def hips_by_bucket(scope: Scope) -> QuerySet[Any]:
    """Every hip with its `bucket`: the status of its window, or the pathway that has none."""
    hips = Hip.objects.filter(clinic_id__in=scope.clinic_ids).order_by()
    return hips.annotate(bucket=Coalesce("evaluation__status", "evaluation__pathway", Value(NOT_EVALUATED)))


def buckets_now(scope: Scope) -> dict[str, int]:
    """How many hips stand in each bucket; they sum to all hips.

    What was evaluated and how many hips there are is read from two indexes, where to join them would read both tables.
    """
    evaluated = HipEvaluation.objects.filter(clinic_id__in=scope.clinic_ids).order_by()
    buckets = evaluated.values_list(Coalesce("status", "pathway")).annotate(many=Count("*"))
    found, hips = read_at_once(buckets, Length(Hip.objects.filter(clinic_id__in=scope.clinic_ids)))
    counted: dict[str, int] = dict(found)
    unevaluated = hips - sum(counted.values())
    return counted | ({NOT_EVALUATED: unevaluated} if unevaluated else {})


@dataclass(frozen=True, slots=True)
class Night:
    """One night's census of all the clinics in question."""

    on: date
    enrolled: int
    buckets: Mapping[str, int]
    adds_up: bool

    def of(self, buckets: tuple[str, ...]) -> int:
        return sum(self.buckets.get(bucket, 0) for bucket in buckets)


def census_nights(scope: Scope, days: int) -> list[Night]:
    """The nights, oldest first, on which every clinic that has ever been counted by then was counted."""
    taken: dict[date, dict[int, Census]] = defaultdict(dict)
    rows = Census.objects.filter(clinic__in=scope.clinic_ids, on__lte=scope.today)
    for census in rows.filter(on__gt=scope.today - timedelta(days)).order_by("on", "id").defer("disagreements"):
        taken[census.on][census.clinic_id] = census
    nights = []
    counted: set[int] = set()
    for on, by_clinic in sorted(taken.items()):
        counted |= by_clinic.keys()
        if by_clinic.keys() == counted:
            nights.append(_night(on, list(by_clinic.values())))
    return nights


def _night(on: date, rows: list[Census]) -> Night:
    buckets: dict[str, int] = defaultdict(int)
    for census in rows:
        for bucket, hips in census.buckets.items():
            buckets[bucket] += hips
    return Night(on, sum(census.enrolled_hips for census in rows), buckets, all(census.adds_up for census in rows))
