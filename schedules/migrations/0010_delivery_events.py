"""What providers and returned mail tell of a mail is kept, and its reminder is found by message id."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('patients', '0003_patient_languages'),
        ('schedules', '0009_substitutes_of_own_clinics'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeliveryEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('delivered', 'Delivered'), ('bounced', 'Came back'), ('complained', 'Marked as unwanted'), ('deferred', 'Delayed on its way'), ('unsubscribed', 'Unsubscribed')], max_length=12)),
                ('permanent', models.BooleanField(default=False)),
                ('at', models.DateTimeField()),
                ('received_at', models.DateTimeField(default=django.utils.timezone.now)),
                ('provider', models.CharField(max_length=24)),
                ('event_id', models.CharField(max_length=120)),
                ('address', models.EmailField(max_length=254)),
                ('words', models.CharField(blank=True, max_length=200)),
            ],
            options={
                'ordering': ['at', 'id'],
            },
        ),
        migrations.AddField(
            model_name='reminder',
            name='provider_id',
            field=models.CharField(blank=True, max_length=200),
        ),
        migrations.AddIndex(
            model_name='reminder',
            index=models.Index(condition=models.Q(('message_id', ''), _negated=True), fields=['message_id'], name='reminders_by_message_id'),
        ),
        migrations.AddIndex(
            model_name='reminder',
            index=models.Index(condition=models.Q(('provider_id', ''), _negated=True), fields=['provider_id'], name='reminders_by_provider_id'),
        ),
        migrations.AddField(
            model_name='deliveryevent',
            name='clinic',
            field=models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.clinic'),
        ),
        migrations.AddField(
            model_name='deliveryevent',
            name='patient',
            field=models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='patients.patient'),
        ),
        migrations.AddField(
            model_name='deliveryevent',
            name='reminder',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='delivery_events', to='schedules.reminder'),
        ),
        migrations.AddConstraint(
            model_name='deliveryevent',
            constraint=models.UniqueConstraint(fields=('provider', 'event_id'), name='delivery_event_once'),
        ),
        migrations.AddConstraint(
            model_name='deliveryevent',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['delivered', 'bounced', 'complained', 'deferred', 'unsubscribed'])), name='delivery_event_kind_known'),
        ),
        migrations.AddConstraint(
            model_name='deliveryevent',
            constraint=models.CheckConstraint(condition=models.Q(('permanent', False), ('kind', 'bounced'), _connector='OR'), name='only_a_bounce_can_be_permanent'),
        ),
    ]
