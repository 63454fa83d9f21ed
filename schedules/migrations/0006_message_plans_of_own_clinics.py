"""A clinic's message plan is its own, and stays."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("schedules", "0005_message_plans")]

    operations = [
        row_security.bind_to_clinics(["schedules_messageplan"]),
        row_security.never_delete(["schedules_messageplan"]),
    ]
