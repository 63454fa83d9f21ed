"""Merging, as people do it: what it would bring about, and with the facts the appointments that stand."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from patients import access, recording
from patients.access import Viewer
from patients.changes import Actor
from patients.duplicate_search import search_duplicates
from patients.merging import Compared, details_of, differing_identifiers, joined, refusals
from patients.models import Ending, Merge, Patient
from patients.reading import read_records
from patients.recording import RecordingRefused, today_at
from patients.recording.merging import COPIED, restriction_refusals
from patients.vocabulary import Side
from schedules import adoption, appointments
from schedules.appointments import BookingRefused, Wanted
from schedules.guideline.evaluation import HipAnswer, evaluate
from schedules.models import Appointment

from . import heartbeats

State = Merge.State
SEARCH: Final = "duplicates"
EVERY: Final = timedelta(hours=20)


@dataclass(frozen=True)
class Plans:
    """What is asked of one hip: in the record that stays, in the other, and once they are one."""

    side: Side
    survivor: HipAnswer
    merged: HipAnswer
    after: HipAnswer


@dataclass(frozen=True)
class Preview:
    """What merging would do by what is known now. `facts`: how many of each kind come along."""

    survivor: Patient
    merged: Patient
    details: list[Compared]
    differing: list[str]
    refusals: list[str]
    plans: list[Plans]
    facts: Counter[str]
    endings: list[Ending]
    appointments: int


def preview(survivor: Patient, merged: Patient, *, now: datetime | None = None) -> Preview:
    """Reads only."""
    day = today_at(survivor.clinic, now or timezone.now())
    records = read_records([survivor.pk, merged.pk])
    protocol = adoption.protocol_in_force(day)
    mine, other = records[survivor.pk], records[merged.pk]
    answers = [evaluate(record, protocol, day) for record in (mine, other, joined(mine, other))]
    facts = Counter(
        {
            model.kind: model._default_manager.filter(patient=merged, withdrawn_at__isnull=True).count()
            for model in COPIED
        }
    )
    return Preview(
        survivor=survivor,
        merged=merged,
        details=details_of(survivor, merged),
        differing=differing_identifiers(survivor, merged),
        refusals=[*refusals(survivor, merged, records), *restriction_refusals(survivor, merged)],
        plans=[Plans(side, *(answer.hip(side) for answer in answers)) for side in (Side.RIGHT, Side.LEFT)],
        facts=+facts,
        endings=list(Ending.objects.filter(patient=merged, withdrawn_at__isnull=True).select_related("hip")),
        appointments=_standing(merged).count(),
    )


@transaction.atomic
def propose(
    survivor: Patient, merged: Patient, *, by: Actor, reason: str, taken: Collection[str], now: datetime | None = None
) -> Merge:
    """As recording.propose_merge; the appointments go along once it is merged."""
    now = now or timezone.now()
    merge = recording.propose_merge(survivor.pk, merged.pk, by=by, reason=reason, taken=taken, now=now)
    return _with_appointments(merge, by=by, now=now) if merge.state == State.MERGED else merge


@transaction.atomic
def approve(merge: Merge, *, by: Actor, now: datetime | None = None) -> Merge:
    """As recording.approve_merge; the appointments go along."""
    now = now or timezone.now()
    return _with_appointments(recording.approve_merge(merge.pk, by=by, now=now), by=by, now=now)


@transaction.atomic
def undo(
    merge: Merge, *, by: Actor, reason: str, of_the_other: Collection[str] = (), now: datetime | None = None
) -> Merge:
    """As recording.undo_merge; appointments that went along and still stand go back."""
    now = now or timezone.now()
    merge = recording.undo_merge(merge.pk, by=by, reason=reason, of_the_other=of_the_other, now=now)
    moved = [copy for _original, copy in merge.wrote.get("appointments", ())]
    for row in _standing_of(moved, now):
        _rebook(row, merge.merged_id, by=by, reason=reason, now=now)
    return merge


def _standing(patient: Patient) -> QuerySet[Appointment]:
    return Appointment.objects.filter(patient=patient, state__in=Appointment.STANDING).order_by("starts_at", "id")


def _standing_of(ids: Collection[int], now: datetime) -> list[Appointment]:
    found = Appointment.objects.filter(pk__in=ids, state__in=Appointment.STANDING, starts_at__gt=now)
    return list(found.order_by("starts_at", "id"))


def _with_appointments(merge: Merge, *, by: Actor, now: datetime) -> Merge:
    moved = []
    for row in _standing(merge.merged).filter(starts_at__gt=now):
        booked = _rebook(row, merge.survivor_id, by=by, reason=merge.reason, now=now)
        if booked is not None:
            moved.append([row.pk, booked.pk])
    merge.wrote["appointments"] = moved
    merge.save(update_fields=["wrote"])
    return merge


def _rebook(row: Appointment, patient_id: int, *, by: Actor, reason: str, now: datetime) -> Appointment | None:
    """The same time for another record; nobody is told, since for the person nothing changes. None where the other
    record has that time already."""
    wanted = Wanted(row.starts_at, row.minutes, row.purpose, row.place, row.clinician, row.note)
    appointments.cancel(row.pk, by=by, reason=reason, tell_patient=False, now=now)
    try:
        return appointments.book(patient_id, wanted, by=by, now=now)
    except BookingRefused as refused:
        if refused.field != "time":
            raise RecordingRefused({"reason": [str(refused)]}) from refused
        return None


def search_where_due(now: datetime) -> int:
    """Look for duplicates in every clinic, once a night; in how many it was done. A clinic is one transaction."""
    with access.system_run(SEARCH) as viewer:
        last = heartbeats.last_finished(SEARCH)
        if last is not None and now - last < EVERY:
            return 0
        clinics = list(viewer.clinic_ids)
    found = 0
    for clinic_id in clinics:
        with access.system_run(SEARCH, [clinic_id]):
            found += search_duplicates(clinic_id, now=now)
    with access.system_run(SEARCH):
        heartbeats.finished(SEARCH, timezone.now(), note=f"{found} pairs")
    return len(clinics)


def proposals_for(viewer: Viewer) -> QuerySet[Merge]:
    """What waits for a second person, oldest first."""
    found = Merge.objects.filter(clinic__in=viewer.clinic_ids, state=State.PROPOSED)
    return found.select_related("survivor", "merged").order_by("proposed_at", "id")


def merges_of(patient_id: int) -> QuerySet[Merge]:
    """Merges that stand in which this record is the one that stayed, latest first."""
    found = Merge.objects.filter(survivor=patient_id, state=State.MERGED).select_related("merged")
    return found.order_by("-decided_at", "-id")
