"""Endings that stand by clinic, which pages count for administrators; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("patients", "0011_partitions_kept")]

    operations = [
        AddIndexConcurrently(
            model_name="ending",
            index=models.Index(
                fields=["clinic", "recorded_at"],
                condition=models.Q(("withdrawn_at__isnull", True)),
                name="endings_standing",
            ),
        )
    ]
