"""Printing: letters that wait are printed together once, and a batch can be printed again or taken back."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Max, QuerySet
from django.utils.translation import gettext_noop as _

from patients.changes import Actor, Change, announce
from patients.models import Patient

from . import letters
from .circumstances import cases_for
from .eligibility import Action, decide_by_hand
from .models import Substitute
from .substitutes import remember, settle, to_do

State = Substitute.State
Way = Substitute.Way
MOST_TOGETHER = 100  # letters to a batch, which is a stack that a person can fold
SHOWN_FOR = timedelta(days=14)
PRINTED = _("The letter was printed.")
TAKEN_BACK = _("The letter was not sent after all.")


@dataclass(frozen=True, slots=True)
class Batch:
    """Letters that were printed together."""

    id: uuid.UUID
    at: datetime
    actor: str
    letters: int


@transaction.atomic
def print_letters(
    clinic_ids: Collection[int],
    *,
    by: Actor,
    now: datetime,
    patient_ids: Collection[int] | None = None,
    without: Collection[int] = (),
) -> uuid.UUID | None:
    """Mark the letters that are to go now as printed, the most urgent first, and name their batch; None without any.

    With `patient_ids` only letters to these patients, and never to those in `without`: their letters go on waiting.
    Each is decided on anew under its patient's lock: what is not wanted any more is dropped, and of two letters to one
    patient the second waits for another day. What somebody else is printing now is left to them.
    """
    rows = to_do(Way.LETTER, clinic_ids, now).select_related("patient", "reminder__patient", "reminder__clinic")
    if patient_ids is not None:
        rows = rows.filter(patient__in=list(patient_ids))
    if without:
        rows = rows.exclude(patient__in=list(without))
    locked = rows.select_for_update(skip_locked=True, no_key=True, of=("self", "patient"))
    standing = settle(list(locked.order_by("until", "id")[:MOST_TOGETHER]), by=by, at=now)
    ready = [row for row in standing if row.channel == Way.LETTER and row.waits_until is None]
    first = list({row.patient_id: row for row in reversed(ready)}.values())[::-1]
    if not first:
        return None
    batch = uuid.uuid4()
    for row in first:
        row.state, row.decided_at, row.outcome, row.batch, row.actor = State.DONE, now, PRINTED, batch, by.name[:120]
    Substitute.objects.bulk_update(first, ["state", "decided_at", "outcome", "batch", "actor"])
    remember(((row.reminder, PRINTED) for row in first), by=by, at=now)
    for row in first:
        _tell(row, "print_letter", by=by, batch=batch)
    return batch


@transaction.atomic
def take_back(batch: uuid.UUID, clinic_ids: Collection[int], *, by: Actor, now: datetime) -> int:
    """The letters of a batch did not go out: those that still serve a purpose are to be printed again.

    Returns how many were taken back; none the second time.
    """
    printed = _printed(batch, clinic_ids)
    list(Patient.objects.filter(pk__in=printed.values("patient")).select_for_update(no_key=True).order_by("id"))
    rows = printed.select_related("patient", "reminder__patient", "reminder__clinic")
    back = list(rows.select_for_update(no_key=True, of=("self",)).order_by("id"))
    for row in back:
        row.state, row.decided_at, row.outcome, row.batch, row.actor = State.OPEN, None, "", None, by.name[:120]
    Substitute.objects.bulk_update(back, ["state", "decided_at", "outcome", "batch", "actor"])
    remember(((row.reminder, TAKEN_BACK) for row in back), by=by, at=now)
    for row in back:
        _tell(row, "take_back_letter", by=by, batch=batch)
    settle(back, by=by, at=now)
    return len(back)


def _tell(row: Substitute, act: str, *, by: Actor, batch: uuid.UUID) -> None:
    announce(
        Change(
            act=act,
            by=by,
            clinic_id=row.clinic_id,
            patient_id=row.patient_id,
            facts=(("reminder", row.reminder_id),),
            after={"batch": str(batch)},
            reason=row.why,
            clinical=False,
        )
    )


# ---- The paper


def _printed(batch: uuid.UUID, clinic_ids: Collection[int]) -> QuerySet[Substitute]:
    return Substitute.objects.filter(batch=batch, clinic__in=list(clinic_ids), state=State.DONE)


def letters_of(batch: uuid.UUID, clinic_ids: Collection[int], *, now: datetime) -> list[Substitute]:
    """What a batch holds that may still go to its patient: nothing for somebody who has died meanwhile."""
    rows = list(
        _printed(batch, clinic_ids)
        .select_related("reminder__patient", "reminder__clinic", "reminder__appointment")
        .order_by("until", "id")
    )
    cases = cases_for([row.reminder for row in rows], now)
    return [row for row in rows if decide_by_hand(cases[row.reminder_id]).action != Action.REFUSE]


def pdf_of(rows: Collection[Substitute], *, title: str, now: datetime) -> bytes:
    """The letters as one PDF, as their patients and clinics are now. Raises ValueError when there is none."""
    written = [letters.write(row.reminder, row.reminder.patient, row.reminder.clinic, now=now) for row in rows]
    return letters.bind(written, title=title, now=now)


def batches(clinic_ids: Collection[int], *, now: datetime, most: int = 5) -> list[Batch]:
    """What was printed lately in these clinics, the latest first."""
    printed = Substitute.objects.filter(
        clinic__in=list(clinic_ids), batch__isnull=False, state=State.DONE, decided_at__gte=now - SHOWN_FOR
    )
    found = printed.order_by().values("batch").annotate(at=Max("decided_at"), who=Max("actor"), letters=Count("id"))
    return [
        Batch(one["batch"], one["at"], one["who"], one["letters"])
        for one in found.order_by("-at", "batch")[:most]
        if one["batch"]
    ]
