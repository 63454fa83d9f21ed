"""Two records of one person become one; pairs that may be one person wait to be looked at."""

import django.db.models.deletion
import django.utils.timezone
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models

from patients import row_security

PATIENT = "patients_patient (id, clinic_id)"


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0004_auditor_and_research_roles'),
    ]

    operations = [
        migrations.CreateModel(
            name='Merge',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('proposed', 'Waits for a second person'), ('merged', 'Merged'), ('rejected', 'Not merged'), ('undone', 'Undone')], max_length=8)),
                ('differing', models.JSONField(default=list)),
                ('taken', models.JSONField(default=list)),
                ('wrote', models.JSONField(default=dict)),
                ('reason', models.CharField(max_length=200)),
                ('proposed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('proposed_actor', models.CharField(max_length=120)),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_actor', models.CharField(blank=True, max_length=120)),
                ('undone_at', models.DateTimeField(null=True)),
                ('undone_actor', models.CharField(blank=True, max_length=120)),
                ('closing_reason', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PossibleDuplicate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('score', models.PositiveSmallIntegerField()),
                ('found_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('dismissed_at', models.DateTimeField(null=True)),
                ('dismissed_actor', models.CharField(blank=True, max_length=120)),
                ('dismissed_reason', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['-score', 'id'],
            },
        ),
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
            name='merged_into',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='merged_records', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='patientevent',
            name='merged_into',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='patients.patient'),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_patientevent" ("address", "born_on", "clinic_id", "created_at", "death_source", "died_on", "email", "email_bounce_reason", "email_bounced_on", "enrolled_on", "family_name", "given_name", "id", "language", "merged_into_id", "national_id", "national_id_kind", "next_of_kin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "record_number", "record_version", "responsible_id", "sex", "synthetic", "telephone", "telephone_as_given") SELECT new_values."address", new_values."born_on", new_values."clinic_id", new_values."created_at", new_values."death_source", new_values."died_on", new_values."email", new_values."email_bounce_reason", new_values."email_bounced_on", new_values."enrolled_on", new_values."family_name", new_values."given_name", new_values."id", new_values."language", new_values."merged_into_id", new_values."national_id", new_values."national_id_kind", new_values."next_of_kin", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."record_number", new_values."record_version", new_values."responsible_id", new_values."sex", new_values."synthetic", new_values."telephone", new_values."telephone_as_given" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='cf6d0f90241211ef405381c70063a48e5ac30723', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_62165', referencing='REFERENCING NEW TABLE AS new_values ', table='patients_patient', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='patient',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "patients_patientevent" ("address", "born_on", "clinic_id", "created_at", "death_source", "died_on", "email", "email_bounce_reason", "email_bounced_on", "enrolled_on", "family_name", "given_name", "id", "language", "merged_into_id", "national_id", "national_id_kind", "next_of_kin", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "record_number", "record_version", "responsible_id", "sex", "synthetic", "telephone", "telephone_as_given") SELECT new_values."address", new_values."born_on", new_values."clinic_id", new_values."created_at", new_values."death_source", new_values."died_on", new_values."email", new_values."email_bounce_reason", new_values."email_bounced_on", new_values."enrolled_on", new_values."family_name", new_values."given_name", new_values."id", new_values."language", new_values."merged_into_id", new_values."national_id", new_values."national_id_kind", new_values."next_of_kin", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."record_number", new_values."record_version", new_values."responsible_id", new_values."sex", new_values."synthetic", new_values."telephone", new_values."telephone_as_given" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='814a6f8f6f41449238da8c926ef6f2d8436747ed', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_546ce', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='patients_patient', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='patient',
            constraint=models.CheckConstraint(condition=models.Q(('merged_into__isnull', True), models.Q(('merged_into', models.F('id')), _negated=True), _connector='OR'), name='not_merged_into_oneself'),
        ),
        migrations.AddField(
            model_name='merge',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='merge',
            name='decided_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='merged',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='merge',
            name='proposed_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='merge',
            name='survivor',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='possibleduplicate',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='possibleduplicate',
            name='dismissed_by',
            field=models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='possibleduplicate',
            name='one',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='possibleduplicate',
            name='other',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(('survivor', models.F('merged')), _negated=True), name='merge_of_two_records'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ['proposed', 'merged'])), fields=('merged',), name='one_merge_of_a_record'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='merge_gives_reason'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['proposed', 'merged', 'rejected', 'undone'])), name='merge_state_known'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['merged', 'undone']), _negated=True), ('differing', []), models.Q(('decided_by__isnull', False), ('proposed_by__isnull', False), models.Q(('proposed_by', models.F('decided_by')), _negated=True)), _connector='OR'), name='merge_of_differing_people_by_two'),
        ),
        migrations.AddConstraint(
            model_name='merge',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['rejected', 'undone']), _negated=True), models.Q(('closing_reason', ''), _negated=True), _connector='OR'), name='merge_closed_with_reason'),
        ),
        migrations.AddIndex(
            model_name='possibleduplicate',
            index=models.Index(condition=models.Q(('dismissed_at__isnull', True)), fields=['clinic', '-score', 'id'], name='possible_duplicates_open'),
        ),
        migrations.AddConstraint(
            model_name='possibleduplicate',
            constraint=models.UniqueConstraint(fields=('one', 'other'), name='possible_duplicate_once'),
        ),
        migrations.AddConstraint(
            model_name='possibleduplicate',
            constraint=models.CheckConstraint(condition=models.Q(('one__lt', models.F('other'))), name='possible_duplicate_older_first'),
        ),
        migrations.AddConstraint(
            model_name='possibleduplicate',
            constraint=models.CheckConstraint(condition=models.Q(('dismissed_at__isnull', True), models.Q(models.Q(('dismissed_reason', ''), _negated=True), models.Q(('dismissed_actor', ''), _negated=True)), _connector='OR'), name='dismissal_gives_reason'),
        ),
        row_security.bind_to_clinics(["patients_merge", "patients_possibleduplicate"]),
        row_security.tie("patients_patient", "merged_into_id, clinic_id", PATIENT, "merged_into_in_same_clinic"),
        row_security.tie("patients_merge", "survivor_id, clinic_id", PATIENT, "merge_survivor_in_clinic"),
        row_security.tie("patients_merge", "merged_id, clinic_id", PATIENT, "merge_merged_in_clinic"),
        row_security.tie("patients_possibleduplicate", "one_id, clinic_id", PATIENT, "duplicate_one_in_clinic"),
        row_security.tie("patients_possibleduplicate", "other_id, clinic_id", PATIENT, "duplicate_other_in_clinic"),
        row_security.never_delete(["patients_merge"]),
    ]
