"""Values: JSON text with its numbers kept as written, and the readers of one value of a record.

A reader takes what JSON gave and returns the value as the guideline uses it, or raises `Wrong` in words.
"""

import json
import re
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NoReturn

Reader = Callable[[Any], Any]
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_ID: Final = 64
DEEPEST: Final = 40  # levels of JSON: ten times what any record has


class Wrong(ValueError):
    """A value that its field refuses: one or more problems, each with the path from the field to it."""

    def __init__(self, message: str, *, others: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.problems = others or (("", message),)


class NotJson(ValueError):
    """Text that is not one JSON value, in words."""


def parse_json(text: str) -> Any:
    """JSON with decimals kept as written. Raises NotJson, also for NaN, Infinity and a key that comes twice."""
    try:
        found = json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant, object_pairs_hook=_once)
    except RecursionError:
        raise NotJson("is nested too deeply") from None
    except (ValueError, ArithmeticError) as error:
        raise NotJson(f"is not JSON: {error}") from None
    _refuse_depth(found)
    return found


def _refuse_depth(found: Any) -> None:
    """Whoever reads it afterwards walks down by calling itself, and must come to the ground."""
    layer = [found]
    for _level in range(DEEPEST):
        layer = [inner for one in layer if isinstance(one, dict | list) for inner in _inside(one)]
        if not layer:
            return
    raise NotJson("is nested too deeply")


def _inside(one: dict[str, Any] | list[Any]) -> Iterable[Any]:
    return one.values() if isinstance(one, dict) else one


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not a JSON number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        raise NotJson(f"the key {next(n for n in names if names.count(n) > 1)!r} comes twice in one object")
    return values


def a_date(raw: Any) -> date:
    if isinstance(raw, str):
        return _date(raw)
    raise Wrong("must be a date such as 2026-03-31")


@lru_cache(maxsize=8192)
def _date(text: str) -> date:
    if not _DATE.fullmatch(text):
        raise Wrong("must be a date such as 2026-03-31")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Wrong(f"{text} is not a day of the calendar") from None


def an_id(raw: Any) -> str:
    if isinstance(raw, str) and 1 <= len(raw) <= _MAX_ID:
        return raw
    raise Wrong(f"must be text of 1 to {_MAX_ID} characters")


def text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    raise Wrong("must be text")


def flag(raw: Any) -> bool | None:
    if raw is None or raw is True or raw is False:
        return raw
    raise Wrong("must be true, false or null")


def number(low: int, high: int) -> Reader:
    """A decimal within bounds, both included. True and false are no numbers."""

    def read(raw: Any) -> Decimal:
        value = _decimal(raw)
        if value is None:
            raise Wrong("must be a number")
        if not low <= value <= high:
            raise Wrong(f"must be {low} to {high}, not {raw}")
        return value

    return read


def whole(low: int, high: int) -> Reader:
    """A whole number within bounds; 1.0 is one."""

    def read(raw: Any) -> int:
        value = _decimal(raw)
        if value is None or not value.is_finite():
            raise Wrong("must be a whole number")
        if not low <= value <= high:
            raise Wrong(f"must be {low} to {high}, not {raw}")
        if value != int(value):
            raise Wrong("must be a whole number")
        return int(value)

    return read


def _decimal(raw: Any) -> Decimal | None:
    if isinstance(raw, Decimal):
        return None if raw.is_nan() else raw
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return Decimal(raw)
    if isinstance(raw, float) and raw == raw:
        return Decimal(repr(raw))
    return None


def one_of(codes: type[StrEnum]) -> Reader:
    members: dict[str, StrEnum] = {member.value: member for member in codes}
    wanted = ", ".join(members)

    def read(raw: Any) -> StrEnum:
        if isinstance(raw, str) and raw in members:
            return members[raw]
        raise Wrong(f"must be one of {wanted}")

    return read


def set_of(codes: type[StrEnum]) -> Reader:
    """A list of different codes, as a set."""
    member = one_of(codes)

    def read(raw: Any) -> frozenset[StrEnum]:
        if not isinstance(raw, list):
            raise Wrong("must be a list")
        found: set[StrEnum] = set()
        problems: list[tuple[str, str]] = []
        for i, item in enumerate(raw):
            try:
                code = member(item)
            except Wrong as wrong:
                problems.append((f"[{i}]", str(wrong)))
                continue
            if code in found:
                problems.append((f"[{i}]", f"{code} comes twice"))
            found.add(code)
        if problems:
            raise Wrong("has wrong codes", others=tuple(problems))
        return frozenset(found)

    return read


def known(read: Reader) -> Reader:
    """The same, or null for what is unknown."""
    return lambda raw: None if raw is None else read(raw)
