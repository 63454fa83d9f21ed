"""Workbook limits: what an Excel file may measure, found out before a library unpacks it into memory.

The library lays a sheet out as a full rectangle: two cells far apart in a file of 5 kB would ask for more memory than
any machine has, and take the process down. Sizes that the archive states of itself are not believed: every part is
unpacked here, in pieces that are thrown away.
"""

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

MOST_PARTS: Final = 1000
MOST_BYTES: Final = 300 * 1024 * 1024  # unpacked, of all parts
MOST_CELLS: Final = 10_000_000  # of one sheet's rectangle
PIECE: Final = 1 << 20
OVERLAP: Final = 400  # what may be cut at the end of a piece
OTHER_KINDS: Final = frozenset({"xl/workbook.bin", "content.xml", "mimetype"})  # which the library would open as well
LOCAL_HEADER: Final = struct.Struct("<4s22xHH")
_PLACE: Final = re.compile(rb"""\sr=["']([A-Z]{0,4})(\d{1,12})["']""")
_CELL: Final = re.compile(rb"<(?:\w+:)?c[\s/>]")
_ROW: Final = re.compile(rb"<(?:\w+:)?row[\s/>]")
_NO_PLACE: Final = rb"""(?=[\s/>])(?![^>]*\sr=)"""  # of one that does not say where it stands: it follows the last
_BARE_CELL: Final = re.compile(rb"<(?:\w+:)?c" + _NO_PLACE)
_BARE_ROW: Final = re.compile(rb"<(?:\w+:)?row" + _NO_PLACE)


class TooMuch(ValueError):
    """The workbook would take too much memory."""


class NotReadable(ValueError):
    """The file is no workbook of the kind that is read."""


def check(content: bytes) -> None:
    """Raise TooMuch or NotReadable for what must not be unpacked."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, UnicodeDecodeError):
        raise NotReadable from None
    if len(parts) > MOST_PARTS:
        raise TooMuch
    names = [part.filename.replace("\\", "/").lstrip("/").lower() for part in parts]
    if len(set(names)) < len(names) or OTHER_KINDS & set(names):
        raise NotReadable
    left = MOST_BYTES
    for part in parts:
        left -= _measured(_unpacked(content, part), left)


def _measured(pieces: Iterator[bytes], most: int) -> int:
    """How long a part is, once it is known that no sheet in it is too large."""
    length = cells = bare_rows = bare_cells = widest = last_row = last_column = 0
    tail = b""
    for piece in pieces:
        length += len(piece)
        text = tail + piece
        for letters, number in set(_PLACE.findall(text)):
            last_row, last_column = max(last_row, int(number)), max(last_column, _column(letters))
        cells += len(_CELL.findall(piece))
        bare_rows += len(_BARE_ROW.findall(piece))
        first, *others = [len(_BARE_CELL.findall(row)) for row in _ROW.split(piece)]
        bare_cells += first
        widest = max(widest, bare_cells, *others)
        bare_cells = others[-1] if others else bare_cells
        area = (last_row + bare_rows) * (last_column + widest)
        if length > most or max(cells, area) > MOST_CELLS:
            raise TooMuch
        tail = text[-OVERLAP:]
    return length


def _column(letters: bytes) -> int:
    """A is 1, XFD 16,384; a row's own number has no letters."""
    number = 0
    for letter in letters:
        number = number * 26 + letter - 64
    return number


def _unpacked(content: bytes, part: zipfile.ZipInfo) -> Iterator[bytes]:
    """A part as it truly is, whatever length the archive states, in pieces."""
    try:
        mark, name, extra = LOCAL_HEADER.unpack_from(content, part.header_offset)
    except struct.error:
        raise NotReadable from None
    start = part.header_offset + LOCAL_HEADER.size + name + extra
    packed = content[start : start + part.compress_size]
    if mark != b"PK\x03\x04" or part.flag_bits & 1:  # a part that is encrypted
        raise NotReadable
    if part.compress_type == zipfile.ZIP_STORED:
        yield from (packed[at : at + PIECE] for at in range(0, len(packed), PIECE))
    elif part.compress_type == zipfile.ZIP_DEFLATED:
        yield from _inflated(packed)
    else:
        raise NotReadable


def _inflated(packed: bytes) -> Iterator[bytes]:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        while packed and not unpacker.eof:
            yield unpacker.decompress(packed, PIECE)
            packed = unpacker.unconsumed_tail
        yield unpacker.flush()
    except zlib.error:
        raise NotReadable from None
