"""What happened to mails is divided by month, beside the writes of the clinic but for some milliseconds."""

from django.db import migrations

from patients import partitions


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("schedules", "0018_plans_by_due_day"), ("patients", "0011_partitions_kept")]

    operations = [partitions.by_month("schedules_reminderevent")]
