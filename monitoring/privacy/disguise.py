"""Disguise: pseudonyms, shifted dates, bands of age and small cells, so that an export names nobody. Pure.

What is keyed (pseudonym and shift) is the same in each export of an installation and cannot be computed without its
key; whoever has the key can undo it.
"""

import hashlib
import hmac
from base64 import b32encode
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import date, timedelta
from typing import Final, TypeVar

SMALLEST: Final = 5  # people; a cell of fewer is not told
MOST_DAYS: Final = 183  # by which dates are shifted, either way
BAND: Final = 10  # years
T = TypeVar("T", bound=Hashable)


def _digest(key: str, purpose: str, clinic_id: int, patient_id: int) -> bytes:
    text = f"hipwatch research {purpose} {clinic_id} {patient_id}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()


def pseudonym(key: str, clinic_id: int, patient_id: int) -> str:
    """80 bits of a keyed hash, as letters and digits."""
    return b32encode(_digest(key, "pseudonym", clinic_id, patient_id)[:10]).decode()


def shift_of(key: str, clinic_id: int, patient_id: int) -> timedelta:
    """By how much all dates of this patient are shifted: 1 to MOST_DAYS days, earlier or later, never 0."""
    number = int.from_bytes(_digest(key, "shift", clinic_id, patient_id)[:8]) % (2 * MOST_DAYS)
    return timedelta(days=number - MOST_DAYS if number < MOST_DAYS else number - MOST_DAYS + 1)


def age_band(born_on: date | None, on: date) -> str:
    """Ten years of age; the youngest and the oldest in one band each."""
    if born_on is None:
        return ""
    age = on.year - born_on.year - ((on.month, on.day) < (born_on.month, born_on.day))
    if age < 20:
        return "under 20"
    if age >= 80:
        return "80 and over"
    low = age // BAND * BAND
    return f"{low}-{low + BAND - 1}"


def common(values: Iterable[Iterable[T]], *, smallest: int = SMALLEST) -> frozenset[T]:
    """The values that at least `smallest` people have."""
    counts = Counter(value for held in values for value in set(held))
    return frozenset(value for value, count in counts.items() if count >= smallest)


def told_cells(cells: Mapping[int, tuple[str, ...]], *, smallest: int = SMALLEST) -> dict[int, tuple[str, ...]]:
    """Each person's cell with as many of its parts blanked, from the last, as make it shared by `smallest` people.

    A cell that is small only once others were blanked is blanked too, so that no cell of the result is small unless
    all people together are.
    """
    told = dict(cells)
    width = max((len(cell) for cell in cells.values()), default=0)
    for part in range(width - 1, -1, -1):
        told = _blanked(told, _blank(part), smallest)
    return told


def _blank(part: int) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    return lambda cell: tuple("" if at >= part else value for at, value in enumerate(cell))


def _blanked(
    cells: dict[int, tuple[str, ...]], blank: Callable[[tuple[str, ...]], tuple[str, ...]], smallest: int
) -> dict[int, tuple[str, ...]]:
    """Small cells blanked by one part; where what they become is small again, the smallest cell beside joins them."""
    while True:
        counts = Counter(cells.values())
        small = {cell for cell, count in counts.items() if count < smallest and cell != blank(cell)}
        rests = {cell for cell, count in counts.items() if count < smallest and cell == blank(cell)}
        for rest in rests:
            beside = [cell for cell in counts if blank(cell) == rest and cell != rest]
            small |= set(sorted(beside, key=lambda cell: (counts[cell], cell))[:1])
        if not small:
            return cells
        cells = {pk: blank(cell) if cell in small else cell for pk, cell in cells.items()}
