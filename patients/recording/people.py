"""People: enrolling a person, changing what is known of them, and how they want to be reached."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..changes import Actor
from ..models import Clinic, Consent, ContactWish, Exposure, Hip, Patient
from ..plausibility import patient_problems
from ..vocabulary import Side
from .common import (
    Problems,
    RecordingRefused,
    field_problems,
    lock_patient,
    plain,
    raise_version,
    refuse_closed,
    refuse_if,
    tell,
    today_at,
)


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
    refuse_if(detail_problems(patient, now=now))
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
    tell(patient, "enrol_patient", by, after=_details(patient))
    return patient


AMENDABLE = frozenset(
    {"family_name", "given_name", "born_on", "sex", "national_id", "national_id_kind", "email", "telephone"}
    | {"telephone_as_given", "address", "language", "responsible", "next_of_kin", "enrolled_on", "record_number"}
)


def detail_problems(patient: Patient, *, now: datetime) -> Problems:
    """All for which the details of a person, as they would be, are refused."""
    problems = field_problems(patient, exclude={"clinic", "responsible"})
    problems |= patient_problems(patient, today_at(patient.clinic, now))
    taken = Patient.objects.filter(clinic=patient.clinic_id, record_number__iexact=patient.record_number)
    if taken.exclude(pk=patient.pk).exists():
        problems["record_number"] = [_("This clinic already has a patient with this record number.")]
    return problems


def _details(patient: Patient) -> dict[str, Any]:
    return {name: plain(getattr(patient, name)) for name in sorted(AMENDABLE)}


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
    refuse_closed(patient)
    before = _details(patient)
    for name, value in changes.items():
        setattr(patient, name, value)
    refuse_if(detail_problems(patient, now=now or timezone.now()))
    after = _details(patient)
    changed = {name for name in after if after[name] != before[name]}
    if not changed:
        return patient
    if "email" in changed:
        patient.email_bounced_on, patient.email_bounce_reason = None, ""
    patient.record_version += 1
    patient.save()
    tell(
        patient,
        "amend_patient",
        by,
        before={name: before[name] for name in changed},
        after={name: after[name] for name in changed},
        reason=reason,
    )
    return patient


@transaction.atomic
def set_contact_wish(patient_id: int, *, by: Actor, channel: str, allowed: bool, how: str, on: date) -> ContactWish:
    """What the patient wants of a channel from `on`; plans that rest on it follow at once.

    Told of a merged record, such as by a mail's old link, it is a wish of the record that speaks for the person now.
    """
    patient = lock_patient(patient_id)
    while patient.merged_into_id is not None:
        patient = lock_patient(patient.merged_into_id)
    if not how.strip():
        raise RecordingRefused({"how": [_("Say how the patient told you.")]})
    before = {w.channel: w.allowed for w in ContactWish.objects.filter(patient=patient, channel=channel)}
    wish, _created = ContactWish.objects.update_or_create(
        patient=patient,
        channel=channel,
        defaults={"clinic": patient.clinic, "allowed": allowed, "how": how.strip(), "on": on},
    )
    tell(
        patient,
        "set_contact_wish",
        by,
        before=before,
        after={channel: allowed},
        reason=how.strip(),
    )
    return wish


@transaction.atomic
def set_consent(patient_id: int, *, by: Actor, purpose: str, allowed: bool, how: str, on: date) -> Consent:
    """Whether the patient agrees to a purpose from `on`. Told of a merged record it is the survivor's."""
    patient = lock_patient(patient_id)
    while patient.merged_into_id is not None:
        patient = lock_patient(patient.merged_into_id)
    if not how.strip():
        raise RecordingRefused({"how": [_("Say how the patient told you.")]})
    before = {c.purpose: c.allowed for c in Consent.objects.filter(patient=patient, purpose=purpose)}
    told = {"clinic": patient.clinic, "allowed": allowed, "how": how.strip(), "on": on}
    consent, _created = Consent.objects.update_or_create(patient=patient, purpose=purpose, defaults=told)
    tell(patient, "set_consent", by, before=before, after={purpose: allowed}, reason=how.strip(), clinical=False)
    return consent


@transaction.atomic
def record_bounce(patient_id: int, *, by: Actor, address: str, reason: str, on: date) -> None:
    """The address does not take mail. Ignored when the patient has another address by now."""
    patient = lock_patient(patient_id)
    if patient.email.lower() != address.lower() or patient.email_bounced_on:
        return
    patient.email_bounced_on, patient.email_bounce_reason = on, reason[:200]
    patient.save(update_fields=["email_bounced_on", "email_bounce_reason"])
    tell(
        patient,
        "record_bounce",
        by,
        reason=reason[:200],
        clinical=False,
    )


@transaction.atomic
def record_death(patient_id: int, *, by: Actor, died_on: date, source: str, now: datetime | None = None) -> Patient:
    """The patient died: every window, finding and reminder ends in this transaction. Raises RecordingRefused."""
    patient = lock_patient(patient_id)
    refuse_closed(patient)
    patient.died_on, patient.death_source = died_on, source.strip()
    problems = patient_problems(patient, today_at(patient.clinic, now or timezone.now()))
    if not source.strip():
        problems["death_source"] = [_("Say how the death is known.")]
    refuse_if(problems)
    patient.record_version += 1
    patient.save(update_fields=["died_on", "death_source", "record_version"])
    tell(
        patient,
        "record_death",
        by,
        after={"died_on": str(died_on)},
        reason=source.strip(),
    )
    return patient


@transaction.atomic
def withdraw_death(patient_id: int, *, by: Actor, reason: str) -> Patient:
    """The patient is alive after all: everything is asked for again from the facts."""
    patient = lock_patient(patient_id)
    refuse_closed(patient)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why the death is taken back.")]})
    before = {"died_on": plain(patient.died_on), "death_source": patient.death_source}
    patient.died_on, patient.death_source = None, ""
    patient.record_version += 1
    patient.save(update_fields=["died_on", "death_source", "record_version"])
    tell(
        patient,
        "withdraw_death",
        by,
        before=before,
        reason=reason.strip(),
    )
    return patient


@transaction.atomic
def record_exposure(patient_id: int, exposure: Exposure, *, by: Actor) -> Exposure:
    """Add a condition or exposure of the person, or of one hip."""
    patient = lock_patient(patient_id)
    refuse_closed(patient)
    exposure.clinic, exposure.patient = patient.clinic, patient
    refuse_if(field_problems(exposure, exclude={"clinic", "patient"}))
    exposure.save(force_insert=True)
    raise_version(patient)
    tell(
        patient,
        "record_exposure",
        by,
        after={"kind": exposure.kind},
    )
    return exposure


@transaction.atomic
def withdraw_exposure(exposure: Exposure, *, by: Actor, reason: str, now: datetime | None = None) -> None:
    patient = lock_patient(exposure.patient_id)
    refuse_closed(patient)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why this was entered in error.")]})
    exposure.withdrawn_at, exposure.withdrawn_reason = now or timezone.now(), reason.strip()[:200]
    exposure.save(update_fields=["withdrawn_at", "withdrawn_reason"])
    raise_version(patient)
    tell(
        patient,
        "withdraw_exposure",
        by,
        before={"kind": exposure.kind},
        reason=reason.strip(),
    )
