"""Doubts: what the rows of a file say that the registry, or other rows of the file, speak against.

They are what the visit form asks about. They refuse nothing: whoever saves the file has been shown them.
"""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any, Final

from patients.models import Clinic, Fact, Hip, HipFact, Patient
from patients.vocabulary import Side

from ..web.chart import MODELS, Chart
from ..web.contradictions import contradictions
from .arrivals import Remark, SaidFact
from .plans import Outcome, Plan

_AT_ONCE: Final = 500  # people whose records are read together


@dataclass(frozen=True, slots=True)
class _Said:
    """A fact of a row, small enough that those of a whole file can wait until all rows are read."""

    side: Side
    model: type[HipFact]
    values: Mapping[str, Any]
    column: str


@dataclass(frozen=True, slots=True)
class _Row:
    on: date
    line: int
    outcome: Outcome
    patient: Patient | None
    facts: tuple[_Said, ...]


@dataclass(frozen=True, slots=True)
class Doubtful:
    """A row that something speaks against."""

    line: int
    outcome: Outcome
    patient: Patient | None
    remarks: list[Remark]


class Doubts:
    """Gathers what the rows of a file would record, and holds it against the record in the order of the days."""

    def __init__(self, clinic: Clinic, today: date) -> None:
        self.today = today
        self._rows: dict[str, list[_Row]] = defaultdict(list)
        self._newcomer = Patient(clinic=clinic)
        self._no_hips = {side: Hip(pk=-number, side=side) for number, side in enumerate(Side, start=1)}

    def hear(self, plan: Plan) -> None:
        """Note what a row would record."""
        if plan.refused:
            return
        patient = plan.patient if plan.patient and plan.patient.pk else None
        for visit in plan.visits:
            facts = tuple(one for said in visit.facts if (one := _said(said)))
            row = _Row(visit.on, plan.arrival.line, plan.outcome, patient, facts)
            self._rows[plan.arrival.record_number.upper()].append(row)

    def found(self) -> Iterator[Doubtful]:
        """The rows that something speaks against."""
        everybody = iter(self._rows.values())
        while people := list(islice(everybody, _AT_ONCE)):
            charts = self._charts([rows[0].patient for rows in people if rows[0].patient])
            for rows in people:
                patient = rows[0].patient
                yield from self._of_person(charts[patient.pk] if patient else self._empty(), rows)

    def _of_person(self, chart: Chart, rows: list[_Row]) -> Iterator[Doubtful]:
        for row in sorted(rows, key=lambda row: row.on):
            made = [(said, _made(said, chart.hips[said.side], row.line)) for said in row.facts]
            against = contradictions(chart, [(said.side, fact) for said, fact in made], twice=False)
            columns = {id(fact): said.column for said, fact in made}
            if against:
                remarks = [Remark(columns[id(one.fact)], one.text, refuses=False, doubt=True) for one in against]
                yield Doubtful(row.line, row.outcome, row.patient, remarks)
            for _of, fact in made:
                insort(chart.facts[fact.kind], fact, key=lambda fact: fact.on)

    def _empty(self) -> Chart:
        return Chart(self._newcomer, self.today, self._no_hips, {kind: [] for kind in MODELS}, None)

    def _charts(self, patients: list[Patient]) -> dict[int, Chart]:
        facts: dict[int, dict[str, list[Fact]]] = {one.pk: {kind: [] for kind in MODELS} for one in patients}
        hips: dict[int, dict[Side, Hip]] = defaultdict(dict)
        for hip in Hip.objects.filter(patient__in=facts).select_related("evaluation"):
            hips[hip.patient_id][Side(hip.side)] = hip
        for kind, model in MODELS.items():
            for fact in model._default_manager.filter(patient__in=facts).order_by("on", "id"):
                facts[fact.patient_id][kind].append(fact)
        return {one.pk: Chart(one, self.today, hips[one.pk], facts[one.pk], None) for one in patients}


def _said(said: SaidFact) -> _Said | None:
    """None for what is no fact of a hip: nothing speaks against that."""
    fact = said.fact
    if said.side is None or not isinstance(fact, HipFact):
        return None
    named = {field.attname: getattr(fact, field.attname) for field in fact._meta.concrete_fields}
    values = {name: value for name, value in named.items() if value not in (None, "", [])}
    column = next(name for name in said.columns.values() if name != "visit_on")
    return _Said(said.side, type(fact), values, column)


def _made(said: _Said, hip: Hip, line: int) -> Fact:
    """The fact as if it were recorded, so that later rows find it."""
    fact = said.model(**said.values)
    fact.pk, fact.hip_id = -line, hip.pk
    return fact
