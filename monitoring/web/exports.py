"""Exports: a list as a file for a spreadsheet, safe to open there, and each one audited."""

import csv
import io
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import IO, Any, Final

import xlsxwriter
from django.http import FileResponse
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from patients.access import Viewer

from .. import audit
from ..worklist import Row
from .finding_words import PATHWAYS
from .worklist_rows import RowWords, row_words

Cell = str | int | date | None
IN_MEMORY: Final = 4 * 1024 * 1024
DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


def export_rows(viewer: Viewer, rows: Iterable[Row], *, tab: str, kind: str, today: date, of: str) -> FileResponse:
    """The rows as a file of `kind`. The audit tells which list, how long and of which clinics; `of` says what part.

    The file is finished before the answer begins: the database shows the clinics' rows during the request only.
    """
    clinics: Counter[int] = Counter()

    def counted() -> Iterator[list[Cell]]:
        for row in rows:
            clinics[row.patient.clinic_id] += 1
            yield _cells(row, row_words(row, tab, today))

    write, content_type = KINDS[kind]
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the response closes it
    write(file, _headings(), counted())
    for clinic, length in sorted(clinics.items()):
        after = {"list": tab, "rows": length, "of": of, "format": kind}
        audit.note(viewer.actor, "export", clinic_id=clinic, object=f"worklist {tab}", after=after)
    file.seek(0)
    name = f"hipwatch-{tab.replace('_', '-')}-{today.isoformat()}.{kind}"
    return FileResponse(file, as_attachment=True, filename=name, content_type=content_type)


def _headings() -> list[str]:
    return [
        _("Record number"),
        _("Family name"),
        _("Given name"),
        _("Birth date"),
        _("Clinic"),
        _("Clinician"),
        _("Language"),
        _("Telephone"),
        _("E-mail"),
        _("Why no e-mail"),
        _("Hip"),
        _("Right hip: pathway"),
        _("Right hip: due"),
        _("Left hip: pathway"),
        _("Left hip: due"),
        _("Why"),
        _("More"),
        _("Days late"),
        pgettext("who acts next", "Next"),
        _("Since"),
        _("Last contact"),
        _("Agreed"),
        _("Snoozed until"),
    ]


def _cells(row: Row, words: RowWords) -> list[Cell]:
    patient = row.patient
    hips = [cell for side in ("right", "left") for cell in _hip_cells(row, side)]
    return [
        patient.record_number,
        patient.family_name,
        patient.given_name,
        patient.born_on,
        words.clinic,
        words.clinician,
        patient.get_language_display(),
        words.telephone,
        patient.email,
        words.mail,
        words.hips,
        *hips,
        words.why.words,
        words.why.second,
        words.days_late or None,
        words.next,
        words.since,
        words.last,
        words.last_second,
        words.snoozed_until,
    ]


def _hip_cells(row: Row, side: str) -> tuple[Cell, Cell]:
    hip = row.hips.get(side)
    return (str(PATHWAYS.get(hip.pathway, hip.pathway)), hip.due_on) if hip else ("", None)


def harmless(cell: Cell) -> Cell:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it."""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.lstrip(" ").startswith(DANGEROUS) else cell


def _write_csv(file: IO[bytes], headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """UTF-8 with a byte order mark, so that spreadsheets read names right; dates as 2026-11-22."""
    file.write("\ufeff".encode())
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(headings)
    writer.writerows([harmless(cell) for cell in row] for row in rows)
    text.detach()


def _write_xlsx(file: IO[bytes], headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Texts are written as texts: no cell is ever a formula or a link."""
    book = xlsxwriter.Workbook(
        file,
        {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False},
    )
    sheet = book.add_worksheet(_("Worklist"))
    bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(headings) - 1, 18)
    for column, heading in enumerate(headings):
        sheet.write_string(0, column, heading, bold)
    for number, row in enumerate(rows, start=1):
        for column, cell in enumerate(row):
            _write_cell(sheet, number, column, cell, day)
    sheet.autofilter(0, 0, max(number_of(sheet), 1), len(headings) - 1)
    book.close()


def _write_cell(sheet: Any, row: int, column: int, cell: Cell, day: Any) -> None:
    if isinstance(cell, date):
        sheet.write_datetime(row, column, cell, day)
    elif isinstance(cell, int):
        sheet.write_number(row, column, cell)
    elif cell:
        sheet.write_string(row, column, cell)


def number_of(sheet: Any) -> int:
    """The last row that was written."""
    return int(sheet.dim_rowmax or 0)


Writer = Callable[[IO[bytes], Sequence[str], Iterable[Sequence[Cell]]], None]
KINDS: Final[dict[str, tuple[Writer, str]]] = {
    "csv": (_write_csv, "text/csv; charset=utf-8"),
    "xlsx": (_write_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
