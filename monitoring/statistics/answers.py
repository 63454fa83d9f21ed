"""Answers: how long a new symptom waits until a clinician has seen the hip, and until somebody has decided.

The unit is a core decompression review: one hip that began to hurt before collapse. Reviews not yet decided count as
waiting up to the day, and those that lapsed up to the day on which they did, so that the median is not that of the
quick ones only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from django.db.models import Case, DateField, F, Min, OuterRef, QuerySet, Subquery, When
from django.db.models.functions import Coalesce, Least, TruncDate

from patients.models import SymptomReport
from patients.vocabulary import Action, SymptomSource

from ..models import ReviewCase
from .rates import first_month
from .scope import Scope, standing
from .survival import Curve, Observation, kaplan_meier

DECIDED, OPEN, LAPSED = ReviewCase.State.DECIDED, ReviewCase.State.OPEN, ReviewCase.State.LAPSED


def symptom_reviews(scope: Scope, months: int) -> QuerySet[Any]:
    """Reviews of symptoms since the first day of the month so many months ago, with the days on which they moved.

    `seen_on`: a clinician's report on or after the symptom, or the decision if that came first; `ended_on`: the
    decision, or the day on which the question lapsed.
    """
    reports = standing(SymptomReport, scope).filter(
        patient=OuterRef("patient"), hip=OuterRef("hip"), source=SymptomSource.CLINICIAN, on__gte=OuterRef("since")
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


def read_answers(scope: Scope, months: int) -> list[Answer]:
    """All reviews of symptoms in the period, in the order of the symptoms."""
    cases: Any = symptom_reviews(scope, months).order_by("since", "pk")
    return [Answer(*row) for row in cases.values_list("pk", "since", "seen_on", "ended_on", "state")]


def waits_of(answers: Iterable[Answer], today: date) -> Waits:
    """The three waits of these reviews as they stand on the day."""
    known = list(answers)
    return Waits(
        known,
        kaplan_meier(_to_seen(answer, today) for answer in known),
        kaplan_meier(_to_decision(answer, today) for answer in known if _seen(answer, today)),
        kaplan_meier(Observation(answer.days(today), answer.decided) for answer in known),
    )


def _seen(answer: Answer, today: date) -> bool:
    return answer.seen_on is not None and answer.seen_on <= (answer.ended_on or today)


def _to_seen(answer: Answer, today: date) -> Observation:
    if _seen(answer, today) and answer.seen_on is not None:
        return Observation((answer.seen_on - answer.since).days, True)
    return Observation(answer.days(today), False)


def _to_decision(answer: Answer, today: date) -> Observation:
    start = answer.seen_on or answer.since
    return Observation(max(0, ((answer.ended_on or today) - start).days), answer.decided)
