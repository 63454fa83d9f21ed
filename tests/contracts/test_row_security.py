"""Row security: no table of a clinic is forgotten, and what is only added the application cannot change."""

import pytest
from django.apps import apps
from django.db import DatabaseError, connection, transaction

from patients import access

# Tables that name a clinic and are not a patient's: who works where, tokens and the audit are read across clinics.
OPEN = {
    "monitoring_apitoken": "looked up before the clinic is known; holds a digest and a name",
    "monitoring_auditentry": "tells of sign-ins and runs of no clinic too; pages narrow it",
    "patients_emergencyaccess": "read by who opened it, before any clinic is bound; holds ids and the reason",
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
    "monitoring_auditseal",
    "monitoring_evaluationreceipt",
    "monitoring_casenote",
    "monitoring_census",
    "monitoring_endingcheck",
    "schedules_deliveryevent",
    "schedules_protocolstep",
    "schedules_reminderevent",
]


READ_ONLY = {"monitoring_standing", "monitoring_standing_now"}  # kept by triggers


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


def models_of_a_clinic():
    """Every model of ours whose rows name a clinic."""
    for model in apps.get_models():
        if any(field.column == "clinic_id" for field in model._meta.concrete_fields):
            yield model


def test_every_model_with_a_clinic_is_bound_whatever_a_query_forgot(world):
    """No filter of Django's is left: all rows are asked for, and the database shows the own clinic's alone."""
    own, other = world
    theirs = {model: model._base_manager.filter(clinic_id=other.clinic.pk).count() for model in models_of_a_clinic()}
    access.bind_clinics([own.clinic.pk])
    seen = {model for model in theirs if model._base_manager.filter(clinic_id=other.clinic.pk).exists()}
    assert {model._meta.db_table for model in seen} <= set(OPEN)
    assert sum(count > 0 for count in theirs.values()) > 15, "otherwise this would prove nothing"
    access.bind_clinics([])
    bound = [model for model in theirs if model._meta.db_table not in OPEN]
    assert not [model for model in bound if model._base_manager.exists()]


def test_no_row_can_be_written_into_another_clinic(world):
    own, other = world
    access.bind_clinics([own.clinic.pk])
    for model in models_of_a_clinic():
        table = model._meta.db_table
        if table in OPEN or table in READ_ONLY:
            continue
        refused = pytest.raises(DatabaseError, match=r"row-level security|permission denied")
        with refused, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} (clinic_id) VALUES (%s)", [other.clinic.pk])


def test_without_a_clinic_set_a_query_is_an_error_and_not_an_empty_list(world):
    filled = [one for one in models_of_a_clinic() if one._meta.db_table not in OPEN and one._base_manager.exists()]
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('app.clinic_ids', '', true)")
    assert len(filled) > 15
    for model in filled:
        with pytest.raises(DatabaseError, match="no clinic is set"), transaction.atomic():
            model._base_manager.exists()


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
