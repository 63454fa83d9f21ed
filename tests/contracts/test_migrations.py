"""Migrations: each can be taken back, and none holds a lock for long on a table that is full."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest
from django.core.management import call_command
from django.db import connections, migrations
from django.db.migrations.loader import MigrationLoader
from psycopg import sql

from tests.conftest import _template

OURS = ("patients", "schedules", "monitoring")
SHARP = (  # what rewrites a table, or takes away what the running version reads: in steps, or never
    migrations.RemoveField,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.DeleteModel,
    migrations.AlterModelTable,
)
ALLOWED: dict[tuple[str, str], str] = {}  # migration: why its sharp operation is safe


def ours() -> Iterator[tuple[str, str, migrations.Migration]]:
    for (app, name), migration in sorted(MigrationLoader(None).disk_migrations.items()):
        if app in OURS:
            yield app, name, migration


def is_made_there(migration: migrations.Migration, added: migrations.AddField) -> bool:
    """Whether the column is made together with its table, which is empty."""
    made = {op.name_lower for op in migration.operations if isinstance(op, migrations.CreateModel)}
    return bool(migration.initial) or added.model_name_lower in made


def test_each_migration_can_be_taken_back():
    stuck = [f"{app}.{name}: {op}" for app, name, one in ours() for op in one.operations if not op.reversible]
    assert stuck == []


def test_no_migration_takes_away_what_the_running_version_reads():
    sharp = {
        f"{app}.{name}: {type(operation).__name__}"
        for app, name, one in ours()
        for operation in one.operations
        if isinstance(operation, SHARP) and (app, name) not in ALLOWED
    }
    assert sharp == set()


def test_a_column_that_is_added_has_a_value_for_the_rows_that_are_there():
    bare = [
        f"{app}.{name}: {operation.name}"
        for app, name, one in ours()
        for operation in one.operations
        if isinstance(operation, migrations.AddField)
        and not is_made_there(one, operation)
        and not (operation.field.null or operation.field.has_default() or operation.field.has_db_default())
        and not (operation.field.blank and operation.field.empty_strings_allowed)
    ]
    assert bare == []


def test_the_order_of_migrations_is_a_line():
    graph = MigrationLoader(None).graph
    assert {app: len(graph.leaf_nodes(app)) for app in OURS} == dict.fromkeys(OURS, 1)


@pytest.fixture
def scratch(services, django_db_blocker) -> Iterator[str]:
    """The owner's connection to a migrated database that nobody else has."""
    name = "hipwatch_test_back_and_forth"
    with django_db_blocker.unblock(), closing(psycopg.connect(services.admin_url, autocommit=True)) as admin:
        identifier = sql.Identifier(name)
        template = sql.Identifier(_template(services))
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(identifier))
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER hipwatch_owner").format(identifier, template))
        before = connections["owner"].settings_dict["NAME"]
        connections["owner"].close()
        connections["owner"].settings_dict["NAME"] = name
        yield name
        connections["owner"].close()
        connections["owner"].settings_dict["NAME"] = before
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


def shape() -> list[tuple[str, ...]]:
    """Every column, index, constraint and policy of our tables."""
    with connections["owner"].cursor() as cursor:
        cursor.execute(
            "SELECT 'column', table_name, column_name, data_type, is_nullable FROM information_schema.columns"
            " WHERE table_schema = 'public'"
            " UNION ALL SELECT 'index', tablename, indexname, indexdef, '' FROM pg_indexes"
            " WHERE schemaname = 'public' UNION ALL SELECT 'policy', tablename, policyname, qual, '' FROM pg_policies"
            " ORDER BY 1, 2, 3"
        )
        return list(cursor.fetchall())


@pytest.mark.slow
def test_everything_can_be_taken_back_to_nothing_and_made_again(scratch):
    before = shape()
    for app in reversed(OURS):
        call_command("migrate", app, "zero", database="owner", verbosity=0)
    left = {row[1] for row in shape() if row[1].startswith(tuple(f"{app}_" for app in OURS))}
    assert left == set()
    call_command("migrate", database="owner", verbosity=0)
    assert shape() == before
