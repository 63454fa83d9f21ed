"""The mails of one clinic by number, off an index: those of all clinics were gone through for them.

The unique index over (id, patient, clinic), to which other rows are tied, begins with the clinic now; no index is
added. It is built beside the writes of a running clinic and takes the place of the old one within one short
transaction; the ties to it are made again at once, and checked afterwards without keeping anybody waiting.
"""

from django.contrib.postgres.operations import NotInTransactionMixin
from django.db import migrations, models, transaction
from django.db.migrations.operations.base import Operation

TIES = (
    ("schedules_substitute", "substitute_of_its_reminder"),
    ("schedules_deliveryevent", "delivery_event_of_its_reminder"),
)
TABLE, NAME = "schedules_reminder", "reminder_of_one_patient"
BY_CLINIC, BY_NUMBER = "clinic_id, id, patient_id", "id, patient_id, clinic_id"


class OrderedBy(NotInTransactionMixin, Operation):
    """Gives the unique constraint an index of these columns instead of those."""

    reversible = True

    def __init__(self, columns: str, before: str) -> None:
        self.columns, self.before = columns, before

    def state_forwards(self, app_label, state):
        """`state_operations` say so."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._change(schema_editor, self.columns)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._change(schema_editor, self.before)

    def _change(self, schema_editor, columns):
        self._ensure_not_in_transaction(schema_editor)
        run = schema_editor.execute
        run(f"DROP INDEX CONCURRENTLY IF EXISTS {NAME}_anew")  # of a run that was interrupted
        run(f"CREATE UNIQUE INDEX CONCURRENTLY {NAME}_anew ON {TABLE} ({columns})")
        with transaction.atomic(schema_editor.connection.alias):
            for table, tie in TIES:
                run(f"ALTER TABLE {table} DROP CONSTRAINT {tie}")
            run(f"ALTER TABLE {TABLE} DROP CONSTRAINT {NAME}")
            run(f"ALTER TABLE {TABLE} ADD CONSTRAINT {NAME} UNIQUE USING INDEX {NAME}_anew")
            for table, tie in TIES:
                run(
                    f"ALTER TABLE {table} ADD CONSTRAINT {tie} FOREIGN KEY (reminder_id, patient_id, clinic_id)"
                    f" REFERENCES {TABLE} (id, patient_id, clinic_id)"
                    " ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED NOT VALID"
                )
        for table, tie in TIES:
            run(f"ALTER TABLE {table} VALIDATE CONSTRAINT {tie}")

    def describe(self):
        return f"Order the index of {NAME} by {self.columns}"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("schedules", "0019_events_of_mails_by_month")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[OrderedBy(BY_CLINIC, BY_NUMBER)],
            state_operations=[
                migrations.RemoveConstraint("reminder", NAME),
                migrations.AddConstraint(
                    "reminder", models.UniqueConstraint(fields=["clinic", "id", "patient"], name=NAME)
                ),
            ],
        ),
    ]
