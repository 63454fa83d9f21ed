"""Decided: what was decided on a hip and is still to come, until something answers it."""

from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Any, Final

from django.utils.translation import gettext as _

from patients.models import Decision, Fact
from patients.vocabulary import SURGERY, Outcome, Side

from .chart import Chart, fact_url
from .fact_words import decided_words
from .finding_words import day_words

SEEN: Final = ("imaging", "symptom", "score", "procedure")  # any of them shows that the patient was seen again
EARLY: Final = timedelta(days=14)  # who comes so long before the day has come for it, as when a window opens


def decided_rows(chart: Chart, side: Side, as_of: date) -> list[dict[str, Any]]:
    """What still follows from decisions, latest first: {text, url, late}, late where its day has passed."""
    return [
        {
            "text": _("Decided %(day)s: %(what)s") % {"day": day_words(decision.on), "what": decided_words(decision)},
            "url": fact_url(chart.patient.pk, decision.key),
            "late": decision.next_on is not None and decision.next_on < as_of,
        }
        for decision in still_to_come(chart, side, as_of)
    ]


def still_to_come(chart: Chart, side: Side, as_of: date) -> list[Decision]:
    """The latest decision of each question that has a day and is not answered; one without a day only if it is last."""
    decisions: list[Decision] = chart.standing("decision", side, until=as_of)
    by_question = {decision.action: decision for decision in decisions}
    return [
        decision
        for decision in reversed(decisions)
        if decision is by_question[decision.action]
        and (decision.next_on or (decision.consequence and decision is decisions[-1]))
        and not any(_answering(chart, side, decision, as_of))
    ]


def _answering(chart: Chart, side: Side, decision: Decision, as_of: date) -> Iterator[bool]:
    """An operation is answered by surgery, imaging by an image, all else by seeing the patient when it was said."""
    from_on = decision.next_on - EARLY if decision.next_on else decision.on
    for fact in _later(chart, side, decision, as_of):
        if decision.outcome == Outcome.OPERATE:
            yield fact.kind == "procedure" and fact.procedure in SURGERY
        elif decision.outcome == Outcome.IMAGE_FURTHER:
            yield fact.kind == "imaging"
        else:
            yield fact.on >= from_on


def _later(chart: Chart, side: Side, decision: Fact, as_of: date) -> Iterable[Any]:
    """What was seen or done after the decision; on its day, what was recorded after it."""
    for kind in SEEN:
        for fact in chart.standing(kind, side, until=as_of):
            if (fact.on, fact.recorded_at) > (decision.on, decision.recorded_at):
                yield fact
