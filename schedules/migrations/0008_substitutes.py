"""A letter or a telephone call may take the place of a mail."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ('patients', '0003_patient_languages'),
        ('schedules', '0007_symptom_check_step'),
    ]

    operations = [
        migrations.CreateModel(
            name='Substitute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('channel', models.CharField(choices=[('letter', 'Letter'), ('telephone', 'Telephone call')], max_length=12)),
                ('state', models.CharField(choices=[('open', 'To do'), ('done', 'Done'), ('dropped', 'No longer needed')], default='open', max_length=8)),
                ('why', models.CharField(max_length=200)),
                ('opened_at', models.DateTimeField()),
                ('until', models.DateField()),
                ('waits_until', models.DateField(blank=True, null=True)),
                ('next_on', models.DateField(blank=True, null=True)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('outcome', models.CharField(blank=True, max_length=200)),
                ('batch', models.UUIDField(blank=True, null=True)),
                ('actor', models.CharField(max_length=120)),
            ],
            options={
                'ordering': ['until', 'id'],
            },
        ),
        migrations.AddConstraint(
            model_name='reminder',
            constraint=models.UniqueConstraint(fields=('id', 'patient', 'clinic'), name='reminder_of_one_patient'),
        ),
        migrations.AddField(
            model_name='substitute',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='substitute',
            name='patient',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='substitutes', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='substitute',
            name='reminder',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='substitute', to='schedules.reminder'),
        ),
        migrations.AddIndex(
            model_name='substitute',
            index=models.Index(condition=models.Q(('state', 'open')), fields=['clinic', 'channel', 'until', 'id'], name='substitutes_to_do'),
        ),
        migrations.AddIndex(
            model_name='substitute',
            index=models.Index(condition=models.Q(('batch__isnull', False)), fields=['batch'], name='substitutes_by_batch'),
        ),
        migrations.AddConstraint(
            model_name='substitute',
            constraint=models.CheckConstraint(condition=models.Q(('channel__in', ['letter', 'telephone'])), name='substitute_way_known'),
        ),
        migrations.AddConstraint(
            model_name='substitute',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('decided_at__isnull', True), ('state', 'open')), models.Q(('decided_at__isnull', False), ('state__in', ['done', 'dropped'])), _connector='OR'), name='substitute_is_open_or_decided'),
        ),
        migrations.AddConstraint(
            model_name='substitute',
            constraint=models.CheckConstraint(condition=models.Q(('state', 'open'), models.Q(('outcome', ''), _negated=True), _connector='OR'), name='decided_substitute_says_what_came_of_it'),
        ),
        migrations.AddConstraint(
            model_name='substitute',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('channel', 'letter'), ('state', 'done'), _negated=True), ('batch__isnull', False), _connector='OR'), name='printed_letter_names_batch'),
        ),
        migrations.AddConstraint(
            model_name='substitute',
            constraint=models.CheckConstraint(condition=models.Q(('why', ''), _negated=True), name='substitute_gives_reason'),
        ),
    ]
