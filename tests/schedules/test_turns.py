"""A turn: what came of the last mails and the next claim are one transaction, which is over when it answers."""

import threading
from datetime import timedelta

import pytest
from django.db import DataError, connection, connections, transaction

from patients import access, recording
from patients.changes import Actor
from patients.models import ContactWish
from schedules import turns
from schedules.models import Reminder, ReminderEvent
from schedules.turns import Sent, Turn
from tests.schedules.conftest import NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
TURN = Turn("worker", NOON, Actor.system("mail"))


def reserved(make_clinic, enrol, follow, *, many: int) -> list[Reminder]:
    """Mails as a worker has decided on them, to one patient each."""
    clinic = make_clinic("North")
    for _ in range(many):
        follow(enrol(clinic))
    rows = list(Reminder.objects.filter(step="due").select_related("patient", "clinic").order_by("id"))
    Reminder.objects.filter(pk__in=[row.pk for row in rows]).update(claimed_by=TURN.owner)
    for row in rows:
        row.message_id = f"<{row.pk}@example.org>"
    return rows


@pytest.fixture
def two(committed_database, make_clinic, enrol, follow) -> list[Reminder]:
    with access.system_run("test"), transaction.atomic():
        return reserved(make_clinic, enrol, follow, many=2)


def states() -> list[str]:
    with access.system_run("test"):
        return list(Reminder.objects.filter(step="due").order_by("id").values_list("state", flat=True))


def history() -> list[str]:
    with access.system_run("test"):
        return list(ReminderEvent.objects.order_by("id").values_list("state", flat=True))


def test_a_turn_stores_and_claims_and_is_committed_when_it_answers(two):
    first, second = two
    clinics = [first.clinic_id]
    stored, claimed = turns.take(TURN, wanted=[first], since=NOON, clinics=clinics)
    assert (stored, claimed[first.pk].sent_to, claimed[first.pk].attempts) == (0, first.patient.email, 1)
    connections.close_all()  # what was not committed would be undone
    assert states() == ["sending", "planned"]
    stored, claimed = turns.take(TURN, sent=[Sent(first.pk)], wanted=[second], since=NOON, clinics=clinics)
    assert (stored, list(claimed)) == (1, [second.pk])
    connections.close_all()
    assert (states(), history()) == (["sent", "sending"], ["sending", "sent", "sending"])


def test_a_turn_leaves_no_clinics_bound_behind_it(two):
    turns.take(TURN, wanted=two, clinics=[two[0].clinic_id])
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('app.clinic_ids', true)")
        assert cursor.fetchone()[0] in (None, "")


def test_a_turn_sees_the_clinics_that_it_is_bound_to_and_no_others(two):
    assert turns.take(TURN, wanted=two, clinics=[two[0].clinic_id + 1]) == (0, {})
    assert states() == ["planned", "planned"]


def test_of_a_turn_that_fails_nothing_is_kept(two):
    first, second = two
    turns.take(TURN, wanted=[first], clinics=[first.clinic_id])
    second.message_id = "<" + "x" * 200 + ">"
    with pytest.raises(DataError):
        turns.take(TURN, sent=[Sent(first.pk)], wanted=[second], clinics=[first.clinic_id])
    assert states() == ["sending", "planned"]


def test_nothing_is_stored_or_claimed_for_somebody_else(two):
    first, second = two
    turns.take(TURN, wanted=[first], clinics=[first.clinic_id])
    other = Turn("another", NOON, TURN.by)
    assert turns.take(other, sent=[Sent(first.pk)], wanted=[second], clinics=[first.clinic_id]) == (0, {})
    assert states() == ["sending", "planned"]


def test_a_mail_whose_patient_somebody_holds_is_passed_over_without_waiting(two):
    first, second = two
    held, go_on = threading.Event(), threading.Event()

    def record() -> None:
        with access.system_run("test"):
            recording.lock_patient(first.patient_id)
            held.set()
            go_on.wait(20)
        connections.close_all()

    recorder = threading.Thread(target=record)
    recorder.start()
    assert held.wait(10)
    try:
        _stored, claimed = turns.take(TURN, wanted=two, since=NOON, clinics=[first.clinic_id])
    finally:
        go_on.set()
        recorder.join()
    assert list(claimed) == [second.pk]


def test_what_has_come_since_the_decision_counts_and_what_came_before_it_does_not(two):
    first, second = two
    with access.system_run("test"):
        ContactWish.objects.filter(patient=first.patient_id).update(allowed=False)
        Reminder.objects.filter(patient=second.patient_id).exclude(pk=second.pk).update(
            state="sent", sent_to="a@b.example", decided_at=NOON - timedelta(minutes=1)
        )
    _stored, claimed = turns.take(TURN, wanted=two, since=NOON, clinics=[first.clinic_id])
    assert list(claimed) == [second.pk]
    _stored, claimed = turns.take(TURN, wanted=[first], since=NOON - timedelta(minutes=2), clinics=[first.clinic_id])
    assert claimed == {}


def test_mails_are_found_by_their_number_and_not_by_an_index_of_states(db, make_clinic, enrol, follow):
    """Such an index is full of rows that have just left the state, and each turn would read them all."""
    rows = reserved(make_clinic, enrol, follow, many=3)
    fixed = {"clinic": rows[0].clinic, "patient": rows[0].patient, "step": "due", "state": "cancelled"}
    days = [rows[0].due_on + timedelta(days=number) for number in range(1, 3001)]
    Reminder.objects.bulk_create(Reminder(cycle_on=day, due_on=day, send_on=day, **fixed) for day in days)
    with connection.cursor() as cursor:
        cursor.execute("DISCARD PLANS")  # those of the tests before are of a table with hardly a row
        cursor.execute("SET LOCAL enable_seqscan = off")
        before = _scans(cursor)
        turns.take(TURN, wanted=rows, since=NOON)
        turns.take(TURN, sent=[Sent(row.pk) for row in rows])
        after = _scans(cursor)
    read = {name for name, scans in after.items() if scans > before[name]}
    assert read and read.isdisjoint({"reminders_by_state", "reminders_to_send", "reminders_in_flight"})


def _scans(cursor) -> dict[str, int]:
    cursor.execute(
        "SELECT i.relname, pg_stat_get_xact_numscans(i.oid) FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid"
        " WHERE x.indrelid = 'schedules_reminder'::regclass"
    )
    return dict(cursor.fetchall())
