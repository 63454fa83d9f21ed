"""Chart: what a page shows of one patient, read in one query."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone

from patients.at_once import Kept, Question
from patients.models import HIP_FACTS, BmiReading, Fact, Hip, Patient
from patients.recording import today_at
from patients.vocabulary import Side

from ..models import HipEvaluation, PatientEvaluation
from .fact_words import TAB_OF_KIND, titled

_FACTS: Final[tuple[type[Fact], ...]] = (*HIP_FACTS, BmiReading)
MODELS: Final = {model.kind: model for model in _FACTS}
ON_SCREEN: Final = (Side.RIGHT, Side.LEFT)  # as on a radiograph: the patient's right is on the viewer's left


@dataclass(frozen=True)
class Chart:
    """One patient with both hips, the answers that stand for them and the facts that were asked for, oldest first."""

    patient: Patient
    today: date
    hips: Mapping[Side, Hip]
    facts: Mapping[str, list[Fact]]
    evaluation: PatientEvaluation | None
    set_aside: frozenset[tuple[str, int]] = frozenset()

    def without(self, fact: Fact) -> "Chart":
        """The chart as if this fact did not count; what it corrected does not count again."""
        return replace(self, set_aside=self.set_aside | {(fact.kind, fact.pk)})

    def evaluated(self, side: Side) -> HipEvaluation | None:
        """The stored evaluation; None where there is none yet."""
        return getattr(self.hips[side], "evaluation", None)

    def answer(self, side: Side) -> dict[str, Any]:
        """What the guideline answered last for this hip, empty where it never did."""
        evaluated = self.evaluated(side)
        return evaluated.answer if evaluated else {}

    @property
    def is_stale(self) -> bool:
        """Whether the record is newer than the answer, or the answer could not be given."""
        return (
            self.evaluation is None
            or self.evaluation.record_version < self.patient.record_version
            or bool(self.evaluation.error)
        )

    @cached_property
    def superseded(self) -> frozenset[tuple[str, int]]:
        """(kind, id) of the facts that a correction which stands has replaced, and of those set aside."""
        return self.set_aside | frozenset(
            (kind, old)
            for kind, facts in self.facts.items()
            for fact in facts
            if (old := corrected_id(fact)) is not None and fact.withdrawn_at is None
        )

    def stands(self, fact: Fact) -> bool:
        return fact.withdrawn_at is None and (fact.kind, fact.pk) not in self.superseded

    def standing(self, kind: str, side: Side | None = None, *, until: date | None = None) -> list[Any]:
        """The facts of a kind that count, of one hip where a side is given, dated up to `until`; oldest first."""
        hip = self.hips[side].pk if side else None
        return [
            fact
            for fact in self.facts.get(kind, [])
            if self.stands(fact)
            and (hip is None or getattr(fact, "hip_id", None) == hip)
            and (until is None or fact.on <= until)
        ]

    def side_of(self, fact: Fact) -> Side | None:
        hip_id = getattr(fact, "hip_id", None)
        return next((side for side, hip in self.hips.items() if hip.pk == hip_id), None)

    @cached_property
    def by_key(self) -> dict[str, Fact]:
        return {fact.key: fact for facts in self.facts.values() for fact in facts}

    def cite(self, key: str) -> dict[str, str]:
        """The fact of that key as evidence: its words and where it stands."""
        fact = self.by_key.get(key)
        return {"text": titled(fact) if fact else key, "url": fact_url(self.patient.pk, key)}


def corrected_id(fact: Fact) -> int | None:
    """The id of the fact that this one corrects."""
    old: int | None = fact.supersedes_id  # type: ignore[attr-defined]
    return old


def fact_url(patient_id: int, key: str) -> str:
    tab = TAB_OF_KIND.get(key.rpartition("-")[0], "visits")
    return f"{reverse('patient_tab', args=[patient_id, tab])}?fact={key}#{key}"


def sides_of(chart: Chart) -> dict[int, Side]:
    """The sides of the patient's hips by the hips' ids."""
    return {hip.pk: side for side, hip in chart.hips.items()}


def read_chart(patient: Patient, kinds: Iterable[str]) -> Chart:
    """In one query: the hips with their answers, the patient's answer, and each kind of fact."""
    known = tuple(kinds)
    hips, evaluation, *facts = _asked(known).read(patient=patient.pk)
    return Chart(
        patient=patient,
        today=today_at(patient.clinic, timezone.now()),
        hips={Side(hip.side): hip for hip in hips},
        facts=dict(zip(known, facts, strict=True)),
        evaluation=next(iter(evaluation), None),
    )


@lru_cache(maxsize=32)
def _asked(kinds: tuple[str, ...]) -> Kept:
    def questions(patient: int) -> Sequence[Question]:
        return (
            Hip.objects.filter(patient=patient).select_related("evaluation").order_by("id"),
            PatientEvaluation.objects.filter(patient=patient),
            *(MODELS[kind]._default_manager.filter(patient=patient).order_by("on", "id") for kind in kinds),
        )

    return Kept(questions, patient=int)
