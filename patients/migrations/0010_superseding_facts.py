"""Which facts are corrected, and the hips of a clinic, by index; built beside the writes of a running clinic."""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models

FACTS = ("decision", "ending", "imaging", "lesionlocation", "procedure", "score", "staging", "symptomreport")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("patients", "0009_emergency_access")]

    operations = [
        *(
            AddIndexConcurrently(
                model_name=fact,
                index=models.Index(
                    condition=models.Q(("supersedes__isnull", False)),
                    fields=["supersedes"],
                    name=f"{fact}_superseding",
                ),
            )
            for fact in FACTS
        ),
        AddIndexConcurrently(model_name="hip", index=models.Index(fields=["clinic", "id"], name="hips_by_clinic")),
    ]
