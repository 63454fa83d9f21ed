"""Fact rows: the facts of a list as its page shows them, with who recorded each and what became of it."""

from dataclasses import dataclass
from datetime import date, datetime

from patients.models import Fact
from patients.vocabulary import Side

from .actor_words import who
from .chart import Chart, corrected_id
from .fact_words import name_of, words_of


@dataclass(frozen=True, slots=True)
class FactRow:
    """`state`: standing, superseded (by a correction) or withdrawn; `became` tells why it no longer stands."""

    key: str
    on: date
    side: Side | None
    name: str
    words: str
    note: str
    origin: str
    actor: str
    recorded_at: datetime
    state: str
    became: str
    corrects: str
    correction_reason: str


def fact_rows(chart: Chart) -> list[FactRow]:
    """All facts of the chart, latest first."""
    corrected_by = {
        (kind, corrected_id(fact)): fact
        for kind, facts in chart.facts.items()
        for fact in facts
        if corrected_id(fact) is not None and fact.withdrawn_at is None
    }
    rows = [
        _row(chart, fact, corrected_by.get((kind, fact.pk))) for kind, facts in chart.facts.items() for fact in facts
    ]
    return sorted(rows, key=lambda row: (row.on, row.recorded_at, row.key), reverse=True)


def _row(chart: Chart, fact: Fact, correction: Fact | None) -> FactRow:
    state = "withdrawn" if fact.withdrawn_at else "superseded" if correction else "standing"
    became = f"{fact.withdrawn_reason} ({who(fact.withdrawn_actor)})" if fact.withdrawn_at else ""
    if correction and not became:
        became = f"{correction.correction_reason} ({who(correction.actor)})"
    return FactRow(
        key=fact.key,
        on=fact.on,
        side=chart.side_of(fact),
        name=name_of(fact),
        words=words_of(fact),
        note=fact.note,
        origin=str(fact.get_origin_display()),
        actor=who(fact.actor),
        recorded_at=fact.recorded_at,
        state=state,
        became=became,
        corrects=f"{fact.kind}-{old}" if (old := corrected_id(fact)) else "",
        correction_reason=fact.correction_reason,
    )
