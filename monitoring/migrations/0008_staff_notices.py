"""One digest a member of staff, clinic and day; and what each person wants to be told."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0007_replies_of_own_clinics'),
        ('patients', '0003_patient_languages'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='NoticeChoice',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='notice_choice', serialize=False, to=settings.AUTH_USER_MODEL)),
                ('wanted', models.CharField(choices=[('all', 'What is mine and new, and what was escalated to me'), ('escalations', 'Only what was escalated to me'), ('none', 'No mail')], default='all', max_length=12)),
                ('changed_at', models.DateTimeField(default=django.utils.timezone.now)),
            ],
        ),
        migrations.CreateModel(
            name='StaffNotice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('day', models.DateField()),
                ('state', models.CharField(choices=[('planned', 'Planned'), ('sending', 'Sending'), ('sent', 'Sent'), ('failed', 'Failed'), ('uncertain', 'Uncertain'), ('nothing_to_say', 'Nothing to say')], default='planned', max_length=16)),
                ('reason', models.CharField(blank=True, max_length=200)),
                ('counts', models.JSONField(default=dict)),
                ('language', models.CharField(blank=True, max_length=8)),
                ('sent_to', models.EmailField(blank=True, max_length=254)),
                ('message_id', models.CharField(blank=True, max_length=120)),
                ('attempts', models.PositiveSmallIntegerField(default=0)),
                ('not_before', models.DateTimeField(blank=True, null=True)),
                ('claimed_by', models.CharField(blank=True, max_length=80)),
                ('lease_until', models.DateTimeField(blank=True, null=True)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('actor', models.CharField(max_length=120)),
                ('clinic', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='notices', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['-day', '-id'],
                'indexes': [models.Index(condition=models.Q(('state', 'planned')), fields=['clinic', 'day', 'id'], name='digests_to_send'), models.Index(condition=models.Q(('state', 'sending')), fields=['lease_until'], name='digests_in_flight')],
                'constraints': [models.UniqueConstraint(fields=('user', 'clinic', 'day'), name='digest_once_a_day'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'sending'), _negated=True), ('lease_until__isnull', False), _connector='OR'), name='digest_lease'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'sent'), _negated=True), models.Q(('sent_to', ''), _negated=True), _connector='OR'), name='sent_digest_names_address'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['failed', 'uncertain']), _negated=True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='digest_not_sent_gives_reason'), models.CheckConstraint(condition=models.Q(('actor', ''), _negated=True), name='digest_names_actor')],
            },
        ),
    ]
