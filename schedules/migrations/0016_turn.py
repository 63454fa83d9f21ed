"""A turn of the mail run is one call: what came of the last mails is stored and the next are claimed."""

from django.db import migrations

from schedules import turn_sql


class Migration(migrations.Migration):

    dependencies = [
        ("patients", "0009_emergency_access"),
        ("schedules", "0015_current_plans_by_clinic"),
    ]

    operations = [
        migrations.RunSQL(turn_sql.MAKE, turn_sql.UNMAKE),
    ]
