"""Backup: what is saved is what comes back, table by table; what is damaged, or would be overwritten, is refused."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime

import psycopg
import pytest
from django.db import connections, transaction
from psycopg import sql

from config import backup
from monitoring import census, heartbeats
from patients import access, recording
from patients.models import Imaging
from patients.vocabulary import Side

pytestmark = pytest.mark.slow  # dumps and restores whole databases
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)

RESTORED = f"hipwatch_test_restored_{os.getpid()}"  # two workers may restore at the same time


@pytest.fixture
def registry(committed_database, make_clinic, enrol, actor):
    """Some patients with facts, and the census of the day; yields the database's address as its administrator."""
    from tests.services import ensure_services

    with transaction.atomic():
        clinic = make_clinic("North")
        for _ in range(3):
            lesion = Imaging(on=date(2026, 1, 10), modality="MR", necrosis=True)
            recording.record_facts(enrol(clinic).pk, [(Side.LEFT, lesion)], by=actor)
        census.take_census(clinic, NOON)
    return ensure_services().admin_url_of(committed_database)


@pytest.fixture
def empty(services) -> Iterator[str]:
    """The address of a database that does not exist yet; whatever is made under its name goes afterwards."""
    name = RESTORED
    yield services.admin_url_of(name)
    with psycopg.connect(services.admin_url, autocommit=True) as admin:
        for (found,) in admin.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s", (f"{name}%",)
        ).fetchall():
            admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(found)))


def contents(url):
    """A digest of every row of every table."""
    with psycopg.connect(url) as connection:
        asked = sql.SQL("SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t")
        return {
            name: connection.execute(asked.format(sql.Identifier(name))).fetchone()[0]
            for name in backup.count_rows(connection)
        }


@contextmanager
def connected_to(name):
    """Django reads another database meanwhile."""
    before = connections["default"].settings_dict["NAME"]
    connections["default"].close()
    connections["default"].settings_dict["NAME"] = name
    yield
    connections["default"].close()
    connections["default"].settings_dict["NAME"] = before


def census_now():
    with access.system_run("test") as viewer:
        return [dict(census.count_hips(clinic, NOON.date())[0]) for clinic in access.clinics_for(viewer)]


def test_a_backup_restores_into_an_empty_database_with_every_row_the_census_and_the_audit(registry, empty, tmp_path):
    made = backup.save(tmp_path, url=registry)
    saved, counted = contents(registry) | {"monitoring_heartbeat": ""}, census_now()
    put = backup.restore(tmp_path / made.file, url=empty)
    assert contents(empty) | {"monitoring_heartbeat": ""} == saved
    assert put.rows["monitoring_auditentry"] >= 6 and put.rows["patients_patient"] == 3
    with connected_to(RESTORED):
        assert census_now() == counted != []


def test_row_level_security_and_grants_come_back_as_well(registry, empty, tmp_path, services):
    backup.restore(tmp_path / backup.save(tmp_path, url=registry).file, url=empty)
    with psycopg.connect(services.app_url(RESTORED)) as app:
        app.execute("SELECT set_config('app.clinic_ids', '{}', true)")
        assert app.execute("SELECT count(*) FROM patients_patient").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute("DELETE FROM monitoring_auditentry")


def test_a_backup_beats_its_heart(registry, tmp_path, settings):
    settings.BACKUPS_EXPECTED = True
    with transaction.atomic():
        assert heartbeats.beat("backup").late
    backup.save(tmp_path, url=registry)
    with transaction.atomic():
        assert not heartbeats.beat("backup").late


def test_a_damaged_backup_is_refused(registry, empty, tmp_path):
    file = tmp_path / backup.save(tmp_path, url=registry).file
    whole = file.read_bytes()
    file.write_bytes(whole[:-100] + bytes(100))
    with pytest.raises(backup.BackupError, match="damaged"):
        backup.restore(file, url=empty)


def test_a_database_that_is_not_empty_is_not_overwritten(registry, tmp_path):
    file = tmp_path / backup.save(tmp_path, url=registry).file
    before = contents(registry)
    with pytest.raises(backup.BackupError, match="not empty"):
        backup.restore(file, url=registry)
    assert contents(registry) == before


def test_with_replace_the_former_database_is_kept_under_another_name(registry, empty, tmp_path, services):
    file = tmp_path / backup.save(tmp_path, url=registry).file
    backup.restore(file, url=empty)
    backup.restore(file, url=empty, replace=True)
    with psycopg.connect(services.admin_url) as admin:
        names = admin.execute("SELECT datname FROM pg_database WHERE datname LIKE %s", [f"{RESTORED}%"]).fetchall()
    assert len(names) == 2


def test_what_was_restored_is_compared_with_what_was_saved(registry, empty, tmp_path, services):
    file = tmp_path / backup.save(tmp_path, url=registry).file
    beside = file.with_suffix(".json")
    told = json.loads(beside.read_text())
    told["rows"]["patients_patient"] += 1
    beside.write_text(json.dumps(told))
    with pytest.raises(backup.BackupError, match="patients_patient has 3 rows of 4"):
        backup.restore(file, url=empty)
    with psycopg.connect(services.admin_url) as admin:
        left = admin.execute("SELECT count(*) FROM pg_database WHERE datname LIKE %s", [f"{RESTORED}%"]).fetchone()
    assert left == (0,)


def test_only_the_newest_backups_are_kept(registry, tmp_path):
    for number in range(3):
        old = tmp_path / f"hipwatch-2026010{number}T000000Z.dump"
        old.touch()
        old.with_suffix(".json").touch()
    made = backup.save(tmp_path, url=registry, keep=2)
    assert {path.name for path in tmp_path.glob("*.dump")} == {"hipwatch-20260102T000000Z.dump", made.file}
    assert len(list(tmp_path.iterdir())) == 4
