"""Two database roles: rows of one's own clinics only, facts that are only added, and keys that tie each to its hip."""

from django.db import migrations

from patients import row_security

HIP_FACTS = ("imaging", "staging", "symptomreport", "score", "procedure", "decision", "lesionlocation", "ending")
FACTS = [f"patients_{name}" for name in (*HIP_FACTS, "bmireading")]
OF_A_CLINIC = ["patients_patient", "patients_contactwish", "patients_hip", "patients_exposure", "patients_visit", *FACTS]
HISTORY_OF_A_CLINIC = ["patients_patientevent", "patients_contactwishevent", "patients_exposureevent"]
HISTORY = [*HISTORY_OF_A_CLINIC, "patients_clinicevent", "patients_membershipevent"]


def hip_fact_keys():
    for name in HIP_FACTS:
        table = f"patients_{name}"
        yield row_security.tie(table, "hip_id, patient_id, clinic_id", "patients_hip (id, patient_id, clinic_id)", f"{name}_of_its_hip")
        yield migrations.RunSQL(
            f"ALTER TABLE {table} ADD CONSTRAINT {name}_once_per_hip UNIQUE (id, hip_id)",
            f"ALTER TABLE {table} DROP CONSTRAINT {name}_once_per_hip",
        )
        yield row_security.tie(table, "supersedes_id, hip_id", f"{table} (id, hip_id)", f"{name}_supersedes_same_hip")


class Migration(migrations.Migration):
    dependencies = [("patients", "0001_initial")]

    operations = [
        migrations.RunSQL(row_security.CLINIC_IDS, "DROP FUNCTION app_clinic_ids()"),
        row_security.grant_all(),
        row_security.bind_to_clinics([*OF_A_CLINIC, *HISTORY_OF_A_CLINIC]),
        row_security.tie("patients_hip", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "hip_of_patient_in_clinic"),
        row_security.tie("patients_visit", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "visit_of_patient_in_clinic"),
        row_security.tie("patients_bmireading", "patient_id, clinic_id", "patients_patient (id, clinic_id)", "bmi_of_patient_in_clinic"),
        migrations.RunSQL(
            "ALTER TABLE patients_bmireading ADD CONSTRAINT bmireading_once_per_patient UNIQUE (id, patient_id)",
            "ALTER TABLE patients_bmireading DROP CONSTRAINT bmireading_once_per_patient",
        ),
        row_security.tie("patients_bmireading", "supersedes_id, patient_id", "patients_bmireading (id, patient_id)", "bmi_supersedes_same_patient"),
        *hip_fact_keys(),
        row_security.add_only(FACTS, but_update=("withdrawn_at", "withdrawn_actor", "withdrawn_reason")),
        row_security.add_only(["patients_visit", "patients_hip", *HISTORY]),
        row_security.never_delete(["patients_patient", "patients_contactwish", "patients_exposure", "patients_clinic"]),
    ]
