"""Endings that another took back, by clinic; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("patients", "0012_endings_standing")]

    operations = [
        AddIndexConcurrently(
            model_name="ending",
            index=models.Index(
                fields=["clinic", "supersedes"],
                condition=models.Q(("supersedes__isnull", False), ("withdrawn_at__isnull", True)),
                name="endings_taken_back",
            ),
        )
    ]
