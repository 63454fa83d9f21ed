"""Audit: one entry for every write, look and export, in the same transaction as what it tells of."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from django.utils import timezone

from patients import prepared
from patients.access import listed
from patients.changes import Actor, Change

from .models import AuditEntry

# What became of mails to patients; the database writes these entries (`message_audit_sql`).
MAILS: Final = ("message_sent", "message_failed", "message_uncertain")


def on_change(change: Change) -> None:
    """Listener of patients.changes: every announced write is audited."""
    AuditEntry.objects.create(
        actor=change.by.name[:120],
        user_id=change.by.user_id,
        act=change.act,
        clinic_id=change.clinic_id,
        patient_id=change.patient_id,
        object=", ".join(f"{kind}-{pk}" for kind, pk in change.facts)[:80],
        before=dict(change.before) or None,
        after=dict(change.after) or None,
        reason=change.reason[:300],
        request_id=change.by.request_id,
    )


def note(
    by: Actor,
    act: str,
    *,
    clinic_id: int | None = None,
    patient_id: int | None = None,
    object: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    reason: str = "",
) -> None:
    """Audit an act that changes no patient's record: a sign-in, an export, an assignment."""
    AuditEntry.objects.create(
        actor=by.name[:120],
        user_id=by.user_id,
        act=act,
        clinic_id=clinic_id,
        patient_id=patient_id,
        object=object[:80],
        before=dict(before) if before else None,
        after=dict(after) if after else None,
        reason=reason[:300],
        request_id=by.request_id,
    )


_LOOKED: Final = """
INSERT INTO monitoring_auditentry (at, actor, user_id, act, clinic_id, patient_id, object, reason, request_id)
SELECT %(at)s::timestamptz, %(actor)s, %(user)s::bigint, 'look', seen.clinic, seen.patient, %(object)s, '', %(request)s
FROM unnest(%(clinics)s::bigint[], %(patients)s::bigint[]) AS seen (clinic, patient)
"""


def looked(by: Actor, patient_ids: Iterable[tuple[int, int]], what: str) -> None:
    """Audit that someone looked at patients, given as (clinic_id, patient_id): an entry for each, in one statement."""
    seen = list(patient_ids)
    if not seen:
        return
    said = {"at": timezone.now(), "actor": by.name[:120], "user": by.user_id, "object": what[:80]}
    whom = {"clinics": listed(clinic for clinic, _ in seen), "patients": listed(patient for _, patient in seen)}
    prepared.rows_of(_LOOKED, said | whom | {"request": by.request_id})
