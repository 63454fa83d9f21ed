"""Ending checks: a permanent exclusion is read again after a year, or a wrong one is never found.

In Scotland some 430 women were wrongly excluded from cervical screening for up to 24 years, because nobody read the
exclusions again (docs/reliability.md). So each ending of a living patient's hip comes onto a list of the
administrators twelve months after it was recorded, and again twelve months after each time it was confirmed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from patients import recording
from patients.access import Permission, Viewer
from patients.models import Ending, Patient
from patients.vocabulary import EndReason

from . import audit
from .models import EndingCheck

AFTER = timedelta(days=365)


class NotDue(ValueError):
    """The ending was confirmed or taken back by somebody else meanwhile, or does not say how it is known."""


def due(viewer: Viewer, now: datetime, *, clinic: int | None = None) -> QuerySet[Ending]:
    """The endings that stand and that nobody has read for a year, oldest first; of clinics the viewer administers.

    `last_read_at`: when it was recorded or last confirmed.
    """
    clinics = [one for one in viewer.clinics_where(Permission.ADMINISTER) if clinic in (None, one)]
    latest = EndingCheck.objects.filter(ending=OuterRef("pk")).order_by("-at").values("at")[:1]
    found = unread_since(now - AFTER, clinics).annotate(last_read_at=Coalesce(Subquery(latest), "recorded_at"))
    return found.order_by("last_read_at", "id")


def unread_since(before: datetime, clinics: Sequence[int]) -> QuerySet[Ending]:
    """The endings of these clinics that stand and that nobody has recorded or read after that moment."""
    # Read once for all of them: asked of each ending, PostgreSQL went through what every clinic has taken back.
    taken_back = Ending.objects.filter(clinic__in=clinics, supersedes__isnull=False, withdrawn_at__isnull=True)
    lately = EndingCheck.objects.filter(ending=OuterRef("pk"), at__gt=before)
    return Ending.objects.filter(
        ~Q(pk__in=taken_back.values("supersedes")),
        ~Exists(lately),
        ~Exists(Patient.objects.filter(pk=OuterRef("patient"), died_on__isnull=False)),
        clinic__in=clinics,
        recorded_at__lte=before,
        withdrawn_at__isnull=True,
    ).exclude(reason=EndReason.REOPENED.value)


@transaction.atomic
def confirm(ending_id: int, *, viewer: Viewer, known_from: str, now: datetime) -> EndingCheck:
    """It was read again and still holds. Raises NotDue, and PermissionDenied to who does not administer the clinic."""
    if not known_from.strip():
        raise NotDue("known_from")
    ending = Ending.objects.select_related("hip").filter(pk=ending_id, clinic__in=viewer.clinic_ids).first()
    if ending is None:
        raise NotDue("gone")
    viewer.check(Permission.ADMINISTER, ending.clinic_id)
    recording.lock_patient(ending.patient_id)
    if not due(viewer, now).filter(pk=ending.pk).exists():
        raise NotDue("gone")
    check = EndingCheck.objects.create(
        clinic_id=ending.clinic_id,
        patient_id=ending.patient_id,
        ending=ending,
        known_from=known_from.strip()[:300],
        at=now,
        by_id=viewer.actor.user_id,
        actor=viewer.actor.name[:120],
    )
    audit.note(
        viewer.actor,
        "confirm_ending",
        clinic_id=ending.clinic_id,
        patient_id=ending.patient_id,
        object=f"ending-{ending.pk}",
        reason=check.known_from,
    )
    return check
