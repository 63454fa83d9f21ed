"""Nothing is left here: what this migration added stands in the tables' own creation. Installations have it on record."""

from django.db import migrations


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("monitoring", "0001_initial"),
        ("patients", "0001_initial"),
    ]

    operations = []
