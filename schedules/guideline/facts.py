"""Facts: which of the recorded facts exist on a day, sorted out for the rules to read.

A fact dated after the day does not exist. A fact is out when any fact of its list that is known on the day names
it, even one that is itself out: taking back a correction never brings the older reading back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from operator import attrgetter
from typing import Final, NamedTuple, Protocol, TypeVar

from patients.record import Ending, HipRecord, Imaging, Location, Score, Staging, Symptom
from patients.vocabulary import AP_VIEWS, MEASURING_METHODS, Action, EndReason, Modality, ProcedureKind, View

XR: Final = Modality.XR
MR: Final = Modality.MR
CT: Final = Modality.CT
US: Final = Modality.US


class Fact(Protocol):
    @property
    def id(self) -> str | None: ...
    @property
    def on(self) -> date: ...
    @property
    def supersedes(self) -> str | None: ...


FactT = TypeVar("FactT", bound=Fact)
_by_date = attrgetter("on")


class Mark(NamedTuple):
    """A fact as far as a deadline needs it: its date, and its id if it has one."""

    on: date
    id: str | None = None


@dataclass(frozen=True, slots=True)
class HipFacts:
    """The facts of one hip that exist on a day and are not out, each list in order of date, then position."""

    imaging: list[Imaging]
    readable: list[Imaging]
    mrs: list[Imaging]
    films: list[Imaging]
    cts: list[Imaging]
    stagings: list[Staging]
    symptoms: list[Symptom]
    scores: list[Score]
    decompressions: list[Mark]
    replacements: list[Mark]
    decided: dict[Action, date]
    locations: list[Location]
    endings: list[Ending]
    reopened_on: date | None


def in_force(facts: Sequence[FactT], as_of: date) -> list[FactT]:
    """The facts known on the day that no known fact supersedes, in order of date, then position."""
    if not facts:
        return []
    known = [fact for fact in facts if fact.on <= as_of]
    out = {fact.supersedes for fact in known}
    out.discard(None)
    if out:
        known = [fact for fact in known if fact.id not in out]
    known.sort(key=_by_date)
    return known


def hip_facts(hip: HipRecord, as_of: date) -> HipFacts:
    imaging = in_force(hip.imaging, as_of)
    readable = [study for study in imaging if study.diagnostic is not False]
    procedures = in_force(hip.procedures, as_of)
    endings = in_force(hip.endings, as_of)
    return HipFacts(
        imaging=imaging,
        readable=readable,
        mrs=[study for study in readable if study.modality is MR],
        films=[study for study in readable if study.modality is XR],
        cts=[study for study in readable if study.modality is CT],
        stagings=in_force(hip.stagings, as_of),
        symptoms=in_force(hip.symptoms, as_of),
        scores=in_force(hip.scores, as_of),
        decompressions=[Mark(p.on, p.id) for p in procedures if p.kind is ProcedureKind.CORE_DECOMPRESSION],
        replacements=[
            Mark(p.on, p.id)
            for p in procedures
            if p.kind is ProcedureKind.THA or p.kind is ProcedureKind.RESURFACING_HEMI
        ],
        decided={decision.action: decision.on for decision in in_force(hip.decisions, as_of)},
        locations=in_force(hip.locations, as_of),
        endings=[ending for ending in endings if ending.reason is not EndReason.REOPENED],
        reopened_on=max((ending.on for ending in endings if ending.reason is EndReason.REOPENED), default=None),
    )


def measures_volume(study: Imaging) -> bool:
    """A percent counts as a volume only when one of the three MRI methods gave it; any other is an estimate."""
    return study.lesion_volume_percent is not None and study.volume_method in MEASURING_METHODS


def days_with_both_views(films: Iterable[Imaging]) -> list[date]:
    """The days with an AP and a frog lateral radiograph, in one study or several."""
    shown: dict[date, set[View]] = {}
    for film in films:
        shown.setdefault(film.on, set()).update(film.views)
    return [day for day, views in shown.items() if View.FROG_LATERAL in views and not AP_VIEWS.isdisjoint(views)]
