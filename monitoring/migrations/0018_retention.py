"""For how long a clinic keeps who somebody was; the functions that take names out of rows that are only added."""

import django.contrib.postgres.fields
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from monitoring.privacy import forgetting_sql
from patients import row_security


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0017_standings'),
        ('patients', '0007_anonymised_patients'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='RetentionRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('ended_patients', 'Names of patients whose follow-up is over'), ('messages', 'Addresses to which mail went')], max_length=16)),
                ('months', models.PositiveSmallIntegerField()),
                ('automatic', models.BooleanField(default=False)),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('actor', models.CharField(max_length=120)),
                ('clinic', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
            ],
            options={
                'ordering': ['clinic', 'kind'],
                'constraints': [models.UniqueConstraint(fields=('clinic', 'kind'), name='retention_rule_once'), models.CheckConstraint(condition=models.Q(('kind__in', ['ended_patients', 'messages'])), name='retention_kind_known'), models.CheckConstraint(condition=models.Q(('months__gte', 12), ('months__lte', 600)), name='retention_months_in_bounds')],
            },
        ),
        migrations.CreateModel(
            name='RetentionRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('ended_patients', 'Names of patients whose follow-up is over'), ('messages', 'Addresses to which mail went')], max_length=16)),
                ('months', models.PositiveSmallIntegerField()),
                ('before', models.DateField()),
                ('subjects', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('automatic', models.BooleanField(default=False)),
                ('state', models.CharField(choices=[('proposed', 'Waits for a second person'), ('approved', 'Being carried out'), ('done', 'Done'), ('rejected', 'Rejected')], default='proposed', max_length=8)),
                ('done', models.PositiveIntegerField(default=0)),
                ('skipped', models.PositiveIntegerField(default=0)),
                ('proposed_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('proposed_actor', models.CharField(max_length=120)),
                ('decided_at', models.DateTimeField(null=True)),
                ('decided_actor', models.CharField(blank=True, max_length=120)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('clinic', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('decided_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('proposed_by', models.ForeignKey(db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-id'],
                'indexes': [models.Index(fields=['clinic', '-id'], name='retention_runs_latest')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['approved', 'done']), _negated=True), ('automatic', True), models.Q(('decided_by__isnull', False), ('proposed_by__isnull', False), models.Q(('proposed_by', models.F('decided_by')), _negated=True)), _connector='OR'), name='retention_run_by_two'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'rejected'), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='retention_rejected_with_reason')],
            },
        ),
        row_security.bind_to_clinics(["monitoring_retentionrule", "monitoring_retentionrun"]),
        row_security.never_delete(["monitoring_retentionrun"]),
        migrations.RunSQL(forgetting_sql.CREATE, forgetting_sql.DROP),
    ]
