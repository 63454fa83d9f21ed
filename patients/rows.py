"""Rows: many rows of one table added or changed by one statement, whose text is the same for any number of them.

What is returned is for `patients.prepared` to run, and is nothing where there are no rows. A row is a mapping of
columns to values as JSON has them; dates and decimals may stay what they are.
"""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from django.db import connection
from django.db.models import Model

from .prepared import Ask

Row = Mapping[str, Any]


def add_rows(model: type[Model], rows: Sequence[Row]) -> list[Ask]:
    """Insert these rows, all with the same columns."""
    return _asking(_insert(model, tuple(rows[0])), rows) if rows else []


def add_missing_rows(model: type[Model], rows: Sequence[Row]) -> list[Ask]:
    """Insert those of these rows whose key is not there yet."""
    return _asking(f"{_insert(model, tuple(rows[0]))} ON CONFLICT DO NOTHING", rows) if rows else []


def put_rows(
    model: type[Model], rows: Sequence[Row], *, key: tuple[str, ...], but: Mapping[str, str] | None = None
) -> list[Ask]:
    """Insert these rows, or bring the one with the same key to these values.

    `but`: column -> the expression that it gets where the row is there, of `old` and `excluded`.
    """
    return _asking(_upsert(model, tuple(rows[0]), key, tuple((but or {}).items())), rows) if rows else []


def change_rows(model: type[Model], rows: Sequence[Row]) -> list[Ask]:
    """Set the columns of the rows with these ids."""
    return _asking(_update(model, tuple(rows[0])), rows) if rows else []


def _asking(statement: str, rows: Sequence[Row]) -> list[Ask]:
    return [(statement, [json.dumps(rows, default=str)])]


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
