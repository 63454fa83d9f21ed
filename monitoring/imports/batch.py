"""Batch: one file checked without saving anything, then saved whole or row by row, with every row's outcome."""

import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

import pghistory
from django.db import DatabaseError, connection, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import access
from patients.changes import Actor
from patients.models import Clinic, Restriction
from patients.recording import RecordingRefused

from .. import audit, pipeline
from ..models import ImportBatch, ImportRow
from . import matching
from .arrivals import Arrival
from .cells import DateOrder
from .doubts import Doubts
from .intake import Intake, remarks_of
from .plans import Outcome, Plan
from .registry_file import ImportRefused, RegistryFile, Table, open_file, read_table
from .rows import read_row

log = logging.getLogger(__name__)
CHUNK: Final = 500
_LOCK: Final = 0x494D50  # "IMP": the advisory lock of (this, batch) is held by whoever saves or undoes the batch
_CLINIC_LOCK: Final = 0x494D51  # the same of (this, clinic)
State = ImportBatch.State
SAVEABLE: Final = (State.CHECKED, State.WAITING, State.RUNNING, State.FAILED)
MATCHABLE: Final = (State.MAPPING, State.CHECKED)


@dataclass(frozen=True)
class Options:
    """How a file is to be read and saved."""

    all_or_nothing: bool = True
    date_order: DateOrder = DateOrder.ISO
    mapping: Mapping[str, str] = field(default_factory=dict)  # the file's heading -> our column; "" leaves it out
    duplicates_agreed: bool = False


Progress = Callable[[int, int], None]


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


def check(
    clinic: Clinic,
    content: bytes,
    *,
    file_name: str,
    by: Actor,
    options: Options | None = None,
    keep_content: bool = True,
    now: datetime | None = None,
    progress: Progress = _silent,
) -> ImportBatch:
    """Read the file and say of every row what saving it would do. No patient is touched.

    The batch keeps the file for `commit` unless told otherwise. Raises ImportRefused for the file as a whole.
    """
    options, now = options or Options(), now or timezone.now()
    file = open_file(content, mapping=options.mapping)
    with bound(clinic.pk, by):
        batch = _arrived(clinic, content, file_name, by, options, now)
        if not keep_content:
            batch.content = None
        _dry_run(batch, file, options, by, now, progress)
    return batch


def receive(
    clinic: Clinic,
    content: bytes,
    *,
    file_name: str,
    by: Actor,
    options: Options | None = None,
    now: datetime | None = None,
) -> ImportBatch:
    """Check a file whose headings are ours; another is kept until somebody has matched its columns.

    Raises ImportRefused for what is no table at all.
    """
    options, now = options or Options(), now or timezone.now()
    table = read_table(content)
    if matching.is_ours(table.titles):
        return check(clinic, content, file_name=file_name, by=by, options=options, now=now)
    with bound(clinic.pk, by):
        batch = _arrived(clinic, content, file_name, by, options, now)
        batch.state, batch.note = State.MAPPING, " ".join(table.says)[:300]
        batch.save()
        audit.note(by, "receive_import", clinic_id=clinic.pk, object=f"import-{batch.pk}", after=_counts(batch))
    return batch


def table_of(batch: ImportBatch) -> tuple[Table, Options]:
    """The kept file's headings and cells, and how it is to be read so far. Raises ImportRefused where none is kept."""
    if batch.state not in MATCHABLE or batch.content is None:
        raise ImportRefused(_("The columns of this import can no longer be matched."))
    content, options = unpack(bytes(batch.content))
    return read_table(content), options


def check_matched(
    batch_id: int,
    columns: Mapping[str, str],
    *,
    clinic_id: int,
    by: Actor,
    date_order: DateOrder | None = None,
    now: datetime | None = None,
) -> ImportBatch:
    """Check a kept file with its headings read as `columns`, and its dates as told.

    Raises ImportRefused; then nothing has changed.
    """
    now = now or timezone.now()
    with alone(batch_id), bound(clinic_id, by):
        batch = ImportBatch.objects.select_related("clinic").select_for_update(of=("self",)).get(pk=batch_id)
        if batch.state not in MATCHABLE or batch.content is None:
            raise ImportRefused(_("The columns of this import can no longer be matched."))
        content, options = unpack(bytes(batch.content))
        options = replace(options, mapping=dict(columns), date_order=date_order or options.date_order)
        file = open_file(content, mapping=options.mapping)
        batch.state, batch.content = State.CHECKED, _pack(content, options)
        _dry_run(batch, file, options, by, now, _silent)
    return batch


def _arrived(clinic: Clinic, content: bytes, file_name: str, by: Actor, options: Options, now: datetime) -> ImportBatch:
    return ImportBatch.objects.create(
        clinic=clinic,
        file_name=file_name[-200:],
        digest=hashlib.sha256(content).hexdigest(),
        content=_pack(content, options),
        all_or_nothing=options.all_or_nothing,
        created_by_id=by.user_id,
        actor=by.name[:120],
        created_at=now,
    )


def _dry_run(
    batch: ImportBatch, file: RegistryFile, options: Options, by: Actor, now: datetime, progress: Progress
) -> None:
    batch.rows_total, batch.note = file.count(), " ".join(file.says)[:300]
    intake = intake_of(batch, options, by, now)
    doubts = Doubts(batch.clinic, intake.today)
    batch.rows.all().delete()
    _run(batch, file, intake, options, doubts=doubts, progress=progress)
    _keep_doubts(batch, doubts)
    batch.save()
    audit.note(by, "check_import", clinic_id=batch.clinic_id, object=f"import-{batch.pk}", after=_counts(batch))


def _keep_doubts(batch: ImportBatch, doubts: Doubts) -> None:
    """Write what speaks against a row beside what is remarked of it already."""
    doubtful = doubts.found()
    while found := list(islice(doubtful, CHUNK)):
        rows = {row.number: row for row in batch.rows.filter(number__in=[one.line for one in found])}
        fresh = []
        for one in found:
            said = [remark.to_json() for remark in one.remarks]
            if row := rows.get(one.line):
                row.problems += said
            else:
                fresh.append(
                    ImportRow(
                        clinic_id=batch.clinic_id,
                        batch=batch,
                        number=one.line,
                        outcome=one.outcome,
                        problems=said,
                        patient=one.patient,
                    )
                )
        ImportRow.objects.bulk_update(rows.values(), ["problems"])
        ImportRow.objects.bulk_create(fresh)


def commit(
    batch_id: int, *, clinic_id: int, by: Actor, now: datetime | None = None, progress: Progress = _silent
) -> ImportBatch:
    """Save a checked batch: all of it or nothing, or row by row, as it was checked.

    May be called again after a crash: rows saved before are found unchanged. Raises ImportRefused when the batch is
    saved already, has rows that are refused and is all-or-nothing, or another of the clinic is being saved or undone.
    """
    now = now or timezone.now()
    with alone_in_clinic(batch_id, clinic_id):
        with bound(clinic_id, by):
            batch = _claimed(batch_id)
            content, options = unpack(bytes(batch.content or b""))
        file = open_file(content, mapping=options.mapping)
        intake = intake_of(batch, options, by, now)
        try:
            if options.all_or_nothing:
                _save_whole(batch, file, intake, options, by, progress)
            else:
                _save_by_row(batch, file, intake, options, by, progress)
        except Exception as error:
            _fail(batch, by, error)
            raise
        with bound(clinic_id, by):
            batch.state, batch.content, batch.finished_at = State.DONE, None, timezone.now()
            batch.save()
            audit.note(by, "import", clinic_id=clinic_id, object=f"import-{batch.pk}", after=_counts(batch))
    return batch


# ---- The batch's row


def _claimed(batch_id: int) -> ImportBatch:
    batch = ImportBatch.objects.select_related("clinic").select_for_update(of=("self",)).get(pk=batch_id)
    if batch.state not in SAVEABLE or batch.content is None:
        raise ImportRefused(_("This import is not waiting to be saved."))
    if batch.all_or_nothing and batch.rows_refused:
        raise ImportRefused(
            _("%(rows)s rows are refused and all or nothing was asked for: nothing was saved.")
            % {"rows": batch.rows_refused}
        )
    batch.state, batch.rows_done = State.RUNNING, 0
    batch.save(update_fields=["state", "rows_done"])
    return batch


def _fail(batch: ImportBatch, by: Actor, error: Exception) -> None:
    """Say on the batch that saving it failed; it keeps the file and may be tried again."""
    known = isinstance(error, ImportRefused)
    if not known:
        log.exception("import %s failed", batch.pk)
    text = str(error) if known else _("Saving failed because of a fault in the server; it can be tried again.")
    with bound(batch.clinic_id, by):
        ImportBatch.objects.filter(pk=batch.pk).update(state=State.FAILED, note=text[:300], finished_at=timezone.now())


def intake_of(batch: ImportBatch, options: Options, by: Actor, now: datetime) -> Intake:
    return Intake(
        batch.clinic,
        by=by,
        now=now,
        source=f"import {batch.pk} of {batch.file_name}",
        act="import_facts",
        duplicates_agreed=options.duplicates_agreed,
    )


def _pack(content: bytes, options: Options) -> bytes:
    """The file with its options in front: what was checked is what is saved."""
    return json.dumps(asdict(options)).encode() + b"\n" + zlib.compress(content)


def unpack(stored: bytes) -> tuple[bytes, Options]:
    head, _newline, packed = stored.partition(b"\n")
    plain = json.loads(head)
    return zlib.decompress(packed), Options(**{**plain, "date_order": DateOrder(plain["date_order"])})


def _counts(batch: ImportBatch) -> dict[str, Any]:
    names = ("rows_total", "rows_created", "rows_updated", "rows_unchanged", "rows_refused")
    return {"file": batch.file_name} | {name: getattr(batch, name) for name in names}


@contextmanager
def bound(clinic_id: int, by: Actor) -> Iterator[None]:
    """One transaction that sees this clinic; within another transaction, its clinics are put back afterwards."""
    with transaction.atomic(), pghistory.context(actor=by.name), connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(current_setting('app.clinic_ids', true), '')")
        row = cursor.fetchone()
        access.bind_clinics([clinic_id])
        yield
        if row and row[0]:
            # nosemgrep: rows-past-the-one-door - as it was found
            cursor.execute("SELECT set_config('app.clinic_ids', %s, true)", [row[0]])


@contextmanager
def alone(batch_id: int) -> Iterator[None]:
    """Nobody else saves or undoes this batch meanwhile; the lock is gone with the process that dies."""
    with _held(_LOCK, batch_id, _("Somebody else is at work on this import at the moment.")):
        yield


@contextmanager
def alone_in_clinic(batch_id: int, clinic_id: int) -> Iterator[None]:
    """Nobody else saves or undoes any batch of this clinic meanwhile.

    What one finds in the registry and therefore leaves alone, another must not take back under it.
    """
    busy = _("Another import of this clinic is being saved or undone; it goes on when that is done.")
    with alone(batch_id), _held(_CLINIC_LOCK, clinic_id, busy):
        yield


@contextmanager
def _held(key: int, number: int, busy: str) -> Iterator[None]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [key, number])
        row = cursor.fetchone()
    if not (row and row[0]):
        raise ImportRefused(busy)
    try:
        yield
    finally:
        connection.cursor().execute("SELECT pg_advisory_unlock(%s, %s)", [key, number])


# ---- Running through the file


def _save_whole(
    batch: ImportBatch, file: RegistryFile, intake: Intake, options: Options, by: Actor, progress: Progress
) -> None:
    """One transaction. What the registry has learned since the check may refuse a row, and then all is undone."""
    shown = nullcontext(progress) if connection.in_atomic_block else _shown_beside(batch, progress)
    with shown as show, bound(batch.clinic_id, by), pipeline.deferred():
        _run(batch, file, intake, options, progress=show)
        if batch.rows_refused:
            first = batch.rows.filter(outcome=Outcome.REFUSED).first()
            raise ImportRefused(
                _("Line %(line)s is refused by now (%(why)s): nothing was saved.")
                % {"line": first.number if first else "?", "why": _why(first) if first else "?"}
            )


def _why(row: ImportRow) -> str:
    """The first thing that is wrong with a row, as the note of the batch says it to everybody."""
    named = [pk for pk in (row.patient_id, *(problem.get("about") for problem in row.problems)) if pk]
    if Restriction.objects.filter(patient__in=named, lifted_at__isnull=True).exists():
        return _("restricted record")
    return str(row.problems[0]["text"])


def _save_by_row(
    batch: ImportBatch, file: RegistryFile, intake: Intake, options: Options, by: Actor, progress: Progress
) -> None:
    """A transaction for every chunk and a savepoint for every row: what is refused keeps nobody else out."""

    def transaction_of_chunk() -> AbstractContextManager[Any]:
        return _chunk_transaction(batch, by)

    _run(batch, file, intake, options, progress=progress, around=transaction_of_chunk)


@contextmanager
def _chunk_transaction(batch: ImportBatch, by: Actor) -> Iterator[None]:
    with bound(batch.clinic_id, by):
        with pipeline.deferred():
            yield
        batch.save(update_fields=[*_COUNTED, "rows_done"])


_COUNTED: Final = ("rows_created", "rows_updated", "rows_unchanged", "rows_refused")


def _run(
    batch: ImportBatch,
    file: RegistryFile,
    intake: Intake,
    options: Options,
    *,
    progress: Progress,
    doubts: Doubts | None = None,
    around: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> None:
    """Every row once, chunk by chunk; afterwards the batch has the counts and the rows that ask for attention.

    With `doubts` nothing is saved, and they hear what would be; without, rows keep the doubts that the check found.
    """
    for name in _COUNTED:
        setattr(batch, name, 0)
    arrivals = (read_row(row, order=options.date_order) for row in file.rows())
    done, first = 0, True
    kept: dict[int, str] = {}  # lines saved before a crash
    while chunk := list(islice(arrivals, CHUNK)):
        with around():
            if first:
                saved = batch.rows.exclude(wrote={}).order_by()
                kept, first = dict(saved.values_list("number", "outcome")), False
            shown = _forget_check(batch, chunk)
            rows = []
            for plan in intake.plan_all(chunk):
                if doubts:
                    doubts.hear(plan)
                rows.append(_carried_out(batch, intake, plan, kept, saving=not doubts))
            for row in rows:
                if row and row.outcome != Outcome.REFUSED:
                    row.problems += shown.get(row.number, [])
            ImportRow.objects.bulk_create(row for row in rows if row and _is_worth_keeping(row))
            done += len(chunk)
            batch.rows_done = done
        progress(done, batch.rows_total)


def _forget_check(batch: ImportBatch, chunk: Sequence[Arrival]) -> dict[int, list[dict[str, Any]]]:
    """Delete what the check has written of these lines; what it doubted, by line."""
    found = batch.rows.filter(wrote={}, number__range=(chunk[0].line, chunk[-1].line))
    doubted = found.filter(problems__contains=[{"doubt": True}]).values_list("number", "problems")
    shown = {number: [problem for problem in problems if problem.get("doubt")] for number, problems in doubted}
    found.delete()
    return shown


def _is_worth_keeping(row: ImportRow) -> bool:
    return bool(row.problems or row.wrote or row.outcome == Outcome.CREATED)


def _carried_out(
    batch: ImportBatch, intake: Intake, plan: Plan, kept: Mapping[int, str], *, saving: bool
) -> ImportRow | None:
    """The row's outcome, counted; when saving, it has been saved. None for a line of which the outcome stands."""
    remarks, outcome, patient = plan.remarks, plan.outcome, plan.patient
    if saving and outcome not in (Outcome.REFUSED, Outcome.UNCHANGED):
        try:
            with transaction.atomic():
                patient = intake.save(plan)
        except RecordingRefused as error:
            plan.remarks += remarks_of(error)
            outcome = Outcome.REFUSED
    stands = kept.get(plan.arrival.line) if outcome is Outcome.UNCHANGED else None
    counter = f"rows_{stands or outcome}"
    setattr(batch, counter, getattr(batch, counter) + 1)
    if stands:
        return None
    return ImportRow(
        clinic_id=batch.clinic_id,
        batch=batch,
        number=plan.arrival.line,
        outcome=outcome,
        problems=[remark.to_json() for remark in remarks],
        patient=patient if patient and patient.pk else None,
        wrote=plan.wrote.to_json() if plan.wrote else {},
    )


@contextmanager
def _shown_beside(batch: ImportBatch, progress: Progress) -> Iterator[Progress]:
    """Rows done, written over a second connection: the first one's transaction shows nothing before it ends."""
    beside = connection.copy()

    def show(done: int, total: int) -> None:
        progress(done, total)
        try:
            with beside.cursor() as cursor:
                cursor.execute(  # three integers of ours; several statements take no parameters
                    "BEGIN; SET LOCAL lock_timeout = '200ms';"  # noqa: S608
                    f" SET LOCAL app.clinic_ids = '{{{int(batch.clinic_id)}}}';"  # nosemgrep - the batch's own clinic
                    f" UPDATE monitoring_importbatch SET rows_done = {int(done)} WHERE id = {int(batch.pk)}; COMMIT"
                )
        except DatabaseError:
            log.warning("progress of import %s could not be shown", batch.pk, exc_info=True)

    try:
        yield show
    finally:
        beside.close()
