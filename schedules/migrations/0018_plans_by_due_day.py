"""Windows of a clinic by the day they are due, with what came of them; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("schedules", "0017_reminders_without_spare_indexes"), ("patients", "0010_superseding_facts")]

    operations = [
        AddIndexConcurrently(
            model_name="plan",
            index=models.Index(
                fields=["clinic", "due_on"],
                include=("opens_on", "overdue_on", "kept_on", "state", "patient", "hip", "cycle_on"),
                name="plans_by_due_day",
            ),
        )
    ]
