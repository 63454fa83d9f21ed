"""Answers: how long a new symptom waits until a clinician has seen the hip, and until somebody has decided.

The unit is a core decompression review: one hip that began to hurt before collapse. Reviews not yet decided count as
waiting up to the day, and those that lapsed up to the day on which they did, so that the median is not that of the
quick ones only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Final, NamedTuple

from django.db.models import Case, CharField, DateField, F, Min, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, Least, TruncDate

from patients.models import SymptomReport
from patients.vocabulary import Action, SymptomSource

from ..models import ReviewCase
from .rates import first_month
from .scope import Scope, standing
from .survival import Curve, Observation, kaplan_meier

DECIDED, OPEN, LAPSED = ReviewCase.State.DECIDED, ReviewCase.State.OPEN, ReviewCase.State.LAPSED
WAITS: Final = ("seen", "decided", "whole")


def symptom_reviews(scope: Scope, months: int) -> QuerySet[ReviewCase]:
    """Reviews of symptoms since the first day of the month so many months ago, with the days on which they moved.

    `seen_on`: a clinician's report on or after the symptom, or the decision if that came first; `ended_on`: the
    decision, or the day on which the question lapsed.
    """
    reports = standing(SymptomReport, scope).filter(
        hip=OuterRef("hip"), source=SymptomSource.CLINICIAN, on__gte=OuterRef("since")
    )
    looked = Subquery(reports.values("hip").annotate(first=Min("on")).values("first"), output_field=DateField())
    cases = ReviewCase.objects.filter(
        clinic_id__in=scope.clinic_ids,
        action=Action.CORE_DECOMPRESSION_REVIEW,
        since__gte=first_month(scope.today, months),
        since__lte=scope.today,
    ).order_by()
    lapsed_on = Case(When(state=LAPSED, then=TruncDate("closed_at")), output_field=DateField())
    dated = cases.annotate(decided_on=F("decision__on"), looked_on=looked, lapsed_on=lapsed_on)
    return dated.annotate(
        seen_on=Least("looked_on", "decided_on"),
        ended_on=Coalesce("decided_on", "lapsed_on"),
        wait=Case(
            When(Q(state=DECIDED), then=Value("decided")),
            When(Q(state=LAPSED), then=Value("lapsed")),
            default=Value("open"),
            output_field=CharField(),
        ),
    )


class Answer(NamedTuple):
    """One review: the symptom, when a clinician saw the hip, and when and how the question ended."""

    id: int
    since: date
    seen_on: date | None
    ended_on: date | None
    state: str

    @property
    def decided(self) -> bool:
        return self.state == DECIDED

    def days(self, today: date) -> int:
        """From the symptom to the decision, or to where the wait stands."""
        return max(0, ((self.ended_on or today) - self.since).days)


@dataclass(frozen=True, slots=True)
class Waits:
    """The reviews of a period and the waits as curves: what share still waits after so many days."""

    answers: list[Answer]
    to_seen: Curve
    to_decision: Curve  # from when the hip was seen
    whole: Curve  # from the symptom to the decision

    def of_state(self, state: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.state == state]


def read_waits(scope: Scope, months: int) -> Waits:
    """All reviews of symptoms in the period and the three waits."""
    cases: Any = symptom_reviews(scope, months).order_by("since", "pk")
    answers = [Answer(*row) for row in cases.values_list("pk", "since", "seen_on", "ended_on", "state")]
    return Waits(
        answers,
        _curve(_to_seen(answer, scope.today) for answer in answers),
        _curve(_to_decision(answer, scope.today) for answer in answers if _seen(answer, scope.today)),
        _curve(Observation(answer.days(scope.today), answer.decided) for answer in answers),
    )


def _curve(observations: Iterable[Observation]) -> Curve:
    return kaplan_meier(observations)


def _seen(answer: Answer, today: date) -> bool:
    return answer.seen_on is not None and answer.seen_on <= (answer.ended_on or today)


def _to_seen(answer: Answer, today: date) -> Observation:
    if _seen(answer, today) and answer.seen_on is not None:
        return Observation((answer.seen_on - answer.since).days, True)
    return Observation(answer.days(today), False)


def _to_decision(answer: Answer, today: date) -> Observation:
    start = answer.seen_on or answer.since
    return Observation(max(0, ((answer.ended_on or today) - start).days), answer.decided)
