"""Hips are counted by bucket, and reviews of symptoms found, by index; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0023_standings_planned_once"), ("patients", "0010_superseding_facts")]

    operations = [
        AddIndexConcurrently(
            model_name="hipevaluation",
            index=models.Index(fields=["clinic", "status", "due_on"], include=("pathway",), name="hips_by_bucket"),
        ),
        RemoveIndexConcurrently(model_name="hipevaluation", name="hips_by_status"),
        AddIndexConcurrently(
            model_name="reviewcase",
            index=models.Index(
                condition=models.Q(("action", "CORE_DECOMPRESSION_REVIEW")),
                fields=["clinic", "since"],
                name="symptom_cases_by_day",
            ),
        ),
    ]
