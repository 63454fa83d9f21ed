"""Audit seals: whoever rules the database and rewrites the audit is found out."""

from contextlib import closing
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from monitoring import audit, audit_seals
from monitoring.models import AuditSeal
from patients.changes import Actor
from tests.schedules.conftest import wait_for

pytestmark = pytest.mark.slow  # waits for other transactions of the server

LONG_AGO = timedelta(hours=1)


@transaction.atomic
def write(count):
    """Entries of an hour ago, committed together."""
    for number in range(count):
        audit.note(Actor("Ada Okoye"), "change_clinic", object=f"clinic-{number}", after={"telephone": "1", "n": 1.5})


def seal():
    """What is settled is sealed. Transactions of other tests on the same server may keep it waiting for a while."""
    assert wait_for(lambda: audit_seals.seal_settled(timezone.now() + LONG_AGO), 60)


def seal_in(*, minutes):
    audit_seals.seal_settled(timezone.now() + timedelta(minutes=minutes))
    return False


@pytest.fixture
def sealed(committed_database, services, settings, tmp_path):
    """Nine sealed entries in three seals; yields a superuser's connection, on which no trigger fires."""
    settings.AUDIT_SEAL_FILE = str(tmp_path / "seals.txt")
    for _time in range(3):
        write(3)
        seal()
    with closing(psycopg.connect(services.admin_url_of(committed_database), autocommit=True)) as master:
        master.execute("SET session_replication_role = replica")
        yield master


def verified(*arguments):
    told = StringIO()
    call_command("verify_audit", *arguments, stdout=told, stderr=told)
    return told.getvalue()


def test_an_untouched_audit_holds(sealed):
    assert "3 seals over 9 entries checked; 0 entries not sealed yet." in verified()
    assert audit_seals.seal_settled(timezone.now() + LONG_AGO) == [], "there is nothing new"


@pytest.mark.parametrize(
    ("tampering", "words"),
    [
        ("UPDATE monitoring_auditentry SET actor = 'Finn Holm' WHERE id = {middle}", "was changed"),
        ("UPDATE monitoring_auditentry SET after = '{{}}' WHERE id = {middle}", "was changed"),
        ("DELETE FROM monitoring_auditentry WHERE id = {middle}", "2 entries where 3 were sealed"),
        (
            "UPDATE monitoring_auditentry a SET object = b.object FROM monitoring_auditentry b"
            " WHERE (a.id, b.id) IN (({middle}, {middle} + 1), ({middle} + 1, {middle}))",
            "two were exchanged",
        ),
        (
            "INSERT INTO monitoring_auditentry (id, at, actor, act, object, reason, request_id)"
            " OVERRIDING SYSTEM VALUE SELECT id - 100000, at, actor, act, object, reason, request_id"
            " FROM monitoring_auditentry WHERE id = {middle}",
            "4 entries where 3 were sealed",
        ),
        ("DELETE FROM monitoring_auditseal WHERE until_id = {until}", "the seal before is missing"),
    ],
)
def test_what_the_databases_master_does_to_it_is_found(sealed, tampering, words):
    seal = AuditSeal.objects.order_by("id")[1]
    statement = tampering.format(middle=seal.until_id - 1, until=seal.until_id)
    sealed.execute(statement)
    told = StringIO()
    with pytest.raises(CommandError, match="not as it was sealed"):
        call_command("verify_audit", stdout=told, stderr=told)
    assert words in told.getvalue()


def test_who_rewrites_entries_and_seals_alike_is_found_by_the_seals_that_were_sent_out(sealed, settings):
    assert verified("--against", settings.AUDIT_SEAL_FILE)
    sealed.execute("UPDATE monitoring_auditentry SET actor = 'Finn Holm'")
    sealed.execute("DELETE FROM monitoring_auditseal")
    seal()
    assert "1 seals over 9 entries checked" in verified(), "the forged chain is whole in itself"
    with pytest.raises(CommandError, match="faults"):
        verified("--against", settings.AUDIT_SEAL_FILE)


def test_an_audit_whose_last_seals_are_gone_is_found_after_a_day(sealed):
    sealed.execute("UPDATE monitoring_auditentry SET at = at - interval '2 days'")
    sealed.execute("DELETE FROM monitoring_auditseal")
    with pytest.raises(CommandError):
        verified()


def settled(later=LONG_AGO):
    return len(audit_seals._settled_ids(audit_seals.BEFORE_ALL, timezone.now() + later))


def test_what_a_running_transaction_has_written_or_may_precede_waits(committed_database):
    write(1)
    assert wait_for(lambda: settled() == 1, 60)
    with transaction.atomic():
        audit.note(Actor("Ada Okoye"), "change_clinic")
        assert settled() == 1
    assert wait_for(lambda: settled() == 2, 60)
    assert settled(timedelta(0)) == 0, "and what is of these minutes"


def test_an_entry_of_a_machine_whose_clock_is_ahead_holds_nothing_up(committed_database):
    write(2)
    with time_machine.travel(timezone.now() + timedelta(days=1)):
        write(1)
    write(2)
    assert wait_for(lambda: audit_seals.verify(timezone.now()).unsealed == 0 or seal_in(minutes=3), 60)
    assert audit_seals.verify(timezone.now()).faults == []


def test_neither_the_application_nor_the_owner_rewrites_audit_or_seals(sealed, services, committed_database):
    with closing(psycopg.connect(services.owner_url(committed_database), autocommit=True)) as owner:
        for table in ("monitoring_auditentry", "monitoring_auditseal"):
            for statement in (f"UPDATE {table} SET id = id", f"DELETE FROM {table}", f"TRUNCATE {table}"):
                with pytest.raises(psycopg.Error, match="only added"):
                    owner.execute(statement)
                with pytest.raises(DatabaseError, match=r"permission denied|only added"), connection.cursor() as app:
                    app.execute(statement)


def test_a_sealer_that_runs_twice_seals_once(committed_database):
    write(2)
    seal()
    assert audit_seals.seal_settled(timezone.now() + LONG_AGO) == []
    assert [one.count for one in AuditSeal.objects.all()] == [2]
