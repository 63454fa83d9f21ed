"""Opening hours of a clinic in several languages."""

import patients.models.clinic
import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0014_names_by_trigram'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='clinic',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='clinic',
            name='update_update',
        ),
        migrations.AddField(
            model_name='clinic',
            name='opening_hours_in',
            field=models.TextField(blank=True, db_default='', default='', validators=[patients.models.clinic.check_hours_in]),
        ),
        migrations.AddField(
            model_name='clinicevent',
            name='opening_hours_in',
            field=models.TextField(blank=True, db_default='', default='', validators=[patients.models.clinic.check_hours_in]),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_clinicevent" ("address", "id", "language", "mail_name", "mail_stopped", "name", "opening_hours", "opening_hours_in", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reply_to", "synthetic", "telephone", "time_zone") SELECT new_values."address", new_values."id", new_values."language", new_values."mail_name", new_values."mail_stopped", new_values."name", new_values."opening_hours", new_values."opening_hours_in", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."reply_to", new_values."synthetic", new_values."telephone", new_values."time_zone" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='5f0c5dc8c9fb962db89af5460ff4246e862f3668', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_8cb17', referencing='REFERENCING NEW TABLE AS new_values ', table='patients_clinic', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='clinic',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_clinicevent" ("address", "id", "language", "mail_name", "mail_stopped", "name", "opening_hours", "opening_hours_in", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "reply_to", "synthetic", "telephone", "time_zone") SELECT new_values."address", new_values."id", new_values."language", new_values."mail_name", new_values."mail_stopped", new_values."name", new_values."opening_hours", new_values."opening_hours_in", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."reply_to", new_values."synthetic", new_values."telephone", new_values."time_zone" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='de96d34bc0974b0f5f4c610afd68228edf49df5d', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_83497', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='patients_clinic', when='AFTER')),
        ),
    ]
