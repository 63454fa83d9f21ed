"""Disguise: pseudonyms and shifts need the key, and no cell of few people is told."""

from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from monitoring.privacy.disguise import MOST_DAYS, age_band, common, pseudonym, shift_of, told_cells

CELLS = st.dictionaries(
    st.integers(1, 200),
    st.tuples(st.sampled_from(["female", "male", "other"]), st.sampled_from(["20-29", "30-39", "40-49", ""])),
    max_size=60,
)


@given(st.integers(1, 10**9))
def test_a_shift_is_constant_and_never_nothing(patient: int) -> None:
    shift = shift_of("key", 1, patient)
    assert shift == shift_of("key", 1, patient)
    assert 1 <= abs(shift.days) <= MOST_DAYS


def test_without_the_key_nobody_is_recognised() -> None:
    assert pseudonym("key", 1, 7) != pseudonym("another", 1, 7)
    assert len({pseudonym("key", 1, patient) for patient in range(1000)}) == 1000


@given(CELLS)
def test_no_cell_of_few_is_told(cells: dict[int, tuple[str, str]]) -> None:
    told = told_cells(cells)
    assert told.keys() == cells.keys()
    counts = Counter(told.values())
    assert all(count >= 5 or not any(cell) for cell, count in counts.items())
    assert counts[("", "")] >= 5 or counts[("", "")] in (0, len(cells))


@given(CELLS)
def test_what_is_told_is_true_or_blank(cells: dict[int, tuple[str, str]]) -> None:
    told = told_cells(cells)
    assert all(said in ("", true) for pk in cells for said, true in zip(told[pk], cells[pk], strict=True))


def test_large_cells_are_told_whole() -> None:
    cells = dict.fromkeys(range(5), ("female", "30-39")) | dict.fromkeys(range(5, 10), ("male", "40-49"))
    assert told_cells(cells) == cells


def test_rare_values_are_not_common() -> None:
    assert common([{"sle"}] * 5 + [{"hiv"}] * 4) == {"sle"}


def test_ages_come_in_bands() -> None:
    on = date(2026, 6, 1)
    born = [date(1996, 6, 1), date(1996, 6, 2), date(2010, 1, 1), date(1940, 1, 1), None]
    assert [age_band(day, on) for day in born] == ["30-39", "20-29", "under 20", "80 and over", ""]
