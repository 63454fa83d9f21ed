"""At once: several short lists, and lengths of lists, in one statement.

A page that shows eight short lists would otherwise wait for eight answers, and each statement has a price however
little it finds. A list travels as JSON and comes out as its queryset would have given it: the same rows, in the same
order, of the same types. Lists that are asked for again and again are `Kept`: the ORM compiles them once a process,
PostgreSQL plans them once a connection.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson
from django.core.exceptions import EmptyResultSet
from django.db import connection
from django.db.models import QuerySet
from django.db.models.query import ValuesListIterable
from django.db.models.sql.compiler import SQLCompiler
from psycopg import sql

from . import prepared

# By the kind of a column: how its text becomes what the column holds. What is not named here JSON has as it is.
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "DateField": date.fromisoformat,
    "DateTimeField": datetime.fromisoformat,
    "DecimalField": Decimal,
    "TimeField": time.fromisoformat,
    "UUIDField": UUID,
}
_AS_TEXT: Final = ("JSONField", "DecimalField")  # a JSON field reads text itself; a decimal keeps its places
_MOST_COLUMNS: Final = 100  # that PostgreSQL's functions take


@dataclass(frozen=True, slots=True)
class Length:
    """How long a list is, where nothing else of it is wanted."""

    of: QuerySet[Any]


Question = QuerySet[Any] | Length


def read_at_once(*asked: Question) -> list[Any]:
    """For each of these its rows as a list, or its length. What must be empty is not asked for."""
    parts = [_part_of(one) for one in asked]
    sent = [part.sql for part in parts if part.sql]
    if not sent:
        return _told(parts, ())
    with connection.cursor() as cursor:
        cursor.execute(_together(sent), [value for part in parts for value in part.values])
        return _told(parts, cursor.fetchone() or ())


class Kept:
    """Questions that are compiled once a process; what varies are `slots`, by name and kind.

    Kinds are `list` (of keys, compared by `__in`), `int`, `str`, `date` and `datetime`. `questions` is called with
    a stand-in for each, which must reach the statement as it is: nothing may be reckoned from it. Nor may a question
    rest on the current time zone, which would be kept too. Where a list of keys is empty, what it makes empty is not
    asked for.
    """

    def __init__(self, questions: Callable[..., Sequence[Question]], **slots: type) -> None:
        self.questions, self.slots = questions, slots
        self.forms: dict[tuple[str, ...], _Form] = {}

    def read(self, **given: Any) -> list[Any]:
        """As `read_at_once`, with these values in the slots."""
        empty = tuple(name for name, kind in self.slots.items() if kind is list and not given[name])
        if empty not in self.forms:
            self.forms[empty] = _Form(self.questions, self.slots, empty)
        return self.forms[empty].read(given)


def _together(sent: Sequence[str]) -> str:
    return f"SELECT {', '.join(sent)}"  # each as Django has compiled it


def _told(parts: "Sequence[_Part]", answered: Sequence[Any]) -> list[Any]:
    answers = iter(answered)
    return [part.told(next(answers) if part.sql else None) for part in parts]


class _Part:
    """One question as a part of the statement; without `sql` the answer is known to be empty."""

    sql = ""
    values: Sequence[Any] = ()

    def told(self, answer: Any) -> Any:
        raise NotImplementedError


def _part_of(asked: Question) -> _Part:
    return _LengthPart(asked.of) if isinstance(asked, Length) else _RowsPart(asked)


class _LengthPart(_Part):
    def __init__(self, rows: QuerySet[Any]) -> None:
        try:
            inner, self.values = rows.order_by().values("pk").query.sql_with_params()
            self.sql = f"(SELECT count(*) FROM ({inner}) q)"  # noqa: S608 - as Django has compiled it
        except EmptyResultSet:
            return

    def told(self, answer: int | None) -> int:
        return answer or 0


class _RowsPart(_Part):
    def __init__(self, rows: QuerySet[Any]) -> None:
        self.rows = rows.all()
        self.compiler = _Answered(self.rows.query, connection, None)
        try:
            inner, self.values = self.compiler.as_sql()
        except EmptyResultSet:
            return
        kinds = [column.output_field.get_internal_type() for column, _sql, _alias in self.compiler.select]
        if len(kinds) > _MOST_COLUMNS:
            raise ValueError(f"{self.rows.model.__name__} with {len(kinds)} columns: name those that are wanted.")
        self.readers = [(at, _READ[kind]) for at, kind in enumerate(kinds) if kind in _READ]
        converters = self.compiler.get_converters([column for column, _sql, _alias in self.compiler.select])
        self.is_plain = self.rows._iterable_class is ValuesListIterable and not converters  # nothing is left to Django
        names = [f"c{at}" for at in range(len(kinds))]
        told = ", ".join(f"{name}::text" if kind in _AS_TEXT else name for name, kind in zip(names, kinds, strict=True))
        self.sql = f"(SELECT json_agg(json_build_array({told}))::text FROM ({inner}) q ({', '.join(names)}))"  # noqa: S608

    def told(self, answer: str | None) -> list[Any]:
        """The queryset makes its rows itself, of what its compiler says has been read."""
        if not answer:
            return []
        found = orjson.loads(answer)
        for row in found:
            for at, read in self.readers:
                if row[at] is not None:
                    row[at] = read(row[at])
        if self.is_plain:
            return list(map(tuple, found))
        compiler, rows = copy(self.compiler), self.rows.all()
        compiler.answer = found
        rows.query.get_compiler = lambda *_args, **_named: compiler  # type: ignore[method-assign]
        return list(rows)


class _Answered(SQLCompiler):
    """A compiler whose statement has been answered already."""

    answer: list[list[Any]]
    converters: Any = None

    def get_converters(self, expressions: Any) -> Any:
        """Django asks each time; they are always those of the same columns."""
        if self.converters is None:
            self.converters = super().get_converters(expressions)
        return self.converters

    def execute_sql(self, *_args: Any, **_named: Any) -> Any:
        return [self.answer]


# ---- What is kept

_MARK: Final = re.compile(r"%%|%s")
_FIRST: Final = 4_700_000_000_000_000_000  # no key of a row


def _stand_in(kind: type, number: int) -> Any:
    moment = datetime(9001 + number, 1, 1, tzinfo=UTC)
    key = _FIRST + number
    known = {list: [key], int: key, str: f"stand-in {key}", date: moment.date(), datetime: moment}
    return known[kind]


class _Form:
    """The statement with the places of its slots."""

    def __init__(
        self, questions: Callable[..., Sequence[Question]], slots: Mapping[str, type], empty: Sequence[str]
    ) -> None:
        stand_ins = {name: _stand_in(kind, number) for number, (name, kind) in enumerate(slots.items())}
        asked = questions(**{name: [] if name in empty else value for name, value in stand_ins.items()})
        self.parts = [_part_of(one) for one in asked]
        slot_of = {value[0] if isinstance(value, list) else value: name for name, value in stand_ins.items()}
        self.names: list[str] = []  # of the slots, in the order of their places
        for part in self.parts:
            if "AT TIME ZONE" in part.sql:
                raise ValueError("A question that rests on the current time zone cannot be kept.")
            found = [slot_of.get(value, "") if isinstance(value, int | str | date) else "" for value in part.values]
            self.names += filter(None, found)
            places = [
                _place(slots[name]) if name else _literal(one) for name, one in zip(found, part.values, strict=True)
            ]
            part.sql = _with_places(part.sql, places)
        sent = [part.sql for part in self.parts if part.sql]
        self.statement = _together(sent) if sent else ""
        missing = set(slots) - set(self.names)
        if missing and not empty:  # what is not asked may be where it stands
            raise ValueError(f"No question has {', '.join(sorted(missing))} in it as it is given.")

    def read(self, given: Mapping[str, Any]) -> list[Any]:
        if not self.statement:
            return _told(self.parts, ())
        values = [_as_text(given[name]) for name in self.names]
        return _told(self.parts, prepared.rows_of(self.statement, values)[0])


def _as_text(value: Any) -> Any:
    """Keys as text: psycopg tells small numbers from large ones, and a statement would be prepared for each kind."""
    if isinstance(value, list):
        return f"{{{','.join(map(str, value))}}}"
    return str(value) if isinstance(value, int) else value


def _place(kind: type) -> str:
    return "%s::bigint[]" if kind is list else "%s"


def _literal(value: Any) -> str:
    """What never varies stands in the statement itself, so that PostgreSQL plans with it."""
    connection.ensure_connection()
    return sql.Literal(value).as_string(connection.connection).replace("%", "%%")


def _with_places(statement: str, places: Sequence[str]) -> str:
    """Where a list of one key was compared, any number of them is, as one array."""
    following = iter(places)
    marked = _MARK.sub(lambda mark: next(following) if mark.group() == "%s" else mark.group(), statement)
    return marked.replace("IN (%s::bigint[])", "= ANY(%s::bigint[])")
