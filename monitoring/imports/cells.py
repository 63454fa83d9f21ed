"""Cells: what a person typed into a cell as a value of its column, or a sentence saying why it cannot be one."""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext as _

from .columns import Column, Kind, spelled


class DateOrder(StrEnum):
    """How the file writes dates. ISO can be read in one way only; the others must be chosen."""

    ISO = "iso"
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


class CellRefused(ValueError):
    """The cell does not hold a value of its column; the text says why."""


_YES: Final = frozenset({"yes", "y", "true", "1", "ja", "j"})
_NO: Final = frozenset({"no", "n", "false", "0", "nein"})
_UNKNOWN: Final = frozenset({"unknown", "unbekannt", "n/a", "na", "n.a.", "?", "-"})
_ISO: Final = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ]00:00(?::00(?:\.0+)?)?)?")
_WRITTEN: Final = re.compile(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})")
_SHORT_YEAR: Final = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2}")
_THOUSANDS: Final = re.compile(r"[-+]?[1-9]\d{0,2}(,\d{3})+")
_NUMBER: Final = re.compile(r"[-+]?\d+([.,]\d+)?")
_SEVERAL: Final = re.compile(r"[|;,\n]")


def read_cell(column: Column, written: Any, order: DateOrder) -> Any:
    """The value, or None for an empty cell and for “unknown”. Raises CellRefused."""
    if isinstance(written, bool) and column.kind is Kind.YES_NO:
        return written
    if isinstance(written, datetime | date):
        return _typed_date(column, written)
    text = as_text(written)
    if not text:
        return None
    if text.startswith("=") or (text.startswith("#") and text.endswith(("!", "?", "/0", "N/A"))):
        raise CellRefused(_("“%(text)s” is a formula or its error; write the value itself.") % {"text": text[:40]})
    if column.kind is Kind.TEXT:
        return text
    if text.lower() in _UNKNOWN:
        return None
    if column.kind is Kind.DATE:
        return read_date(text, order)
    return _READERS[column.kind](column, text)


def as_text(written: Any) -> str:
    """A cell of a CSV file or a workbook as trimmed text; 12345.0 of a workbook is 12345."""
    if written is None:
        return ""
    if isinstance(written, bool):
        return "yes" if written else "no"
    if isinstance(written, float):
        return str(int(written)) if written.is_integer() else repr(written)
    return str(written).replace("\u00a0", " ").strip()


def _typed_date(column: Column, written: date) -> Any:
    if column.kind is not Kind.DATE:
        raise CellRefused(_("This cell is formatted as a date; format it as text."))
    return written.date() if isinstance(written, datetime) else written


def read_date(text: str, order: DateOrder) -> date:
    """A calendar day. Raises CellRefused also for what could be two different days."""
    if iso := _ISO.fullmatch(text):
        year, month, day = map(int, iso.groups())
        return _day(text, year, month, day)
    if _SHORT_YEAR.fullmatch(text):
        raise CellRefused(_("“%(text)s”: write the year with four digits.") % {"text": text})
    if not (written := _WRITTEN.fullmatch(text)):
        raise CellRefused(_("“%(text)s” is no date; write it like 2025-04-03.") % {"text": text[:40]})
    first, second, year = map(int, written.groups())
    if order is DateOrder.ISO and max(first, second) > 12:  # no month, so it is read in one way only
        raise CellRefused(
            _("“%(text)s” is not written as said of this file; write it like 2025-04-03, or say how it writes dates.")
            % {"text": text}
        )
    if order is DateOrder.ISO:
        raise CellRefused(
            _("“%(text)s” can be read in two ways; write it like 2025-04-03, or say how this file writes dates.")
            % {"text": text}
        )
    day, month = (first, second) if order is DateOrder.DAY_FIRST else (second, first)
    return _day(text, year, month, day)


def _day(text: str, year: int, month: int, day: int) -> date:
    try:
        return date(year, month, day)
    except ValueError:
        raise CellRefused(_("“%(text)s” is no day of the calendar.") % {"text": text}) from None


def _read_number(column: Column, text: str) -> Decimal:
    if _THOUSANDS.fullmatch(text):
        raise CellRefused(
            _("“%(text)s” can be read as thousands or as a decimal comma; write it without comma or with a point.")
            % {"text": text}
        )
    if not _NUMBER.fullmatch(text):
        raise CellRefused(_("“%(text)s” is no number; write the number alone, like 12.5.") % {"text": text[:40]})
    try:
        value = Decimal(text.replace(",", "."))
    except InvalidOperation:  # pragma: no cover - the pattern admits only what Decimal reads
        raise CellRefused(_("“%(text)s” is no number.") % {"text": text[:40]}) from None
    if column.attribute == "lesion_volume_percent" and 0 < value < 1:
        raise CellRefused(
            _("%(value)s is less than one percent of the head. For %(percent)s %% write %(percent)s.")
            % {"value": value, "percent": (value * 100).normalize()}
        )
    return value


def _read_whole(column: Column, text: str) -> int:
    value = _read_number(column, text)
    if value != value.to_integral_value():
        raise CellRefused(_("“%(text)s”: write a whole number.") % {"text": text})
    return int(value)


def _read_yes_no(column: Column, text: str) -> bool:
    word = text.lower()
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise CellRefused(_("“%(text)s”: write yes or no, or leave it empty.") % {"text": text[:40]})


def _read_code(column: Column, text: str) -> str:
    code = column.codes.written.get(spelled(text))
    if code is None:
        raise CellRefused(
            _("“%(text)s” is not among %(codes)s.") % {"text": text[:40], "codes": ", ".join(column.allowed)}
        )
    return code


def _read_codes(column: Column, text: str) -> list[str]:
    parts = [part.strip() for part in _SEVERAL.split(text)]
    return list(dict.fromkeys(_read_code(column, part) for part in parts if part))


_READERS: Final[dict[Kind, Callable[[Column, str], Any]]] = {
    Kind.NUMBER: _read_number,
    Kind.WHOLE: _read_whole,
    Kind.YES_NO: _read_yes_no,
    Kind.ONE_OF: _read_code,
    Kind.SOME_OF: _read_codes,
}
