"""Checks: what must hold across the facts of a record and no schema can say.

No date before birth, no two facts of one id in the whole record, and every `supersedes` names another fact of its
own list, not itself and not in a circle. A `reopened` takes back an ending and is itself never taken back: the hip
is ended again instead.
"""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, NamedTuple

from patients.vocabulary import EndReason


class Problem(NamedTuple):
    """What is wrong, in words, and where, as a JSON path such as `$.hips[0].imaging[2].on`."""

    path: str
    message: str


class Entry(NamedTuple):
    """A fact on its way into the record: where it stands, and those of its values that could be read."""

    path: str
    values: dict[str, Any]


def check_ids(facts: Iterable[Entry]) -> list[Problem]:
    seen: dict[str, str] = {}
    problems = []
    for path, values in facts:
        id = values.get("id")
        if id is None:
            continue
        if id in seen:
            problems.append(Problem(f"{path}.id", f"{id!r} is already the id of {seen[id]}"))
        else:
            seen[id] = path
    return problems


def check_birth(born_on: date | None, patient: dict[str, Any], facts: Iterable[Entry]) -> list[Problem]:
    if born_on is None:
        return []
    dates = [(f"$.patient.{name}", patient.get(name)) for name in ("enrolled_on", "died_on")]
    dates += [(f"{path}.on", values.get("on")) for path, values in facts]
    return [Problem(path, f"{on} is before the birth on {born_on}") for path, on in dates if on and on < born_on]


def check_supersedes(facts: Sequence[Entry]) -> list[Problem]:
    """The chains of one list."""
    if not any(values.get("supersedes") for _, values in facts):
        return []
    names = {values["id"]: values.get("supersedes") for _, values in facts if values.get("id")}
    circular = _in_circles(names)
    problems = []
    for path, values in facts:
        id, named = values.get("id"), values.get("supersedes")
        if named is None:
            continue
        if named == id:
            problems.append(Problem(f"{path}.supersedes", "a fact cannot supersede itself"))
        elif named not in names:
            problems.append(Problem(f"{path}.supersedes", f"{named!r} names no fact of this list"))
        elif id in circular:
            problems.append(Problem(f"{path}.supersedes", f"{named!r} leads back to this fact in a circle"))
    return problems


def _in_circles(names: dict[str, str | None]) -> set[str]:
    """The ids from which following the names comes back to the id itself."""
    circular: set[str] = set()
    done: set[str] = set()
    for start in names:
        trail: list[str] = []
        at: str | None = start
        while at is not None and at in names and at not in done:
            done.add(at)
            trail.append(at)
            at = names[at]
        if at is not None and at in trail:
            circular.update(trail[trail.index(at) :])
    return circular


def check_endings(endings: Sequence[Entry]) -> list[Problem]:
    reasons = {values.get("id"): values.get("reason") for _, values in endings}
    problems = []
    for path, values in endings:
        named = values.get("supersedes")
        reopens = values.get("reason") is EndReason.REOPENED
        if named is None:
            if reopens:
                problems.append(Problem(f"{path}.supersedes", "a reopened must name the ending that it takes back"))
        elif reasons.get(named) is EndReason.REOPENED:
            message = "a reopened ends nothing to take back" if reopens else "a reopened is never superseded: end again"
            problems.append(Problem(f"{path}.supersedes", message))
    return problems
