"""The answer of a hip is read by orjson; the database does not change."""

import monitoring.models.evaluation
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('monitoring', '0028_lists_by_clinic'),
    ]

    operations = [
        migrations.AlterField(
            model_name='hipevaluation',
            name='answer',
            field=models.JSONField(decoder=monitoring.models.evaluation.QuickDecoder),
        ),
    ]
