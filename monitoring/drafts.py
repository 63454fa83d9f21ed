"""Drafts: what is typed into the visit form is kept while it is typed, so that no time-out or crash loses it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from patients.access import Permission, Viewer
from patients.models import Patient

from .models import VisitDraft

KEPT_FOR: Final = timedelta(days=14)  # then whoever began it has forgotten it; the sweep of the night drops it
MOST_FIELDS, MOST_TEXT = 600, 60_000
PASSING: Final = frozenset({"csrfmiddlewaretoken", "warned", "go_on_reason"})  # of one page view, not of the visit

Typed = Mapping[str, Sequence[str]]


class TooLarge(ValueError):
    """More than any visit form holds."""


def keep(patient: Patient, typed: Typed, *, viewer: Viewer, now: datetime) -> VisitDraft:
    """Keep what is typed in place of what was kept before. Raises TooLarge, PermissionDenied."""
    viewer.check(Permission.RECORD, patient.clinic_id)
    kept = {
        name.replace("\0", ""): [str(text).replace("\0", "") for text in texts]  # which JSON in PostgreSQL cannot hold
        for name, texts in typed.items()
        if name not in PASSING
    }
    if len(kept) > MOST_FIELDS or sum(len(text) for texts in kept.values() for text in texts) > MOST_TEXT:
        raise TooLarge("This is more than a visit form holds.")
    draft, _created = VisitDraft.objects.update_or_create(
        user_id=viewer.actor.user_id or 0,
        patient=patient,
        defaults={"clinic_id": patient.clinic_id, "typed": kept, "saved_at": now},
    )
    return draft


def draft_of(patient: Patient, *, viewer: Viewer) -> VisitDraft | None:
    """What the viewer has begun about this patient."""
    return VisitDraft.objects.filter(user=viewer.actor.user_id or 0, patient=patient).first()


def discard(patient: Patient, *, viewer: Viewer) -> None:
    """Forget the viewer's draft: it was recorded, or is not wanted. Without one this has no effect."""
    VisitDraft.objects.filter(user=viewer.actor.user_id or 0, patient=patient).delete()


def drop_forgotten(*, now: datetime) -> int:
    """Drop the drafts that nobody has come back to; returns how many."""
    return VisitDraft.objects.filter(saved_at__lt=now - KEPT_FOR).delete()[0]
