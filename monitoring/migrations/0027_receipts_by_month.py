"""Receipts of evaluations are divided by month, beside the writes of the clinic but for some milliseconds."""

from django.db import migrations

from patients import partitions


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("monitoring", "0026_audit_by_month")]

    operations = [partitions.by_month("monitoring_evaluationreceipt")]
