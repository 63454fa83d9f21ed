"""Rows of one's own clinics only; receipts, case notes and the audit are only added, the audit by trigger as well."""

from django.db import migrations

from patients import row_security

OF_A_HIP = ["hipevaluation", "flag", "reviewcase"]
OF_A_PATIENT = ["patientevaluation", "evaluationreceipt", "contactattempt", "snooze"]
OTHERS = ["casenote", "importbatch", "importrow", "census"]


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_initial"), ("patients", "0002_row_level_security")]

    operations = [
        row_security.bind_to_clinics([f"monitoring_{name}" for name in (*OF_A_HIP, *OF_A_PATIENT, *OTHERS)]),
        *(
            row_security.tie(
                f"monitoring_{name}", "hip_id, patient_id, clinic_id", "patients_hip (id, patient_id, clinic_id)", f"{name}_of_its_hip"
            )
            for name in OF_A_HIP
        ),
        *(
            row_security.tie(
                f"monitoring_{name}", "patient_id, clinic_id", "patients_patient (id, clinic_id)", f"{name}_of_patient_in_clinic"
            )
            for name in OF_A_PATIENT
        ),
        row_security.add_only(["monitoring_auditentry", "monitoring_evaluationreceipt", "monitoring_casenote", "monitoring_census"]),
        row_security.never_delete(
            ["monitoring_flag", "monitoring_reviewcase", "monitoring_contactattempt", "monitoring_snooze", "monitoring_evaluationrun"]
        ),
        migrations.RunSQL(
            """
            CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'rows of % are only added', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege'; END $$;
            CREATE TRIGGER audit_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON monitoring_auditentry
                FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
            """,
            "DROP TRIGGER audit_only_added ON monitoring_auditentry; DROP FUNCTION refuse_change();",
        ),
    ]
