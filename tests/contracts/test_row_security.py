"""Row security: no table of a clinic is forgotten, and what is only added the application cannot change."""

import pytest
from django.db import DatabaseError, connection, transaction

# Tables that name a clinic and are not a patient's: who works where, tokens and the audit are read across clinics.
OPEN = {
    "monitoring_apitoken": "looked up before the clinic is known; holds a digest and a name",
    "monitoring_auditentry": "tells of sign-ins and runs of no clinic too; pages narrow it",
    "patients_membership": "says which clinics a user may see",
    "patients_membershipevent": "its history",
}
ADDED_ONLY = [
    "patients_imaging",
    "patients_staging",
    "patients_symptomreport",
    "patients_score",
    "patients_procedure",
    "patients_decision",
    "patients_lesionlocation",
    "patients_ending",
    "patients_bmireading",
    "patients_visit",
    "patients_patientevent",
    "monitoring_auditentry",
    "monitoring_evaluationreceipt",
    "monitoring_casenote",
    "monitoring_census",
    "monitoring_endingcheck",
    "schedules_deliveryevent",
    "schedules_protocolstep",
    "schedules_reminderevent",
]


def rows(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [row[0] for row in cursor.fetchall()]


def test_every_table_with_a_clinic_is_bound_to_the_viewers_clinics(db):
    bare = rows(
        "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE a.attname = 'clinic_id' AND c.relkind IN ('r', 'p') AND NOT c.relrowsecurity"
        " AND c.relnamespace = 'public'::regnamespace"
    )
    assert set(bare) == set(OPEN)


def test_every_policy_binds_reading_and_writing_alike(db):
    wrong = rows(
        "SELECT tablename FROM pg_policies WHERE schemaname = 'public'"
        " AND (qual IS DISTINCT FROM with_check OR qual NOT LIKE '%app_clinic_ids()%' OR cmd <> 'ALL')"
    )
    assert wrong == []


@pytest.mark.parametrize("table", ADDED_ONLY)
def test_what_is_only_added_cannot_be_deleted_or_emptied_by_the_application(db, table):
    for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
        refused = pytest.raises(DatabaseError, match=r"permission denied|only added")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_application_may_not_make_or_change_tables(db):
    for statement in ("CREATE TABLE mine (id int)", "ALTER TABLE patients_patient ADD COLUMN x int"):
        refused = pytest.raises(DatabaseError, match=r"permission denied|must be owner")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
