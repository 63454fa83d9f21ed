"""Intake: arrivals compared with the registry, planned without writing, and saved through patients.recording.

A plan says what would be saved and every reason why not; saving carries out the plan. What the registry has already
is left alone, so the same file changes nothing the second time; what undoing an import took back counts as never said.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final, cast

from django.core.exceptions import ValidationError
from django.db.models import Field
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import recording
from patients.changes import Actor
from patients.duplicates import LIKELY, Candidate, Person, compare, find_likely, person_of
from patients.models import HIP_FACTS, BmiReading, Clinic, ContactWish, Ending, Exposure, Fact, HipFact, Patient, Visit
from patients.plausibility import fact_problems, patient_problems
from patients.recording import RecordingRefused, today_at
from patients.vocabulary import Side

from ..models import ImportRow
from .arrivals import Arrival, Remark, SaidExposure, SaidVisit
from .written import TakenBack, Wrote

_CONTENT: Final[dict[str, tuple[str, ...]]] = {
    "imaging": (
        "modality", "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
        "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed", "collapse_suspected",
        "report", "accession_number", "study_instance_uid",
    ),
    "staging": ("system", "version", "code"),
    "symptom": (
        "source", "symptomatic", "pain_nrs", "pain_site", "sudden_worsening", "night_pain", "cannot_bear_weight",
        "walking_aid",
    ),
    "score": ("instrument", "value"),
    "location": ("jic_type", "kerboul_modified_degrees", "kerboul_degrees"),
    "procedure": ("procedure", "adjuncts"),
    "bmi": ("value",),
}  # fmt: skip
# What two facts of one day share when they speak of the same thing.
_SUBJECT: Final[dict[str, tuple[str, ...]]] = {
    "imaging": ("modality", "study_instance_uid"),
    "staging": ("system", "version"),
    "symptom": ("source",),
    "score": ("instrument",),
    "location": (),
    "procedure": ("procedure",),
    "bmi": (),
}
_FACT_MODELS: Final[dict[str, type[Fact]]] = {
    model.kind: model for model in cast("tuple[type[Fact], ...]", (*HIP_FACTS, BmiReading)) if model.kind in _CONTENT
}
# Details in which nothing of an undone import may remain when its patient is imported again.
_DETAILS: Final = (
    "given_name", "born_on", "sex", "national_id", "national_id_kind", "email", "telephone", "telephone_as_given",
    "address", "language",
)  # fmt: skip
_NOT_ASKED: Final = ("clinic", "patient", "hip", "visit", "supersedes", "recorded_by", "actor")


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass
class Known:
    """What the registry, and the rows before, have of one record number."""

    patient: Patient | None = None
    facts: set[int] = field(default_factory=set)  # hashes of facts: a set of ints stays small
    subjects: set[int] = field(default_factory=set)
    exposures: set[tuple[str, str]] = field(default_factory=set)
    email_wish: bool | None = None
    undone: list[Ending] = field(default_factory=list)  # by which undoing an import ended both hips, still standing


@dataclass
class Earlier:
    """What this source's earlier rows said of one record number; kept for the whole source.

    `known` is kept only while nothing is saved: afterwards the registry itself has it.
    """

    line: int
    person: Mapping[str, Any]
    known: Known | None


@dataclass
class Plan:
    """What saving one arrival will do. With a remark that refuses, nothing."""

    arrival: Arrival
    patient: Patient | None  # None: to be enrolled
    remarks: list[Remark]
    changes: dict[str, Any] = field(default_factory=dict)
    visits: list[SaidVisit] = field(default_factory=list)
    exposures: list[SaidExposure] = field(default_factory=list)
    email_wish: tuple[bool, str] | None = None
    dies: bool = False
    returns: list[Ending] = field(default_factory=list)  # to be withdrawn: the patient is followed again
    fact_keys: set[int] = field(default_factory=set)
    subject_keys: set[int] = field(default_factory=set)
    saved: Patient | None = None
    wrote: Wrote | None = None  # set by saving

    @property
    def refused(self) -> bool:
        return any(remark.refuses for remark in self.remarks)

    @property
    def outcome(self) -> Outcome:
        if self.refused:
            return Outcome.REFUSED
        if self.patient is None or self.returns:
            return Outcome.CREATED
        if self.changes or self.visits or self.exposures or self.email_wish or self.dies:
            return Outcome.UPDATED
        return Outcome.UNCHANGED


def _hash(kind: str, side: str, on: date, values: Iterable[Any]) -> int:
    return hash((kind, side, on, *(_comparable(value) for value in values)))


def _comparable(value: Any) -> Any:
    if isinstance(value, list | tuple | set | frozenset):
        return tuple(sorted(str(item) for item in value))
    if value is None or isinstance(value, bool | int | float):
        return value
    return value if hasattr(value, "quantize") else str(value) or None


def _fact_hash(fact: Fact, side: Side | None) -> int:
    return _hash(fact.kind, str(side or ""), fact.on, (getattr(fact, name) for name in _CONTENT[fact.kind]))


def _subject_hash(fact: Fact, side: Side | None) -> int:
    return _hash(fact.kind, str(side or ""), fact.on, (getattr(fact, name) for name in _SUBJECT[fact.kind]))


def _load_known(clinic: Clinic, record_numbers: Iterable[str]) -> dict[str, Known]:
    """By record number in capitals. Withdrawn and superseded facts count: an import does not bring them back."""
    wanted = {number.upper() for number in record_numbers}
    found = Patient.objects.filter(clinic=clinic).alias(number=Upper("record_number")).filter(number__in=wanted)
    by_number = {one.record_number.upper(): _living(one) for one in found.order_by().select_related("clinic")}
    patients = {patient.pk: patient for patient in by_number.values()}
    known = {pk: Known(patient) for pk, patient in patients.items()}
    undone = _load_undone(known)
    facts = {key for taken in undone.values() for key in taken.facts}
    for kind, model in _FACT_MODELS.items():
        _load_facts(kind, model, known, facts)
    taken_back = {pk for taken in undone.values() for pk in taken.exposures}
    exposures = Exposure.objects.filter(patient__in=known).exclude(pk__in=taken_back).order_by()
    for pk, exposure, side in exposures.values_list("patient", "kind", "side"):
        known[pk].exposures.add((exposure, side))
    wishes = ContactWish.objects.filter(patient__in=known, channel="email")
    for pk, allowed, how in wishes.values_list("patient", "allowed", "how"):
        if pk not in undone or allowed or how != undone[pk].wish:
            known[pk].email_wish = allowed
    _load_endings(known, undone)
    return {number: known[patient.pk] for number, patient in by_number.items()}


def _living(patient: Patient) -> Patient:
    """The record that speaks for the person: another one where this was merged."""
    while patient.merged_into is not None:
        patient = patient.merged_into
    return patient


def _load_undone(patient_ids: Iterable[int]) -> dict[int, TakenBack]:
    """By patient, all that undoing imports took back."""
    found: dict[int, TakenBack] = {}
    rows = ImportRow.objects.filter(patient__in=patient_ids, undone__isnull=False).order_by("id")
    for pk, plain in rows.values_list("patient", "undone"):
        taken, before = TakenBack.from_json(plain or {}), found.get(pk, TakenBack())
        found[pk] = TakenBack(
            before.facts + taken.facts,
            before.exposures + taken.exposures,
            before.endings + taken.endings,
            taken.wish or before.wish,
        )
    return found


def _load_endings(known: Mapping[int, Known], undone: Mapping[int, TakenBack]) -> None:
    """Of each patient the endings by which undoing ended both hips, where nobody has taken one of them back."""
    wanted = [pk for taken in undone.values() for pk in taken.endings]
    if not wanted:
        return
    endings = Ending.objects.filter(patient__in=undone, withdrawn_at__isnull=True).order_by("id")
    superseded = {ending.supersedes_id for ending in endings}
    for ending in endings:
        if ending.pk in wanted and ending.pk not in superseded:
            known[ending.patient_id].undone.append(ending)
    for entry in known.values():
        if len(entry.undone) < len(Side):
            entry.undone = []


def _load_facts(kind: str, model: type[Fact], known: dict[int, Known], taken_back: set[tuple[str, int]]) -> None:
    content, subject = _CONTENT[kind], _SUBJECT[kind]
    side = ("hip__side",) if issubclass(model, HipFact) else ()
    rows = model._default_manager.filter(patient__in=known).order_by()
    for pk, patient, on, *values in rows.values_list("pk", "patient", "on", *side, *content):
        if (kind, pk) in taken_back:
            continue
        which = values.pop(0) if side else ""
        named = dict(zip(content, values, strict=True))
        known[patient].facts.add(_hash(kind, which, on, values))
        known[patient].subjects.add(_hash(kind, which, on, (named[name] for name in subject)))


class Intake:
    """Plans and saves the arrivals of one source into one clinic, in the order in which they come."""

    def __init__(
        self,
        clinic: Clinic,
        *,
        by: Actor,
        now: datetime,
        source: str,
        act: str,
        duplicates_agreed: bool = False,
        enrolled_on: date | None = None,
    ) -> None:
        self.clinic, self.by, self.now, self.source, self.act = clinic, by, now, source, act
        self.today = today_at(clinic, now)
        self.enrolled_on = enrolled_on or self.today  # of newcomers of whom the source says nothing else
        self.duplicates_agreed = duplicates_agreed
        self._earlier: dict[str, Earlier] = {}
        self._newcomers: dict[Any, list[tuple[int, Person]]] = {}

    def plan_all(self, arrivals: Sequence[Arrival]) -> Iterator[Plan]:
        """Plans for one chunk, one at a time: save or drop each before asking for the next."""
        known = _load_known(self.clinic, (arrival.record_number for arrival in arrivals if arrival.record_number))
        likely = self._likely(arrivals, known)
        for arrival in arrivals:
            key = arrival.record_number.upper()
            earlier = self._earlier.get(key)
            if earlier and earlier.known:
                known[key] = earlier.known
            entry = known.setdefault(key, Known())
            plan = self._plan(arrival, entry, likely.get(key))
            yield plan
            if not plan.refused and key:
                self._remember(plan, entry)

    def _likely(self, arrivals: Sequence[Arrival], known: Mapping[str, Known]) -> dict[str, Candidate]:
        if self.duplicates_agreed:
            return {}
        new = {a.record_number.upper(): a for a in arrivals if a.record_number}
        new = {key: a for key, a in new.items() if key not in known and key not in self._earlier}
        found = find_likely(self.clinic.pk, [_compared(arrival) for arrival in new.values()])
        return {key: candidate for key, candidate in zip(new, found, strict=True) if candidate}

    # ---- planning

    def _plan(self, arrival: Arrival, known: Known, likely: Candidate | None) -> Plan:
        plan = Plan(arrival, known.patient, list(arrival.remarks))
        if not arrival.record_number:
            return plan
        earlier = self._earlier.get(arrival.record_number.upper())
        if earlier:
            plan.remarks += _contradictions(arrival, earlier)
        if known.patient is None:
            patient = self._newcomer(arrival, plan, likely)
        elif known.undone:
            patient = self._returned(arrival, known, known.patient, plan)
        else:
            patient = self._amended(arrival, known.patient, plan)
        self._plan_death(arrival, patient, plan)
        self._plan_wish(arrival, known, plan)
        exposures = {(exposure.kind, exposure.side): exposure for exposure in reversed(arrival.exposures)}
        plan.exposures = [exposure for key, exposure in exposures.items() if key not in known.exposures]
        self._plan_visits(arrival, known, patient, plan)
        problems = patient_problems(patient, self.today)
        if known.patient is None or plan.changes:
            problems |= _field_problems(patient)
        plan.remarks += _remarks(problems, {"telephone_as_given": "telephone"})
        return plan

    def _newcomer(self, arrival: Arrival, plan: Plan, likely: Candidate | None) -> Patient:
        details = {"enrolled_on": self.enrolled_on} | dict(arrival.person)
        if "family_name" not in details:
            details["family_name"] = "-"  # its absence is among the remarks already
        patient = Patient(clinic=self.clinic, record_number=arrival.record_number, **details)
        if likely and not self.duplicates_agreed:
            text = _("This is likely the same person as %(number)s of this clinic (%(reasons)s).")
            same = _same_person(text, likely.patient.record_number, likely.reasons)
            plan.remarks.append(replace(same, about=likely.patient.pk))
        elif not self.duplicates_agreed:
            plan.remarks += self._twins(arrival)
        return patient

    def _twins(self, arrival: Arrival) -> list[Remark]:
        """Another record number of this source that is likely the same person."""
        person = _compared(arrival)
        for key in _twin_keys(person):
            for line, other in self._newcomers.get(key, ()):
                score, reasons = compare(person, other)
                if score >= LIKELY and other.record_number.upper() != person.record_number.upper():
                    text = _("This is likely the same person as %(number)s in line %(line)s (%(reasons)s).")
                    return [_same_person(text, other.record_number, reasons, line)]
        return []

    def _returned(self, arrival: Arrival, known: Known, patient: Patient, plan: Plan) -> Patient:
        """Somebody whom undoing an import had ended: taken up again, and nothing of that import's details remains."""
        plan.returns = known.undone
        fresh = {name: cast("Field[Any, Any]", Patient._meta.get_field(name)).get_default() for name in _DETAILS}
        said = fresh | {"enrolled_on": self.enrolled_on} | dict(arrival.person)
        plan.changes = {name: value for name, value in said.items() if _plain(getattr(patient, name)) != _plain(value)}
        text = _("An import of this person was undone; they are followed again under this number.")
        plan.remarks.append(Remark("record_number", text, refuses=False))
        returned = copy.copy(patient)
        for name, value in said.items():
            setattr(returned, name, value)
        return returned

    def _amended(self, arrival: Arrival, patient: Patient, plan: Plan) -> Patient:
        if _is_somebody_else(arrival, patient):
            text = _("In this clinic the number belongs to somebody with another name and date of birth.")
            plan.remarks.append(Remark("record_number", text))
        plan.changes = {
            name: value for name, value in arrival.person.items() if _plain(getattr(patient, name)) != _plain(value)
        }
        refused = {remark.column for remark in plan.remarks if remark.refuses}
        for name, value in plan.changes.items():
            before = _plain(getattr(patient, name))
            column = name.removesuffix("_as_given")
            if name != "telephone" and column not in refused:
                words = _("Changes from %(before)s to %(after)s.") if before else _("Was empty; becomes %(after)s.")
                text = words % {"before": before, "after": value}
                plan.remarks.append(Remark(column, text, refuses=False))
        amended = copy.copy(patient)
        for name, value in plan.changes.items():
            setattr(amended, name, value)
        return amended

    def _plan_death(self, arrival: Arrival, patient: Patient, plan: Plan) -> None:
        if arrival.died_on is None or arrival.died_on == patient.died_on:
            return
        if patient.died_on:
            text = _("The registry has %(date)s as the date of death; correct it on the patient's page.")
            plan.remarks.append(Remark("died_on", text % {"date": patient.died_on.isoformat()}))
            return
        patient.died_on, patient.death_source = arrival.died_on, arrival.death_source
        plan.dies = True

    def _plan_wish(self, arrival: Arrival, known: Known, plan: Plan) -> None:
        if arrival.email_wish is None or arrival.email_wish[0] == known.email_wish:
            return
        if known.email_wish is False:
            text = _("The patient has said no to e-mail; the registry keeps that.")
            plan.remarks.append(Remark("email_consent", text, refuses=False))
            return
        plan.email_wish = arrival.email_wish

    def _plan_visits(self, arrival: Arrival, known: Known, patient: Patient, plan: Plan) -> None:
        for visit in arrival.visits:
            new = []
            for said in visit.facts:
                key = _fact_hash(said.fact, said.side)
                if key in known.facts or key in plan.fact_keys:
                    continue
                plan.fact_keys.add(key)
                new.append(said)
                problems = _field_problems(said.fact) | _dated_problems(said.fact, patient, self.today)
                plan.remarks += [Remark(said.column(name), text) for name, texts in problems.items() for text in texts]
                subject = _subject_hash(said.fact, said.side)
                plan.subject_keys.add(subject)
                if subject in known.subjects:
                    text = _("The registry has another entry of this kind and day; both will stand.")
                    plan.remarks.append(Remark(said.column("on"), text, refuses=False))
            if new:
                plan.visits.append(SaidVisit(visit.on, tuple(new), visit.kind, visit.note))

    def _remember(self, plan: Plan, known: Known) -> None:
        """Later rows of this source know of this one."""
        arrival = plan.arrival
        known.facts |= plan.fact_keys
        known.subjects |= plan.subject_keys
        known.undone = []
        known.exposures |= {(exposure.kind, exposure.side) for exposure in plan.exposures}
        if plan.email_wish:
            known.email_wish = plan.email_wish[0]
        if known.patient is None:
            details = {"enrolled_on": self.enrolled_on} | dict(arrival.person)
            known.patient = plan.saved or Patient(clinic=self.clinic, record_number=arrival.record_number, **details)
            person = _compared(arrival)
            for key in _twin_keys(person):
                self._newcomers.setdefault(key, []).append((arrival.line, person))
        if plan.dies:
            known.patient.died_on, known.patient.death_source = arrival.died_on, arrival.death_source
        for name, value in plan.changes.items():
            setattr(known.patient, name, value)
        key = arrival.record_number.upper()
        earlier = self._earlier.get(key)
        person_said = {**earlier.person, **arrival.person} if earlier else arrival.person
        line = earlier.line if earlier else arrival.line
        self._earlier[key] = Earlier(line, person_said, None if plan.saved else known)

    # ---- saving

    def save(self, plan: Plan) -> Patient:
        """Carry out a plan that is not refused, in the caller's transaction. Raises RecordingRefused."""
        arrival, reason = plan.arrival, f"{self.source}, line {plan.arrival.line}"[:200]
        wrote = Wrote(self.now, enrolled=plan.patient is None or bool(plan.returns))
        patient = self._saved_person(plan, reason, wrote)
        for exposure in plan.exposures:
            if plan.patient is None and exposure.is_bare:
                continue  # enrolled with it
            unsaved = Exposure(
                kind=exposure.kind, side=exposure.side, started_on=exposure.started_on, source=exposure.source[:120]
            )
            wrote.exposures.append(recording.record_exposure(patient.pk, unsaved, by=self.by).pk)
        for visit in plan.visits:
            recorded = recording.record_facts(
                patient.pk,
                [(said.side, said.fact) for said in visit.facts],
                by=self.by,
                visit=Visit(on=visit.on, kind=visit.kind, note=visit.note),
                act=self.act,
                reason=reason,
                now=self.now,
            )
            wrote.facts += [(fact.kind, fact.pk) for fact in recorded.facts]
        if plan.dies and arrival.died_on:
            recording.record_death(
                patient.pk, by=self.by, died_on=arrival.died_on, source=arrival.death_source, now=self.now
            )
            wrote.died_on = str(arrival.died_on)
        wrote.until = timezone.now()
        plan.saved, plan.wrote = patient, wrote
        return patient

    def _saved_person(self, plan: Plan, reason: str, wrote: Wrote) -> Patient:
        if plan.patient is None:
            return self._enrolled(plan, wrote)
        if plan.returns:
            recording.withdraw_facts(plan.returns, by=self.by, reason=reason, now=self.now)
        if plan.changes:
            before = {name: _plain(getattr(plan.patient, name)) for name in plan.changes}
            after = recording.amend_patient(
                plan.patient.pk, by=self.by, changes=plan.changes, reason=reason, now=self.now
            )
            wrote.changes = {name: (before[name], _plain(getattr(after, name))) for name in plan.changes}
        if plan.email_wish:
            wrote.wished, how = plan.email_wish
            recording.set_contact_wish(
                plan.patient.pk, by=self.by, channel="email", allowed=wrote.wished, how=how, on=self.today
            )
        return plan.patient

    def _enrolled(self, plan: Plan, wrote: Wrote) -> Patient:
        details = {"enrolled_on": self.enrolled_on} | dict(plan.arrival.person)
        conditions = [exposure.kind for exposure in plan.exposures if exposure.is_bare]
        patient = recording.enrol_patient(
            self.clinic,
            by=self.by,
            record_number=plan.arrival.record_number,
            contact_wishes={"email": plan.email_wish} if plan.email_wish else None,
            conditions=conditions,
            now=self.now,
            **details,
        )
        if plan.email_wish:
            wrote.wished = plan.email_wish[0]
        if conditions:
            wrote.exposures += Exposure.objects.filter(patient=patient).order_by("id").values_list("id", flat=True)
        return patient


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


def _compared(arrival: Arrival) -> Person:
    said = arrival.person
    return Person(
        said.get("family_name", ""),
        said.get("given_name", ""),
        said.get("born_on"),
        arrival.record_number,
        said.get("national_id", ""),
        said.get("email", ""),
    )


def _twin_keys(person: Person) -> set[Any]:
    return {person.born_on, person.national_id} - {None, ""}


def _same_person(text: str, number: str, reasons: Iterable[str], line: int | None = None) -> Remark:
    named = text % {"number": number, "reasons": ", ".join(reasons), "line": line}
    return Remark("record_number", named + " " + _("Give them one number, or agree to import likely duplicates."))


def _contradictions(arrival: Arrival, earlier: Earlier) -> list[Remark]:
    text = _("Line %(line)s says “%(value)s” for the same record number.")
    return [
        Remark(name.removesuffix("_as_given"), text % {"line": earlier.line, "value": earlier.person[name]})
        for name, value in arrival.person.items()
        if name != "telephone" and name in earlier.person and _plain(earlier.person[name]) != _plain(value)
    ]


def _is_somebody_else(arrival: Arrival, patient: Patient) -> bool:
    """Both the name and the date of birth are others: more likely a wrong number than two corrections."""
    said, stored = _compared(arrival), person_of(patient)
    if said.born_on is None or stored.born_on is None or said.born_on == stored.born_on:
        return False
    named = Person(said.family_name, said.given_name, said.born_on)
    score, _reasons = compare(named, Person(stored.family_name, stored.given_name, stored.born_on))
    return score < 40


def _field_problems(instance: Patient | Fact) -> dict[str, list[str]]:
    try:
        instance.clean_fields(exclude={*_NOT_ASKED, "responsible"})
    except ValidationError as error:
        return {name: [str(text) for text in texts] for name, texts in error.message_dict.items()}
    return {}


def _dated_problems(fact: Fact, patient: Patient, today: date) -> dict[str, list[str]]:
    fact.patient = patient
    return fact_problems(fact, patient, today)


def _remarks(problems: Mapping[str, Sequence[str]], columns: Mapping[str, str]) -> list[Remark]:
    return [Remark(columns.get(name, name), text) for name, texts in problems.items() for text in texts]


def remarks_of(error: RecordingRefused) -> list[Remark]:
    """What recording refused after all, for instance because somebody else was faster."""
    return _remarks(error.problems, {})
