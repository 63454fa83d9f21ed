"""Clinics: what an administrator changes of how a clinic is named, reached and spoken for."""

import hashlib
import json
from collections.abc import Mapping
from typing import Final

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from patients import access
from patients.access import Viewer
from patients.models import Clinic
from patients.plausibility import hidden_signs_problems

from . import audit, staffing

PARTICULARS: Final = (
    "name",
    "mail_name",
    "telephone",
    "address",
    "opening_hours",
    "opening_hours_in",
    "reply_to",
    "time_zone",
    "language",
)


def mark_of(clinic: Clinic) -> str:
    """A mark that is another one as soon as a particular of the clinic is."""
    return hashlib.sha256(json.dumps(_particulars(clinic)).encode()).hexdigest()[:16]


def _particulars(clinic: Clinic) -> dict[str, str]:
    return {name: getattr(clinic, name) for name in PARTICULARS}


def add_clinic(particulars: Mapping[str, str], *, viewer: Viewer) -> Clinic:
    """A new clinic. Raises PermissionDenied to anybody but a superuser, ValidationError by field."""
    if not viewer.superuser:
        raise PermissionDenied(_("Only superusers add clinics."))
    return staffing.add_clinic(by=viewer.actor, **particulars)


@transaction.atomic
def change_clinic(clinic_id: int, particulars: Mapping[str, str], *, seen: str, viewer: Viewer) -> bool:
    """The clinic has these particulars now; False where it had them before.

    Raises PermissionDenied to whoever does not administer it, ValidationError by field, and for the whole where the
    clinic no longer is as `seen` (a `mark_of`) says.
    """
    if not access.administered_clinics(viewer).filter(pk=clinic_id).exists():
        raise PermissionDenied(_("You do not administer this clinic."))
    clinic = Clinic.objects.select_for_update(no_key=True).get(pk=clinic_id)
    if mark_of(clinic) != seen:
        raise ValidationError(_("Somebody changed this clinic since you opened the page. Open it again to see how."))
    was = _particulars(clinic)
    for name in PARTICULARS:
        setattr(clinic, name, particulars[name].strip())
    now = _particulars(clinic)
    changed = [name for name in PARTICULARS if was[name] != now[name]]
    if not changed:
        return False
    if hidden := hidden_signs_problems({name: now[name] for name in PARTICULARS if name not in staffing.SEVERAL_LINES}):
        raise ValidationError(hidden)
    clinic.full_clean()
    if problems := staffing.mail_problems(clinic):
        raise ValidationError(problems)
    clinic.save(update_fields=changed)
    audit.note(
        viewer.actor,
        "change_clinic",
        clinic_id=clinic.pk,
        object=f"clinic-{clinic.pk}",
        before={name: was[name] for name in changed},
        after={name: now[name] for name in changed},
    )
    return True
