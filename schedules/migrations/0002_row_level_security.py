"""Plans and reminders of one's own clinics only; what happened to a reminder is only added."""

from django.db import migrations

from patients import row_security


class Migration(migrations.Migration):
    dependencies = [("schedules", "0001_initial"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.bind_to_clinics(["schedules_plan", "schedules_reminder", "schedules_reminderevent"]),
        row_security.tie("schedules_plan", "hip_id, patient_id, clinic_id", "patients_hip (id, patient_id, clinic_id)", "plan_of_its_hip"),
        row_security.tie("schedules_reminder", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "reminder_of_patient_in_clinic"),
        row_security.add_only(["schedules_reminderevent", "schedules_protocolversionevent"]),
        row_security.never_delete(["schedules_plan", "schedules_reminder", "schedules_protocolversion"]),
    ]
