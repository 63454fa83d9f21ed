"""Every standing is brought up to date, a few at a time, beside the writes of a running clinic."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

AT_ONCE = 2000


def fill(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    last: int | None = 0
    with schema_editor.connection.cursor() as cursor:
        while last is not None:
            cursor.execute(
                "SELECT max(patient_id), array_agg(patient_id) FROM (SELECT patient_id FROM monitoring_standing"
                " WHERE patient_id > %s ORDER BY patient_id LIMIT %s) following",
                [last, AT_ONCE],
            )
            last, some = cursor.fetchone() or (None, None)
            cursor.execute("SELECT refresh_standings(%s::bigint[])", [some])


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0030_standings_filtered")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
