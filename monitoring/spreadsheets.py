"""Spreadsheets: texts in tables that go out, so that the program that opens one shows it and calculates nothing."""

from typing import Final, TypeVar

T = TypeVar("T")
WIDE: Final = ("\uff1d", "\uff0b", "\uff0d", "\uff20")  # the same signs in the width of Chinese letters
DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", *WIDE)


def harmless(cell: T) -> T | str:
    """A text that a spreadsheet would take for a formula gets an apostrophe before it. All else is itself."""
    if not isinstance(cell, str):
        return cell
    return f"'{cell}" if cell.lstrip(" ").startswith(DANGEROUS) else cell
