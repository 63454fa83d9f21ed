"""Kept replies may hold patients' details, so they too show to their own clinic only. Those of the day are dropped."""

import django.db.models.deletion
from django.db import migrations, models

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0006_patient_links"), ("patients", "0003_patient_languages")]

    operations = [
        migrations.RunSQL("DELETE FROM monitoring_idempotentreply", migrations.RunSQL.noop),
        migrations.AddField(
            model_name="idempotentreply",
            name="clinic",
            field=models.ForeignKey(
                db_index=False,
                default=0,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="patients.clinic",
            ),
            preserve_default=False,
        ),
        row_security.bind_to_clinics(["monitoring_idempotentreply"]),
    ]
