"""Outreach: what came of trying to reach a patient, promises to come back later, and who is answerable for whom."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import override

from patients import recording
from patients.access import Permission, Viewer
from patients.models import Membership, Patient, Role, User
from schedules import substitutes
from schedules.appointments import FARTHEST

from . import audit
from .models import ContactAttempt, HipEvaluation, Snooze

MAX_SNOOZE_DAYS = 90
MAX_GAP_SNOOZE_DAYS = 30
Outcome = ContactAttempt.Outcome
TOLD = (Outcome.REACHED, Outcome.BOOKED, Outcome.DECLINED)  # a call that was to be made is done
TRIED = (Outcome.NO_ANSWER, Outcome.MESSAGE_LEFT, Outcome.WRONG_NUMBER, Outcome.MOVED)


class WorkRefused(ValueError):
    """What was asked cannot be done; `field` names the input and the message says why."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


def staff_of(clinic_id: int) -> QuerySet[User]:
    """Who may own work in a clinic."""
    return User.objects.filter(id__in=Membership.objects.filter(clinic=clinic_id).values("user"), is_active=True)


@transaction.atomic
def record_outcome(
    patient: Patient,
    *,
    outcome: str,
    viewer: Viewer,
    today: date,
    next_on: date | None = None,
    owner: User | None = None,
    note: str = "",
) -> ContactAttempt:
    """What came of trying to reach a patient, and who tries again when. A call that was to be made is done, or waits
    for that day. Raises WorkRefused, PermissionDenied."""
    viewer.check(Permission.WORK, patient.clinic_id)
    if outcome not in ContactAttempt.Outcome.values:
        raise WorkRefused("outcome", _("Choose what happened."))
    if next_on is not None and next_on < today:
        raise WorkRefused("next_on", _("The next date lies in the past."))
    if next_on is not None and next_on > today + FARTHEST:
        raise WorkRefused("next_on", _("This is more than two years ahead."))
    if outcome == ContactAttempt.Outcome.BOOKED and next_on is None:
        raise WorkRefused("next_on", _("Give the date that was booked."))
    if outcome == ContactAttempt.Outcome.NOTE and not note.strip():
        raise WorkRefused("note", _("Write the note."))
    if owner is not None and not staff_of(patient.clinic_id).filter(pk=owner.pk).exists():
        raise WorkRefused("owner", _("Choose somebody of this clinic."))
    attempt = ContactAttempt.objects.create(
        clinic_id=patient.clinic_id,
        patient=patient,
        outcome=outcome,
        next_on=next_on,
        owner=owner,
        note=note.strip()[:500],
        by_id=viewer.actor.user_id,
        actor=viewer.actor.name[:120],
    )
    if outcome in (*TOLD, *TRIED):
        with override("en"):  # pages translate it
            said = str(Outcome(outcome).label)
        substitutes.record_call(
            patient.pk, told=outcome in TOLD, outcome=said, by=viewer.actor, at=attempt.at, next_on=next_on
        )
    after = {"outcome": outcome, "next_on": str(next_on or ""), "owner": owner.pk if owner else None}
    _audit(viewer, "record_outcome", patient, after=after)
    return attempt


@transaction.atomic
def undo_outcome(attempt: ContactAttempt, *, viewer: Viewer) -> None:
    """Take an outcome back: it stays on record, struck. Only who recorded it can; a second time has no effect."""
    viewer.check(Permission.WORK, attempt.clinic_id)
    if attempt.by_id != viewer.actor.user_id:
        raise WorkRefused("outcome", _("Only who recorded this can undo it."))
    undone = ContactAttempt.objects.filter(pk=attempt.pk, undone_at__isnull=True).update(undone_at=timezone.now())
    if undone:
        if attempt.outcome in (*TOLD, *TRIED):
            told = attempt.outcome in TOLD
            substitutes.undo_call(attempt.patient_id, told=told, by=viewer.actor, at=attempt.at, now=timezone.now())
        _audit(viewer, "undo_outcome", attempt.patient, before={"outcome": attempt.outcome})


@transaction.atomic
def snooze(patient: Patient, *, until: date | None, reason: str, viewer: Viewer, today: date) -> Snooze:
    """Promise to come back on `until`: at most 30 days for a surveillance gap, otherwise 90. Replaces a running one."""
    viewer.check(Permission.WORK, patient.clinic_id)
    recording.lock_patient(patient.pk)
    most = longest_snooze(HipEvaluation.objects.filter(patient=patient, status="gap").exists())
    if not reason.strip():
        raise WorkRefused("reason", _("Say why this can wait."))
    if until is None or until <= today:
        raise WorkRefused("until", _("Choose a day after today."))
    if until > today + most:
        raise WorkRefused("until", _("At most %(days)d days ahead.") % {"days": most.days})
    owner = User.objects.get(pk=viewer.actor.user_id or 0)
    Snooze.objects.filter(patient=patient, ended_at__isnull=True).update(ended_at=timezone.now())
    promise = Snooze.objects.create(
        clinic_id=patient.clinic_id,
        patient=patient,
        from_on=today,
        until=until,
        reason=reason.strip()[:200],
        owner=owner,
        actor=viewer.actor.name[:120],
    )
    substitutes.reconsider([patient.pk], by=viewer.actor, at=timezone.now())
    _audit(viewer, "snooze", patient, after={"until": str(until)}, reason=reason.strip())
    return promise


def longest_snooze(gap: bool) -> timedelta:
    """How far ahead a patient may be put off; less while surveillance has a gap."""
    return timedelta(days=MAX_GAP_SNOOZE_DAYS if gap else MAX_SNOOZE_DAYS)


@transaction.atomic
def end_snooze(patient: Patient, *, viewer: Viewer) -> None:
    """The patient is back on the lists at once."""
    viewer.check(Permission.WORK, patient.clinic_id)
    if Snooze.objects.filter(patient=patient, ended_at__isnull=True).update(ended_at=timezone.now()):
        substitutes.reconsider([patient.pk], by=viewer.actor, at=timezone.now())
        _audit(viewer, "end_snooze", patient)


@transaction.atomic
def assign_clinician(patients: Sequence[Patient], *, to: User | None, viewer: Viewer) -> int:
    """Make a clinician responsible for these patients. Returns how many changed; checks every one before any."""
    clinics = {patient.clinic_id for patient in patients}
    for clinic in clinics:
        viewer.check(Permission.WORK, clinic)
    if to is not None:
        theirs = Membership.objects.filter(user=to, user__is_active=True, role=Role.CLINICIAN, clinic__in=clinics)
        if set(theirs.values_list("clinic_id", flat=True)) != clinics:
            raise WorkRefused(
                "clinician", _("%(name)s is not a clinician of every chosen patient's clinic.") % {"name": to.name}
            )
    changed = 0
    for patient in sorted(patients, key=lambda one: one.pk):
        if patient.responsible_id != (to.pk if to else None):
            recording.amend_patient(
                patient.pk, by=viewer.actor, changes={"responsible": to}, reason="assigned on the worklist"
            )
            changed += 1
    return changed


def _audit(viewer: Viewer, act: str, patient: Patient, **details: Any) -> None:
    audit.note(viewer.actor, act, clinic_id=patient.clinic_id, patient_id=patient.pk, **details)
