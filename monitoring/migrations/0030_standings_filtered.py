"""What the filters of lists ask for is kept with where a patient stands, so that one table answers them."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from monitoring import standing_sql


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0029_answers_read_quickly'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='standing',
            name='admin_from',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='standing',
            name='clinician_from',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='standing',
            name='due_on',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='standing',
            name='language',
            field=models.CharField(db_default='', max_length=8),
        ),
        migrations.AddField(
            model_name='standing',
            name='left_to',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='standing',
            name='overdue_on',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='standing',
            name='pathways',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=24), db_default=models.Value([]), size=None),
        ),
        migrations.AddField(
            model_name='standing',
            name='promised_booking',
            field=models.BooleanField(db_default=False),
        ),
        migrations.AddField(
            model_name='standing',
            name='promised_by',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='standing',
            name='promised_on',
            field=models.DateField(null=True),
        ),
        migrations.AddField(
            model_name='standing',
            name='responsible',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.RunSQL(standing_sql.widen(), standing_sql.narrow()),
    ]
