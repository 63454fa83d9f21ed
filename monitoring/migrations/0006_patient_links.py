"""Used links of patients: rows of one's own clinics, only added, of a patient of that clinic."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models

from patients import row_security


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0005_saved_views'),
        ('patients', '0002_row_level_security'),
        ('schedules', '0002_row_level_security'),
    ]

    operations = [
        migrations.CreateModel(
            name='PatientLinkUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('questions', 'questions'), ('wishes', 'wishes'), ('stop', 'stop')], max_length=12)),
                ('used_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient')),
                ('reminder', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='link_uses', to='schedules.reminder')),
            ],
            options={
                'ordering': ['used_at', 'id'],
                'constraints': [models.UniqueConstraint(fields=('purpose', 'reminder'), name='patient_link_used_once')],
            },
        ),
        row_security.bind_to_clinics(["monitoring_patientlinkuse"]),
        row_security.tie(
            "monitoring_patientlinkuse", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "patientlinkuse_of_patient_in_clinic"
        ),
        row_security.add_only(["monitoring_patientlinkuse"]),
    ]
