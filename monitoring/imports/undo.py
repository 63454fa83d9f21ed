"""Undo: a saved batch taken back as far as nobody has built on it; nothing is deleted, and what is left is listed.

Facts are withdrawn, details that still stand as imported are put back, and patients about whom nothing else was
recorded are ended as entered in error. Whatever somebody has corrected, answered or changed since is left to people.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final, cast

from django.db import transaction
from django.db.models import Field, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import recording
from patients.changes import Actor
from patients.models import HIP_FACTS, BmiReading, ContactWish, Decision, Ending, Exposure, Fact, HipFact, Patient
from patients.recording import RecordingRefused, today_at
from patients.vocabulary import EndReason, Side

from .. import audit, pipeline
from ..models import AuditEntry, ImportBatch, ImportRow, VisitDraft
from .batch import Progress, alone_in_clinic, bound
from .registry_file import ImportRefused
from .written import TakenBack, Wrote

log = logging.getLogger(__name__)
CHUNK: Final = 500  # patients; a batch of no more is undone in one transaction
LOOKED_AT: Final = 2_000  # patients that a preview looks at
State = ImportBatch.State
UNDOABLE: Final = (State.DONE, State.FAILED)
_MODELS: Final = {model.kind: model for model in cast("tuple[type[Fact], ...]", (*HIP_FACTS, BmiReading))}
# What is audited of a patient without anybody's having built on the record; facts are compared one by one.
_NO_WORK: Final = (
    "look",
    "export",
    *audit.MAILS,
    "record_bounce",
    "import_facts",
    "withdraw_fact",
    "withdraw_exposure",
)


@dataclass(frozen=True)
class Left:
    """Something left as it is: `why` is a code that has words in monitoring.web.import_words.

    `what` is a fact's key, a detail's name or a day.
    """

    why: str
    what: str = ""


@dataclass
class Undoing:
    """What undoing does about one patient."""

    patient: Patient
    rows: list[ImportRow]
    facts: list[Fact] = field(default_factory=list)
    exposures: list[Exposure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    takes_wish_back: bool = False
    takes_death_back: bool = False
    ends: bool = False
    left: list[Left] = field(default_factory=list)

    def counts(self) -> Counter[str]:
        return Counter(
            {
                "patients": 1,
                "ended": int(self.ends),
                "facts": len(self.facts),
                "exposures": len(self.exposures),
                "details": len(self.details) + self.takes_wish_back + self.takes_death_back,
                "left": len(self.left),
            }
        )


@dataclass(frozen=True)
class Preview:
    """What undoing would do by what is known now; `of` patients in all, of whom `looked_at` were looked at."""

    counts: Counter[str]
    left: list[tuple[ImportRow, Left]]
    looked_at: int
    of: int


def is_undoable(batch: ImportBatch) -> bool:
    """Whether the batch is saved, in whole or part, and says what it wrote."""
    return batch.state in UNDOABLE and saved_rows(batch).exists()


def saved_rows(batch: ImportBatch) -> QuerySet[ImportRow]:
    """Rows that were saved and are not undone."""
    found = ImportRow.objects.filter(batch=batch, undone__isnull=True, patient__isnull=False).exclude(wrote={})
    return found.select_related("patient")


def preview(batch: ImportBatch, *, shown: int = 50) -> Preview:
    """What undoing would do now. Reads only, in the caller's transaction."""
    ids = _patient_ids(batch)
    counts: Counter[str] = Counter()
    left: list[tuple[ImportRow, Left]] = []
    for start in range(0, min(len(ids), LOOKED_AT), CHUNK):
        for one in _planned(batch, ids[start : start + CHUNK]):
            counts += one.counts()
            left += [(one.rows[0], item) for item in one.left[: shown - len(left)]]
    return Preview(counts, left, min(len(ids), LOOKED_AT), len(ids))


def check_undoable(batch: ImportBatch, *, reason: str) -> None:
    """Raises ImportRefused where the batch cannot be undone, or no reason is given."""
    if not reason.strip():
        raise ImportRefused(_("Say why this import is undone."))
    if batch.state not in UNDOABLE:
        raise ImportRefused(_("This import is not saved, or is undone already."))
    if not saved_rows(batch).exists():
        raise ImportRefused(_("What this import wrote was not kept; it cannot be undone by itself."))


@transaction.atomic
def ask_to_undo(found: ImportBatch, by: Actor, *, reason: str) -> None:
    """Put a saved batch into the queue to be undone. Raises ImportRefused where it cannot be or no reason is given."""
    batch = ImportBatch.objects.select_for_update().defer("content").get(pk=found.pk)
    check_undoable(batch, reason=reason)
    batch.state, batch.rows_done = State.UNDOING, 0
    batch.undo_reason, batch.undo_by_id, batch.undo_actor = reason.strip()[:160], by.user_id, by.name[:120]
    batch.save(update_fields=["state", "rows_done", "undo_reason", "undo_by", "undo_actor"])
    audit.note(by, "ask_to_undo_import", clinic_id=batch.clinic_id, object=f"import-{batch.pk}", reason=reason.strip())


def carry_out(
    batch_id: int, *, clinic_id: int, by: Actor, now: datetime | None = None, progress: Progress | None = None
) -> ImportBatch:
    """Undo a batch that was asked for: in one transaction, or where it is large in chunks, each whole.

    May be called again after a crash: what is undone stays undone. Raises ImportRefused where nobody asked, where it
    is undone already, or while another is at work on it.
    """
    now = now or timezone.now()
    with alone_in_clinic(batch_id, clinic_id):
        with bound(clinic_id, by):
            batch = ImportBatch.objects.select_related("clinic").defer("content").get(pk=batch_id)
            if batch.state != State.UNDOING:
                raise ImportRefused(_("This import is not waiting to be undone."))
            ids = _patient_ids(batch)
        try:
            for start in range(0, len(ids), CHUNK):
                with bound(clinic_id, by):
                    _undo_chunk(batch, ids[start : start + CHUNK], by, now)
                if progress:
                    progress(min(start + CHUNK, len(ids)), len(ids))
            with bound(clinic_id, by):
                _finish(batch, by, now)
        except Exception:
            _put_back(batch, by)
            raise
    return batch


def _patient_ids(batch: ImportBatch) -> list[int]:
    found = saved_rows(batch).order_by("patient_id").values_list("patient_id", flat=True).distinct()
    return [pk for pk in found if pk is not None]


def _finish(batch: ImportBatch, by: Actor, now: datetime) -> None:
    batch.state, batch.content, batch.undone_at = State.UNDONE, None, now
    batch.save(update_fields=["state", "content", "undone_at"])
    audit.note(
        by,
        "undo_import",
        clinic_id=batch.clinic_id,
        object=f"import-{batch.pk}",
        after=batch.undone,
        reason=batch.undo_reason,
    )


def _put_back(batch: ImportBatch, by: Actor) -> None:
    """Undoing failed: the batch is as saved as it was before, less the chunks that are undone."""
    log.exception("import %s could not be undone", batch.pk)
    text = _("Undoing failed because of a fault in the server; it can be tried again.")
    with bound(batch.clinic_id, by):
        ImportBatch.objects.filter(pk=batch.pk).update(state=State.DONE, note=text)


# ---- What is to be done


def _planned(batch: ImportBatch, patient_ids: Sequence[int]) -> Iterator[Undoing]:
    """For each of these patients what undoing does, in their order."""
    rows: dict[int, list[ImportRow]] = defaultdict(list)
    for row in saved_rows(batch).filter(patient__in=patient_ids).order_by("number", "id"):
        rows[cast("int", row.patient_id)].append(row)
    wrote = {pk: [Wrote.from_json(row.wrote) for row in found] for pk, found in rows.items()}
    people = Patient.objects.filter(pk__in=patient_ids).select_related("clinic").order_by("id")
    facts = _standing_facts(patient_ids)
    exposures: dict[int, list[Exposure]] = defaultdict(list)
    for exposure in Exposure.objects.filter(patient__in=patient_ids, withdrawn_at__isnull=True).order_by("id"):
        exposures[exposure.patient_id].append(exposure)
    wishes = {w.patient_id: w for w in ContactWish.objects.filter(patient__in=patient_ids, channel="email")}
    worked_on = _worked_on({pk: max(one.until for one in found) for pk, found in wrote.items()})
    for patient in people:
        said = wrote[patient.pk]
        one = Undoing(patient, rows[patient.pk])
        others = _plan_facts(one, said, facts.get(patient.pk, []))
        ours = {pk for row in said for pk in row.exposures}
        one.exposures = [exposure for exposure in exposures[patient.pk] if exposure.pk in ours]
        others |= len(one.exposures) < len(exposures[patient.pk])
        _plan_death(one, said)
        if not any(row.enrolled for row in said):
            _plan_details(one, said)
            _plan_wish(one, said, wishes.get(patient.pk))
        elif others or one.left or patient.pk in worked_on:
            one.left.insert(0, Left("patient"))
        else:
            one.ends = True
            _plan_wish(one, said, wishes.get(patient.pk))
        yield one


def _standing_facts(patient_ids: Sequence[int]) -> dict[int, list[Fact]]:
    """Facts neither withdrawn nor superseded, of every kind."""
    found: dict[int, list[Fact]] = defaultdict(list)
    for model in _MODELS.values():
        rows = list(model._default_manager.filter(patient__in=patient_ids, withdrawn_at__isnull=True).order_by("id"))
        superseded = {cast("Any", row).supersedes_id for row in rows}
        for row in rows:
            if row.pk not in superseded and not (isinstance(row, Ending) and row.reason == EndReason.REOPENED):
                found[row.patient_id].append(row)
    return found


def _plan_facts(one: Undoing, said: Sequence[Wrote], standing: Sequence[Fact]) -> bool:
    """Which facts are withdrawn and which are left; returns whether others have recorded facts of the patient."""
    ours = {key for row in said for key in row.facts}
    here = {(fact.kind, fact.pk): fact for fact in standing}
    others = [fact for key, fact in here.items() if key not in ours]
    answers = [fact for fact in others if isinstance(fact, Decision | Ending)]
    for key in sorted(ours):
        fact = here.get(key)
        if fact is None:
            if _is_corrected(key):
                one.left.append(Left("corrected", f"{key[0]}-{key[1]}"))
        elif any(_answers(answer, fact) for answer in answers):
            one.left.append(Left("answered", fact.key))
        else:
            one.facts.append(fact)
    return bool(others)


def _is_corrected(key: tuple[str, int]) -> bool:
    """Whether the fact is superseded; one that somebody has withdrawn needs nobody any more."""
    return _MODELS[key[0]]._default_manager.filter(pk=key[1], withdrawn_at__isnull=True).exists()


def _answers(answer: HipFact, fact: Fact) -> bool:
    return isinstance(fact, HipFact) and answer.hip_id == fact.hip_id and answer.on >= fact.on


def _worked_on(since: dict[int, datetime]) -> set[int]:
    """Patients whom somebody has done something about since the import, or is about to."""
    entries = AuditEntry.objects.filter(patient_id__in=since, at__gt=min(since.values())).exclude(act__in=_NO_WORK)
    entries = entries.exclude(actor__startswith=Actor.system("").name)
    found = {pk for pk, at in entries.order_by().values_list("patient_id", "at") if pk and at > since[pk]}
    return found | set(VisitDraft.objects.filter(patient__in=since).values_list("patient_id", flat=True))


def _plan_wish(one: Undoing, said: Sequence[Wrote], wish: ContactWish | None) -> None:
    """A yes that the file brought is taken back; a no is kept, since nobody is to be mailed by an undoing."""
    wished = next((row.wished for row in reversed(said) if row.wished is not None), None)
    if wished is False and not one.ends:
        one.left.append(Left("no_to_mail"))
    one.takes_wish_back = bool(wished and wish and wish.allowed)


def _plan_death(one: Undoing, said: Sequence[Wrote]) -> None:
    died_on = next((row.died_on for row in said if row.died_on), "")
    if died_on and one.patient.died_on:
        if str(one.patient.died_on) == died_on:
            one.takes_death_back = True
        else:
            one.left.append(Left("death", str(one.patient.died_on)))


def _plan_details(one: Undoing, said: Sequence[Wrote]) -> None:
    for row in reversed(said):
        for name, (before, after) in row.changes.items():
            stands = getattr(one.patient, name)
            if ("" if stands is None else str(stands)) != after:
                one.left.append(Left("detail", name))
            else:
                one.details[name] = _value_of(name, before)


def _value_of(name: str, written: str) -> Any:
    column = cast("Field[Any, Any]", Patient._meta.get_field(name))
    return None if not written and column.null else column.to_python(written)


# ---- Doing it


def _undo_chunk(batch: ImportBatch, patient_ids: Sequence[int], by: Actor, now: datetime) -> None:
    """All of these patients or none. They are held first, so that nothing is built on what is being taken back."""
    ImportBatch.objects.select_for_update().defer("content").get(pk=batch.pk)
    list(Patient.objects.filter(pk__in=patient_ids).order_by("id").select_for_update(no_key=True).values_list("pk"))
    counts = Counter(batch.undone)
    with pipeline.deferred():
        for one in _planned(batch, patient_ids):
            try:
                with transaction.atomic():
                    taken = _take_back(batch, one, by, now)
            except RecordingRefused as refused:
                one = Undoing(one.patient, one.rows, left=[Left("refused", str(refused)[:200])])
                taken = TakenBack()
            _mark(one, taken)
            counts += one.counts()
    batch.undone = dict(counts)
    batch.rows_done += sum(1 for _pk in patient_ids)
    batch.save(update_fields=["undone", "rows_done"])


def _take_back(batch: ImportBatch, one: Undoing, by: Actor, now: datetime) -> TakenBack:
    patient, reason = one.patient, f"undone import {batch.pk}: {batch.undo_reason}"[:200]
    today = today_at(patient.clinic, now)
    if one.facts:
        recording.withdraw_facts(one.facts, by=by, reason=reason, now=now)
    for exposure in one.exposures:
        recording.withdraw_exposure(exposure, by=by, reason=reason, now=now)
    how = f"undone import {batch.pk}" if one.takes_wish_back else ""
    if how:
        recording.set_contact_wish(patient.pk, by=by, channel="email", allowed=False, how=how, on=today)
    if one.takes_death_back:
        recording.withdraw_death(patient.pk, by=by, reason=reason)
    if one.details:
        recording.amend_patient(patient.pk, by=by, changes=one.details, reason=reason, now=now)
    endings: list[Ending] = []
    if one.ends:
        why = EndReason.ENTERED_IN_ERROR.value
        endings = [Ending(on=today, reason=why, evidence=reason) for _side in Side]
        both = list(zip(Side, endings, strict=True))
        recording.record_facts(patient.pk, both, by=by, act="end_follow_up", reason=reason, now=now)
    return TakenBack(
        [(fact.kind, fact.pk) for fact in one.facts],
        [exposure.pk for exposure in one.exposures],
        [ending.pk for ending in endings],
        how,
    )


def _mark(one: Undoing, taken: TakenBack) -> None:
    """The first of the patient's rows says what became of all of them."""
    for row in one.rows:
        row.undone = {}
    one.rows[0].undone = asdict(taken) | {"left": [[item.why, item.what] for item in one.left]}
    ImportRow.objects.bulk_update(one.rows, ["undone"])
