"""Common: what every writer does first and last: lock, check, raise the version, announce."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import F
from django.utils.translation import gettext as _

from ..changes import Actor, Change, announce
from ..models import Clinic, Exposure, Fact, Patient, User

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


def today_at(clinic: Clinic, now: datetime) -> date:
    """The clinic's calendar day at `now`."""
    return now.astimezone(clinic.zone).date()


def lock_patient(patient_id: int, *, expected_version: int | None = None) -> Patient:
    """The patient's row, locked until the transaction ends. Raises StaleRecord when it was written to meanwhile."""
    patient = Patient.objects.select_related("clinic").select_for_update(no_key=True, of=("self",)).get(pk=patient_id)
    if expected_version is not None and patient.record_version != expected_version:
        raise StaleRecord(patient.record_version)
    return patient


def refuse_closed(patient: Patient) -> None:
    """Raise RecordingRefused where another record speaks for this person now, or nobody knows any more who it was."""
    if patient.merged_into_id is not None:
        raise RecordingRefused({"patient": [_("This record is part of another one now. Write it there.")]})
    if patient.anonymised_on is not None:
        raise RecordingRefused({"patient": [_("The name was taken out of this record: enrol the person anew.")]})


def refuse_if(problems: Problems) -> None:
    if problems:
        raise RecordingRefused(problems)


def field_problems(instance: Patient | Fact | Exposure, *, exclude: Iterable[str] = ()) -> Problems:
    try:
        instance.clean_fields(exclude=set(exclude))
    except ValidationError as error:
        return {field: [str(text) for text in texts] for field, texts in error.message_dict.items()}
    return {}


def raise_version(patient: Patient) -> None:
    Patient.objects.filter(pk=patient.pk).update(record_version=F("record_version") + 1)
    patient.record_version += 1


def plain(value: Any) -> Any:
    if isinstance(value, User):
        return value.pk
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def tell(patient: Patient, act: str, by: Actor, **details: Any) -> None:
    """Announce a change of this patient, inside the caller's transaction."""
    announce(Change(act=act, by=by, clinic_id=patient.clinic_id, patient_id=patient.pk, **details))
