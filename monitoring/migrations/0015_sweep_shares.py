"""Sweeps in shares that workers take; who has a record that no evaluation has seen, kept by PostgreSQL itself."""

import django.contrib.postgres.fields
import django.db.models.deletion
from django.db import migrations, models

from patients import row_security

KEPT_BY = """
CREATE FUNCTION monitoring_has_new_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' OR NEW.record_version > OLD.record_version THEN
        INSERT INTO monitoring_unevaluated (patient_id, clinic_id) VALUES (NEW.id, NEW.clinic_id)
        ON CONFLICT (patient_id) DO NOTHING;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER monitoring_has_new_version AFTER INSERT OR UPDATE OF record_version ON patients_patient
    FOR EACH ROW EXECUTE FUNCTION monitoring_has_new_version();
INSERT INTO monitoring_unevaluated (patient_id, clinic_id)
SELECT patient.id, patient.clinic_id FROM patients_patient AS patient
  LEFT JOIN monitoring_patientevaluation AS answer ON answer.patient_id = patient.id
 WHERE answer.patient_id IS NULL OR answer.record_version < patient.record_version;
"""
KEPT_NO_MORE = """
DROP TRIGGER monitoring_has_new_version ON patients_patient;
DROP FUNCTION monitoring_has_new_version();
"""


class Migration(migrations.Migration):
    dependencies = [
        ("monitoring", "0014_system_figures"),
        ("patients", "0003_patient_languages"),
    ]

    operations = [
        migrations.AddField(
            model_name="evaluationrun",
            name="planned",
            field=models.PositiveIntegerField(null=True),
        ),
        migrations.AddIndex(
            model_name="evaluationrun",
            index=models.Index(
                condition=models.Q(("finished_at__isnull", True), ("planned__isnull", False)),
                fields=["id"],
                name="sweeps_under_way",
            ),
        ),
        migrations.AddIndex(
            model_name="patientevaluation",
            index=models.Index(fields=["clinic", "protocol"], name="evaluations_by_protocol"),
        ),
        migrations.CreateModel(
            name="SweepShare",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "patient_ids",
                    django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None),
                ),
                ("done_at", models.DateTimeField(null=True)),
                ("evaluated", models.PositiveIntegerField(default=0)),
                ("changed", models.PositiveIntegerField(default=0)),
                ("failed", models.PositiveIntegerField(default=0)),
                (
                    "clinic",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="patients.clinic",
                    ),
                ),
                (
                    "run",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shares",
                        to="monitoring.evaluationrun",
                    ),
                ),
            ],
            options={
                "ordering": ["id"],
                "indexes": [
                    models.Index(condition=models.Q(("done_at__isnull", True)), fields=["id"], name="shares_to_do")
                ],
            },
        ),
        migrations.CreateModel(
            name="Unevaluated",
            fields=[
                (
                    "patient",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="+",
                        serialize=False,
                        to="patients.patient",
                    ),
                ),
                (
                    "clinic",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="patients.clinic",
                    ),
                ),
            ],
            options={"indexes": [models.Index(fields=["clinic", "patient"], name="unevaluated_by_clinic")]},
        ),
        row_security.bind_to_clinics(["monitoring_sweepshare", "monitoring_unevaluated"]),
        migrations.RunSQL(KEPT_BY, KEPT_NO_MORE),
    ]
