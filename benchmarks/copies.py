"""Copies: a registry of any size out of a small simulated one, by SQL alone: a million hips within minutes.

    export DATA_DIR=/path
    .venv/bin/python -m config.embedded.postgres start
    .venv/bin/python manage.py migrate --database owner
    .venv/bin/python manage.py simulate_registry --patients 2000 --processes 2
    .venv/bin/python benchmarks/copies.py --patients 100000 --clinics 10

Every patient is SYNTHETIC. Each row of a simulated patient, history and receipts too, is written again for each copy
with ids of its own, another number and another mixture of names. The simulation knows no outcomes of calls, snoozes
and appointments; some are added first. Refuses a database with patients that are not synthetic. What was multiplied may
be multiplied again, with --lean too: 100,000 whole patients become half a million of which lists know everything.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

import psycopg  # noqa: E402
from django.apps import apps  # noqa: E402
from django.db import models, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from config.embedded import locations  # noqa: E402
from monitoring import heartbeats  # noqa: E402
from monitoring.management.commands.simulate_registry import synthetic_clinic  # noqa: E402
from monitoring.models import AuditEntry  # noqa: E402
from patients.models import Membership, Patient, Role, User  # noqa: E402

MAIL = {"all": "all@benchmark.example", "one": "one@benchmark.example"}  # who works in all clinics, and in one
LISTED = {  # read by lists of all patients
    "Appointment", "ContactAttempt", "ContactWish", "Flag", "Hip", "HipEvaluation", "Patient", "PatientEvaluation",
    "ReviewCase", "Snooze", "Standing",
}  # fmt: skip
LEFT_OUT = {"ImportRow", "VisitDraft", "PatientLinkUse"}

# What staff did with the simulated patients: calls to those who are late, snoozes, and times booked.
WORK = """
INSERT INTO monitoring_contactattempt (clinic_id, patient_id, outcome, next_on, owner_id, note, at, by_id, actor)
SELECT e.clinic_id, e.patient_id, CASE n WHEN 3 THEN 'reached' ELSE 'no_answer' END, current_date + 5, %(owner)s, '',
       now() - n * interval '9 days', %(owner)s, 'SYNTHETIC'
FROM (SELECT DISTINCT clinic_id, patient_id FROM monitoring_hipevaluation WHERE status IN ('overdue', 'gap', 'due')) e,
     generate_series(1, 3) n
WHERE (e.patient_id + n) %% 3 > 0;
INSERT INTO monitoring_snooze (clinic_id, patient_id, from_on, until, reason, owner_id, at, actor)
SELECT DISTINCT clinic_id, patient_id, current_date - 2, current_date + 5 + (patient_id %% 20)::int, 'SYNTHETIC: away',
       %(owner)s::bigint, now(), 'SYNTHETIC'
FROM monitoring_hipevaluation WHERE status IN ('overdue', 'gap', 'due', 'open') AND patient_id %% 17 = 0;
INSERT INTO schedules_appointment (clinic_id, patient_id, starts_at, minutes, purpose, place, state, uid, sequence,
       note, cancelled_reason, actor, created_at, changed_at)
SELECT DISTINCT ON (patient_id) clinic_id, patient_id,
       date_trunc('day', now()) + (patient_id %% 40 - 8) * interval '1 day' + (8 + patient_id %% 9) * interval '1 hour',
       30, 'visit', '', CASE WHEN patient_id %% 40 < 8 THEN 'did_not_attend' ELSE 'booked' END, gen_random_uuid(), 0,
       '', '', 'SYNTHETIC', now(), now()
FROM monitoring_hipevaluation WHERE status IS NOT NULL AND patient_id %% 9 = 0;
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--patients", type=int, default=100_000)
    parser.add_argument("--clinics", type=int, default=10)
    parser.add_argument("--lean", action="store_true", help="copy only what lists read: no facts, mails, history")
    asked = parser.parse_args()
    begin = time.monotonic()
    clinics = [synthetic_clinic(place).pk for place in range(1, asked.clinics + 1)]
    owner = _staff(clinics)
    with psycopg.connect(locations.admin_database_url(database=locations.DATABASE)) as database:
        made = _multiply(database, clinics, asked.patients, owner, asked.lean)
    _analyse()
    with transaction.atomic():
        heartbeats.finished("sweep", timezone.now(), behind=0)
    print(f"SYNTHETIC: {made:,} patients in {len(clinics)} clinics, {time.monotonic() - begin:.0f} s")


def _staff(clinics: list[int]) -> int:
    """Two people for the benchmarks: one of all clinics, one of the first. Returns the latter's id."""
    ids = {}
    for who, email in MAIL.items():
        user = User.objects.filter(email=email).first() or User.objects.create_user(email, name=f"SYNTHETIC {who}")
        for clinic in clinics if who == "all" else clinics[:1]:
            for role in (Role.COORDINATOR, Role.CLINICIAN, Role.ADMIN):
                Membership.objects.get_or_create(user=user, clinic_id=clinic, role=role)
        ids[who] = user.pk
    return ids["one"]


def _multiply(database: "psycopg.Connection[Any]", clinics: list[int], wanted: int, owner: int, lean: bool) -> int:
    """The copies in one transaction, with triggers and indexes out of the way. Returns how many patients there are."""
    number, real = _one(database, "SELECT count(*), count(*) FILTER (WHERE NOT synthetic) FROM patients_patient")
    if real or not number:
        raise SystemExit("Only a database with simulated patients and no others can be multiplied.")
    tables = [model for model in _copied_models() if not lean or model.__name__ in LISTED]
    known = _one(database, "SELECT EXISTS (SELECT FROM monitoring_contactattempt)")[0]
    for statement in filter(str.strip, [] if known else WORK.split(";")):
        database.execute(statement, {"owner": owner})  # type: ignore[arg-type]
    database.execute("UPDATE patients_patient SET responsible_id = %s WHERE id %% 4 > 0", [owner])
    database.commit()  # so that no trigger is left to run
    step = 10 ** len(str(max(_highest(database, model) for model in tables)))
    copies = -(-wanted // number) - 1
    database.execute("SET session_replication_role = replica")
    database.execute("SET maintenance_work_mem = '512MB'")
    database.execute(
        "CREATE TEMP TABLE people AS SELECT id, row_number() OVER (ORDER BY id) - 1 AS n, family_name, given_name"
        " FROM patients_patient"
    )
    database.execute("CREATE UNIQUE INDEX ON people (n)")
    database.execute(
        "CREATE TEMP TABLE copies AS SELECT n AS copy, (%s::bigint[])[1 + n %% %s] AS clinic"
        " FROM generate_series(1, %s) n",
        [clinics, len(clinics), copies],
    )
    for model in tables:
        begin = time.monotonic()
        rows = _copy(database, model, tables, step)
        if rows > 100_000:
            print(f"  {model._meta.db_table}: {rows:,} rows, {time.monotonic() - begin:.0f} s", flush=True)
    return number * (copies + 1)


def _one(database: "psycopg.Connection[Any]", statement: str) -> Any:
    return database.execute(statement).fetchone()  # type: ignore[call-overload]


def _copied_models() -> list[type[models.Model]]:
    """Patients and whatever hangs on them, directly or not."""
    ours = [m for m in apps.get_models() if m._meta.app_label in ("patients", "schedules", "monitoring")]
    found: list[type[models.Model]] = [Patient, AuditEntry]
    while more := [m for m in ours if m not in found and m.__name__ not in LEFT_OUT and _hangs_on(m, found)]:
        found += more
    return found


def _hangs_on(model: type[models.Model], found: list[type[models.Model]]) -> bool:
    return any(field.is_relation and field.related_model in found for field in model._meta.concrete_fields)


def _highest(database: "psycopg.Connection[Any]", model: type[models.Model]) -> int:
    pk = model._meta.pk.column  # type: ignore[union-attr]
    return (
        _one(database, f"SELECT coalesce(max({pk}), 0) FROM {model._meta.db_table}")[0]
        if _is_number(model._meta.pk)
        else 0
    )


def _is_number(field: Any) -> bool:
    kind = field.target_field if field.is_relation else field
    return isinstance(kind, models.IntegerField | models.AutoField)


def _copy(
    database: "psycopg.Connection[Any]", model: type[models.Model], tables: list[type[models.Model]], step: int
) -> int:
    table = model._meta.db_table
    columns = {f.column: _expression(model, f, tables, step) for f in model._meta.concrete_fields}
    indexes = database.execute(
        "SELECT format('DROP INDEX %%I', c.relname), replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ')"
        " FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass AND NOT i.indisunique",
        [table],
    ).fetchall()
    for drop, _make in indexes:
        database.execute(drop)
    people = ""
    if model is Patient:
        people = (
            " JOIN people me ON me.id = t.id"
            " JOIN people family ON family.n = (me.n + copy * 7919) % (SELECT count(*) FROM people)"
            " JOIN people given ON given.n = (me.n + copy * 104729) % (SELECT count(*) FROM people)"
        )
    names, values = ", ".join(f'"{name}"' for name in columns), ", ".join(columns.values())
    done = database.execute(
        f"INSERT INTO {table} ({names}) SELECT {values} FROM copies CROSS JOIN {table} t{people}"
    ).rowcount  # type: ignore[call-overload]
    for _drop, make in indexes:
        database.execute(make)
    if isinstance(model._meta.pk, models.AutoField):
        pk = model._meta.pk.column
        database.execute(f"SELECT setval(pg_get_serial_sequence('{table}', '{pk}'), (SELECT max({pk}) FROM {table}))")  # type: ignore[call-overload]
    return done


def _expression(model: type[models.Model], field: Any, tables: list[type[models.Model]], step: int) -> str:
    """What stands in this column of a copy: `t` is the row, `copy` the number of the copy."""
    column = f't."{field.column}"'
    moved = f"{column} + copy * {step}"
    if field.column == "clinic_id":
        return "clinic"
    if model is AuditEntry and field.column == "patient_id":
        return moved
    if field.is_relation:
        return moved if field.related_model in tables else column
    if field.primary_key or (field.column == "id" and model.__name__.endswith("Event")):
        return moved if _is_number(field) else "gen_random_uuid()"
    if isinstance(field, models.UUIDField) and field.unique:
        return "gen_random_uuid()"
    if field.unique and field.column != "id":
        return f"'copy' || copy || '.' || {column}"
    if model is Patient:
        return {
            "record_number": "t.record_number || '-' || copy",
            "family_name": "family.family_name",
            "given_name": "given.given_name",
            "email": "CASE t.email WHEN '' THEN '' ELSE 'copy' || copy || '.' || t.email END",
        }.get(field.column, column)
    return column


def _analyse() -> None:
    with psycopg.connect(locations.admin_database_url(database=locations.DATABASE), autocommit=True) as database:
        database.execute("VACUUM (ANALYZE)")


if __name__ == "__main__":
    main()
