"""Letters and calls of one's own clinics only, tied to the mail whose place they take; they stay."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("schedules", "0008_substitutes"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.bind_to_clinics(["schedules_substitute"]),
        row_security.tie("schedules_substitute", "reminder_id, patient_id, clinic_id", "schedules_reminder (id, patient_id, clinic_id)", "substitute_of_its_reminder"),
        row_security.never_delete(["schedules_substitute"]),
    ]
