"""Recording: the only writers of what is known of a patient. Each is one transaction, names its actor and announces it.

Facts are added; a correction supersedes with a reason; a fact entered in error is withdrawn and its row kept.
Every writer takes the patient's row lock first and raises the record's version, so that a standing evaluation of a
lower version is known to be stale.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from .changes import Actor, Change, announce
from .models import Clinic, ContactWish, Decision, Ending, Exposure, Fact, Hip, HipFact, Patient, Procedure, User, Visit
from .plausibility import fact_problems, patient_problems
from .vocabulary import EndReason, ProcedureKind, Side

Problems = dict[str, list[str]]


class RecordingRefused(ValueError):
    """What was to be recorded cannot be true or is incomplete. `problems`: field -> sentences; nothing was saved."""

    def __init__(self, problems: Mapping[str, Sequence[str]]) -> None:
        self.problems: Problems = {field: list(sentences) for field, sentences in problems.items()}
        super().__init__("; ".join(f"{field}: {' '.join(texts)}" for field, texts in self.problems.items()))


class StaleRecord(RuntimeError):
    """Somebody else has written to the record since it was read; `current` is its version now."""

    def __init__(self, current: int) -> None:
        super().__init__(f"The record is at version {current} by now.")
        self.current = current


@dataclass(frozen=True)
class Recorded:
    """What was saved: the facts in the order given, and the visit that groups them."""

    facts: tuple[Fact, ...]
    visit: Visit | None


def today_at(clinic: Clinic, now: datetime) -> date:
    """The clinic's calendar day at `now`."""
    return now.astimezone(clinic.zone).date()


def lock_patient(patient_id: int, *, expected_version: int | None = None) -> Patient:
    """The patient's row, locked until the transaction ends. Raises StaleRecord when it was written to meanwhile."""
    patient = Patient.objects.select_related("clinic").select_for_update(no_key=True, of=("self",)).get(pk=patient_id)
    if expected_version is not None and patient.record_version != expected_version:
        raise StaleRecord(patient.record_version)
    return patient


def _refuse_if(problems: Problems) -> None:
    if problems:
        raise RecordingRefused(problems)


def _field_problems(instance: Patient | Fact | Exposure, *, exclude: Iterable[str] = ()) -> Problems:
    try:
        instance.clean_fields(exclude=set(exclude))
    except ValidationError as error:
        return {field: [str(text) for text in texts] for field, texts in error.message_dict.items()}
    return {}


@transaction.atomic
def enrol_patient(
    clinic: Clinic,
    *,
    by: Actor,
    enrolled_on: date,
    record_number: str,
    family_name: str,
    contact_wishes: Mapping[str, tuple[bool, str]] | None = None,
    conditions: Iterable[str] = (),
    now: datetime | None = None,
    **details: Any,
) -> Patient:
    """A new patient with both hips. `contact_wishes`: channel -> (allowed, how the patient said so).

    Raises RecordingRefused, also where the clinic has that record number already.
    """
    now = now or timezone.now()
    patient = Patient(
        clinic=clinic,
        enrolled_on=enrolled_on,
        record_number=record_number.strip(),
        family_name=family_name.strip(),
        record_version=1,
        created_at=now,
        **details,
    )
    problems = _field_problems(patient, exclude={"clinic", "responsible"}) | patient_problems(
        patient, today_at(clinic, now)
    )
    if not problems and Patient.objects.filter(clinic=clinic, record_number__iexact=patient.record_number).exists():
        problems["record_number"] = [_("This clinic already has a patient with this record number.")]
    _refuse_if(problems)
    try:
        with transaction.atomic():
            patient.save(force_insert=True)
    except IntegrityError as error:
        if "record_number_once_per_clinic" not in str(error):
            raise
        raise RecordingRefused(
            {"record_number": [_("This clinic already has a patient with this record number.")]}
        ) from error
    Hip.objects.bulk_create(Hip(clinic=clinic, patient=patient, side=side) for side in Side)
    for channel, (allowed, how) in (contact_wishes or {}).items():
        ContactWish.objects.create(
            clinic=clinic, patient=patient, channel=channel, allowed=allowed, how=how, on=today_at(clinic, now)
        )
    for kind in conditions:
        Exposure.objects.create(clinic=clinic, patient=patient, kind=kind)
    announce(Change(act="enrol_patient", by=by, clinic_id=clinic.pk, patient_id=patient.pk, after=_details(patient)))
    return patient


AMENDABLE = frozenset(
    {"family_name", "given_name", "born_on", "sex", "national_id", "national_id_kind", "email", "telephone"}
    | {"telephone_as_given", "address", "language", "responsible", "next_of_kin", "enrolled_on", "record_number"}
)


def _details(patient: Patient) -> dict[str, Any]:
    return {name: _plain(getattr(patient, name)) for name in sorted(AMENDABLE)}


def _plain(value: Any) -> Any:
    if isinstance(value, User):
        return value.pk
    return value if value is None or isinstance(value, bool | int | float) else str(value)


@transaction.atomic
def amend_patient(
    patient_id: int,
    *,
    by: Actor,
    changes: Mapping[str, Any],
    expected_version: int | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> Patient:
    """Change details of a person. A new e-mail address clears what was known of the old one's bounces."""
    if unknown := set(changes) - AMENDABLE:
        raise RecordingRefused({name: [_("This cannot be changed.")] for name in sorted(unknown)})
    patient = lock_patient(patient_id, expected_version=expected_version)
    before = _details(patient)
    for name, value in changes.items():
        setattr(patient, name, value)
    problems = _field_problems(patient, exclude={"clinic", "responsible"})
    problems |= patient_problems(patient, today_at(patient.clinic, now or timezone.now()))
    taken = Patient.objects.filter(clinic=patient.clinic_id, record_number__iexact=patient.record_number)
    if taken.exclude(pk=patient.pk).exists():
        problems["record_number"] = [_("This clinic already has a patient with this record number.")]
    _refuse_if(problems)
    after = _details(patient)
    changed = {name for name in after if after[name] != before[name]}
    if not changed:
        return patient
    if "email" in changed:
        patient.email_bounced_on, patient.email_bounce_reason = None, ""
    patient.record_version += 1
    patient.save()
    announce(
        Change(
            act="amend_patient",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
            reason=reason,
        )
    )
    return patient


@transaction.atomic
def set_contact_wish(patient_id: int, *, by: Actor, channel: str, allowed: bool, how: str, on: date) -> ContactWish:
    """What the patient wants of a channel from `on`; plans that rest on it follow at once."""
    patient = lock_patient(patient_id)
    if not how.strip():
        raise RecordingRefused({"how": [_("Say how the patient told you.")]})
    before = {w.channel: w.allowed for w in ContactWish.objects.filter(patient=patient, channel=channel)}
    wish, _created = ContactWish.objects.update_or_create(
        patient=patient,
        channel=channel,
        defaults={"clinic": patient.clinic, "allowed": allowed, "how": how.strip(), "on": on},
    )
    announce(
        Change(
            act="set_contact_wish",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            before=before,
            after={channel: allowed},
            reason=how.strip(),
        )
    )
    return wish


@transaction.atomic
def record_bounce(patient_id: int, *, by: Actor, address: str, reason: str, on: date) -> None:
    """The address does not take mail. Ignored when the patient has another address by now."""
    patient = lock_patient(patient_id)
    if patient.email.lower() != address.lower() or patient.email_bounced_on:
        return
    patient.email_bounced_on, patient.email_bounce_reason = on, reason[:200]
    patient.save(update_fields=["email_bounced_on", "email_bounce_reason"])
    announce(
        Change(
            act="record_bounce",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            reason=reason[:200],
            clinical=False,
        )
    )


@transaction.atomic
def record_facts(
    patient_id: int,
    facts: Sequence[tuple[Side | None, Fact]],
    *,
    by: Actor,
    visit: Visit | None = None,
    act: str = "record_facts",
    reason: str = "",
    expected_version: int | None = None,
    now: datetime | None = None,
) -> Recorded:
    """Add unsaved facts, each with its side (None for the person's own), and announce them as one change.

    All are checked before any is saved. Raises RecordingRefused with problems keyed "INDEX.FIELD", StaleRecord.
    """
    now = now or timezone.now()
    patient = lock_patient(patient_id, expected_version=expected_version)
    hips = {Side(hip.side): hip for hip in patient.hips.all()}
    today = today_at(patient.clinic, now)
    problems: Problems = {}
    for index, (side, fact) in enumerate(facts):
        fact.clinic, fact.patient, fact.recorded_at = patient.clinic, patient, now
        fact.actor, fact.recorded_by_id = by.name[:120], by.user_id
        if isinstance(fact, HipFact):
            if side is None:
                raise RecordingRefused({f"{index}.side": [_("Say which hip.")]})
            fact.hip = hips[side]
        found = _field_problems(fact, exclude={"clinic", "patient", "hip", "visit", "supersedes", "recorded_by"})
        for field, texts in fact_problems(fact, patient, today).items():
            found.setdefault(field, []).extend(texts)
        problems |= {f"{index}.{field}": texts for field, texts in found.items()}
    if not facts:
        problems["facts"] = [_("There is nothing to record.")]
    _refuse_if(problems)
    if visit is not None:
        visit.clinic, visit.patient, visit.recorded_at = patient.clinic, patient, now
        visit.actor, visit.recorded_by_id = by.name[:120], by.user_id
        visit.save(force_insert=True)
    saved = tuple(fact for _side, fact in facts)
    for fact in saved:
        fact.visit = visit
    for model in dict.fromkeys(type(fact) for fact in saved):
        model._default_manager.bulk_create([fact for fact in saved if type(fact) is model])
    _raise_version(patient)
    announce(
        Change(
            act=act,
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            facts=tuple((fact.kind, fact.pk) for fact in saved),
            after={f"{fact.kind}-{fact.pk}": _summary(fact) for fact in saved},
            reason=reason,
        )
    )
    return Recorded(facts=saved, visit=visit)


def _raise_version(patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(record_version=F("record_version") + 1)
    patient.record_version += 1


_NOT_CONTENT = frozenset(
    {"id", "clinic", "patient", "visit", "recorded_at", "recorded_by", "actor"}
    | {"withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)


def _summary(fact: Fact) -> dict[str, Any]:
    values = {f.name: getattr(fact, f.attname) for f in fact._meta.concrete_fields if f.name not in _NOT_CONTENT}
    return {
        name: [str(item) for item in value] if isinstance(value, list) else _plain(value)
        for name, value in values.items()
        if value not in (None, "", [])
    }


def record_decision(
    hip: Hip,
    *,
    by: Actor,
    on: date,
    action: str,
    outcome: str,
    reason: str,
    consequence: str = "",
    next_on: date | None = None,
    now: datetime | None = None,
) -> Decision:
    """Answer a finding. The reason is required; any outcome answers facts dated up to `on`, none later."""
    decision = Decision(
        on=on, action=action, outcome=outcome, reason=reason.strip(), consequence=consequence.strip(), next_on=next_on
    )
    record_facts(
        hip.patient_id, [(Side(hip.side), decision)], by=by, act="record_decision", reason=reason.strip(), now=now
    )
    return decision


def end_follow_up(
    hip: Hip,
    *,
    by: Actor,
    on: date,
    reason: EndReason,
    evidence: str,
    receiving_clinic: str = "",
    now: datetime | None = None,
) -> Ending:
    """End this hip's surveillance for one of the closed list of reasons, with evidence. Raises RecordingRefused."""
    ending = Ending(on=on, reason=reason.value, evidence=evidence.strip(), receiving_clinic=receiving_clinic.strip())
    record_facts(
        hip.patient_id, [(Side(hip.side), ending)], by=by, act="end_follow_up", reason=evidence.strip(), now=now
    )
    return ending


def reopen_follow_up(ending: Ending, *, by: Actor, on: date, reason: str, now: datetime | None = None) -> Ending:
    """Take an ending back: the hip is followed again from `on`."""
    reopened = Ending(
        on=on,
        reason=EndReason.REOPENED.value,
        evidence=reason.strip(),
        supersedes=ending,
        correction_reason=reason.strip()[:200],
    )
    record_facts(
        ending.patient_id,
        [(Side(ending.hip.side), reopened)],
        by=by,
        act="reopen_follow_up",
        reason=reason.strip(),
        now=now,
    )
    return reopened


def record_arthroplasty(
    hip: Hip, *, by: Actor, on: date, kind: ProcedureKind, operator: str = "", now: datetime | None = None
) -> Procedure:
    """The hip was replaced: its surveillance ends, the other hip's goes on."""
    procedure = Procedure(on=on, procedure=kind.value, operator=operator)
    record_facts(hip.patient_id, [(Side(hip.side), procedure)], by=by, act="record_procedure", now=now)
    return procedure


@transaction.atomic
def record_death(patient_id: int, *, by: Actor, died_on: date, source: str, now: datetime | None = None) -> Patient:
    """The patient died: every window, finding and reminder ends in this transaction. Raises RecordingRefused."""
    patient = lock_patient(patient_id)
    patient.died_on, patient.death_source = died_on, source.strip()
    problems = patient_problems(patient, today_at(patient.clinic, now or timezone.now()))
    if not source.strip():
        problems["death_source"] = [_("Say how the death is known.")]
    _refuse_if(problems)
    patient.record_version += 1
    patient.save(update_fields=["died_on", "death_source", "record_version"])
    announce(
        Change(
            act="record_death",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            after={"died_on": str(died_on)},
            reason=source.strip(),
        )
    )
    return patient


@transaction.atomic
def withdraw_death(patient_id: int, *, by: Actor, reason: str) -> Patient:
    """The patient is alive after all: everything is asked for again from the facts."""
    patient = lock_patient(patient_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why the death is taken back.")]})
    before = {"died_on": _plain(patient.died_on), "death_source": patient.death_source}
    patient.died_on, patient.death_source = None, ""
    patient.record_version += 1
    patient.save(update_fields=["died_on", "death_source", "record_version"])
    announce(
        Change(
            act="withdraw_death",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            before=before,
            reason=reason.strip(),
        )
    )
    return patient


@transaction.atomic
def withdraw_fact(fact: Fact, *, by: Actor, reason: str, now: datetime | None = None) -> None:
    """Mark a fact as entered in error: its row stays, the evaluation no longer reads it."""
    patient = lock_patient(fact.patient_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why this was entered in error.")]})
    model: type[Fact] = type(fact)
    changed = model._default_manager.filter(pk=fact.pk, withdrawn_at__isnull=True).update(
        withdrawn_at=now or timezone.now(), withdrawn_actor=by.name[:120], withdrawn_reason=reason.strip()[:200]
    )
    if not changed:
        raise RecordingRefused({"fact": [_("This was withdrawn already.")]})
    _raise_version(patient)
    announce(
        Change(
            act="withdraw_fact",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            before={fact.key: _summary(fact)},
            reason=reason.strip(),
        )
    )


@transaction.atomic
def record_exposure(patient_id: int, exposure: Exposure, *, by: Actor) -> Exposure:
    """Add a condition or exposure of the person, or of one hip."""
    patient = lock_patient(patient_id)
    exposure.clinic, exposure.patient = patient.clinic, patient
    _refuse_if(_field_problems(exposure, exclude={"clinic", "patient"}))
    exposure.save(force_insert=True)
    _raise_version(patient)
    announce(
        Change(
            act="record_exposure",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            after={"kind": exposure.kind},
        )
    )
    return exposure


@transaction.atomic
def withdraw_exposure(exposure: Exposure, *, by: Actor, reason: str, now: datetime | None = None) -> None:
    patient = lock_patient(exposure.patient_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why this was entered in error.")]})
    exposure.withdrawn_at, exposure.withdrawn_reason = now or timezone.now(), reason.strip()[:200]
    exposure.save(update_fields=["withdrawn_at", "withdrawn_reason"])
    _raise_version(patient)
    announce(
        Change(
            act="withdraw_exposure",
            by=by,
            clinic_id=patient.clinic_id,
            patient_id=patient.pk,
            before={"kind": exposure.kind},
            reason=reason.strip(),
        )
    )
