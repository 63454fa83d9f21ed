import django.db.models.deletion
import django.utils.timezone
import pgtrigger.compiler
import pgtrigger.migrations
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('patients', '0001_initial'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ('pghistory', '0007_auto_20250421_0444'),
    ]

    operations = [
        migrations.CreateModel(
            name='ProtocolVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=60)),
                ('parameters', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('under_review', 'Under review'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12)),
                ('in_force_from', models.DateField(blank=True, null=True)),
                ('note', models.TextField(blank=True)),
                ('actor', models.CharField(max_length=120)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('approved_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-in_force_from', '-id'],
                'constraints': [models.UniqueConstraint(fields=('name',), name='protocol_version_once'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'approved'), _negated=True), ('in_force_from__isnull', False), _connector='OR'), name='approved_protocol_has_date')],
            },
        ),
        migrations.CreateModel(
            name='ProtocolVersionEvent',
            fields=[
                ('pgh_id', models.AutoField(primary_key=True, serialize=False)),
                ('pgh_created_at', models.DateTimeField(auto_now_add=True)),
                ('pgh_label', models.TextField(help_text='The event label.')),
                ('id', models.BigIntegerField()),
                ('name', models.CharField(max_length=60)),
                ('parameters', models.JSONField()),
                ('digest', models.CharField(max_length=64)),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('submitted', 'Submitted'), ('under_review', 'Under review'), ('approved', 'Approved'), ('withdrawn', 'Withdrawn')], default='draft', max_length=12)),
                ('in_force_from', models.DateField(blank=True, null=True)),
                ('note', models.TextField(blank=True)),
                ('actor', models.CharField(max_length=120)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('approved_by', models.ForeignKey(blank=True, db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('created_by', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', related_query_name='+', to=settings.AUTH_USER_MODEL)),
                ('pgh_context', models.ForeignKey(db_constraint=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='pghistory.context')),
                ('pgh_obj', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='schedules.protocolversion')),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='Reminder',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cycle_on', models.DateField()),
                ('due_on', models.DateField()),
                ('step', models.CharField(choices=[('due', 'Due'), ('missed', 'Missed'), ('second_missed', 'Second missed')], max_length=16)),
                ('send_on', models.DateField()),
                ('state', models.CharField(choices=[('planned', 'Planned'), ('sending', 'Sending'), ('sent', 'Sent'), ('refused', 'Not sent'), ('expired', 'Too late, not sent'), ('cancelled', 'No longer needed'), ('failed', 'Failed'), ('uncertain', 'Uncertain')], default='planned', max_length=10)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('language', models.CharField(blank=True, max_length=8)),
                ('sent_to', models.EmailField(blank=True, max_length=254)),
                ('message_id', models.CharField(blank=True, max_length=120)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('claimed_by', models.CharField(blank=True, max_length=80)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('patient', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reminders', to='patients.patient')),
            ],
            options={
                'ordering': ['send_on', 'id'],
                'indexes': [models.Index(condition=models.Q(('state', 'planned')), fields=['send_on', 'id'], name='reminders_to_send'), models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='reminders_in_flight'), models.Index(fields=['clinic', 'state', '-send_on'], name='reminders_by_state'), models.Index(fields=['patient', '-send_on'], name='reminders_by_patient')],
                'constraints': [models.UniqueConstraint(fields=('patient', 'cycle_on', 'due_on', 'step'), name='reminder_once_per_step'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'sending'), _negated=True), ('lease_until__isnull', False), _connector='OR'), name='sending_has_lease'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'sent'), _negated=True), models.Q(('sent_to', ''), _negated=True), _connector='OR'), name='sent_names_address'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['refused', 'expired', 'uncertain', 'failed']), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='not_sent_gives_reason')],
            },
        ),
        migrations.CreateModel(
            name='ReminderEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(default=django.utils.timezone.now)),
                ('state', models.CharField(choices=[('planned', 'Planned'), ('sending', 'Sending'), ('sent', 'Sent'), ('refused', 'Not sent'), ('expired', 'Too late, not sent'), ('cancelled', 'No longer needed'), ('failed', 'Failed'), ('uncertain', 'Uncertain')], max_length=10)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('actor', models.CharField(max_length=120)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('reminder', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='schedules.reminder')),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Plan',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('cycle_on', models.DateField()),
                ('state', models.CharField(choices=[('current', 'Current'), ('kept', 'Kept'), ('closed', 'Closed')], default='current', max_length=8)),
                ('pathway', models.CharField(max_length=24)),
                ('interval_months', models.PositiveSmallIntegerField(null=True)),
                ('opens_on', models.DateField()),
                ('due_on', models.DateField()),
                ('overdue_on', models.DateField()),
                ('escalate_on', models.DateField()),
                ('trace_on', models.DateField()),
                ('gap_on', models.DateField()),
                ('because', models.CharField(max_length=300)),
                ('kept_on', models.DateField(blank=True, null=True)),
                ('protocol', models.CharField(max_length=60)),
                ('updated_at', models.DateTimeField(auto_now=True)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('hip', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='plans', to='patients.hip')),
                ('patient', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='plans', to='patients.patient')),
            ],
            options={
                'ordering': ['hip', 'cycle_on'],
                'indexes': [models.Index(condition=models.Q(('state', 'current')), fields=['patient'], name='current_plans_by_patient')],
                'constraints': [models.UniqueConstraint(fields=('hip', 'cycle_on'), name='plan_once_per_hip_and_cycle'), models.UniqueConstraint(condition=models.Q(('state', 'current')), fields=('hip',), name='one_current_plan_per_hip'), models.CheckConstraint(condition=models.Q(('due_on__lte', models.F('overdue_on')), ('escalate_on__lte', models.F('trace_on')), ('opens_on__lte', models.F('due_on')), ('overdue_on__lte', models.F('escalate_on'))), name='plan_dates_in_order')],
            },
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='protocolversion',
            trigger=pgtrigger.compiler.Trigger(name='insert_insert', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "schedules_protocolversionevent" ("actor", "approved_by_id", "created_at", "created_by_id", "digest", "id", "in_force_from", "name", "note", "parameters", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "state") SELECT new_values."actor", new_values."approved_by_id", new_values."created_at", new_values."created_by_id", new_values."digest", new_values."id", new_values."in_force_from", new_values."name", new_values."note", new_values."parameters", _pgh_attached_context.value, NOW(), \'insert\', new_values."id", new_values."state" FROM ( SELECT new_values.* FROM new_values  ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='e9f2c1d00406cf1e9e408f70483408be03763c34', level='STATEMENT', operation='INSERT', pgid='pgtrigger_insert_insert_c37e5', referencing='REFERENCING NEW TABLE AS new_values ', table='schedules_protocolversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='protocolversion',
            trigger=pgtrigger.compiler.Trigger(name='update_update', sql=pgtrigger.compiler.UpsertTriggerSql(func='WITH _pgh_attached_context AS ( SELECT _pgh_attach_context() AS value ) INSERT INTO "schedules_protocolversionevent" ("actor", "approved_by_id", "created_at", "created_by_id", "digest", "id", "in_force_from", "name", "note", "parameters", "pgh_context_id", "pgh_created_at", "pgh_label", "pgh_obj_id", "state") SELECT new_values."actor", new_values."approved_by_id", new_values."created_at", new_values."created_by_id", new_values."digest", new_values."id", new_values."in_force_from", new_values."name", new_values."note", new_values."parameters", _pgh_attached_context.value, NOW(), \'update\', new_values."id", new_values."state" FROM ( SELECT new_values.* FROM old_values JOIN new_values ON (old_values."id") = (new_values."id") WHERE (old_values.* IS DISTINCT FROM new_values.*) ) AS new_values, _pgh_attached_context; RETURN NULL;', hash='d61488ff140f97af38b29442535c8696b524f7f4', level='STATEMENT', operation='UPDATE', pgid='pgtrigger_update_update_28d82', referencing='REFERENCING OLD TABLE AS old_values  NEW TABLE AS new_values ', table='schedules_protocolversion', when='AFTER')),
        ),
        pgtrigger.migrations.AddTrigger(
            model_name='protocolversionevent',
            trigger=pgtrigger.compiler.Trigger(name='append_only', sql=pgtrigger.compiler.UpsertTriggerSql(func="RAISE EXCEPTION 'pgtrigger: Cannot update or delete rows from % table', TG_TABLE_NAME;", hash='914aff6a1e9083c5b2a7111aea4ff639ad079a9e', operation='UPDATE OR DELETE', pgid='pgtrigger_append_only_db68c', table='schedules_protocolversionevent', when='BEFORE')),
        ),
    ]
