"""Rows: many rows of one table added or changed by one statement, whose text is the same for any number of them.

A row is a mapping of columns to values as JSON has them; dates and decimals may stay what they are.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Model

from .prepared import rows_of

Row = Mapping[str, Any]


def add_rows(model: type[Model], rows: Sequence[Row], *, returning: str = "") -> list[tuple[Any, ...]]:
    """Insert these rows, all with the same columns; returns what is asked for of each, in no order."""
    return _write(_insert(model, tuple(rows[0])) + _returning(returning), rows) if rows else []


def add_missing_rows(model: type[Model], rows: Sequence[Row]) -> None:
    """Insert those of these rows whose key is not there yet."""
    if rows:
        _write(f"{_insert(model, tuple(rows[0]))} ON CONFLICT DO NOTHING", rows)


def put_rows(
    model: type[Model], rows: Sequence[Row], *, key: tuple[str, ...], but: Mapping[str, str] | None = None
) -> None:
    """Insert these rows, or bring the one with the same key to these values.

    `but`: column -> the expression that it gets where the row is there, of `old` and `excluded`.
    """
    if rows:
        _write(_upsert(model, tuple(rows[0]), key, tuple((but or {}).items())), rows)


def change_rows(model: type[Model], rows: Sequence[Row]) -> None:
    """Set the columns of the rows with these ids."""
    if rows:
        _write(_update(model, tuple(rows[0])), rows)


def _write(statement: str, rows: Sequence[Row]) -> list[tuple[Any, ...]]:
    return rows_of(statement, [json.dumps(rows, default=str)])


def _returning(columns: str) -> str:
    return f" RETURNING {columns}" if columns else ""


@lru_cache(maxsize=64)
def _source(model: type[Model], columns: tuple[str, ...]) -> str:
    types = {field.column: field.cast_db_type(connection) for field in model._meta.concrete_fields}
    listed = ", ".join(f'"{column}" {types[column]}' for column in columns)
    return f"json_to_recordset(%s::json) AS new({listed})"


@lru_cache(maxsize=64)
def _insert(model: type[Model], columns: tuple[str, ...]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    table = model._meta.db_table
    return f"INSERT INTO {table} AS old ({names}) SELECT {names} FROM {_source(model, columns)}"  # noqa: S608


@lru_cache(maxsize=64)
def _upsert(
    model: type[Model], columns: tuple[str, ...], key: tuple[str, ...], but: tuple[tuple[str, str], ...]
) -> str:
    values = {column: f'excluded."{column}"' for column in columns if column not in key} | dict(but)
    sets = ", ".join(f'"{column}" = {value}' for column, value in values.items())
    return f"{_insert(model, columns)} ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"  # nosec B608  # our columns


@lru_cache(maxsize=64)
def _update(model: type[Model], columns: tuple[str, ...]) -> str:
    sets = ", ".join(f'"{column}" = new."{column}"' for column in columns if column != "id")
    return f"UPDATE {model._meta.db_table} AS old SET {sets} FROM {_source(model, columns)} WHERE old.id = new.id"  # noqa: S608
