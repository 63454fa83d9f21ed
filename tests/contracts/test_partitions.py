"""Tables divided by month: everything lands in a part that nobody may name, and months are made ahead of their time."""

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from monitoring import audit, tables
from monitoring.models import AuditEntry, SystemFigure
from patients.changes import Actor
from patients.partitions import AHEAD

DIVIDED = ("monitoring_auditentry", "monitoring_evaluationreceipt", "schedules_reminderevent")
FAR = datetime.now(UTC) + timedelta(days=500)


def asked(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall()


def parts(table):
    named = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
    return {name.removeprefix(table) for (name,) in asked(named, table)}


def month(day, ahead=0):
    number = 12 * day.year + day.month - 1 + ahead
    return f"_{number // 12}_{number % 12 + 1:02}"


def entry(at):
    return AuditEntry.objects.create(at=at, actor="Ada Okoye", act="trial")


def lies_in(row):
    [[name]] = asked("SELECT tableoid::regclass::text FROM monitoring_auditentry WHERE id = %s", row.pk)
    return name.removeprefix("monitoring_auditentry")


@pytest.mark.parametrize("table", DIVIDED)
def test_months_are_made_ahead_and_only_once(db, table):
    today = timezone.now().date()
    tables.keep_months(today)
    assert {"_before", "_other", month(today, AHEAD)} <= parts(table)
    assert tables.keep_months(today) == []
    assert tables.months_ahead(today) == AHEAD
    made = tables.keep_months(today, ahead=AHEAD + 2)
    assert {f"{table}{month(today, AHEAD + 1)}", f"{table}{month(today, AHEAD + 2)}"} <= set(made)


def test_months_that_were_missed_are_made_up_for(db):
    later = timezone.now().date() + timedelta(days=400)
    assert tables.months_ahead(later) < 0
    tables.keep_months(later)
    assert tables.months_ahead(later) == AHEAD
    assert month(later, -2) in parts("monitoring_auditentry")


def test_a_row_lies_in_the_part_of_its_month_whatever_its_number(db):
    today = timezone.now().date()
    tables.keep_months(today)
    ahead = datetime(today.year, today.month, 1, tzinfo=UTC) + timedelta(days=75)
    rows = [entry(ahead), entry(timezone.now() - timedelta(days=900)), entry(FAR)]
    assert [lies_in(row) for row in rows] == [month(ahead), "_before", "_other"]
    assert [row.pk for row in AuditEntry.objects.filter(act="trial")] == sorted((row.pk for row in rows), reverse=True)


def test_nothing_is_refused_or_moved_for_want_of_a_month(db):
    row = entry(FAR)
    made = tables.keep_months(FAR.date(), ahead=1)
    assert f"monitoring_auditentry{month(FAR)}" not in made, "its rows lie elsewhere already"
    assert f"monitoring_auditentry{month(FAR, 1)}" in made
    assert lies_in(row) == "_other" and AuditEntry.objects.get(pk=row.pk).at == FAR
    assert lies_in(entry(FAR)) == "_other"


@pytest.mark.parametrize("table", DIVIDED)
@pytest.mark.parametrize(
    "act", ["SELECT count(*) FROM {}", "DELETE FROM {}", "INSERT INTO {} DEFAULT VALUES", "TRUNCATE {}"]
)
def test_the_application_may_not_name_a_part(db, table, act):
    tables.keep_months(timezone.now().date(), ahead=AHEAD + 1)  # one that was made by it is no exception
    for part in parts(table):
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(act.format(f"{table}{part}"))


def test_the_application_makes_no_part_but_of_a_month(db):
    for call in ("make_partition('monitoring_auditentry', 'x', '2030-01-01')", "secure_partition('patients_hip', 'x')"):
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(f"SELECT {call}")


@pytest.mark.parametrize("call", ["current_date, 25", "current_date, 0", "current_date + 1101, 1"])
def test_the_application_makes_no_thousand_parts(db, call):
    with pytest.raises(DatabaseError, match="at most"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT keep_partitions({call})")


def test_the_owner_does_not_change_the_audit_by_a_parts_name(services, made_part):
    with closing(psycopg.connect(services.owner_url(connection.settings_dict["NAME"]), autocommit=True)) as owner:
        for part in ("monitoring_auditentry_before", "monitoring_auditentry_other", made_part):
            for act in (f"UPDATE {part} SET actor = 'x'", f"DELETE FROM {part}", f"TRUNCATE {part}"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege, match="only added"):
                    owner.execute(act)


@pytest.fixture
def made_part(db):
    """A part that stands also for other connections."""
    return next(
        f"monitoring_auditentry{name}" for name in sorted(parts("monitoring_auditentry")) if name[1:].startswith("2")
    )


def test_a_month_is_read_without_the_others(db):
    plan = "\n".join(
        line
        for (line,) in asked(
            "EXPLAIN SELECT * FROM monitoring_auditentry WHERE at >= %s AND at < %s", FAR, FAR + timedelta(days=1)
        )
    )
    assert "monitoring_auditentry_other" in plan and "before" not in plan


def test_a_patients_entries_are_found_by_index_in_every_part(db):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute("SET LOCAL enable_sort = off")  # few rows may be cheaper to sort; that they need not be is asked
    plan = "\n".join(
        line
        for (line,) in asked(
            "EXPLAIN SELECT * FROM monitoring_auditentry WHERE patient_id = 7 ORDER BY id DESC LIMIT 50"
        )
    )
    assert "Seq Scan" not in plan and "Sort  (" not in plan, plan


def test_a_table_in_use_is_told_and_nothing_has_changed(services, committed_database):
    today = timezone.now().date()
    with closing(psycopg.connect(services.owner_url(committed_database))) as other:
        other.execute("LOCK TABLE monitoring_auditentry IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(CommandError, match="A table is in use"):
            call_command("keep_partitions", "--ahead", "24")
    before = tables.months_ahead(today)
    assert before < 24


def test_the_command_tells_what_it_made(db):
    told = StringIO()
    call_command("keep_partitions", "--ahead", "5", stdout=told)
    assert f"made monitoring_auditentry{month(timezone.now().date(), 5)}" in told.getvalue()
    assert "for 5 months to come" in told.getvalue()
    with pytest.raises(CommandError, match="from 1 to 24"):
        call_command("keep_partitions", "--ahead", "0")


# ---- Watching


def test_a_divided_table_is_told_of_as_one(db):
    audit.note(Actor("Ada Okoye"), "trial")
    found = {table.name: table for table in tables.largest(timezone.now(), many=200)}
    assert found["monitoring_auditentry"].parts == len(parts("monitoring_auditentry"))
    assert not [name for name in found if name.endswith(("_before", "_other"))]
    assert found["monitoring_auditentry"].bytes > found["monitoring_auditentry"].index_bytes > 0


def table(**said):
    known = {"parts": 1, "bytes": 9_000_000, "index_bytes": 4_000_000, "rows": 100_000, "dead": 0, "vacuumed_at": None}
    return tables.Table("patients_hip", **(known | {"index_bytes_a_row_before": None} | said))


def test_a_table_wants_vacuum_once_a_fifth_of_many_rows_is_dead():
    assert table(dead=51_000).wants_vacuum
    assert not table(dead=51_000, rows=1_000_000).wants_vacuum
    assert not table(dead=9_000, rows=10_000).wants_vacuum


def test_indexes_are_swollen_at_twice_the_bytes_a_row_of_a_month_ago():
    assert table(index_bytes_a_row_before=19.9).is_swollen
    assert not table(index_bytes_a_row_before=20.1).is_swollen
    assert not table(index_bytes_a_row_before=None).is_swollen
    assert not table(rows=500, index_bytes_a_row_before=1.0).is_swollen


def test_the_bytes_a_row_of_a_month_ago_are_compared_with(db):
    now = timezone.now()
    SystemFigure.objects.create(name="index monitoring_auditentry", on=(now - timedelta(days=31)).date(), value=12_500)
    SystemFigure.objects.create(name="index monitoring_auditentry", on=date(2020, 1, 1), value=1)
    found = {table.name: table for table in tables.largest(now, many=200)}
    assert found["monitoring_auditentry"].index_bytes_a_row_before == 12.5


def test_once_a_day_the_bytes_a_row_are_kept(db):
    now = timezone.now()
    tables.keep_figures([table(), table(rows=500)], now)
    tables.keep_figures([table(index_bytes=1)], now)
    kept = SystemFigure.objects.filter(name__startswith="index ")
    assert list(kept.values_list("name", "on", "value")) == [("index patients_hip", now.date(), 40_000)]
