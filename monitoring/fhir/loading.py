"""Loading: the resources of a path taken into one clinic, person by person; every resource is accounted for.

A resource that is invalid or cannot be true keeps nobody else's out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

from django.db import transaction

from patients.changes import Actor
from patients.models import Clinic
from patients.recording import RecordingRefused

from .. import audit, pipeline
from ..imports.arrivals import Arrival, Remark, SaidFact, SaidVisit
from ..imports.batch import bound
from ..imports.intake import Intake
from ..imports.plans import Outcome, Plan
from .bundles import Entry, files_of, read_entries
from .mapping import PersonTaken, Taken, Unusable, read_person, read_resource
from .report import Report

CHUNK: Final = 100  # people a transaction
NO_HIP: Final = "The files hold nothing of a hip of this person, and only those with a hip finding were asked for."


@dataclass(frozen=True)
class Choices:
    commit: bool = False
    only_with_hip_facts: bool = False
    enrolled_on: date | None = None
    identifier_system: str = ""
    duplicates_agreed: bool = False


@dataclass
class _Given:
    """One resource that was taken: where it stands and what it gives."""

    kind: str
    place: str
    taken: Taken


@dataclass
class _Someone:
    """One Patient resource, and later all that points at it."""

    place: str
    taken: PersonTaken
    given: list[_Given] = field(default_factory=list)


@dataclass
class _Gathered:
    people: dict[str, _Someone] = field(default_factory=dict)  # by record number in capitals
    pointed: dict[str, _Someone | str] = field(default_factory=dict)  # reference -> person, or why there is none
    given: list[_Given] = field(default_factory=list)
    again: list[str] = field(default_factory=list)  # places of Patients that were read before


Progress = Callable[[int, int], None]


def load(
    path: Path,
    clinic: Clinic,
    *,
    by: Actor,
    choices: Choices,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> Report:
    """Read every resource below the path; with `commit` save what is new. Raises FileNotFoundError."""
    report = Report()
    gathered = _gather(path, choices, report, progress)
    _assign(gathered, report)
    intake = Intake(
        clinic,
        by=by,
        now=now,
        source=f"FHIR import of {path.name}",
        act="import_facts",
        duplicates_agreed=choices.duplicates_agreed,
        enrolled_on=choices.enrolled_on,
    )
    people = iter(enumerate(gathered.people.values(), start=1))
    while chunk := list(islice(people, CHUNK)):
        with bound(clinic.pk, by), pipeline.deferred() if choices.commit else nullcontext():
            for number, someone in chunk:
                _take_in(intake, number, someone, choices, report)
    if choices.commit:
        with bound(clinic.pk, by):
            audit.note(by, "import_fhir", clinic_id=clinic.pk, object=path.name[:80], after=report.to_json())
    return report


# ---- Reading


def _gather(path: Path, choices: Choices, report: Report, progress: Progress) -> _Gathered:
    files, others = files_of(path)
    report.files, report.left_alone = len(files), [file.name for file in others]
    gathered = _Gathered()
    for number, file in enumerate(files, start=1):
        for entry in read_entries(file):
            report.read(entry.type)
            fault = entry.fault or first_fault(entry.resource)
            if fault:
                report.is_invalid(entry.type, entry.place, fault)
                if entry.type == "Patient":
                    _point(gathered, entry, "Its patient is invalid.")
                continue
            _gather_entry(entry, choices, gathered, report)
        progress(number, len(files))
    return gathered


def first_fault(resource: dict[str, Any]) -> str:
    """The first thing by which the resource is not FHIR R4; empty where it is."""
    from fhir.resources.R4B import get_fhir_model_class
    from pydantic import ValidationError

    kind = str(resource["resourceType"])
    try:
        model = get_fhir_model_class(kind)
    except (LookupError, ImportError, ValueError):
        return f"FHIR R4 has no resource {kind}."
    try:
        model.model_validate(resource)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"{where}: {first['msg']}"[:300]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        return f"{type(error).__name__}: {error}"[:300]
    return ""


def _gather_entry(entry: Entry, choices: Choices, gathered: _Gathered, report: Report) -> None:
    try:
        if entry.type == "Patient":
            _gather_person(entry, read_person(entry.resource, choices.identifier_system), gathered, report)
            return
        taken = read_resource(entry.resource)
    except Unusable as error:
        report.is_skipped(entry.type, entry.place, str(error))
        if entry.type == "Patient":
            _point(gathered, entry, "Its patient was skipped.")
        return
    if taken is None:
        report.is_other(entry.type)
    else:
        gathered.given.append(_Given(entry.type, entry.place, taken))


def _gather_person(entry: Entry, taken: PersonTaken, gathered: _Gathered, report: Report) -> None:
    key = taken.record_number.upper()
    known = gathered.people.get(key)
    if known is None:
        known = gathered.people[key] = _Someone(entry.place, taken)
    elif known.taken == taken:
        report.is_understood("Patient", "known")
    else:
        report.is_skipped(
            "Patient", entry.place, "Another Patient resource with this number says otherwise of the person."
        )
    for note in taken.notes:
        report.note(entry.place, note)
    _point(gathered, entry, known)


def _point(gathered: _Gathered, entry: Entry, to: "_Someone | str") -> None:
    for reference in entry.references:
        gathered.pointed[reference] = to


def _assign(gathered: _Gathered, report: Report) -> None:
    """Each resource to its person; those of nobody are skipped."""
    for given in gathered.given:
        subject = given.taken.subject
        whom = gathered.pointed.get(subject) or gathered.pointed.get("/".join(subject.split("/")[-2:]))
        if isinstance(whom, _Someone):
            whom.given.append(given)
        else:
            report.is_skipped(given.kind, given.place, whom or "Its patient is not in these files.")
    gathered.given.clear()


# ---- Taking in


def _take_in(intake: Intake, number: int, someone: _Someone, choices: Choices, report: Report) -> None:
    if choices.only_with_hip_facts and not any(given.taken.is_of_a_hip for given in someone.given):
        _skip_all(someone, NO_HIP, "Its patient is not enrolled.", report)
        return
    given = list(someone.given)
    while True:
        for plan in intake.plan_all([_arrival(number, someone.taken, given)]):
            faulty = _faulty(plan, given)
            if not faulty:
                _carry_out(intake, plan, someone, given, choices, report)
        if not faulty:
            return
        for index, why in faulty.items():
            report.is_skipped(given[index].kind, given[index].place, why)
        given = [one for index, one in enumerate(given) if index not in faulty]


def _arrival(number: int, person: PersonTaken, given: list[_Given]) -> Arrival:
    by_day: dict[date, list[SaidFact]] = defaultdict(list)
    for index, one in enumerate(given):
        for said in one.taken.facts:
            columns = {f.name: f"#{index}" for f in said.fact._meta.concrete_fields}
            by_day[said.fact.on].append(SaidFact(said.side, said.fact, columns))
    return Arrival(
        line=number,
        record_number=person.record_number,
        person=person.person,
        visits=tuple(SaidVisit(on, tuple(facts), kind="report") for on, facts in sorted(by_day.items())),
        exposures=tuple(exposure for one in given for exposure in one.taken.exposures),
        died_on=person.died_on,
        death_source="FHIR Patient" if person.died_on else "",
    )


def _faulty(plan: Plan, given: list[_Given]) -> dict[int, str]:
    """The resources, by position, of which the registry refuses a fact."""
    refusing = [r for r in plan.remarks if r.refuses and r.column.startswith("#")]
    return {int(remark.column[1:]): remark.text for remark in reversed(refusing)}


def _carry_out(
    intake: Intake, plan: Plan, someone: _Someone, given: list[_Given], choices: Choices, report: Report
) -> None:
    refused = _why(plan.remarks)
    if not refused and choices.commit and plan.outcome is not Outcome.UNCHANGED:
        try:
            with transaction.atomic():
                intake.save(plan)
        except RecordingRefused as error:
            refused = str(error)
    if refused:
        _skip_all(_Someone(someone.place, someone.taken, given), refused, "Its patient was refused.", report)
        return
    changed = bool(plan.changes or plan.dies)
    outcome = "new" if plan.patient is None else "updated" if changed else "known"
    report.is_understood("Patient", outcome)
    if plan.patient is None and not any(one.taken.is_of_a_hip for one in given):
        report.blank_hips += 1
    for remark in plan.remarks:
        if not remark.column.startswith("#"):
            report.note(someone.place, f"{remark.column}: {remark.text}")
    new = {id(said.fact) for visit in plan.visits for said in visit.facts} | {id(e) for e in plan.exposures}
    for one in given:
        gives = [*(id(said.fact) for said in one.taken.facts), *map(id, one.taken.exposures)]
        report.is_understood(one.kind, "new" if any(key in new for key in gives) else "known")


def _why(remarks: list[Remark]) -> str:
    return " ".join(f"{remark.column}: {remark.text}" for remark in remarks if remark.refuses)


def _skip_all(someone: _Someone, why: str, why_of_others: str, report: Report) -> None:
    report.is_skipped("Patient", someone.place, why)
    for one in someone.given:
        report.is_skipped(one.kind, one.place, why_of_others)


def places(report: Report) -> Iterator[tuple[str, str, str, str]]:
    """Everything that asks for attention: (what, type, place, text)."""
    yield from (("invalid", *row) for row in report.invalid)
    yield from (("skipped", *row) for row in report.skipped)
    yield from (("note", "", place, text) for place, text in report.notes)
