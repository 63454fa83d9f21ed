"""Rates: hips overdue by how late they are, and how many windows were kept in time. The unit is a hip's window.

A window is counted once it has ended, whatever came of it. One that a complete follow-up answered before it opened
was never asked for and is left out. One that the patient missed and then left counts as missed: leaving hides nothing.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import (
    Case,
    CharField,
    Count,
    DateField,
    Exists,
    F,
    Min,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Least, TruncMonth

from patients.models import Ending, Procedure
from patients.vocabulary import REPLACEMENTS, EndReason
from schedules.guideline.windows import add_months
from schedules.models import Plan

from .scope import Scope, share_of, standing

GRACE: Final = timedelta(days=60)  # the lung nodule registry of the Veterans Affairs hospitals waited as long
LATE_BANDS: Final[dict[str, tuple[int, int | None]]] = {  # days since due, from and to, both included
    "29": (0, 29),
    "89": (30, 89),
    "179": (90, 179),
    "364": (180, 364),
    "more": (365, None),
}
IN_WINDOW, LATE, VERY_LATE, MISSED, EARLY = "in_window", "late", "very_late", "missed", "early"
OUTCOMES: Final = (IN_WINDOW, LATE, VERY_LATE, MISSED, EARLY)
COUNTED: Final = (IN_WINDOW, LATE, VERY_LATE, MISSED)
FAILED: Final = (VERY_LATE, MISSED)


def overdue_hips(scope: Scope, band: str = "") -> QuerySet[Plan]:
    """The current plans that are overdue on the day, snoozed and booked ones too. KeyError for an unknown band."""
    plans = Plan.objects.filter(
        clinic_id__in=scope.clinic_ids, state=Plan.State.CURRENT, overdue_on__lte=scope.today
    ).order_by()
    return plans.filter(_late_by(scope.today, band)) if band else plans


def _late_by(today: date, band: str) -> Q:
    least, most = LATE_BANDS[band]
    late = Q(due_on__lte=today - timedelta(days=least))
    return late & Q(due_on__gte=today - timedelta(days=most)) if most is not None else late


def overdue_by_band(scope: Scope) -> dict[str, int]:
    """How many hips are overdue, by days since they were due."""
    counts = {f"band_{band}": Count("pk", filter=_late_by(scope.today, band)) for band in LATE_BANDS}
    found = overdue_hips(scope).aggregate(**counts)
    return {band: found[f"band_{band}"] for band in LATE_BANDS}


def ended_windows(scope: Scope, *, grace: timedelta = timedelta(0)) -> QuerySet[Any]:
    """The windows that ended at least `grace` ago, each with its `outcome` and the `month` in which it was due."""
    plans = Plan.objects.filter(clinic_id__in=scope.clinic_ids, overdue_on__lte=scope.today - grace)
    later = Plan.objects.filter(hip=OuterRef("hip"), cycle_on__gt=OuterRef("cycle_on"))
    left = plans.annotate(left_on=_left_on(scope))
    followed = ~Q(state=Plan.State.CLOSED) | (Q(left_on__gte=F("overdue_on")) & ~Exists(later))
    counted = left.filter(followed).order_by()
    return counted.annotate(outcome=_outcome(), month=TruncMonth("due_on"))


def _left_on(scope: Scope) -> Least:
    """The day on which the hip left follow-up, if it did: death, an end that stands, a replacement."""
    of_hip = {"patient": OuterRef("patient"), "hip": OuterRef("hip")}
    ends = standing(Ending, scope).filter(**of_hip).exclude(reason=EndReason.REOPENED)
    replaced = standing(Procedure, scope).filter(**of_hip, procedure__in=REPLACEMENTS)
    return Least(
        F("patient__died_on"),
        *(
            Subquery(facts.values("hip").annotate(first=Min("on")).values("first"), output_field=DateField())
            for facts in (ends, replaced)
        ),
    )


def _outcome() -> Case:
    return Case(
        When(kept_on__lt=F("opens_on"), then=Value(EARLY)),
        When(kept_on__lt=F("overdue_on"), then=Value(IN_WINDOW)),
        When(kept_on__lt=F("overdue_on") + GRACE, then=Value(LATE)),
        When(kept_on__isnull=False, then=Value(VERY_LATE)),
        default=Value(MISSED),
        output_field=CharField(),
    )


def first_month(today: date, months: int) -> date:
    """The first day of the month so many months before this one."""
    return add_months(today.replace(day=1), -months)


@dataclass(frozen=True, slots=True)
class Month:
    """The windows that were due in one month, by what came of them."""

    first: date
    outcomes: Mapping[str, int]

    @property
    def counted(self) -> int:
        return sum(self.outcomes[outcome] for outcome in COUNTED)

    @property
    def failed(self) -> int:
        return sum(self.outcomes[outcome] for outcome in FAILED)

    @property
    def in_window(self) -> float | None:
        return share_of(self.outcomes[IN_WINDOW], self.counted)

    @property
    def failure(self) -> float | None:
        return share_of(self.failed, self.counted)


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows by month, the months in order and empty ones too: all that ended, and those that ended long ago."""

    ended: list[Month]
    tracked: list[Month]  # the grace is over: whoever has not come by now is lost track of


def windows_by_month(scope: Scope, months: int) -> Windows:
    """Of each of the last `months` months and this one, in one pass over the plans."""
    since = first_month(scope.today, months)
    rows: Any = ended_windows(scope).filter(due_on__gte=since)
    rows = rows.annotate(long_ago=Case(When(overdue_on__lte=scope.today - GRACE, then=True), default=False))
    ended: Counter[tuple[date, str]] = Counter()
    tracked: Counter[tuple[date, str]] = Counter()
    for month, outcome, long_ago, many in rows.values_list("month", "outcome", "long_ago").annotate(many=Count("*")):
        ended[month, outcome] += many
        tracked[month, outcome] += many if long_ago else 0
    firsts = [add_months(since, number) for number in range(months + 1)]
    return Windows(_months(firsts, ended), _months(firsts, tracked))


def _months(firsts: list[date], found: Mapping[tuple[date, str], int]) -> list[Month]:
    return [Month(first, {outcome: found[first, outcome] for outcome in OUTCOMES}) for first in firsts]


def together(months: list[Month]) -> Month:
    """All of these months as one. The list must not be empty."""
    return Month(months[0].first, {outcome: sum(month.outcomes[outcome] for month in months) for outcome in OUTCOMES})
