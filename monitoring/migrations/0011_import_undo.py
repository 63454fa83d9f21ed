"""A row says what saving it wrote, so that a batch can be undone; a clinic keeps what its headings mean."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

from patients import row_security

STATES = [
    ("mapping", "Columns to be matched"),
    ("checked", "Checked, nothing saved"),
    ("waiting", "Waiting to be saved"),
    ("running", "Running"),
    ("done", "Done"),
    ("failed", "Failed"),
    ("undoing", "Being undone"),
    ("undone", "Undone"),
]


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0010_visit_drafts"),
        ("patients", "0003_patient_languages"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AlterField(
            model_name="importbatch",
            name="state",
            field=models.CharField(choices=STATES, default="checked", max_length=8),
        ),
        migrations.AddField(
            model_name="importbatch", name="undo_reason", field=models.CharField(blank=True, max_length=160)
        ),
        migrations.AddField(
            model_name="importbatch",
            name="undo_by",
            field=models.ForeignKey(
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to=settings.AUTH_USER_MODEL,
            ),
        ),
        migrations.AddField(
            model_name="importbatch", name="undo_actor", field=models.CharField(blank=True, max_length=120)
        ),
        migrations.AddField(model_name="importbatch", name="undone_at", field=models.DateTimeField(null=True)),
        migrations.AddField(model_name="importbatch", name="undone", field=models.JSONField(default=dict)),
        migrations.AddField(model_name="importrow", name="wrote", field=models.JSONField(default=dict)),
        migrations.AddField(model_name="importrow", name="undone", field=models.JSONField(null=True)),
        migrations.CreateModel(
            name="ImportMapping",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=60)),
                ("headings", models.CharField(max_length=64)),
                ("columns", models.JSONField()),
                ("actor", models.CharField(max_length=120)),
                ("kept_at", models.DateTimeField(default=django.utils.timezone.now)),
                (
                    "clinic",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="patients.clinic",
                    ),
                ),
            ],
            options={
                "ordering": ["name", "id"],
                "indexes": [models.Index(fields=["clinic", "headings", "-kept_at"], name="import_mapping_by_headings")],
                "constraints": [
                    models.UniqueConstraint(fields=("clinic", "name"), name="import_mapping_name_once_per_clinic"),
                    models.CheckConstraint(
                        condition=models.Q(("name", ""), _negated=True), name="import_mapping_has_name"
                    ),
                ],
            },
        ),
        row_security.bind_to_clinics(["monitoring_importmapping"]),
    ]
