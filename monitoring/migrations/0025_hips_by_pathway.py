"""The hips of a clinic by pathway, as the worklist is filtered; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0024_counted_by_index")]

    operations = [
        AddIndexConcurrently(
            model_name="hipevaluation",
            index=models.Index(fields=["clinic", "pathway", "patient"], name="hips_by_pathway"),
        )
    ]
