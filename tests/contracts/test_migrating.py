"""Migrating real databases: all the way back and forth again, and from what an earlier version left behind."""

import lzma
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from psycopg import sql

from config import backup
from config.embedded import postgres
from monitoring import audit_seals, census, pipeline
from patients import access, recording
from patients.changes import Actor
from patients.models import Clinic, Patient, SymptomReport, User, Visit
from patients.vocabulary import Side
from tests.conftest import as_signed_in

pytestmark = pytest.mark.slow
EARLIER = sorted((Path(__file__).parent / "earlier").glob("*.sql.xz"))
OURS = ("patients_", "schedules_", "monitoring_")
CASTS = re.compile(r"::(character varying|text)(\(\d+\))?(\[\])?|[()]")  # a dump writes them elsewhere than the server


@pytest.fixture
def made_today(services, django_db_setup) -> str:
    """The name of a database that was migrated from nothing."""
    return str(connections["default"].settings_dict["NAME"])


@pytest.fixture
def empty(services, django_db_setup, django_db_blocker, worker_id) -> Iterator[str]:
    """All connections lead to an empty database that nobody else has; yields its administrator's address."""
    name = f"hipwatch_test_migrating_{worker_id}"
    with django_db_blocker.unblock(), closing(psycopg.connect(services.admin_url, autocommit=True)) as admin:
        admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER hipwatch_owner").format(sql.Identifier(name)))
        before = lead_to(name)
        yield services.admin_url_of(name)
        lead_to(before)
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def lead_to(name: str) -> str:
    before = str(connections["default"].settings_dict["NAME"])
    connections.close_all()
    for alias in connections:
        connections[alias].settings_dict["NAME"] = name
    return before


def shape(url: str) -> set[tuple[str, ...]]:
    """Every column, index, constraint, policy, trigger, function, view and grant of our tables."""
    asked = (
        "SELECT 'column', table_name, column_name, data_type || is_nullable FROM information_schema.columns"
        " WHERE table_schema = 'public'"
        " UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " UNION ALL SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)"
        " FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
        " UNION ALL SELECT 'policy', tablename, policyname, qual FROM pg_policies"
        " UNION ALL SELECT 'trigger', tgrelid::regclass::text, tgname, pg_get_triggerdef(oid) FROM pg_trigger"
        " WHERE NOT tgisinternal"
        " UNION ALL SELECT 'view', viewname, '', definition FROM pg_views WHERE schemaname = 'public'"
        " UNION ALL SELECT 'grant', table_name, grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_schema = 'public'"
    )
    with closing(psycopg.connect(url)) as database:
        return {tuple(CASTS.sub("", str(word)) for word in row) for row in database.execute(asked).fetchall()}


def rows_of(url: str) -> dict[str, int]:
    """How many rows each table of ours has."""
    with closing(psycopg.connect(url)) as database:
        return {name: count for name, count in backup.count_rows(database).items() if name.startswith(OURS)}


def test_everything_can_be_taken_back_to_nothing_and_made_again(empty, services):
    call_command("migrate", database="owner", verbosity=0)
    before = shape(empty)
    call_command("migrate", "patients", "zero", database="owner", verbosity=0)  # and with it what builds on it
    assert {row[1] for row in shape(empty) if row[1].startswith(OURS)} == set()
    call_command("migrate", database="owner", verbosity=0)
    assert sorted(shape(empty) ^ before) == []


@pytest.mark.parametrize("file", EARLIER, ids=lambda file: file.name.partition(".")[0])
def test_what_an_earlier_version_left_behind_opens(made_today, empty, services, file):
    put_back(file, empty, services)
    before = rows_of(empty)
    call_command("migrate", database="owner", verbosity=0)

    after = rows_of(empty)
    assert {name: after.get(name) for name in before} == before, "no row is lost"
    assert sorted(shape(empty) ^ shape(services.admin_url_of(made_today))) == [], "as if made today"

    now = timezone.now()
    pipeline.sweep(now)
    assert pipeline.sweep(now, everything=True).failed == 0
    with access.system_run("test"):
        for clinic in Clinic.objects.all():
            assert census.take_census(clinic, now).adds_up
        person = Patient.objects.order_by("id").first()
        told = SymptomReport(on=person.enrolled_on, source="clinician", symptomatic=True, pain_nrs=3)
        recording.record_facts(person.pk, [(Side.LEFT, told)], by=Actor(name="Ada"), visit=Visit(on=person.enrolled_on))
    connection.close()
    browser = as_signed_in(Client(), User.objects.get(email="ada@clinic.example"))
    for page in (reverse("worklist_tab", args=["all"]), reverse("patient", args=[person.pk]), reverse("patients")):
        answer = browser.get(page)
        assert answer.status_code == 200
        assert person.family_name in answer.content.decode()
    audit_seals.seal_settled(timezone.now() + audit_seals.SETTLED_AFTER)
    assert audit_seals.verify(timezone.now()).faults == []


def put_back(file: Path, url: str, services) -> None:
    program = postgres.locate(services.data).programs / "psql" if services.embedded else "psql"
    command = [os.fspath(program), "--quiet", "--set", "ON_ERROR_STOP=1", "--dbname", url]
    with lzma.open(file) as dump:
        subprocess.run(command, input=dump.read(), check=True, stdout=subprocess.DEVNULL)
