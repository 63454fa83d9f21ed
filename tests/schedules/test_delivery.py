"""Delivery against a real SMTP server that refuses, hangs up and keeps silent."""

import threading
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connections, transaction

from patients import access, recording
from schedules import answers, appointments, channels, claiming, delivery, desk, storing
from schedules.circumstances import cases_for, snoozes_from
from schedules.eligibility import Reason
from schedules.models import Reminder
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")


@pytest.fixture
def due(patient, follow) -> Reminder:
    follow(patient)
    return Reminder.objects.select_related("patient").get(patient=patient, step="due")


def test_a_due_mail_goes_out_once(due, drain, sink):
    assert drain().states == {"sent": 1}
    drain()
    due.refresh_from_db()
    assert sink.recipients == [due.patient.email]
    assert (due.state, due.sent_to, due.language, due.attempts) == ("sent", due.patient.email, "en", 1)
    assert due.message_id == sink.arrived[0]["Message-ID"]
    assert due.decided_at == NOON


def test_many_mails_share_one_connection(clinic, enrol, follow, drain, sink):
    for _ in range(6):
        follow(enrol(clinic))
    drain()
    assert (len(sink.arrived), sink.connections) == (6, 1)


def test_several_mails_to_a_claim(clinic, enrol, follow, drain, sink):
    for _ in range(7):
        follow(enrol(clinic))
    assert drain(together=3).states == {"sent": 7}
    assert len(set(sink.recipients)) == 7


def test_a_server_that_closes_connections_now_and_then_loses_nothing(clinic, enrol, follow, drain, sink):
    for _ in range(6):
        follow(enrol(clinic))
    sink.close_after = 2
    assert drain().states == {"sent": 6}
    assert len(sink.recipients) == len(set(sink.recipients)) == 6


@pytest.mark.parametrize("change", ["nothing", "snooze over"])
def test_a_snooze_holds_mail_back_and_ends_by_itself(due, drain, sink, change, monkeypatch):
    from schedules import circumstances

    monkeypatch.setattr(circumstances, "_snooze_lookups", [])
    snoozes_from(lambda ids: dict.fromkeys(ids, DUE_ON + timedelta(days=1 if change == "nothing" else 0)))
    drain()
    assert len(sink.arrived) == (0 if change == "nothing" else 1)
    due.refresh_from_db()
    assert due.state == ("planned" if change == "nothing" else "sent")


def test_a_refusal_is_stored_with_its_reason(due, drain, sink):
    due.patient.contact_wishes.update(allowed=False)
    assert drain().states == {"refused": 1}
    due.refresh_from_db()
    assert due.reason == "The patient does not want e-mail."
    first, then = due.events.values_list("state", "reason")
    assert (first, then) == (("refused", due.reason), ("refused", "A telephone call takes its place."))


def test_a_patient_who_came_before_planning_noticed_gets_nothing(due, drain, sink):
    due.patient.plans.filter(due_on=due.due_on).update(state="kept", kept_on=DUE_ON)
    assert drain().states == {"refused": 1}
    due.refresh_from_db()
    assert due.reason == "No follow-up is asked for."


def test_an_earlier_date_of_the_other_hip_takes_the_purpose(due, drain, sink):
    plan = due.patient.plans.get()
    plan.pk, plan.hip = None, due.patient.hips.exclude(pk=plan.hip_id).get()
    plan.due_on -= timedelta(days=7)
    plan.save()
    drain()
    due.refresh_from_db()
    assert (due.state, due.reason) == ("refused", Reason.PURPOSE_MET)


def test_whoever_watches_hears_of_the_run_and_of_what_waits(due, drain, monkeypatch):
    monkeypatch.setattr(delivery, "_run_listeners", [])
    heard = []
    delivery.tell_runs_to(lambda now, behind: heard.append((now, behind)))
    nobody = channels.BackendChannel(channels.CarefulBackend(host="127.0.0.1", port=1, timeout=2))
    later = NOON + timedelta(minutes=5)
    delivery.finish_run(delivery.drain(nobody, clock=lambda: NOON), now=later)
    delivery.finish_run(drain(at=later), now=later)
    assert heard == [(later, 1), (later, 0)]


def test_an_unknown_mailbox_fails_for_good_and_marks_the_address(due, drain, sink):
    sink.answers[due.patient.email] = "550 5.1.1 no such user"
    assert drain().states == {"failed": 1}
    due.refresh_from_db()
    due.patient.refresh_from_db()
    assert due.reason == "The server said: 550 5.1.1 no such user"
    assert due.patient.email_bounced_on == DUE_ON
    drain(at=NOON + timedelta(hours=3))
    assert len(sink.addressed) == 1


def test_a_forbidding_server_does_not_condemn_the_address(due, drain, sink):
    sink.answers[due.patient.email] = "554 5.7.1 relay access denied"
    drain()
    due.refresh_from_db()
    due.patient.refresh_from_db()
    assert (due.state, due.patient.email_bounced_on) == ("failed", None)


@pytest.mark.parametrize("where", ["", "data:"])
def test_three_transient_failures_fail_with_growing_pauses(due, drain, sink, where):
    sink.answers[where + due.patient.email] = "451 4.3.0 try later"
    at, pauses = NOON, []
    for _ in range(3):
        drain(at=at)
        due.refresh_from_db()
        if due.not_before:
            pauses.append(due.not_before - at)
            drain(at=at)  # too early: nothing happens
            at = due.not_before
    assert (due.state, due.attempts, len(sink.addressed)) == ("failed", 3, 3)
    assert timedelta(minutes=4) <= pauses[0] <= timedelta(minutes=6) < timedelta(minutes=24) <= pauses[1]


def test_a_transient_failure_is_forgotten_when_the_mail_goes_out(due, drain, sink):
    sink.answers[due.patient.email] = "451 4.3.0 try later"
    drain()
    del sink.answers[due.patient.email]
    drain(at=NOON + timedelta(minutes=10))
    due.refresh_from_db()
    assert (due.state, due.reason, due.attempts) == ("sent", "", 2)


def test_a_server_that_is_down_fails_no_mail(clinic, enrol, follow):
    people = [enrol(clinic) for _ in range(3)]
    for person in people:
        follow(person)
    nobody = channels.BackendChannel(channels.CarefulBackend(host="127.0.0.1", port=1, timeout=2))
    for turn in range(5):
        tally = delivery.drain(nobody, together=2, clock=lambda at=NOON + timedelta(minutes=3 * turn): at)
        assert "cannot be reached" in tally.unreachable
    rows = Reminder.objects.filter(step="due")
    assert set(rows.values_list("state", "attempts")) == {("planned", 0)}


def test_a_hang_up_before_the_mail_was_handed_over_is_tried_again(due, drain, sink):
    sink.answers[due.patient.email] = "hang up"
    drain()
    due.refresh_from_db()
    assert due.state == "planned"
    sink.answers.clear()
    drain(at=NOON + timedelta(minutes=10))
    assert len(sink.arrived) == 1


def test_no_answer_after_the_dot_is_uncertain_and_never_sent_again_blindly(due, drain, sink, actor):
    sink.answers[f"data:{due.patient.email}"] = "hang up"
    assert drain().states == {"uncertain": 1}
    drain(at=NOON + timedelta(hours=2))
    due.refresh_from_db()
    assert len(sink.arrived) == 1
    assert (due.state, due.sent_to) == ("uncertain", due.patient.email)
    assert "No answer came after it was handed over" in due.reason
    assert desk.resolve_uncertain(due.pk, arrived=True, by=actor, now=NOON).state == "sent"


def test_a_silent_server_is_uncertain_too(due, drain, sink, monkeypatch):
    monkeypatch.setattr(channels._SMTP, "after_dot", 0.3)
    sink.answers[f"data:{due.patient.email}"] = "silence"
    assert drain().states == {"uncertain": 1}


def test_what_did_not_arrive_is_sent_again_when_a_person_says_so(due, drain, sink, actor):
    sink.answers[f"data:{due.patient.email}"] = "hang up"
    drain()
    sink.answers.clear()
    desk.resolve_uncertain(due.pk, arrived=False, by=actor, now=NOON)
    drain()
    assert [m["Message-ID"] for m in sink.arrived] == [due.message_id or sink.arrived[0]["Message-ID"]] * 2


def test_one_mail_a_patient_a_day(due, drain, sink, follow):
    follow(due.patient, DUE_ON - timedelta(days=20), cycle_on=DUE_ON - timedelta(days=200))
    drain()
    follow(due.patient, DUE_ON)
    drain()
    assert len(sink.arrived) == 1
    due.refresh_from_db()
    assert (due.state, due.reason) == ("planned", "The patient had a mail today.")


def test_switched_off_mail_waits_and_what_is_too_late_then_is_listed(due, drain, sink, actor):
    clinic = desk.stop_mail(due.clinic, by=actor)
    drain()
    assert not sink.arrived
    assert Reminder.objects.filter(state="planned").count() == 3
    desk.stop_mail(clinic, by=actor, stopped=False)
    drain(at=NOON + timedelta(days=3))
    assert dict(Reminder.objects.values_list("step", "state")) == {
        "booking_prompt": "expired",
        "due": "expired",
        "missed": "sent",
        "second_missed": "planned",
    }


def test_an_outage_of_a_month_sends_what_still_helps_and_lists_the_rest(clinic, enrol, follow, drain, sink):
    for days in range(0, 60, 5):
        follow(enrol(clinic), DUE_ON + timedelta(days=days))
    drain(at=NOON + timedelta(days=30))
    counts = {}
    for state, send_on in Reminder.objects.values_list("state", "send_on"):
        counts.setdefault(state, []).append(send_on)
    assert set(counts) == {"sent", "expired", "planned"}
    assert len(counts["sent"]) == len(sink.arrived) == 7 + 4, "and the booking prompts of the last four"
    assert min(counts["planned"]) > DUE_ON + timedelta(days=30)


def test_nothing_goes_out_at_night(due, drain, sink):
    drain(at=datetime(2027, 3, 27, 6, tzinfo=UTC))
    assert not sink.arrived
    due.refresh_from_db()
    assert due.state == "planned"


def test_a_mail_that_cannot_be_written_holds_up_nobody_and_smuggles_no_header(due, clinic, enrol, follow, drain, sink):
    type(due.patient).objects.filter(pk=due.patient_id).update(email="a@b.example\nBcc: c@d.example")
    follow(enrol(clinic))
    drain()
    due.refresh_from_db()
    assert (due.state, due.reason.split()[0], len(sink.arrived)) == ("planned", "ValueError", 1)


def test_an_expired_lease_becomes_uncertain_and_a_late_answer_still_counts(due, drain, sink):
    claim = {"state": "sending", "claimed_by": "worker", "lease_until": NOON, "sent_to": "a@b.example"}
    Reminder.objects.filter(pk=due.pk).update(**claim)
    assert delivery.recover_leases(now=NOON - timedelta(seconds=1)) == 0
    assert delivery.recover_leases(now=NOON + timedelta(seconds=1)) == 1
    due.refresh_from_db()
    assert (due.state, due.reason) == ("uncertain", delivery.WORKER_DIED)
    errand = storing.Errand(due, answers.Outcome(answers.Ending.ACCEPTED))
    storing.store([errand], "another", now=NOON, by=delivery.BY)
    due.refresh_from_db()
    assert due.state == "uncertain", "another worker's word does not count"
    storing.store([errand], "worker", now=NOON, by=delivery.BY)
    due.refresh_from_db()
    assert due.state == "sent"


class KilledWith:
    """The real channel of a worker that is killed when it has handed a mail over, before it hears what came of it."""

    takes_wire = True

    def __init__(self, real):
        self.real = real

    def send(self, message):
        self.real.send(message)
        raise SystemExit

    def close(self):
        self.real.close()


def test_a_mail_whose_worker_died_counts_for_the_day_on_which_it_was_taken_in_hand(due, channel, drain, sink):
    """Else the mail of the day on which that comes to light would wait, or be lost where it helps on that day only."""
    with pytest.raises(SystemExit):
        delivery.drain(KilledWith(channel), clock=lambda: NOON)
    tomorrow = NOON + timedelta(days=1)
    assert delivery.recover_leases(now=tomorrow) == 1
    due.refresh_from_db()
    assert (due.state, due.decided_at) == ("uncertain", NOON)
    assert drain(at=tomorrow).states == {"sent": 1}
    assert Reminder.objects.get(step="missed").decided_at == tomorrow


class MeanwhileChannel:
    """The real channel; while the first mail is on its way, something happens to the patient whose turn is next."""

    takes_wire = True

    def __init__(self, real, meanwhile):
        self.real, self.meanwhile = real, meanwhile

    def send(self, message):
        if self.meanwhile:
            happens, self.meanwhile = self.meanwhile, None
            happens()
        return self.real.send(message)

    def is_well(self):
        return self.real.is_well()

    def close(self):
        self.real.close()


def _dies(row, actor):
    recording.record_death(row.patient_id, by=actor, died_on=DUE_ON, source="letter", now=NOON)


def _wants_no_mail(row, actor):
    row.patient.contact_wishes.update(allowed=False)


def _has_mail_stopped(row, actor):
    desk.stop_mail(row.clinic, by=actor)


def _is_withheld(row, actor):
    desk.cancel(row.pk, by=actor, reason="visits today", now=NOON)


def _was_written_to(row, actor):
    other = Reminder.objects.filter(patient=row.patient).exclude(pk=row.pk).first()
    Reminder.objects.filter(pk=other.pk).update(state="sent", sent_to="a@b.example", decided_at=NOON)


def _loses_the_address(row, actor):
    recording.record_bounce(row.patient_id, by=actor, address=row.patient.email, reason="550", on=DUE_ON)


@pytest.mark.parametrize(
    "happens", [_dies, _wants_no_mail, _has_mail_stopped, _is_withheld, _was_written_to, _loses_the_address]
)
def test_what_happens_between_decision_and_claim_counts(happens, clinic, enrol, follow, channel, sink, actor):
    for _ in range(2):
        follow(enrol(clinic))
    first, second = Reminder.objects.filter(step="due").select_related("patient", "clinic").order_by("send_on", "id")
    delivery.drain(MeanwhileChannel(channel, lambda: happens(second, actor)), clock=lambda: NOON)
    assert sink.recipients == [first.patient.email]
    second.refresh_from_db()
    assert second.state in ("planned", "refused", "cancelled")
    assert second.not_before is None or second.not_before - NOON > claiming.RESERVED, "nothing stays reserved"


def test_what_waits_for_a_mail_on_its_way_goes_the_same_day_if_that_is_refused(due, actor, channel, drain, sink):
    """Two workers: the second decides while the first has not heard yet what the server says."""
    call = appointments.Wanted(NOON + timedelta(days=1), purpose="telephone")
    appointments.book(due.patient_id, call, by=actor, now=NOON - timedelta(days=9))
    sink.answers[due.patient.email] = "554 5.7.1 blocked by policy"
    meanwhile = MeanwhileChannel(channel, drain)
    assert delivery.drain(meanwhile, clock=lambda: NOON).states["failed"] == 1
    sink.answers.clear()
    other = Reminder.objects.get(patient=due.patient, step="visit_in_1_day")
    assert (other.state, other.reason, other.not_before) == ("planned", Reason.WRITTEN_TODAY, NOON + delivery.LEASE)
    assert drain(at=other.not_before).states == {"sent": 1}


def test_an_address_that_changes_after_the_decision_is_the_one_written_to(clinic, enrol, follow, channel, sink, actor):
    for _ in range(2):
        follow(enrol(clinic))
    second = Reminder.objects.filter(step="due").select_related("patient").order_by("send_on", "id").last()

    def moves():
        recording.amend_patient(second.patient_id, by=actor, changes={"email": "new@post.example"}, reason="told")

    delivery.drain(MeanwhileChannel(channel, moves), clock=lambda: NOON)
    assert sink.recipients[1] == "new@post.example"
    second.refresh_from_db()
    assert (second.state, second.sent_to) == ("sent", "new@post.example")


def test_a_decision_that_has_grown_old_is_made_anew(clinic, enrol, follow, channel, sink, monkeypatch):
    for _ in range(3):
        follow(enrol(clinic))
    times = iter(NOON + timedelta(seconds=3 * turn) for turn in range(100))
    decisions = []
    monkeypatch.setattr(claiming, "cases_for", lambda rows, now: decisions.append(len(rows)) or cases_for(rows, now))
    assert delivery.drain(channel, clock=lambda: next(times)).states == {"sent": 3}
    assert decisions == [3, 2, 1, 0]


def test_workers_at_once_send_each_mail_once(committed_database, make_clinic, enrol, follow, sink):
    with transaction.atomic():
        clinic = make_clinic("North")
        for _ in range(30):
            follow(enrol(clinic))

    def work() -> None:
        backend = channels.CarefulBackend(host="127.0.0.1", port=sink.port, timeout=5)
        try:
            delivery.drain(channels.BackendChannel(backend), clock=lambda: NOON, together=2)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(sink.recipients) == len(set(sink.recipients)) == 30
    with access.system_run("test"):
        assert Reminder.objects.filter(step="due", state="sent").count() == 30


class DatabaseGoesAway:
    """A channel after whose every mail the database ends all of the application's sessions."""

    takes_wire = True

    def __init__(self, channel, services, database):
        self.channel, self.database = channel, database
        self.admin = psycopg.connect(services.admin_url, autocommit=True)

    def send(self, message):
        outcome = self.channel.send(message)
        self.admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND usename = 'hipwatch_app'",
            [self.database],
        )
        return outcome

    def is_well(self):
        return self.channel.is_well()

    def close(self):
        self.channel.close()
        self.admin.close()


def test_a_database_that_goes_away_while_a_mail_is_out_forgets_nothing(
    committed_database, services, make_clinic, enrol, follow, sink, channel
):
    with transaction.atomic():
        clinic = make_clinic("North")
        for _ in range(4):
            follow(enrol(clinic))
    tally = delivery.drain(DatabaseGoesAway(channel, services, committed_database), clock=lambda: NOON)
    assert tally.states == {"sent": 4}
    assert len(set(sink.recipients)) == len(sink.recipients) == 4


def test_a_patient_who_is_being_written_to_by_staff_is_left_for_the_next_turn(
    committed_database, make_clinic, enrol, follow, sink, actor, channel
):
    with transaction.atomic():
        person = enrol(make_clinic("North"))
        follow(person)
    locked, go_on = threading.Event(), threading.Event()

    def record() -> None:
        with access.system_run("test"):
            recording.lock_patient(person.pk)
            locked.set()
            go_on.wait(10)
        connections.close_all()

    recorder = threading.Thread(target=record)
    recorder.start()
    locked.wait(10)
    delivery.drain(channel, clock=lambda: NOON)
    assert not sink.arrived
    go_on.set()
    recorder.join()
    delivery.drain(channel, clock=lambda: NOON)
    assert len(sink.arrived) == 1
