"""Migrations: each can be taken back, and none holds a lock for long on a table that is full."""

from collections.abc import Iterator

from django.db import migrations
from django.db.migrations.loader import MigrationLoader

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
