"""What was told of the mails of one's own clinics only, tied to the mail that it is told of; it is only added."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("schedules", "0010_delivery_events"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.bind_to_clinics(["schedules_deliveryevent"]),
        row_security.tie("schedules_deliveryevent", "reminder_id, patient_id, clinic_id", "schedules_reminder (id, patient_id, clinic_id)", "delivery_event_of_its_reminder"),
        row_security.add_only(["schedules_deliveryevent"]),
    ]
