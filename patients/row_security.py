"""Row security: the SQL by which migrations bind the application's role to its clinics and to adding only.

Used by migrations of every app, so what these functions emit must not change its meaning; add a function instead.
"""

from collections.abc import Iterable

from django.apps.registry import Apps
from django.conf import settings
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

CLINIC_IDS = """
CREATE OR REPLACE FUNCTION app_clinic_ids() RETURNS bigint[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
DECLARE listed text := current_setting('app.clinic_ids', true);
BEGIN
    IF listed IS NULL OR listed = '' THEN
        RAISE EXCEPTION 'no clinic is set for this transaction' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN listed::bigint[];
END $$
"""


def app_role() -> str:
    return str(settings.DATABASES["default"]["USER"])


def _quoted(schema_editor: BaseDatabaseSchemaEditor) -> str:
    return schema_editor.quote_name(app_role())


def grant_all() -> migrations.RunPython:
    """The application's role reads and writes every table of the owner, also those that come later."""

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        role = _quoted(schema_editor)
        for statement in (
            f"GRANT USAGE ON SCHEMA public TO {role}",
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}",
            f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {role}",
            f"ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO {role}",
        ):
            schema_editor.execute(statement)

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def bind_to_clinics(tables: Iterable[str]) -> migrations.RunSQL:
    """Rows of these tables show, and may be written, only where `clinic_id` is among the transaction's clinics.

    Not FORCEd on the owner: migrations must see every row. The application refuses to start as the owner.
    """
    names = list(tables)
    return migrations.RunSQL(
        [
            statement
            for table in names
            for statement in (
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY own_clinics ON {table} USING (clinic_id = ANY ((SELECT app_clinic_ids())::bigint[]))"
                " WITH CHECK (clinic_id = ANY ((SELECT app_clinic_ids())::bigint[]))",
            )
        ],
        [
            statement
            for table in names
            for statement in (
                f"DROP POLICY own_clinics ON {table}",
                f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
            )
        ],
    )


def add_only(tables: Iterable[str], *, but_update: Iterable[str] = ()) -> migrations.RunPython:
    """The application's role may add rows to these tables and change nothing but the columns `but_update`."""
    names, columns = list(tables), ", ".join(but_update)

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        role = _quoted(schema_editor)
        for table in names:
            schema_editor.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM {role}")
            if columns:
                schema_editor.execute(f"GRANT UPDATE ({columns}) ON {table} TO {role}")

    def backwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for table in names:
            schema_editor.execute(f"GRANT UPDATE, DELETE ON {table} TO {_quoted(schema_editor)}")

    return migrations.RunPython(forwards, backwards)


def never_delete(tables: Iterable[str]) -> migrations.RunPython:
    """The application's role may not delete rows of these tables."""
    names = list(tables)

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for table in names:
            schema_editor.execute(f"REVOKE DELETE, TRUNCATE ON {table} FROM {_quoted(schema_editor)}")

    def backwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for table in names:
            schema_editor.execute(f"GRANT DELETE ON {table} TO {_quoted(schema_editor)}")

    return migrations.RunPython(forwards, backwards)


def only_read(tables: Iterable[str]) -> migrations.RunPython:
    """The application's role may read these tables or views and no more: something else writes them."""
    names = list(tables)

    def forwards(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
        for table in names:
            schema_editor.execute(f"REVOKE INSERT, UPDATE, DELETE, TRUNCATE ON {table} FROM {_quoted(schema_editor)}")

    return migrations.RunPython(forwards, migrations.RunPython.noop)


def tie(table: str, columns: str, to: str, name: str) -> migrations.RunSQL:
    """A foreign key over several columns, so that a row cannot name one thing's parent and another's child."""
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {to}"
        " ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED",
        f"ALTER TABLE {table} DROP CONSTRAINT {name}",
    )
