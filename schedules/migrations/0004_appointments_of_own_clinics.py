"""Appointments of one's own clinics only, tied to their patient; what happened to them is only added."""

from django.db import migrations

from patients import row_security

OF_THE_APPOINTMENT = "schedules_appointment (id, patient_id, clinic_id)"


class Migration(migrations.Migration):
    dependencies = [("schedules", "0003_appointments"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.bind_to_clinics(["schedules_appointment", "schedules_appointmentevent"]),
        row_security.tie("schedules_appointment", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "appointment_of_patient_in_clinic"),
        row_security.tie("schedules_appointmentevent", "appointment_id, patient_id, clinic_id", OF_THE_APPOINTMENT, "event_of_its_appointment"),
        row_security.tie("schedules_reminder", "appointment_id, patient_id, clinic_id", OF_THE_APPOINTMENT, "reminder_of_its_appointment"),
        row_security.add_only(["schedules_appointmentevent"]),
        row_security.never_delete(["schedules_appointment"]),
    ]
