"""Exports: a list as a file for a spreadsheet, safe to open there, and each one audited."""

import csv
import io
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date
from itertools import islice
from typing import Any, Final

import xlsxwriter
from django.db import transaction
from django.http import StreamingHttpResponse
from django.utils import timezone
from django.utils.translation import get_language, override, pgettext
from django.utils.translation import gettext as _

from patients import access
from patients.access import Viewer
from patients.models.clinic import PATIENT_LANGUAGES

from .. import audit, worklist
from ..spreadsheets import harmless
from ..worklist_row import Row
from .finding_words import PATHWAYS
from .identity import gate_address
from .worklist_rows import RowWords, words_for

_LANGUAGES: Final = dict(PATIENT_LANGUAGES)
Cell = str | int | date | None
TOGETHER: Final = 500  # rows that are read at once
SHEET: Final = "xl/worksheets/sheet1.xml"
DIMENSION: Final = re.compile(rb"<dimension [^>]*/>")  # which says how many rows there are, and need not be said
A_DATE: Final = date(2000, 1, 1)  # so that the book knows how dates look


def export_rows(
    viewer: Viewer, patients: Sequence[tuple[int, int]], *, tab: str, kind: str, today: date, of: str
) -> StreamingHttpResponse:
    """The rows of these patients, given as (id, clinic's id), as a file of `kind` that never stands in memory whole.

    The audit tells which list, how long and of which clinics; `of` says what part. It is written before anything is
    read, so that a download that breaks off is on record as well.
    """
    for clinic, length in sorted(Counter(clinic for _pk, clinic in patients).items()):
        after = {"list": tab, "rows": length, "of": of, "format": kind}
        audit.note(viewer.actor, "export", clinic_id=clinic, object=f"worklist {tab}", after=after)
    answer, content_type = KINDS[kind]
    response = answer(_headings(), _cells_of(viewer, [pk for pk, _clinic in patients], tab, today))
    response["Content-Type"] = content_type
    name = f"hipwatch-{tab.replace('_', '-')}-{today.isoformat()}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _cells_of(viewer: Viewer, ids: Sequence[int], tab: str, today: date) -> Iterator[list[Cell]]:
    """Row by row, also when the request's transaction is over: the database shows a clinic's rows to a transaction
    that says whose it is, so each step says it again, in the language and the time zone of whoever asked."""
    language, zone = get_language() or "en", timezone.get_current_timezone()
    for first in range(0, len(ids), TOGETHER):
        with transaction.atomic(), override(language), timezone.override(zone):
            access.bind_clinics(viewer.clinic_ids)
            rows = worklist.rows_of(viewer, ids[first : first + TOGETHER], today)
            gates = replace(viewer)  # asks anew which records are shut: a long file outlasts a restriction
            cells = [_cells(row, words) for row, words in zip(rows, words_for(rows, tab, today, gates), strict=True)]
        yield from cells


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
        *(_shut_cells(words) if words.shut else _person_cells(row, words)),
        words.hips,
        *hips,
        words.why.words,
        words.why.second if not words.shut else "; ".join(filter(None, (words.why.second, gate_address(patient.pk)))),
        words.days_late or None,
        words.next,
        words.since,
        words.last,
        words.last_second,
        words.snoozed_until,
    ]


def _person_cells(row: Row, words: RowWords) -> list[Cell]:
    patient = row.patient
    names = [patient.record_number, patient.family_name, patient.given_name, patient.born_on]
    ways = [str(_LANGUAGES.get(patient.language, patient.language)), words.telephone, patient.email, words.mail]
    return [*names, words.clinic, words.clinician, *ways]


def _shut_cells(words: RowWords) -> list[Cell]:
    """The row of a restricted record says that it is one, where it is opened, and nobody's name."""
    return [words.number, words.name, words.born, None, words.clinic, words.clinician, "", "", "", ""]


def _hip_cells(row: Row, side: str) -> tuple[Cell, Cell]:
    hip = row.hips.get(side)
    return (str(PATHWAYS.get(hip.pathway, hip.pathway)), hip.due_on) if hip else ("", None)


def _csv(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """Sent while it is read. UTF-8 with a byte order mark, so that spreadsheets read names right; dates 2026-11-22."""
    return StreamingHttpResponse(_csv_lines(headings, rows))


def _csv_lines(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> Iterator[bytes]:
    line = _Line()
    writer = csv.writer(line)
    writer.writerow(headings)
    yield f"\ufeff{line.text}".encode()
    for row in rows:
        writer.writerow([harmless(cell) for cell in row])
        yield line.text.encode()


class _Line:
    """What the writer of csv writes to: it holds the last line."""

    text = ""

    def write(self, text: str) -> None:
        self.text = text


def _xlsx(headings: Sequence[str], rows: Iterable[Sequence[Cell]]) -> StreamingHttpResponse:
    """Sent while it is read, as the CSV is."""
    return StreamingHttpResponse(_xlsx_pieces(headings, iter(rows), title=_("Worklist")))


def _xlsx_pieces(headings: Sequence[str], rows: Iterator[Sequence[Cell]], *, title: str) -> Iterator[bytes]:
    """A book whose one sheet is put together from the sheets of small books; all else is that of the last of them."""
    sent, written = _Sent(), 0
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as book:
        with book.open(SHEET, "w") as sheet:
            head, _rows, _tail = _cut(_small_book(headings, [], title=title, first=1))
            sheet.write(head)
            yield sent.take()
            while together := list(islice(rows, TOGETHER)):
                sheet.write(_cut(_small_book(headings, together, title=title, first=written + 1))[1])
                written += len(together)
                yield sent.take()
            last = _small_book(headings, [[A_DATE]], title=title, first=1, length=max(written, 1))
            sheet.write(_cut(last)[2])
        with zipfile.ZipFile(io.BytesIO(last)) as rest:
            for name in rest.namelist():
                if name != SHEET:
                    book.writestr(name, rest.read(name))
    yield sent.take()


class _Sent(io.RawIOBase):
    """What a file is written to that is sent in pieces; it cannot be gone back in."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def write(self, piece: Any) -> int:
        self._pieces.append(bytes(piece))
        return len(piece)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _cut(book: bytes) -> tuple[bytes, bytes, bytes]:
    """The sheet of a book up to its headings, the rows beneath, and the end."""
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        sheet = DIMENSION.sub(b"", parts.read(SHEET))
    head, mark, rest = sheet.partition(b"</row>")
    rows, end, tail = rest.partition(b"</sheetData>")
    return head + mark, rows, end + tail


def _small_book(
    headings: Sequence[str], rows: Iterable[Sequence[Cell]], *, title: str, first: int, length: int = 1
) -> bytes:
    """A book with the headings, and the rows from line `first` on; filters for `length` rows. Texts are written as
    texts: no cell is ever a formula or a link."""
    file = io.BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = xlsxwriter.Workbook(file, {"constant_memory": True, **plain})
    sheet = book.add_worksheet(title)
    bold, day = book.add_format({"bold": True}), book.add_format({"num_format": "yyyy-mm-dd"})
    sheet.freeze_panes(1, 0)
    sheet.set_column(0, len(headings) - 1, 18)
    for column, heading in enumerate(headings):
        sheet.write_string(0, column, heading, bold)
    for number, row in enumerate(rows, start=first):
        for column, cell in enumerate(row):
            _write_cell(sheet, number, column, cell, day)
    sheet.autofilter(0, 0, length, len(headings) - 1)
    book.close()
    return file.getvalue()


def _write_cell(sheet: Any, row: int, column: int, cell: Cell, day: Any) -> None:
    if isinstance(cell, date):
        sheet.write_datetime(row, column, cell, day)
    elif isinstance(cell, int):
        sheet.write_number(row, column, cell)
    elif cell:
        sheet.write_string(row, column, cell)


Answer = Callable[[Sequence[str], Iterable[Sequence[Cell]]], StreamingHttpResponse]
KINDS: Final[dict[str, tuple[Answer, str]]] = {
    "csv": (_csv, "text/csv; charset=utf-8"),
    "xlsx": (_xlsx, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}
