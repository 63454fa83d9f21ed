"""Parts of tables that are divided by month, made ahead by a function that the application may call."""

from django.db import migrations

from patients import partitions


class Migration(migrations.Migration):
    dependencies = [("patients", "0010_superseding_facts")]

    operations = [partitions.keep_months()]
