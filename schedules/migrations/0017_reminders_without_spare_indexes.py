"""Three indexes of reminders go, each the beginning of another; without waiting for those who write."""

import django.db.models.deletion
from django.db import migrations, models

SPARE = {
    "appointment": "schedules_reminder_appointment_id_3ac4f14c",
    "clinic": "schedules_reminder_clinic_id_a1fa5860",
    "patient": "schedules_reminder_patient_id_211bf84b",
}


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("patients", "0009_emergency_access"),
        ("schedules", "0016_turn"),
    ]

    # The state only: left to itself, Django would take the foreign keys away and check all rows anew.
    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(
                    f"DROP INDEX CONCURRENTLY IF EXISTS {index}",
                    f"CREATE INDEX CONCURRENTLY {index} ON schedules_reminder ({column}_id)",
                )
                for column, index in SPARE.items()
            ],
            state_operations=[
                migrations.AlterField(
                    model_name="reminder",
                    name="appointment",
                    field=models.ForeignKey(
                        blank=True,
                        db_constraint=False,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reminders",
                        to="schedules.appointment",
                    ),
                ),
                migrations.AlterField(
                    model_name="reminder",
                    name="clinic",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="patients.clinic",
                    ),
                ),
                migrations.AlterField(
                    model_name="reminder",
                    name="patient",
                    field=models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="reminders",
                        to="patients.patient",
                    ),
                ),
            ],
        )
    ]
