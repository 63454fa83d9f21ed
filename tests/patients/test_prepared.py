"""Prepared statements: several to a journey, and what one that fails leaves behind."""

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext

from patients.prepared import rows_of, rows_of_each, together


def test_each_statement_gets_its_own_rows(db):
    asked = [("SELECT %s::int + 1", [1]), ("SELECT generate_series(1, %s)", [3]), ("SELECT 1 WHERE false", [])]
    assert rows_of_each(asked) == [[(2,)], [(1,), (2,), (3,)], []]


def test_what_fails_is_undone_to_the_savepoint_and_the_statements_after_it_work_the_next_time(db):
    new = "SELECT 'first asked for after one that fails', %s::int"
    for _ in range(3):
        with pytest.raises(DataError, match="division by zero"), transaction.atomic():
            rows_of_each([("SELECT 1 / %s::int", [0]), (new, [7]), ("SELECT %s::int", [8])])
        assert rows_of_each([(new, [7]), ("SELECT %s::int", [8])])[1] == [(8,)]
        assert rows_of(new, [7])[0][1] == 7


def test_steps_go_on_only_when_all_that_was_asked_for_is_done(db):
    told = []

    def steps(name, *rounds):
        for number in rounds:
            ((row,),) = yield [("SELECT %s::int", [number])]
            told.append((name, row[0]))

    together(steps("a", 1, 2), steps("b", 3), steps("c", 4, 5))
    assert told == [("a", 1), ("b", 3), ("c", 4), ("a", 2), ("c", 5)]


def test_every_statement_is_counted(db):
    with CaptureQueriesContext(connection) as queries:
        rows_of_each([("SELECT %s::int", [1]), ("SELECT %s::int", [2])])
    assert [query["sql"] for query in queries] == ["SELECT $1::int", "SELECT $1::int"]


WHICH = "SELECT pg_current_xact_id()::text, current_setting('app.clinic_ids', true)"
BIND = "SELECT set_config('app.clinic_ids', %s::text, true)"


@pytest.fixture
def outside_transactions(django_db_setup, django_db_blocker):
    with django_db_blocker.unblock():
        yield


def test_a_statement_outside_a_transaction_is_one_that_leaves_no_setting_behind(outside_transactions):
    ((first, _before),) = rows_of(WHICH, [])
    rows_of(BIND, ["{7}"])
    ((second, seen),) = rows_of(WHICH, [])
    assert first != second and seen != "{7}"


def test_a_statement_whose_commit_fails_has_failed(outside_transactions):
    """Its rows have come by then: they must not be taken for what is kept."""
    rows_of("CREATE TEMPORARY TABLE parent (id int PRIMARY KEY)", [])
    deferred = "REFERENCES parent DEFERRABLE INITIALLY DEFERRED"
    rows_of(f"CREATE TEMPORARY TABLE child (parent_id int {deferred})", [])
    with pytest.raises(IntegrityError):
        rows_of("INSERT INTO child VALUES (%s::int) RETURNING parent_id", [7])
    assert rows_of("SELECT count(*) FROM child", []) == [(0,)]
