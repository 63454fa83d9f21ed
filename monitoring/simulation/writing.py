"""Writing: lives into the registry in bulk, checked like recorded facts, audited, and evaluated by the pipeline.

One chunk of patients is one transaction. Rows go in by `bulk_create` in the order in which they depend on each other.
Everything is marked: the clinic and the patient are synthetic, each fact's origin is the simulation.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import models

from patients import record as facts
from patients.changes import Actor
from patients.models import (
    BmiReading,
    Clinic,
    Decision,
    Ending,
    Exposure,
    Fact,
    Hip,
    HipFact,
    Imaging,
    LesionLocation,
    Patient,
    Procedure,
    Score,
    Staging,
    SymptomReport,
    User,
    Visit,
)
from patients.models.facts import Origin
from patients.plausibility import fact_problems, patient_problems
from patients.vocabulary import Side, SymptomSource
from schedules.guideline.findings import Finding
from schedules.models import Plan, ReminderEvent
from schedules.plans import WINDOW_FIELDS

from .. import review
from ..models import AuditEntry, CaseNote, Flag, ReviewCase
from . import correspondence
from .lived import LivedPatient, Told

RECORD_NUMBER: Final = "HW-{:05d}"
_MODELS: Final[dict[type[Any], type[Fact]]] = {
    facts.Imaging: Imaging,
    facts.Staging: Staging,
    facts.Symptom: SymptomReport,
    facts.Score: Score,
    facts.Procedure: Procedure,
    facts.Decision: Decision,
    facts.Location: LesionLocation,
    facts.Ending: Ending,
    facts.Bmi: BmiReading,
}
_COLUMNS: Final = {kind: [f.name for f in fields(kind) if f.name not in ("id", "on", "supersedes")] for kind in _MODELS}
_RENAMED: Final[dict[tuple[type[Any], str], str]] = {(facts.Procedure, "kind"): "procedure"}
_GIVEN_BY_US: Final = {"id", "clinic", "patient", "hip", "visit", "supersedes", "recorded_by"}


class ImplausibleLife(RuntimeError):
    """The simulator made something that recording would refuse; nothing of the chunk was written."""


@dataclass(frozen=True)
class Staff:
    """Who is named as having recorded and decided; nobody in a registry without staff."""

    coordinators: Sequence[User] = ()
    clinicians: Sequence[User] = ()

    def coordinator(self, number: int) -> User | None:
        return self.coordinators[number % len(self.coordinators)] if self.coordinators else None

    def clinician(self, number: int) -> User | None:
        return self.clinicians[number % len(self.clinicians)] if self.clinicians else None


@dataclass
class _Written:
    """One patient on the way into the database."""

    life: LivedPatient
    patient: Patient
    hips: dict[Side, Hip] = field(default_factory=dict)
    visits: list[Visit] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)  # by key in the record


def write_lives(lives: Sequence[LivedPatient], clinic: Clinic, *, by: Actor, staff: Staff, as_of: date) -> list[int]:
    """Write these lives in the caller's transaction, which must see the clinic; returns the patients' ids.

    Raises ImplausibleLife. The patients are not evaluated yet.
    """
    written = [_Written(life, _patient(life, clinic, staff, as_of)) for life in lives]
    for each in written:
        _refuse_implausible(each.life, each.patient, _problems(each.patient), patient_problems(each.patient, as_of))
    Patient.objects.bulk_create(each.patient for each in written)
    _write_hips(written, clinic)
    _write_wishes_and_causes(written)
    _write_visits(written, by, staff)
    _write_facts(written, by, staff, as_of)
    _write_plans(written)
    _write_findings(written, by)
    _write_correspondence(written, clinic, staff, as_of)
    _write_audit(written, by)
    return [each.patient.pk for each in written]


# ---- Persons


def _patient(life: LivedPatient, clinic: Clinic, staff: Staff, as_of: date) -> Patient:
    person, bounced = life.person, correspondence.bounced_on(life, as_of)
    return Patient(
        clinic=clinic,
        record_number=RECORD_NUMBER.format(life.number),
        family_name=person.family_name,
        given_name=person.given_name,
        born_on=person.born_on,
        sex=person.sex,
        email=correspondence.email_of(life),
        email_bounced_on=bounced,
        email_bounce_reason="550 5.1.1 User unknown" if bounced else "",
        telephone=correspondence.telephone_of(life),
        address=person.address,
        language=person.language,
        responsible=staff.clinician(life.number),
        next_of_kin=person.next_of_kin,
        enrolled_on=life.enrolled_on,
        died_on=life.died_on,
        death_source=life.death_source,
        synthetic=True,
        record_version=1 + len(life.told),
        created_at=_moment(life.enrolled_on, clinic, 0),
    )


def _moment(day: date, clinic: Clinic, order: int) -> datetime:
    """A minute of that working day; what comes later in the order is later."""
    return correspondence.moment(day, 9, 0, clinic.zone) + timedelta(minutes=min(order, 500))


def _problems(instance: Patient | Fact) -> dict[str, list[str]]:
    try:
        instance.clean_fields(exclude=_GIVEN_BY_US | {"responsible"})
    except ValidationError as error:
        return error.message_dict
    return {}


def _refuse_implausible(life: LivedPatient, what: object, *problems: dict[str, list[str]]) -> None:
    found = {name: texts for some in problems for name, texts in some.items()}
    if found:
        raise ImplausibleLife(f"Life {life.number}, {what!r}: {found}")


def _write_hips(written: list[_Written], clinic: Clinic) -> None:
    hips = Hip.objects.bulk_create(
        Hip(clinic=clinic, patient=each.patient, side=side) for each in written for side in Side
    )
    for each, pair in zip(written, zip(*[iter(hips)] * 2, strict=True), strict=True):
        each.hips = {Side(hip.side): hip for hip in pair}


def _write_wishes_and_causes(written: list[_Written]) -> None:
    wishes = [wish for each in written for wish in correspondence.wishes_of(each.life, each.patient)]
    if wishes:
        type(wishes[0]).objects.bulk_create(wishes)
    Exposure.objects.bulk_create(
        Exposure(clinic_id=each.patient.clinic_id, patient=each.patient, kind=kind.value, source="Referral letter")
        for each in written
        for kind in each.life.person.causes
    )


def _write_visits(written: list[_Written], by: Actor, staff: Staff) -> None:
    for each in written:
        who = staff.coordinator(each.life.number)
        each.visits = [
            Visit(
                clinic_id=each.patient.clinic_id,
                patient=each.patient,
                on=attended.on,
                kind=attended.kind,
                note=attended.note,
                recorded_at=_moment(attended.on, each.patient.clinic, order),
                recorded_by=who,
                actor=who.name[:120] if who else by.name,
            )
            for order, attended in enumerate(each.life.visits)
        ]
    Visit.objects.bulk_create(visit for each in written for visit in each.visits)


# ---- Facts


def _write_facts(written: list[_Written], by: Actor, staff: Staff, as_of: date) -> None:
    """All facts, checked, list by list; a correction after what it corrects, as it names its id."""
    first: dict[type[Fact], list[Fact]] = {model: [] for model in _MODELS.values()}
    corrections: dict[type[Fact], list[tuple[Fact, Fact]]] = {model: [] for model in _MODELS.values()}
    for each in written:
        for order, told in enumerate(each.life.told):
            fact = _fact(each, told, order, by, staff)
            old = each.facts.get(told.fact.supersedes) if told.fact.supersedes else None
            fact.supersedes = old
            _refuse_implausible(each.life, told.fact, _problems(fact), fact_problems(fact, each.patient, as_of))
            if told.fact.id:
                each.facts[told.fact.id] = fact
            if old is None:
                first[type(fact)].append(fact)
            else:
                corrections[type(fact)].append((fact, old))
    for model, rows in first.items():
        model._default_manager.bulk_create(rows)
    for model, pairs in corrections.items():
        for fact, old in pairs:
            fact.supersedes = old  # its id is known now
        model._default_manager.bulk_create([fact for fact, _old in pairs])


def _fact(each: _Written, told: Told, order: int, by: Actor, staff: Staff) -> Fact:
    kind = type(told.fact)
    values = {_RENAMED.get((kind, name), name): _plain(getattr(told.fact, name)) for name in _COLUMNS[kind]}
    patients_own = isinstance(told.fact, facts.Symptom) and told.fact.source is SymptomSource.PATIENT
    clinical = kind in (facts.Decision, facts.Procedure, facts.Ending)
    who = staff.clinician(each.life.number) if clinical else staff.coordinator(each.life.number)
    fact = _MODELS[kind](
        clinic_id=each.patient.clinic_id,
        patient=each.patient,
        visit=None if told.visit is None else each.visits[told.visit],
        on=told.fact.on,
        origin=Origin.SIMULATION,
        recorded_at=_moment(told.recorded_on, each.patient.clinic, order),
        recorded_by=None if patients_own else who,
        actor=who.name[:120] if who and not patients_own else by.name,
        **values,
        **told.details,
    )
    if isinstance(fact, HipFact) and told.side is not None:
        fact.hip = each.hips[told.side]
    return fact


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(str(item) for item in value)
    return str(value) if isinstance(value, str) else value


# ---- What followed from them


def _write_plans(written: list[_Written]) -> None:
    """The cycles that are over; the current ones come from the evaluation."""
    plans: dict[tuple[int, date], Plan] = {}
    for each in written:
        for kept in each.life.kept:
            hip, window = each.hips[kept.side], kept.hip.window
            if window is not None:
                plans[hip.pk, kept.cycle_on] = Plan(
                    clinic_id=each.patient.clinic_id,
                    patient=each.patient,
                    hip=hip,
                    cycle_on=kept.cycle_on,
                    state=Plan.State.KEPT if kept.kept_on else Plan.State.CLOSED,
                    kept_on=kept.kept_on,
                    pathway=kept.hip.pathway.value,
                    interval_months=kept.hip.interval_months,
                    because=kept.hip.because[:300],
                    protocol=each.life.answer.protocol,
                    **{name: getattr(window, name) for name in WINDOW_FIELDS},
                )
    Plan.objects.bulk_create(plans.values())


def _write_findings(written: list[_Written], by: Actor) -> None:
    """Flags and review cases that stand, opened on the day they began, and the cases that were decided."""
    flags: list[Flag] = []
    cases: list[ReviewCase] = []
    notes: list[CaseNote] = []
    for each in written:
        for hip in each.life.answer.hips:
            flags += [_flag(each, hip.side, finding) for finding in hip.findings]
            for finding in hip.findings:
                if finding.action in review.CASE_ACTIONS:
                    late = any(f.rule == "R28" for f in hip.findings)
                    cases.append(_case(each, hip.side, finding, late=late))
                    notes.append(_note(cases[-1], cases[-1].opened_at, "opened", finding.because, by.name))
        for answered in each.life.answered:
            if answered.finding.action in review.CASE_ACTIONS:
                case = _case(each, answered.side, answered.finding, late=False)
                decision = each.facts[answered.decision]
                assert isinstance(decision, Decision)  # noqa: S101  # for the type checker
                case.state, case.decision, case.closed_at = ReviewCase.State.DECIDED, decision, decision.recorded_at
                case.opened_at = min(case.opened_at, decision.recorded_at)
                cases.append(case)
                notes.append(_note(case, case.opened_at, "opened", answered.finding.because, by.name))
                notes.append(_note(case, decision.recorded_at, "decided", decision.reason, decision.actor))
    Flag.objects.bulk_create(flags)
    ReviewCase.objects.bulk_create(cases)
    CaseNote.objects.bulk_create(notes)


def _content(each: _Written, finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "action": finding.action.value,
        "urgency": finding.urgency.value,
        "since": finding.since,
        "act_by": finding.act_by,
        "because": finding.because[:400],
        "evidence": [each.facts[key].key for key in finding.evidence if key in each.facts],
    }


def _flag(each: _Written, side: Side, finding: Finding) -> Flag:
    return Flag(
        clinic_id=each.patient.clinic_id,
        patient=each.patient,
        hip=each.hips[side],
        step=finding.step.value if finding.step else "",
        sources=list(finding.sources),
        opened_at=_opened(each, finding),
        **_content(each, finding),
    )


def _opened(each: _Written, finding: Finding) -> datetime:
    return _moment(max(finding.since, each.life.enrolled_on), each.patient.clinic, 0)


def _case(each: _Written, side: Side, finding: Finding, *, late: bool) -> ReviewCase:
    return ReviewCase(
        clinic_id=each.patient.clinic_id,
        patient=each.patient,
        hip=each.hips[side],
        level=ReviewCase.Level.ADMIN if late else ReviewCase.Level.CLINICIAN,
        assigned_to=each.patient.responsible if each.life.number % 2 else None,
        opened_at=_opened(each, finding),
        **_content(each, finding),
    )


def _note(case: ReviewCase, at: datetime, kind: str, text: str, actor: str) -> CaseNote:
    return CaseNote(clinic_id=case.clinic_id, case=case, at=at, actor=actor[:120], kind=kind, text=text)


def _write_correspondence(written: list[_Written], clinic: Clinic, staff: Staff, as_of: date) -> None:
    reminders = [row for each in written for row in correspondence.reminders_of(each.life, each.patient, clinic, as_of)]
    _bulk(reminders)
    ReminderEvent.objects.bulk_create(
        ReminderEvent(
            clinic_id=clinic.pk,
            reminder=row,
            at=row.decided_at or row.created_at,
            state=row.state,
            reason=row.reason,
            actor="system: simulation",
        )
        for row in reminders
    )
    people = [(each.life, each.patient, staff.coordinator(each.life.number)) for each in written]
    _bulk(
        call for life, patient, who in people for call in correspondence.contacts_of(life, patient, clinic, who, as_of)
    )
    snoozes = (correspondence.snooze_of(life, patient, clinic, who, as_of) for life, patient, who in people)
    _bulk(snooze for snooze in snoozes if snooze is not None)


def _bulk(rows: Iterable[models.Model]) -> None:
    listed = list(rows)
    if listed:
        type(listed[0])._default_manager.bulk_create(listed)


def _write_audit(written: list[_Written], by: Actor) -> None:
    AuditEntry.objects.bulk_create(
        AuditEntry(
            actor=by.name[:120],
            act="simulate",
            clinic_id=each.patient.clinic_id,
            patient_id=each.patient.pk,
            after={"facts": len(each.facts), "visits": len(each.visits)},
            reason="Invented patient; no fact is about a real person.",
        )
        for each in written
    )
