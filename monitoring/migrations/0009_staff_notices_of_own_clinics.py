"""A digest is of one clinic, and stays."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0008_staff_notices"), ("patients", "0003_patient_languages")]

    operations = [
        row_security.bind_to_clinics(["monitoring_staffnotice"]),
        row_security.never_delete(["monitoring_staffnotice"]),
    ]
