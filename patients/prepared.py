"""Prepared: statements that PostgreSQL parses and plans once a connection, for what every recording and sweep asks.

A statement must be one and the same text each time; what varies are its parameters. Each is logged and counted like
any other query of Django's connection. Where a pooler cannot keep prepared statements, `prepare_threshold: None` in
the database's OPTIONS has them planned each time.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection


class _PreparedCursor(psycopg.Cursor[Any]):
    """Parameters travel beside the statement, which stays prepared from its first use on."""

    name = "prepared"  # like a named cursor, it takes no second statement: pghistory must not put its context before it

    def execute(self, query: Any, params: Any = None, **options: Any) -> "_PreparedCursor":
        return super().execute(query, params, prepare=True, **options)

    def _convert_query(self, query: Any, params: Any = None) -> Any:
        self._query = super()._convert_query(query, params)  # where Django looks for what was executed
        return self._query


def rows_of(statement: str, parameters: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement and return its rows; none where it returns nothing."""
    connection.ensure_connection()
    raw: Any = _PreparedCursor(connection.connection)
    wrapped = connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)
    with wrapped as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if raw.description else []
