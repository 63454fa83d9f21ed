"""A protocol version says on what it is based and who submitted it; each of its steps is kept."""

import django.db.models.deletion
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('schedules', '0011_delivery_events_of_own_clinics'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ProtocolStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('act', models.CharField(choices=[('drafted', 'Drafted'), ('edited', 'Parameters changed'), ('submitted', 'Submitted'), ('taken_up', 'Review begun'), ('returned', 'Returned'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], max_length=12)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('under_review', 'Under review'), ('returned', 'Returned'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], max_length=12)),
                ('digest', models.CharField(max_length=64)),
                ('reason', models.TextField(blank=True)),
                ('actor', models.CharField(max_length=120)),
                ('at', models.DateTimeField()),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='protocolversion',
            name='insert_insert',
        ),
        pgtrigger.migrations.RemoveTrigger(
            model_name='protocolversion',
            name='update_update',
        ),
        migrations.AddField(
            model_name='protocolversion',
            name='based_on',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='schedules.protocolversion'),
        ),
        migrations.AddField(
            model_name='protocolversion',
            name='submitted_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='protocolversionevent',
            name='based_on',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to='schedules.protocolversion'),
        ),
        migrations.AddField(
            model_name='protocolversionevent',
            name='submitted_by',
            field=models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AlterField(
            model_name='protocolversion',
            name='state',
            field=models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('under_review', 'Under review'), ('returned', 'Returned'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12),
        ),
        migrations.AlterField(
            model_name='protocolversionevent',
            name='state',
            field=models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('under_review', 'Under review'), ('returned', 'Returned'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='protocolversion',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "schedules_protocolversionevent" ("actor", "approved_by_id", "based_on_id", "created_at", "created_by_id", "digest", "id", "in_force_from", "name", "note", "parameters", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "state", "submitted_by_id") SELECT new_values."actor", new_values."approved_by_id", new_values."based_on_id", new_values."created_at", new_values."created_by_id", new_values."digest", new_values."id", new_values."in_force_from", new_values."name", new_values."note", new_values."parameters", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."state", new_values."submitted_by_id" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='dee34939114e5fcfb9ae4c9b3eb7fecd5bc55b31', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_c37e5', referencing='REFERENCING NEW TABLE AS new_values ', table='schedules_protocolversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='protocolversion',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "schedules_protocolversionevent" ("actor", "approved_by_id", "based_on_id", "created_at", "created_by_id", "digest", "id", "in_force_from", "name", "note", "parameters", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "state", "submitted_by_id") SELECT new_values."actor", new_values."approved_by_id", new_values."based_on_id", new_values."created_at", new_values."created_by_id", new_values."digest", new_values."id", new_values."in_force_from", new_values."name", new_values."note", new_values."parameters", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."state", new_values."submitted_by_id" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='39c4818128ebd032c69291f0fe5f488534df5a9c', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_28d82', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='schedules_protocolversion', when='AFTER')),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'approved')), fields=('in_force_from',), name='one_protocol_comes_into_force_a_day'),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.UniqueConstraint(condition=models.Q(('based_on__isnull', True), ('state', 'approved')), fields=('state',), name='one_protocol_was_the_first'),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['draft', 'submitted', 'under_review', 'returned', 'approved', 'withdrawn'])), name='protocol_state_known'),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['submitted', 'under_review', 'returned']), _negated=True), ('submitted_by__isnull', False), _connector='OR'), name='submitted_protocol_says_by_whom'),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), ('based_on__isnull', True), models.Q(('approved_by__isnull', False), ('created_by__isnull', False), ('submitted_by__isnull', False)), _connector='OR'), name='approved_protocol_says_by_whom'),
        ),
        migrations.AddConstraint(
            model_name='protocolversion',
            constraint=models.CheckConstraint(condition=models.Q(('approved_by__isnull', True), models.Q(models.Q(('approved_by', models.F('created_by')), _negated=True), models.Q(('approved_by', models.F('submitted_by')), _negated=True)), _connector='OR'), name='protocol_approved_by_another'),
        ),
        migrations.AddField(
            model_name='protocolstep',
            name='user',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='protocolstep',
            name='version',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='schedules.protocolversion'),
        ),
        migrations.AddConstraint(
            model_name='protocolstep',
            constraint=models.CheckConstraint(condition=models.Q(('actor', ''), _negated=True), name='protocol_step_names_actor'),
        ),
        migrations.AddConstraint(
            model_name='protocolstep',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('act__in', ['returned', 'withdrawn']), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='protocol_step_gives_reason'),
        ),
    ]
