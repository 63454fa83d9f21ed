"""Registry file: a CSV file or an Excel workbook as rows under known columns, whatever its encoding and delimiter."""

import codecs
import csv
import difflib
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from . import workbook_limits
from .cells import as_text
from .columns import BY_NAME, REQUIRED, spelled

MAX_ROWS: Final = 100_000
ENDINGS: Final = ("csv", "txt", "tsv", "xlsx")
EXAMPLES: Final = 3
ROWS_FOR_EXAMPLES: Final = 200
MAX_COLUMNS: Final = 500
DELIMITERS: Final = {",": "comma", ";": "semicolon", "\t": "tab"}
_ZIP: Final = b"PK\x03\x04"
_KNOWN_OTHERS: Final = {
    b"\xd0\xcf\x11\xe0": "an Excel file of the old kind (.xls) or a protected one; save it as .xlsx or CSV",
    b"%PDF": "a PDF",
    b"\x1f\x8b": "a compressed file; unpack it first",
    b"{\\rtf": "a text document",
}


class ImportRefused(ValueError):
    """The file as a whole cannot be imported; the text says why and what to do. Nothing was saved."""


@dataclass(frozen=True)
class Row:
    """One row: `line` as an editor shows it (the heading is 1), cells by column, and what is wrong with its shape."""

    line: int
    cells: Mapping[str, Any]
    fault: str = ""


@dataclass(frozen=True)
class RegistryFile:
    """An opened file: what was found out about it, and its bytes, from which rows are read as often as wanted."""

    content: bytes
    columns: tuple[str, ...]  # by position
    says: tuple[str, ...]  # what the person who imports should know
    encoding: str = ""  # empty: a workbook
    delimiter: str = ","

    def rows(self) -> Iterator[Row]:
        """The rows that say anything, one at a time. Raises ImportRefused where the file breaks off."""
        for number, (line, cells) in enumerate(self._lines(), start=-1):
            if number >= MAX_ROWS:
                raise ImportRefused(_("The file has more than %(rows)s rows; divide it.") % {"rows": f"{MAX_ROWS:,}"})
            if number >= 0:
                yield self._row(line, cells)

    def count(self) -> int:
        return sum(1 for _row in self.rows())

    def _lines(self) -> Iterator[tuple[int, Sequence[Any]]]:
        if self.encoding:
            return _csv_lines(self.content, self.encoding, self.delimiter)
        return _sheet_lines(self.content)

    def _row(self, line: int, cells: Sequence[Any]) -> Row:
        extra = [cell for cell in cells[len(self.columns) :] if as_text(cell)]
        named = {name: cell for name, cell in zip(self.columns, cells, strict=False) if name}
        if extra:
            return Row(line, named, _("The row has more cells than the heading; a text with a delimiter needs quotes."))
        return Row(line, named)


@dataclass(frozen=True)
class Table:
    """A file whose headings need not be ours: each heading once, numbered where it repeats, with cells beneath it."""

    titles: tuple[str, ...]
    examples: tuple[tuple[str, ...], ...]
    says: tuple[str, ...]


def check_ending(name: str, content: bytes) -> None:
    """Raise ImportRefused where the name promises something else than the content is."""
    ending = name.rpartition(".")[2].lower()
    if ending not in ENDINGS or (ending == "xlsx") != content.startswith(_ZIP):
        raise ImportRefused(_("The name of the file does not fit what is in it; .csv, .txt, .tsv and .xlsx are taken."))


def open_file(content: bytes, *, mapping: Mapping[str, str] | None = None) -> RegistryFile:
    """Find out what the file is, by its content. `mapping`: the file's heading -> our column, "" to leave it out.

    Raises ImportRefused for what is too large, empty, no table, or does not have the columns.
    """
    heading, raw = _opened(content, mapping or {})
    return replace(raw, columns=_named(heading, mapping or {}))


def read_table(content: bytes) -> Table:
    """The headings as they stand in the file, with up to EXAMPLES different cells of each. Raises ImportRefused."""
    heading, raw = _opened(content, {})
    places = tuple(str(place) for place in range(len(heading)))
    found: dict[str, dict[str, None]] = {place: {} for place in places}
    for row in islice(replace(raw, columns=places).rows(), ROWS_FOR_EXAMPLES):
        for place, cell in row.cells.items():
            shown = cell.date() if isinstance(cell, datetime) else cell
            if (text := as_text(shown)) and len(found[place]) < EXAMPLES:
                found[place][text[:60]] = None
    return Table(tuple(_told_apart(heading)), tuple(tuple(found[place]) for place in places), raw.says)


def _opened(content: bytes, mapping: Mapping[str, str]) -> tuple[list[str], RegistryFile]:
    """The heading, and the file with no column named yet."""
    limit: int = settings.IMPORT_MAX_BYTES
    if len(content) > limit:
        raise ImportRefused(_("The file is larger than %(size)s MB; divide it.") % {"size": limit // 1024 // 1024})
    if not content.strip():
        raise ImportRefused(_("The file is empty."))
    for magic, what in _KNOWN_OTHERS.items():
        if content.startswith(magic):
            raise ImportRefused(_("This is no CSV file or Excel workbook but %(what)s.") % {"what": what})
    if content.startswith(_ZIP):
        _check_workbook(content)
        heading = _heading(_sheet_lines(content))
        return heading, RegistryFile(content, (), (_("Excel workbook, first sheet."),))
    encoding, says = _encoding_of(content)
    delimiter = _delimiter_of(content, encoding, mapping)
    heading = _heading(_csv_lines(content, encoding, delimiter))
    return heading, RegistryFile(content, (), says, encoding, delimiter)


def _told_apart(heading: Sequence[str]) -> list[str]:
    """Each heading with what tells it from others alike, so that a mapping can name it."""
    seen: Counter[str] = Counter()
    titles = []
    for place, title in enumerate(heading, start=1):
        seen[spelled(title)] += 1
        again = seen[spelled(title)]
        titles.append(f"column {place}" if not title else f"{title} ({again})" if again > 1 else title)
    return titles


def _heading(lines: Iterator[tuple[int, Sequence[Any]]]) -> list[str]:
    first = next(lines, None)
    if first is None:
        raise ImportRefused(_("The file is empty."))
    if len(first[1]) > MAX_COLUMNS:
        raise ImportRefused(_("The heading has more than %(most)s columns.") % {"most": MAX_COLUMNS})
    if next(lines, None) is None:
        raise ImportRefused(_("The file has a heading but no rows."))
    return [as_text(cell) for cell in first[1]]


def _named(heading: Sequence[str], mapping: Mapping[str, str]) -> tuple[str, ...]:
    """Our column for each of the file's, by position. Raises ImportRefused naming all that is wrong."""
    chosen = {spelled(theirs): ours for theirs, ours in mapping.items()}
    names = [
        chosen.get(spelled(apart), chosen.get(spelled(title), spelled(title)))
        for title, apart in zip(heading, _told_apart(heading), strict=True)
    ]
    faults: list[str] = []
    unknown = [title for title, name in zip(heading, names, strict=True) if name and name not in BY_NAME]
    if unknown:
        listed = "; ".join(_with_suggestion(title) for title in unknown[:20])
        text = ngettext("This column is not known: %(c)s.", "These columns are not known: %(c)s.", len(unknown))
        faults.append(text % {"c": listed})
    missing = [name for name in REQUIRED if name not in names]
    if missing:
        text = ngettext("This column is missing: %(c)s.", "These columns are missing: %(c)s.", len(missing))
        faults.append(text % {"c": ", ".join(missing)})
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        faults.append(_("These columns stand there twice: %(c)s.") % {"c": ", ".join(twice)})
    if faults:
        raise ImportRefused(" ".join(faults))
    return tuple(names)


def _with_suggestion(title: str) -> str:
    near = difflib.get_close_matches(spelled(title), BY_NAME, n=1, cutoff=0.75)
    shown = title[:60] or _("(without a name)")
    return _("%(title)s (did you mean %(near)s?)") % {"title": shown, "near": near[0]} if near else shown


# ---- CSV


def _encoding_of(content: bytes) -> tuple[str, tuple[str, ...]]:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        if _decodes(content, "utf-16"):
            return "utf-16", (_("Read as UTF-16."),)
    elif b"\0" in content:
        raise ImportRefused(_("This is no text file: it holds zero bytes. Save the table as CSV (UTF-8) or as .xlsx."))
    elif _decodes(content, "utf-8-sig"):
        return "utf-8-sig", (_("Read as UTF-8."),)
    elif _decodes(content, "cp1252"):
        return "cp1252", (_("Read as Windows-1252 (Latin-1), since it is not UTF-8: look at the umlauts and accents."),)
    raise ImportRefused(_("The encoding of this file cannot be told. Save the table as CSV (UTF-8)."))


def _decodes(content: bytes, encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        for start in range(0, len(content), 1 << 20):
            decoder.decode(content[start : start + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _delimiter_of(content: bytes, encoding: str, mapping: Mapping[str, str]) -> str:
    """The delimiter under which the heading has most known columns."""
    known = set(BY_NAME) | {spelled(theirs) for theirs in mapping}

    def hits(delimiter: str) -> tuple[int, int]:
        try:
            _line, cells = next(_csv_lines(content, encoding, delimiter), (1, []))
        except ImportRefused:
            return (0, 0)
        return (sum(spelled(cell) in known for cell in cells), len(cells))

    return max(DELIMITERS, key=hits)


def _csv_lines(content: bytes, encoding: str, delimiter: str) -> Iterator[tuple[int, Sequence[Any]]]:
    text = io.TextIOWrapper(io.BytesIO(content), encoding=encoding, newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, [unicodedata.normalize("NFC", cell) for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise ImportRefused(
            _("The file breaks off at line %(line)s (%(error)s); is a quotation mark left open there?")
            % {"line": line, "error": error}
        ) from None


# ---- Excel

_FORMULA: Final = re.compile(rb"""<(?:\w+:)?c\s[^>]*\br=["']([A-Z]+\d+)["'][^>]*>\s*<(?:\w+:)?f[\s>/]""")
_ERROR_CELL: Final = re.compile(rb"""<(?:\w+:)?c\s(?=[^>]*\bt=["']e["'])[^>]*\br=["']([A-Z]+\d+)["']""")


def _check_workbook(content: bytes) -> None:
    """Refuse what would take too much memory, and what the reader would take for an empty cell or a zero."""
    try:
        workbook_limits.check(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            name = _first_sheet(archive)
            with archive.open(name) as sheet:
                found = _search(sheet)
    except workbook_limits.TooMuch:
        raise ImportRefused(_("The workbook is too large when unpacked; save the table as CSV.")) from None
    except (workbook_limits.NotReadable, zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError):
        raise ImportRefused(_("This is no Excel workbook that can be read; save the table as .xlsx or CSV.")) from None
    if found:
        raise ImportRefused(
            _("Cell %(cell)s of the first sheet holds a formula or an error. Copy the table and paste it as values.")
            % {"cell": found}
        )


def _first_sheet(archive: zipfile.ZipFile) -> str:
    workbook = archive.read("xl/workbook.xml")
    relations = archive.read("xl/_rels/workbook.xml.rels")
    first = re.search(rb'<(?:\w+:)?sheet [^>]*\br:id="([^"]+)"', workbook)
    if first is None:
        raise KeyError("sheet")
    for relation in re.findall(rb"<(?:\w+:)?Relationship [^>]*>", relations):
        target = re.search(rb'\bTarget="([^"]+)"', relation)
        if target and b'Id="' + first[1] + b'"' in relation:
            path = target[1].decode()
            return path.lstrip("/") if path.startswith("/") else f"xl/{path}"
    raise KeyError("relation")


def _search(sheet: Any) -> str:
    """The first cell with a formula or an error, reading in pieces that overlap."""
    tail = b""
    while piece := sheet.read(1 << 20):
        text = tail + piece
        for pattern in (_FORMULA, _ERROR_CELL):
            if hit := pattern.search(text):
                return str(hit[1].decode())
        tail = text[-400:]
    return ""


def _sheet_lines(content: bytes) -> Iterator[tuple[int, Sequence[Any]]]:
    from python_calamine import CalamineError, load_workbook

    try:
        with load_workbook(io.BytesIO(content)) as workbook:
            sheet = workbook.get_sheet_by_index(0)
            for line, cells in enumerate(sheet.iter_rows(), start=1):
                if any(as_text(cell) for cell in cells):
                    yield line, [unicodedata.normalize("NFC", c) if isinstance(c, str) else c for c in cells]
    except CalamineError as error:
        raise ImportRefused(_("The workbook cannot be read: %(error)s") % {"error": error}) from None
