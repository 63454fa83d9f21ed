"""The day on which a record lost its name."""

import pgtrigger.compiler
import pgtrigger.migrations
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0006_consent_by_purpose'),
    ]

    operations = [
        pgtrigger.migrations.RemoveTrigger(
            model_name='patient',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='patient',
            name='update_update',
        ),
        migrations.AddField(
            model_name='patient',
            name='anonymised_on',
            field=models.DateField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='patientevent',
            name='anonymised_on',
            field=models.DateField(blank=True, null=True),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_patientevent" ("address", "anonymised_on", "born_on", "clinic_id", "created_at", "death_source", "died_on", "email", "email_bounce_reason", "email_bounced_on", "enrolled_on", "family_name", "given_name", "id", "language", "merged_into_id", "national_id", "national_id_kind", "next_of_kin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "record_number", "record_version", "responsible_id", "sex", "synthetic", "telephone", "telephone_as_given") SELECT new_values."address", new_values."anonymised_on", new_values."born_on", new_values."clinic_id", new_values."created_at", new_values."death_source", new_values."died_on", new_values."email", new_values."email_bounce_reason", new_values."email_bounced_on", new_values."enrolled_on", new_values."family_name", new_values."given_name", new_values."id", new_values."language", new_values."merged_into_id", new_values."national_id", new_values."national_id_kind", new_values."next_of_kin", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."record_number", new_values."record_version", new_values."responsible_id", new_values."sex", new_values."synthetic", new_values."telephone", new_values."telephone_as_given" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='24848c233459bd15a93d0dfe88310638c3128381', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_62165', referencing='REFERENCING NEW TABLE AS new_values ', table='patients_patient', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_patientevent" ("address", "anonymised_on", "born_on", "clinic_id", "created_at", "death_source", "died_on", "email", "email_bounce_reason", "email_bounced_on", "enrolled_on", "family_name", "given_name", "id", "language", "merged_into_id", "national_id", "national_id_kind", "next_of_kin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "record_number", "record_version", "responsible_id", "sex", "synthetic", "telephone", "telephone_as_given") SELECT new_values."address", new_values."anonymised_on", new_values."born_on", new_values."clinic_id", new_values."created_at", new_values."death_source", new_values."died_on", new_values."email", new_values."email_bounce_reason", new_values."email_bounced_on", new_values."enrolled_on", new_values."family_name", new_values."given_name", new_values."id", new_values."language", new_values."merged_into_id", new_values."national_id", new_values."national_id_kind", new_values."next_of_kin", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."record_number", new_values."record_version", new_values."responsible_id", new_values."sex", new_values."synthetic", new_values."telephone", new_values."telephone_as_given" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='19aacab4676ff4ef6716ee8be8e0dba92495a479', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_546ce', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='patients_patient', when='AFTER')),
        ),
    ]
