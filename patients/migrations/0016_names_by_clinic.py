"""Names and numbers are looked up within the clinic: their trigram indexes begin with it.

What a word finds no longer depends on how many patients other clinics have of that name. Built beside the writes of a
running clinic. The function asks each of the transaction's clinics, as an index over two columns cannot be asked for
several at once, and knows itself how unlike a name may be (`monitoring/patient_search.py`, LIKENESS).
"""

from importlib import import_module

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.operations import AddIndexConcurrently, RemoveIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Concat, Upper

before = import_module("patients.migrations.0008_search_by_index")
NAMED = f"""
CREATE OR REPLACE FUNCTION patients_named(word text, year int) RETURNS SETOF bigint
LANGUAGE sql {before.DEFINED} SET enable_indexscan = off SET enable_indexonlyscan = off
SET pg_trgm.word_similarity_threshold = 0.45 ROWS 200 AS $$
    SELECT found.id FROM unnest(app_clinic_ids()) AS own (clinic), LATERAL (
        SELECT id FROM patients_patient
        WHERE clinic_id = own.clinic AND ({before.NAME} LIKE {before.PATTERN} OR {before.NAME} %> word)
        UNION
        SELECT id FROM patients_patient
        WHERE clinic_id = own.clinic AND upper(record_number::text) LIKE {before.PATTERN}
        UNION
        SELECT id FROM patients_patient WHERE clinic_id = own.clinic
            AND born_on >= make_date(year, 1, 1) AND born_on < make_date(year + 1, 1, 1)
    ) found
$$
"""
AS_BEFORE = before.NAMED.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION").replace(
    "ROWS 200", "SET enable_indexscan = off SET enable_indexonlyscan = off ROWS 200"
)
NAME = OpClass(Upper(Concat("family_name", models.Value(" "), "given_name")), name="gin_trgm_ops")
NUMBER = OpClass(Upper("record_number"), name="gin_trgm_ops")


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("patients", "0015_opening_hours_in")]

    operations = [
        # Taken back, it stays: a superuser may have made it, as config/embedded/database.sql does.
        migrations.RunSQL("CREATE EXTENSION IF NOT EXISTS btree_gin", migrations.RunSQL.noop),
        AddIndexConcurrently("patient", GinIndex(models.F("clinic"), NAME, name="patient_names_of_clinic")),
        AddIndexConcurrently("patient", GinIndex(models.F("clinic"), NUMBER, name="patient_numbers_of_clinic")),
        migrations.RunSQL(NAMED, AS_BEFORE),
        RemoveIndexConcurrently("patient", "patient_name_trigrams"),
        RemoveIndexConcurrently("patient", "patient_number_trigrams"),
    ]
