"""Hips and open findings of a clinic in the order of the API's lists, which went through all clinics' rows for them;
built beside the writes of a running clinic.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0027_receipts_by_month")]

    operations = [
        AddIndexConcurrently(
            model_name="hipevaluation",
            index=models.Index(fields=["clinic", "hip"], name="evaluated_hips_by_clinic"),
        ),
        AddIndexConcurrently(
            model_name="flag",
            index=models.Index(
                fields=["clinic", "id"], condition=models.Q(("closed_at__isnull", True)), name="open_flags_by_clinic"
            ),
        ),
    ]
