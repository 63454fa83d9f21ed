"""The table of OWASP ASVS in docs/security.md: every requirement once, and what it points to exists."""

import re
from collections import Counter

from tests.conftest import PROJECT

PAGE = (PROJECT / "docs" / "security.md").read_text()
ROWS = re.findall(r"^\| (V\d[^|]*) \| ([a-z ]+) \| (.*) \|$", PAGE, re.MULTILINE)
STATES = {"met", "partly", "not met", "operator", "none"}
# Requirements of levels 1 and 2 in ASVS 5.0.0, by chapter, as its list has them.
OF_CHAPTER = dict(enumerate((27, 11, 19, 10, 9, 35, 18, 7, 7, 29, 14, 9, 13, 9, 13, 16, 7), start=1))


def numbers():
    return [number for ids, _state, _words in ROWS for number in ids.split(", ")]


def test_every_requirement_of_the_second_level_has_its_answer_once():
    assert len(numbers()) == len(set(numbers())) == 253
    assert Counter(int(number[1:].split(".")[0]) for number in numbers()) == OF_CHAPTER
    assert {state for _ids, state, _words in ROWS} <= STATES


def test_the_sum_above_the_table_is_that_of_the_table():
    counts = Counter()
    for ids, state, _words in ROWS:
        counts[state] += len(ids.split(", "))
    parts = [f"{counts[state]} {state}" for state in ("met", "partly", "not met")]
    assert f"{', '.join(parts)}, {counts['operator']} the operator's" in PAGE


def test_what_the_page_points_to_exists():
    files = set(re.findall(r"`((?:config|monitoring|patients|schedules|tests)/[\w./-]+)`", PAGE))
    pages = {f"docs/{name}" for name in re.findall(r"\]\((\w+\.md)\)", PAGE)}
    assert len(files) > 40
    assert sorted(one for one in files | pages if not (PROJECT / one).exists()) == []
