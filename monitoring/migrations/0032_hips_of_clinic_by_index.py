"""Hips of a clinic are listed without looking at them: the index says whose they are.

Where it did not, the planner rather went backwards through the hips of all clinics, which takes the longer the more
patients others have enrolled since. Built beside the writes of a running clinic, in the place of the narrower one.
"""

from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0031_standings_filled")]

    operations = [
        AddIndexConcurrently(
            model_name="hipevaluation",
            index=models.Index(fields=["clinic", "hip", "status"], include=("patient",), name="hips_of_clinic"),
        ),
        RemoveIndexConcurrently(model_name="hipevaluation", name="evaluated_hips_by_clinic"),
    ]
