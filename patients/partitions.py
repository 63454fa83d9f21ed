"""Partitions: the SQL by which migrations divide tables that are only added to by month, and keep months ahead.

A table that is divided reads and writes as before. Its first part holds everything until the end of the month after the
migration; a part for every later month follows; what is of no month that has a part lies in the last part, so that
nothing is ever refused for want of one. The application's role may touch no part by its own name.

Used by migrations of every app, so what these functions emit must not change its meaning; add a function instead.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from django.apps.registry import Apps
from django.db import migrations, transaction
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.utils import CursorWrapper

from .row_security import app_role

BEFORE, OTHER = "before", "other"  # the first part and the last, as their names end
AHEAD: Final = 3  # months

_KEEP: Final = """
CREATE FUNCTION secure_partition(whole text, part text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE made text;
BEGIN  -- nobody but the owner names it, and nothing in it is changed
    EXECUTE format('REVOKE ALL ON %I FROM APPLICATION', part);
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', part);
    FOR made IN SELECT replace(pg_get_triggerdef(oid), ' ON public.' || whole, ' ON public.' || part)
                  FROM pg_trigger WHERE tgrelid = whole::regclass AND tgname LIKE '%only_added' LOOP
        EXECUTE made;
    END LOOP;
END $$;
CREATE FUNCTION make_partition(whole text, part text, month date) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', part, whole);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', whole, part,
        month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC');
    PERFORM secure_partition(whole, part);
END $$;
CREATE FUNCTION keep_partitions(today date, ahead integer) RETURNS SETOF text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE whole text; part text; month date; last date; held boolean;
BEGIN
    IF ahead NOT BETWEEN 1 AND 24 OR today > current_date + 1100 THEN
        RAISE EXCEPTION 'parts are made for 24 months ahead of a day within three years at most';
    END IF;
    PERFORM set_config('lock_timeout', '2s', true);
    FOR whole IN SELECT relname FROM pg_class
                  WHERE relkind = 'p' AND relnamespace = 'public'::regnamespace ORDER BY 1 LOOP
        SELECT max(to_date(right(relname, 7), 'YYYY_MM')) INTO last FROM pg_class JOIN pg_inherits ON inhrelid = oid
         WHERE inhparent = whole::regclass AND relname ~ '_[0-9]{4}_[0-9]{2}$';
        month := last + interval '1 month';
        WHILE month <= date_trunc('month', today) + make_interval(months => ahead) LOOP
            part := whole || to_char(month, '_YYYY_MM');
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %I WHERE at >= %L AND at < %L)', whole || '_other',
                month::timestamp AT TIME ZONE 'UTC', (month + interval '1 month')::timestamp AT TIME ZONE 'UTC')
                INTO held;
            IF NOT held THEN  -- else they stay where they are: nothing that was written is ever moved
                PERFORM make_partition(whole, part, month);
                RETURN NEXT part;
            END IF;
            month := month + interval '1 month';
        END LOOP;
    END LOOP;
END $$;
REVOKE EXECUTE ON FUNCTION secure_partition(text, text), make_partition(text, text, date),
    keep_partitions(date, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_partitions(date, integer) TO APPLICATION;
"""


def keep_months() -> migrations.RunPython:
    """The function by which the application's role asks for the parts of coming months, and may do nothing else."""

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        schema_editor.execute(_KEEP.replace("APPLICATION", schema_editor.quote_name(app_role())), params=None)

    def backwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for function in (
            "keep_partitions(date, integer)",
            "make_partition(text, text, date)",
            "secure_partition(text, text)",
        ):
            schema_editor.execute(f"DROP FUNCTION {function}")

    return migrations.RunPython(forwards, backwards)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a table has beside its columns, as the statements that make it."""

    indexes: list[tuple[str, str]]  # name and statement, but for the primary key's
    foreign: list[tuple[str, str]]
    triggers: list[tuple[str, str]]
    policies: list[tuple[str, str]]
    granted: list[str]
    next_id: int


def by_month(table: str) -> migrations.RunPython:
    """Divide a table by its column `at`. For a migration that is not atomic: the index is built beside its writers.

    Writers wait while names are exchanged, which takes milliseconds however full the table is; if a lock cannot be had
    within five seconds nothing has changed, and migrating again goes on where it stopped.
    """

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        with schema_editor.connection.cursor() as cursor:
            _prepare(cursor, table)
        _at_once(schema_editor, lambda cursor: _divide(cursor, table))

    def backwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        _at_once(schema_editor, lambda cursor: _join(cursor, table))

    return migrations.RunPython(forwards, backwards)


def _at_once(schema_editor: BaseDatabaseSchemaEditor, act: Callable[[CursorWrapper], None]) -> None:
    with transaction.atomic(schema_editor.connection.alias), schema_editor.connection.cursor() as cursor:
        cursor.execute("SET LOCAL lock_timeout = '5s'")
        act(cursor)


def _prepare(cursor: CursorWrapper, table: str) -> None:
    """What can be done while everybody works: the first part's key, and what lets it be a part without reading it."""
    cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {table}_{BEFORE}_key")  # half built by a migration that stopped
    cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {table}_{BEFORE}_key ON {table} (id, at)")
    latest = f"SELECT greatest(now(), max(at)) FROM {table}"  # noqa: S608  # a migration's own words
    cursor.execute(f"SELECT date_trunc('month', ({latest}) AT TIME ZONE 'UTC') + interval '2 months'")
    [until] = cursor.fetchone()
    cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}_until")
    cursor.execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}_until CHECK (at < '{until}+00') NOT VALID")
    cursor.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}_until")


def _divide(cursor: CursorWrapper, table: str) -> None:
    cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    shape, before = _shape_of(cursor, table), f"{table}_{BEFORE}"
    cursor.execute(
        "SELECT substring(pg_get_constraintdef(oid) FROM '''([^'']+)''') FROM pg_constraint WHERE conname = %s",
        [f"{table}_until"],
    )
    [until] = cursor.fetchone()
    _undress(cursor, table, shape)
    for statement in (
        f"ALTER TABLE {table} RENAME TO {before}",
        f"ALTER TABLE {before} DROP CONSTRAINT {table}_pkey",
        f"ALTER TABLE {before} ADD CONSTRAINT {before}_pkey PRIMARY KEY USING INDEX {before}_key",
        *(f"ALTER INDEX {name} RENAME TO {_of_before(name)}" for name, _made in shape.indexes),
        f"CREATE TABLE {table} (LIKE {before} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) PARTITION BY RANGE (at)",
        f"ALTER TABLE {table} DROP CONSTRAINT {table}_until",
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id, at)",
        *(made for _name, made in shape.indexes),
        *(f"ALTER TABLE {table} ADD CONSTRAINT {name} {made}" for name, made in shape.foreign),
        f"ALTER TABLE {table} ATTACH PARTITION {before} FOR VALUES FROM (MINVALUE) TO ('{until}')",
        f"ALTER TABLE {before} DROP CONSTRAINT {table}_until",
        f"CREATE TABLE {table}_{OTHER} PARTITION OF {table} DEFAULT",
    ):
        cursor.execute(statement)
    _dress(cursor, table, shape)
    for part in (BEFORE, OTHER):
        cursor.execute("SELECT secure_partition(%s, %s)", [table, f"{table}_{part}"])
    cursor.execute(
        "SELECT make_partition(%s, to_char(%s::timestamptz AT TIME ZONE 'UTC', %s),"
        " (%s::timestamptz AT TIME ZONE 'UTC')::date)",
        [table, until, f'"{table}_"YYYY_MM', until],
    )


def _join(cursor: CursorWrapper, table: str) -> None:
    """One table again: what lies in later parts is written into the first, which takes time as they are full."""
    cursor.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    shape, before = _shape_of(cursor, table), f"{table}_{BEFORE}"
    cursor.execute(f"ALTER TABLE {table} DETACH PARTITION {before}")
    _undress(cursor, before, _shape_of(cursor, before))
    for statement in (
        f"INSERT INTO {before} SELECT * FROM {table}",  # noqa: S608
        f"DROP TABLE {table}",
        f"ALTER TABLE {before} RENAME TO {table}",
        f"ALTER TABLE {table} DROP CONSTRAINT {before}_pkey",
        f"ALTER TABLE {table} ADD CONSTRAINT {table}_pkey PRIMARY KEY (id)",
        *(f"ALTER INDEX {_of_before(name)} RENAME TO {name}" for name, _made in shape.indexes),
    ):
        cursor.execute(statement)
    _dress(cursor, table, shape)


def _of_before(index: str) -> str:
    return f"{index[:55]}_{BEFORE}"


def _undress(cursor: CursorWrapper, table: str, shape: _Shape) -> None:
    for name, _made in shape.triggers:
        cursor.execute(f"DROP TRIGGER {name} ON {table}")
    for name, _made in shape.policies:
        cursor.execute(f"DROP POLICY {name} ON {table}")
    cursor.execute(f"ALTER TABLE {table} ALTER COLUMN id DROP IDENTITY IF EXISTS")


def _dress(cursor: CursorWrapper, table: str, shape: _Shape) -> None:
    cursor.execute(
        f"ALTER TABLE {table} ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY (START WITH {shape.next_id})"
    )
    if shape.policies:
        cursor.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    for _name, made in (*shape.policies, *shape.triggers):
        cursor.execute(made)
    role = f'"{app_role()}"'
    cursor.execute(f"REVOKE ALL ON {table} FROM {role}")
    cursor.execute(f"GRANT {', '.join(shape.granted)} ON {table} TO {role}")


def _shape_of(cursor: CursorWrapper, table: str) -> _Shape:
    return _Shape(
        indexes=_pairs(
            cursor,
            "SELECT c.relname, pg_get_indexdef(c.oid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid"
            " WHERE indrelid = %s::regclass AND NOT indisprimary AND c.relname NOT LIKE %s ORDER BY 1",
            table,
            f"%\\_{BEFORE}\\_key",
        ),
        foreign=_pairs(
            cursor,
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE conrelid = %s::regclass AND contype = 'f' AND conparentid = 0 ORDER BY 1",
            table,
        ),
        triggers=_pairs(
            cursor,
            "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger"
            " WHERE tgrelid = %s::regclass AND NOT tgisinternal ORDER BY 1",
            table,
        ),
        policies=_pairs(
            cursor,
            "SELECT policyname, format('CREATE POLICY %%I ON %%I USING (%%s) WITH CHECK (%%s)', policyname, tablename,"
            " qual, with_check) FROM pg_policies WHERE schemaname = 'public' AND tablename = %s",
            table,
        ),
        granted=[
            kind
            for kind, _grantee in _pairs(
                cursor,
                "SELECT privilege_type, grantee FROM information_schema.role_table_grants"
                " WHERE table_schema = 'public' AND table_name = %s AND grantee = %s ORDER BY 1",
                table,
                app_role(),
            )
        ],
        next_id=_next_id(cursor, table),
    )


def _pairs(cursor: CursorWrapper, statement: str, *params: Any) -> list[tuple[str, str]]:
    cursor.execute(statement, params)
    return [(str(first), str(second)) for first, second in cursor.fetchall()]


def _next_id(cursor: CursorWrapper, table: str) -> int:
    """The number that the next row would have; 1 for a part, which has none of its own."""
    cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
    [sequence] = cursor.fetchone()
    if sequence is None:
        return 1
    cursor.execute(f"SELECT last_value + is_called::int FROM {sequence}")  # noqa: S608
    return int(cursor.fetchone()[0])
