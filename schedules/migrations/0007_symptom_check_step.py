"""A step asks how the patient is, midway between two visits."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0006_message_plans_of_own_clinics'),
    ]

    operations = [
        migrations.AlterField(
            model_name='reminder',
            name='step',
            field=models.CharField(choices=[('symptom_check', 'Symptom check'), ('booking_prompt', 'Time to book'), ('due', 'Due'), ('missed', 'Missed'), ('second_missed', 'Second missed'), ('visit_in_3_days', 'Appointment in 3 days'), ('visit_in_1_day', 'Appointment tomorrow'), ('visit_moved', 'Appointment moved'), ('visit_cancelled', 'Appointment cancelled')], max_length=16),
        ),
    ]
