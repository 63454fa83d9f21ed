"""What, beside care, a patient agrees to: being asked between visits, and research."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models

from patients import row_security


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0005_merged_records'),
        ('pghistory', '0007_auto_20250421_0444'),
    ]

    operations = [
        migrations.CreateModel(
            name='Consent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('symptom_check', 'Being asked how they are between visits'), ('research', 'Use for research, without name')], max_length=16)),
                ('allowed', models.BooleanField()),
                ('how', models.CharField(max_length=120)),
                ('on', models.DateField()),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='consents', to='patients.patient')),
            ],
        ),
        migrations.CreateModel(
            name='ConsentEvent',
            fields=[
                ('pgh_id', models.AutoField(primary_key=True, serialize=False)),
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('id', models.BigIntegerField()),
                ('purpose', models.CharField(choices=[('symptom_check', 'Being asked how they are between visits'), ('research', 'Use for research, without name')], max_length=16)),
                ('allowed', models.BooleanField()),
                ('how', models.CharField(max_length=120)),
                ('on', models.DateField()),
                ('clinic', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.clinic')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patient')),
                ('pgh_context', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='pghistory.context')),
                ('pgh_obj', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='patients.consent')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.AddConstraint(
            model_name='consent',
            constraint=models.UniqueConstraint(fields=('patient', 'purpose'), name='consent_once_per_purpose'),
        ),
        migrations.AddConstraint(
            model_name='consent',
            constraint=models.CheckConstraint(condition=models.Q(('purpose__in', ['symptom_check', 'research'])), name='consent_purpose_known'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='consent',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_consentevent" ("allowed", "clinic_id", "how", "id", "on", "patient_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "purpose") SELECT new_values."allowed", new_values."clinic_id", new_values."how", new_values."id", new_values."on", new_values."patient_id", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."purpose" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='81cdd63f92ccffdf7e896708acefb637c3ec58a8', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_f3c10', referencing='REFERENCING NEW TABLE AS new_values ', table='patients_consent', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='consent',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_consentevent" ("allowed", "clinic_id", "how", "id", "on", "patient_id", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "purpose") SELECT new_values."allowed", new_values."clinic_id", new_values."how", new_values."id", new_values."on", new_values."patient_id", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."purpose" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='98c0e2789dff08c7e46e455209c247e2e00462e3', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_06fdd', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='patients_consent', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='consentevent',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='fced6dcbc87843e2b3fc4d589e9e5c46457e7a26', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_76697', table='patients_consentevent', when='BEFORE')),
        ),
        row_security.bind_to_clinics(["patients_consent", "patients_consentevent"]),
        row_security.tie(
            "patients_consent", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "consent_of_patient_in_clinic"
        ),
        row_security.never_delete(["patients_consent"]),
        row_security.add_only(["patients_consentevent"]),
    ]
