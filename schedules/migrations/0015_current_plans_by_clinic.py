"""Current plans of a clinic, in the order in which the API lists them; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("schedules", "0014_mail_server")]

    operations = [
        AddIndexConcurrently(
            model_name="plan",
            index=models.Index(
                fields=["clinic", "id"], condition=models.Q(("state", "current")), name="current_plans_by_clinic"
            ),
        )
    ]
