"""Prepared: statements that PostgreSQL parses and plans once a connection, several of them to a journey.

A statement must be one and the same text each time; what varies are its parameters. Each is logged and counted like
any other query of Django's connection. Where a pooler cannot keep prepared statements, `prepare_threshold: None` in
the database's OPTIONS has them planned each time.
"""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection

Rows = list[tuple[Any, ...]]
Ask = tuple[str, Sequence[Any] | Mapping[str, Any]]  # a statement and its parameters
Steps = Generator[Sequence[Ask], list[Rows], None]  # asks, is sent what came of each, asks again


class _PreparedCursor(psycopg.Cursor[Any]):
    """Parameters travel beside the statement, which stays prepared from its first use on."""

    name = "prepared"  # like a named cursor, it takes no second statement: pghistory must not put its context before it

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparedCursor":
        return super().execute(query, params, prepare=True, **options)

    def nextset(self) -> None:
        """A statement has one result; to look for another would wait for the first."""

    def _convert_query(self, query: Any, params: Any = None) -> Any:
        self._query = super()._convert_query(query, params)  # where Django looks for what was executed
        return self._query


def rows_of(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> Rows:
    """Run a statement and return its rows; none where it returns nothing.

    Outside a transaction it is one, which is committed when this returns.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        cursor = _sent((statement, parameters))
        return _fetched(cursor)


def rows_of_each(asks: Sequence[Ask]) -> list[Rows]:
    """Run these statements in their order and return the rows of each. They go out together, for one journey."""
    if len(asks) < 2:
        return [rows_of(*ask) for ask in asks]
    connection.ensure_connection()
    with connection.wrap_database_errors:
        with connection.connection.pipeline():
            cursors = [_sent(ask) for ask in asks]
        return [_fetched(cursor) for cursor in cursors]


def together(*steps: Steps) -> None:
    """Run these side by side: what they ask for at the same time makes one journey to PostgreSQL.

    Before any goes on, all that was asked for has been done, in the order of the steps.
    """
    asked = [(step, next(step)) for step in steps]
    while asked:
        answers = iter(rows_of_each([ask for _step, asks in asked for ask in asks]))
        going_on = []
        for step, answer in [(step, [next(answers) for _ in asks]) for step, asks in asked]:
            try:
                going_on.append((step, step.send(answer)))
            except StopIteration:
                continue
        asked = going_on


def _sent(ask: Ask) -> _PreparedCursor:
    raw: Any = _PreparedCursor(connection.connection)
    wrapped = connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)
    wrapped.execute(*ask)
    sent: _PreparedCursor = raw
    return sent


def _fetched(cursor: _PreparedCursor) -> Rows:
    with cursor:
        return cursor.fetchall() if cursor.description else []
