"""The audit is divided by month, beside the writes of the clinic but for some milliseconds."""

from django.db import migrations

from patients import partitions


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0025_hips_by_pathway"), ("patients", "0011_partitions_kept")]

    operations = [partitions.by_month("monitoring_auditentry")]
