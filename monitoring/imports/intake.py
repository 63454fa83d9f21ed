"""Intake: arrivals compared with the registry, planned without writing, and saved through patients.recording.

A plan says what would be saved and every reason why not; saving carries out the plan. What the registry has already
is left alone, so the same file changes nothing the second time; what undoing an import took back counts as never said.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, Final, cast

from django.core.exceptions import ValidationError
from django.db.models import Field
from django.utils.translation import gettext as _

from patients.changes import Actor
from patients.duplicates import LIKELY, Candidate, Person, compare, find_likely, person_of
from patients.models import Clinic, Fact, Patient
from patients.plausibility import fact_problems, patient_problems
from patients.recording import RecordingRefused, today_at

from .arrivals import Arrival, Remark, SaidVisit
from .known import Known, fact_key, load_known, subject_key
from .plans import Earlier, Plan, plain
from .saving import Saving

# Details in which nothing of an undone import may remain when its patient is imported again.
_DETAILS: Final = (
    "given_name", "born_on", "sex", "national_id", "national_id_kind", "email", "telephone", "telephone_as_given",
    "address", "language",
)  # fmt: skip
_NOT_ASKED: Final = ("clinic", "patient", "hip", "visit", "supersedes", "recorded_by", "actor")


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
        self.clinic, self.today = clinic, today_at(clinic, now)
        self.enrolled_on = enrolled_on or self.today  # of newcomers of whom the source says nothing else
        self._saving = Saving(
            clinic, by=by, now=now, today=self.today, enrolled_on=self.enrolled_on, source=source, act=act
        )
        self.duplicates_agreed = duplicates_agreed
        self._earlier: dict[str, Earlier] = {}
        self._newcomers: dict[Any, list[tuple[int, Person]]] = {}

    def plan_all(self, arrivals: Sequence[Arrival]) -> Iterator[Plan]:
        """Plans for one chunk, one at a time: save or drop each before asking for the next."""
        known = load_known(self.clinic, (arrival.record_number for arrival in arrivals if arrival.record_number))
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
        plan.changes = {name: value for name, value in said.items() if plain(getattr(patient, name)) != plain(value)}
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
            name: value for name, value in arrival.person.items() if plain(getattr(patient, name)) != plain(value)
        }
        refused = {remark.column for remark in plan.remarks if remark.refuses}
        for name, value in plan.changes.items():
            before = plain(getattr(patient, name))
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
                key = fact_key(said.fact, said.side)
                if key in known.facts or key in plan.fact_keys:
                    continue
                plan.fact_keys.add(key)
                new.append(said)
                problems = _field_problems(said.fact) | _dated_problems(said.fact, patient, self.today)
                plan.remarks += [Remark(said.column(name), text) for name, texts in problems.items() for text in texts]
                subject = subject_key(said.fact, said.side)
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

    def save(self, plan: Plan) -> Patient:
        """Carry out a plan that is not refused, in the caller's transaction. Raises RecordingRefused."""
        return self._saving.save(plan)


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
        if name != "telephone" and name in earlier.person and plain(earlier.person[name]) != plain(value)
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
