"""Hips, open findings and open reviews of a clinic in the order of the API's lists, which went through all clinics'
rows for them, or sorted; built beside the writes of a running clinic.
"""

from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0027_receipts_by_month")]

    operations = [
        AddIndexConcurrently(
            model_name="hipevaluation",
            index=models.Index(fields=["clinic", "hip", "status"], name="evaluated_hips_by_clinic"),
        ),
        AddIndexConcurrently(
            model_name="flag",
            index=models.Index(
                fields=["clinic", "id"], condition=models.Q(("closed_at__isnull", True)), name="open_flags_by_clinic"
            ),
        ),
        AddIndexConcurrently(
            model_name="reviewcase",
            index=models.Index(
                fields=["clinic", "id"], condition=models.Q(("state", "open")), name="open_cases_by_clinic"
            ),
        ),
    ]
