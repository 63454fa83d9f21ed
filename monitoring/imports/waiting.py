"""Waiting: imports that a person asked to be saved or undone, in the background; the batch's row is the queue."""

import logging

from django.db import transaction

from patients import access
from patients.changes import Actor

from .. import audit
from ..models import ImportBatch
from . import batch, undo
from .registry_file import ImportRefused

log = logging.getLogger(__name__)
State = ImportBatch.State


@transaction.atomic
def ask_to_save(found: ImportBatch, by: Actor) -> None:
    """Put a checked or failed batch into the queue. Raises ImportRefused where it cannot be saved."""
    locked = ImportBatch.objects.select_for_update().get(pk=found.pk)
    if locked.state not in {State.CHECKED, State.FAILED} or locked.content is None:
        raise ImportRefused(f"This import is {locked.get_state_display().lower()}.")
    if locked.all_or_nothing and locked.rows_refused:
        raise ImportRefused("Rows are refused and all or nothing was asked for; correct the file first.")
    locked.state, locked.rows_done, locked.created_by_id, locked.actor = State.WAITING, 0, by.user_id, by.name[:120]
    locked.save(update_fields=["state", "rows_done", "created_by", "actor"])
    audit.note(by, "ask_to_save_import", clinic_id=locked.clinic_id, object=f"import-{locked.pk}")


def save_waiting_imports() -> int:
    """Save or undo every waiting batch, also one whose worker died; returns how many were."""
    with access.system_run("imports"):
        rows = ImportBatch.objects.filter(state__in=[State.WAITING, State.RUNNING], content__isnull=False)
        saving = [(row.pk, row.clinic_id, Actor(row.actor, row.created_by_id)) for row in rows.order_by("id")]
        rows = ImportBatch.objects.filter(state=State.UNDOING).defer("content")
        undoing = [(row.pk, row.clinic_id, Actor(row.undo_actor, row.undo_by_id)) for row in rows.order_by("id")]
    carried_out = 0
    for carry_out, found in ((batch.commit, saving), (undo.carry_out, undoing)):
        for pk, clinic_id, by in found:
            try:
                carry_out(pk, clinic_id=clinic_id, by=by)
                carried_out += 1
            except ImportRefused as refused:
                log.info("import %s was left: %s", pk, refused)
            except Exception:
                log.exception("import %s failed", pk)
    return carried_out
