"""Emergency access and restricted records: opened with a reason, told to the clinic, listed until it is judged."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Final

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import override

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, EmergencyAccess, Patient, Restriction, Role, User

from . import account_mail, audit
from .models import AuditEntry

OPEN_FOR: Final = timedelta(hours=1)
LEAST_REASON: Final = 15  # signs
MOST_MISSES: Final = 5  # an hour
GATE_MISSED: Final = "gate_missed"


def may_open(viewer: Viewer) -> bool:
    """Clinicians; a coordinator has no emergency that a telephone call would not end."""
    return viewer.may_anywhere(Permission.DECIDE)


def open_record(
    clinic: Clinic, *, record_number: str, born_on: date, reason: str, viewer: Viewer, now: datetime
) -> EmergencyAccess | None:
    """Open the record that has this number and this birth date in another clinic, to be read for an hour.

    None where there is none, which is audited too. The clinic's administrators are told by mail. Raises
    PermissionDenied, and ValidationError for a reason that is none and after too many misses.
    """
    if not may_open(viewer) or clinic.pk in viewer.clinic_ids:
        raise PermissionDenied(_("Only clinicians open records of other clinics."))
    if len(reason.strip()) < LEAST_REASON:
        raise ValidationError({"reason": [_("Say in a sentence why it cannot wait.")]})
    if _misses(viewer, "break_glass_missed", now) >= MOST_MISSES:
        raise ValidationError(_("Too many attempts in this hour. Telephone the clinic."))
    access.bind_clinics({*viewer.clinic_ids, clinic.pk})
    patient = Patient.objects.filter(
        clinic=clinic, record_number__iexact=record_number.strip(), born_on=born_on
    ).first()
    try:
        if patient is None:
            audit.note(viewer.actor, "break_glass_missed", clinic_id=clinic.pk, reason=reason.strip())
            return None
        return _open(patient, clinic, reason.strip(), viewer, now)
    finally:
        access.bind_clinics(viewer.clinic_ids)


def _misses(viewer: Viewer, act: str, now: datetime) -> int:
    missed = AuditEntry.objects.filter(act=act, user_id=viewer.actor.user_id)
    return missed.filter(at__gt=now - timedelta(hours=1)).count()


@transaction.atomic
def _open(patient: Patient, clinic: Clinic, reason: str, viewer: Viewer, now: datetime) -> EmergencyAccess:
    made = EmergencyAccess.objects.create(
        user_id=_person(viewer),
        patient=patient,
        clinic=clinic,
        reason=reason,
        opened_at=now,
        ends_at=now + OPEN_FOR,
    )
    audit.note(
        viewer.actor,
        "break_glass",
        clinic_id=clinic.pk,
        patient_id=patient.pk,
        object=f"emergency-{made.pk}",
        after={"until": made.ends_at.isoformat()},
        reason=reason,
    )
    for admin in _administrators(clinic):
        account_mail.queue("emergency_access", admin.email, _letter(made, admin, viewer), now=now)
    return made


def _person(viewer: Viewer) -> int:
    """Raises PermissionDenied: a run or a machine opens and restricts nothing."""
    if viewer.actor.user_id is None:
        raise PermissionDenied(_("Only a person may do this."))
    return viewer.actor.user_id


def _administrators(clinic: Clinic) -> QuerySet[User]:
    members = clinic.memberships.filter(role=Role.ADMIN).values("user")
    return User.objects.filter(pk__in=members, is_active=True).order_by("id")


def _letter(made: EmergencyAccess, to: User, viewer: Viewer) -> account_mail.Letter:
    """Who opened a record, not whose: mail names no patient."""
    with override(to.language):
        said = {
            "who": viewer.actor.name,
            "clinic": made.clinic.name,
            "when": date_format(localtime(made.opened_at, made.clinic.zone), "DATETIME_FORMAT"),
            "link": f"{settings.PUBLIC_URL}{reverse('emergency_reviews')}",
        }
        text = _(
            "%(who)s, who does not work in %(clinic)s, has opened one of its records in an emergency, on %(when)s."
            " The record can be read for an hour.\n\nPlease look at it and say whether it was justified:\n%(link)s\n"
        )
        return account_mail.Letter(
            subject=_("A record was opened in an emergency"), text=text % said, language=to.language
        )


def end(pk: int, *, viewer: Viewer, now: datetime) -> bool:
    """Close one's own emergency access before its time, however often it was opened. False where it is closed."""
    mine = EmergencyAccess.objects.filter(user=viewer.actor.user_id, ends_at__gt=now)
    found = mine.filter(pk=pk).first()
    if found is None or not mine.filter(patient_id=found.patient_id).update(ends_at=now):
        return False
    audit.note(
        viewer.actor,
        "end_break_glass",
        clinic_id=found.clinic_id,
        patient_id=found.patient_id,
        object=f"emergency-{pk}",
    )
    return True


def emergencies_for(viewer: Viewer) -> QuerySet[EmergencyAccess]:
    """Those into the clinics whose audit the viewer reads, the ones nobody has judged first."""
    mine = EmergencyAccess.objects.filter(clinic__in=viewer.clinics_where(Permission.AUDIT))
    return mine.select_related("user", "patient", "clinic", "reviewed_by").order_by("-reviewed_at", "-id")


def unjudged(clinics: Sequence[int]) -> QuerySet[EmergencyAccess]:
    """Those into these clinics that nobody has judged."""
    return EmergencyAccess.objects.filter(clinic__in=clinics, reviewed_at__isnull=True)


@transaction.atomic
def review(pk: int, *, justified: bool, note: str, viewer: Viewer, now: datetime) -> bool:
    """An administrator of the clinic judges the access. False where somebody has. Raises PermissionDenied.

    Nobody judges their own.
    """
    found = emergencies_for(viewer).filter(pk=pk).first()
    if found is None or found.user_id == viewer.actor.user_id:
        raise PermissionDenied(_("An administrator of the clinic judges this, and not who opened the record."))
    viewer.check(Permission.ADMINISTER, found.clinic_id)
    waiting = EmergencyAccess.objects.filter(pk=pk, reviewed_at__isnull=True)
    judged = {"reviewed_at": now, "reviewed_by": viewer.actor.user_id, "justified": justified, "review_note": note}
    if not waiting.update(**judged):
        return False
    audit.note(
        viewer.actor,
        "review_break_glass",
        clinic_id=found.clinic_id,
        patient_id=found.patient_id,
        object=f"emergency-{pk}",
        after={"justified": justified},
        reason=note,
    )
    return True


# ---- Restricted records


@transaction.atomic
def restrict(patient: Patient, *, reason: str, viewer: Viewer) -> bool:
    """From now on everybody gives a reason to open the record, and what was merged into it. False where it was so.

    Raises PermissionDenied.
    """
    viewer.check(Permission.ADMINISTER, patient.clinic_id)
    if not reason.strip():
        raise ValidationError(_("Give the reason."))
    made = [_restrict(one, reason.strip(), viewer) for one in (patient, *_parts_of(patient))]
    return made[0]


def _parts_of(patient: Patient) -> list[Patient]:
    """The records that were merged into this one, and into those: each still says whose it is."""
    parts = list(Patient.objects.filter(merged_into=patient).order_by("id"))
    return parts + [further for part in parts for further in _parts_of(part)]


def _restrict(patient: Patient, reason: str, viewer: Viewer) -> bool:
    _row, made = Restriction.objects.get_or_create(
        patient=patient,
        lifted_at=None,
        defaults={"clinic_id": patient.clinic_id, "reason": reason, "set_by_id": _person(viewer)},
    )
    if made:
        _note(viewer, "restrict_patient", patient, reason)
    return made


@transaction.atomic
def lift(patient: Patient, *, reason: str, viewer: Viewer, now: datetime) -> bool:
    """The record, with what was merged into it, is opened as any other again. False where it was.

    Raises PermissionDenied.
    """
    viewer.check(Permission.ADMINISTER, patient.clinic_id)
    if not reason.strip():
        raise ValidationError(_("Give the reason."))
    lifted = [_lift(one, reason, viewer, now) for one in (patient, *_parts_of(patient))]
    return lifted[0]


def _lift(patient: Patient, reason: str, viewer: Viewer, now: datetime) -> bool:
    restricted = Restriction.objects.filter(patient=patient, lifted_at__isnull=True)
    if not restricted.update(lifted_at=now, lifted_by=viewer.actor.user_id):
        return False
    _note(viewer, "lift_restriction", patient, reason)
    return True


def open_restricted(*, record_number: str, born_on: date, reason: str, viewer: Viewer, now: datetime) -> Patient | None:
    """The restricted record of one's own clinics that has this number and this birth date, its gate passed.

    None where there is none, which is audited too. Raises ValidationError without a reason and after too many misses:
    nobody learns by trying who is restricted.
    """
    if _misses(viewer, GATE_MISSED, now) >= MOST_MISSES:
        raise ValidationError(_("Too many attempts in this hour. Ask an administrator of the clinic."))
    found = access.patients_for(viewer).filter(
        record_number__iexact=record_number.strip(), born_on=born_on, pk__in=_restricted_in(viewer)
    )
    patient = found.order_by("id").first()
    if patient is None:
        for clinic in viewer.clinic_ids:
            audit.note(viewer.actor, GATE_MISSED, clinic_id=clinic, reason=reason.strip())
        return None
    pass_gate(patient, reason=reason, viewer=viewer)
    return patient


def _restricted_in(viewer: Viewer) -> QuerySet[Restriction, int]:
    standing = Restriction.objects.filter(clinic__in=viewer.clinic_ids, lifted_at__isnull=True)
    return standing.values_list("patient_id", flat=True)


def pass_gate(patient: Patient, *, reason: str, viewer: Viewer) -> None:
    """Put the reason on record for which somebody opens a restricted record. Raises ValidationError without one."""
    if not reason.strip():
        raise ValidationError(_("Give the reason."))
    _note(viewer, "pass_gate", patient, reason)


def _note(viewer: Viewer, act: str, patient: Patient, reason: str) -> None:
    audit.note(viewer.actor, act, clinic_id=patient.clinic_id, patient_id=patient.pk, reason=reason.strip())
