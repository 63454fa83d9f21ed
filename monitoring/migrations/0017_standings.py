"""Where each patient stands on the lists is kept by triggers, so that lists and counts walk an index."""

import django.db.models.deletion
from django.db import migrations, models

from monitoring import standing_sql
from patients import row_security


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0016_webhooks'),
        ('patients', '0005_merged_records'),
        ('schedules', '0013_protocol_versions_fixed'),
    ]

    operations = [
        migrations.CreateModel(
            name='Standing',
            fields=[
                ('patient', models.OneToOneField(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, primary_key=True, related_name='standing', serialize=False, to='patients.patient')),
                ('rank', models.IntegerField()),
                ('followed', models.BooleanField()),
                ('late', models.BooleanField()),
                ('open', models.BooleanField()),
                ('never_started', models.BooleanField()),
                ('incomplete', models.BooleanField()),
                ('no_mail', models.BooleanField()),
                ('review_rank', models.IntegerField(null=True)),
                ('snoozed_until', models.DateField(null=True)),
                ('booked_at', models.DateTimeField(null=True)),
                ('call_from', models.DateField(null=True)),
                ('call_until', models.DateField(null=True)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
            ],
            options={
                'indexes': [models.Index(fields=['clinic', 'rank', 'patient'], name='standing_all'), models.Index(condition=models.Q(('late', True)), fields=['clinic', 'rank', 'patient'], name='standing_late'), models.Index(condition=models.Q(('late', False), ('open', True)), fields=['clinic', 'rank', 'patient'], name='standing_open'), models.Index(condition=models.Q(('never_started', True)), fields=['clinic', 'rank', 'patient'], name='standing_never_started'), models.Index(condition=models.Q(('incomplete', True)), fields=['clinic', 'rank', 'patient'], name='standing_incomplete'), models.Index(condition=models.Q(('followed', True), ('no_mail', True)), fields=['clinic', 'rank', 'patient'], name='standing_unreachable'), models.Index(condition=models.Q(('review_rank__isnull', False)), fields=['clinic', 'review_rank', 'patient'], name='standing_in_review'), models.Index(condition=models.Q(('snoozed_until__isnull', False)), fields=['clinic', 'snoozed_until', 'patient'], name='standing_snoozed'), models.Index(condition=models.Q(('call_from__isnull', False)), fields=['clinic', 'call_until', 'patient'], name='standing_to_call')],
            },
        ),
        row_security.bind_to_clinics(["monitoring_standing"]),
        migrations.RunSQL(standing_sql.make(), standing_sql.unmake()),
        row_security.only_read(["monitoring_standing", "monitoring_standing_now"]),
    ]
