"""Feedback: what a report of a mail changes of the mail and of its patient, and what it leaves alone."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, connections, transaction

from patients import access, recording
from patients.models import ContactWish
from schedules import feedback, return_path
from schedules.feedback import Report, Result
from schedules.models import DeliveryEvent, Reminder, Substitute
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
Kind = DeliveryEvent.Kind
LATER = NOON + timedelta(minutes=3)


@pytest.fixture
def sent(patient, follow, drain, actor) -> Reminder:
    """A mail that its server took: the booking prompt, which helps for a month."""
    return _send(patient, follow, drain, actor)


def _send(patient, follow, drain, actor):
    recording.amend_patient(patient.pk, by=actor, changes={"address": "1 High Street\nTown"})
    follow(patient, DUE_ON + timedelta(days=42))
    assert drain().states == {"sent": 1}
    return Reminder.objects.select_related("patient").get(patient=patient, state="sent")


def told(row, kind, number=1, **more):
    known = {"at": LATER, "provider": "postmark", "event_id": f"e{number}", "token": return_path.token_of(row)}
    return Report(kind=kind, **(known | more))


def record(row, kind, number=1, now=LATER, **more):
    result = feedback.record(told(row, kind, number, **more), now=now)
    row.refresh_from_db()
    row.patient.refresh_from_db()
    return result


def wish(row):
    return ContactWish.objects.get(patient=row.patient, channel="email")


def test_a_dead_address_fails_the_mail_and_a_letter_takes_its_place_the_same_day(sent):
    assert record(sent, Kind.BOUNCED, permanent=True, words="550 5.1.1 no such user") == Result.RECORDED
    assert (sent.state, sent.reason) == ("failed", "550 5.1.1 no such user")
    assert sent.patient.email_bounced_on == DUE_ON
    assert Substitute.objects.get(reminder=sent).channel == "letter"
    assert list(sent.events.values_list("state", "actor"))[-2] == ("failed", "system: mail feedback")


def test_what_is_told_twice_is_stored_and_acted_upon_once(sent):
    record(sent, Kind.BOUNCED, permanent=True)
    events = sent.events.count()
    assert record(sent, Kind.BOUNCED, permanent=True) == Result.REPEATED
    assert (sent.delivery_events.count(), sent.events.count()) == (1, events)


def test_delivery_is_noted_and_changes_nothing_else(sent):
    record(sent, Kind.DELIVERED)
    assert sent.state == "sent"
    assert sent.delivery_events.get().at == LATER


@pytest.mark.parametrize("state", ["sending", "uncertain"])
def test_a_delivery_settles_what_was_in_doubt(sent, state):
    Reminder.objects.filter(pk=sent.pk).update(state=state, reason="?", lease_until=NOON)
    record(sent, Kind.DELIVERED)
    assert (sent.state, sent.reason) == ("sent", "Reported as delivered.")
    assert sent.decided_at == NOON, "it went when it was taken in hand, whenever that is told"


def test_a_bounce_before_the_worker_has_stored_what_came_of_it_stands(sent):
    Reminder.objects.filter(pk=sent.pk).update(state="sending", lease_until=NOON)
    record(sent, Kind.BOUNCED, permanent=True)
    assert sent.state == "failed"


def test_a_complaint_ends_e_mail_and_says_who_said_so(sent):
    record(sent, Kind.COMPLAINED)
    assert (wish(sent).allowed, wish(sent).how) == (False, "complaint reported by the mail provider")
    assert sent.state == "sent"


def test_what_comes_after_a_complaint_is_a_letter(sent, drain):
    record(sent, Kind.COMPLAINED)
    due = NOON + timedelta(days=42)
    assert drain(at=due).states == {"refused": 1}
    assert Substitute.objects.get(patient=sent.patient).why == "The patient does not want e-mail."


def test_unsubscribing_at_the_provider_is_the_same_wish(sent):
    record(sent, Kind.UNSUBSCRIBED)
    assert (wish(sent).allowed, wish(sent).how) == (False, "unsubscribed at the mail provider")


def test_a_complaint_older_than_the_patient_s_wish_is_late(sent, actor):
    recording.set_contact_wish(
        sent.patient_id, by=actor, channel="email", allowed=True, how="by telephone", on=DUE_ON + timedelta(days=2)
    )
    record(sent, Kind.COMPLAINED, now=NOON + timedelta(days=3))
    assert wish(sent).allowed


def test_an_address_that_was_corrected_meanwhile_is_not_blamed_and_gets_the_mail(sent, actor, drain, sink):
    recording.amend_patient(sent.patient_id, by=actor, changes={"email": "new@mail.example"})
    record(sent, Kind.BOUNCED, permanent=True)
    assert (sent.patient.email_bounced_on, sent.state) == (None, "planned")
    assert not Substitute.objects.exists()
    assert drain(at=NOON + timedelta(hours=1)).states == {"sent": 1}
    assert sink.recipients[-1] == "new@mail.example"


def test_a_complaint_from_an_address_that_is_no_longer_the_patient_s_changes_no_wish(sent, actor):
    recording.amend_patient(sent.patient_id, by=actor, changes={"email": "new@mail.example"})
    record(sent, Kind.COMPLAINED)
    assert wish(sent).allowed


def test_a_late_bounce_of_the_old_address_leaves_the_mail_to_the_new_one_alone(sent, actor, drain):
    old = told(sent, Kind.BOUNCED, permanent=True)
    by_id = told(sent, Kind.BOUNCED, 2, token="", message_id=sent.message_id, address=sent.sent_to, permanent=True)
    recording.amend_patient(sent.patient_id, by=actor, changes={"email": "new@mail.example"})
    record(sent, Kind.BOUNCED, 3, permanent=True)
    drain(at=NOON + timedelta(hours=1))
    assert feedback.record(old, now=LATER) == Result.UNKNOWN
    assert feedback.record(by_id, now=LATER) == Result.RECORDED
    sent.refresh_from_db()
    sent.patient.refresh_from_db()
    assert (sent.state, sent.sent_to, sent.patient.email_bounced_on) == ("sent", "new@mail.example", None)


def test_correcting_a_dead_address_sends_the_mail_and_withdraws_the_letter(sent, actor, drain, sink, follow):
    record(sent, Kind.BOUNCED, permanent=True)
    recording.amend_patient(sent.patient_id, by=actor, changes={"email": "right@mail.example"})
    follow(sent.patient, DUE_ON + timedelta(days=42), now=NOON + timedelta(hours=1))
    assert drain(at=NOON + timedelta(hours=1)).states == {"sent": 1}
    assert sink.recipients[-1] == "right@mail.example"
    assert Substitute.objects.get(reminder=sent).state == "dropped"


# ---- For a passing reason


def test_a_full_mailbox_is_tried_again_the_next_day(sent, drain, sink):
    record(sent, Kind.BOUNCED, words="452 4.2.2 full")
    assert (sent.state, sent.patient.email_bounced_on) == ("planned", None)
    assert drain(at=NOON + timedelta(hours=2)).states == {}
    assert drain(at=NOON + timedelta(days=1)).states == {"sent": 1}
    assert sink.recipients == [sent.sent_to] * 2


def test_the_third_in_a_row_is_as_good_as_dead(sent, drain):
    for day in range(3):
        at = NOON + timedelta(days=day)
        assert day == 0 or drain(at=at).states == {"sent": 1}
        record(sent, Kind.BOUNCED, day, at=at, now=at, words="452 4.2.2 full")
    assert (sent.state, sent.patient.email_bounced_on) == ("failed", DUE_ON + timedelta(days=2))
    assert Substitute.objects.get(reminder=sent).state == "open"


def test_what_two_servers_tell_of_one_mail_counts_once(sent):
    for number in range(4):
        record(sent, Kind.BOUNCED, number)
    assert (sent.state, sent.patient.email_bounced_on) == ("planned", None)


def test_a_delivery_in_between_begins_the_count_anew(sent, drain):
    for day, kind in enumerate([Kind.BOUNCED, Kind.BOUNCED, Kind.DELIVERED]):
        at = NOON + timedelta(days=day)
        assert day == 0 or drain(at=at).states == {"sent": 1}
        record(sent, kind, day, at=at, now=at)
    at = NOON + timedelta(days=2, hours=1)
    record(sent, Kind.BOUNCED, 9, at=at, now=at)
    assert (sent.state, sent.patient.email_bounced_on) == ("planned", None)


def test_failures_of_long_ago_do_not_count(sent):
    for number in range(2):
        old = NOON - timedelta(days=100 + number)
        DeliveryEvent.objects.create(
            clinic=sent.clinic, patient=sent.patient, reminder=sent, kind="bounced", at=old,
            provider="postmark", event_id=f"old{number}", address=sent.sent_to,
        )  # fmt: skip
    record(sent, Kind.BOUNCED)
    assert sent.patient.email_bounced_on is None


def test_a_mail_that_is_late_by_then_is_not_tried_again(patient, follow, drain):
    follow(patient)
    drain()
    due = Reminder.objects.select_related("patient").get(patient=patient, step="due")
    record(due, Kind.BOUNCED)
    assert (due.state, due.patient.email_bounced_on) == ("failed", None)
    assert not Substitute.objects.exists()


def test_delays_are_kept_and_count_for_nothing(sent):
    for number in range(4):
        record(sent, Kind.DEFERRED, number)
    assert (sent.state, sent.delivery_events.count(), sent.patient.email_bounced_on) == ("sent", 4, None)


# ---- What is left alone


def test_a_made_up_token_changes_nothing(sent):
    forged = f"{sent.pk}-{'a' * 16}"
    for token in (forged, "nonsense", f"99999999-{'a' * 16}", return_path.token_of(sent)[:-1]):
        assert feedback.record(told(sent, Kind.BOUNCED, token=token, permanent=True), now=LATER) == Result.UNKNOWN
    assert not DeliveryEvent.objects.exists()


def test_a_mail_is_found_by_our_message_id_and_by_the_provider_s(sent):
    Reminder.objects.filter(pk=sent.pk).update(provider_id="0a1b-2c3d")
    assert record(sent, Kind.DELIVERED, 1, token="", message_id=sent.message_id) == Result.RECORDED
    assert record(sent, Kind.DELIVERED, 2, token="", message_id="0a1b-2c3d") == Result.RECORDED
    assert record(sent, Kind.DELIVERED, 3, token="", message_id="<other@x>") == Result.UNKNOWN
    assert record(sent, Kind.DELIVERED, 4, token="", message_id="") == Result.UNKNOWN


def test_the_dead_get_no_letter_and_their_mail_still_failed(sent, actor):
    recording.record_death(sent.patient_id, by=actor, died_on=DUE_ON, source="family", now=NOON)
    record(sent, Kind.BOUNCED, permanent=True)
    assert sent.state == "failed"
    assert not Substitute.objects.exists()


def test_a_rehearsal_s_dead_address_is_no_patient_s_and_is_not_written_to_again(
    patient, follow, drain, actor, settings
):
    settings.MAIL_REHEARSAL_TO = "rehearsal@mail.example"
    sent = _send(patient, follow, drain, actor)
    record(sent, Kind.BOUNCED, permanent=True)
    record(sent, Kind.COMPLAINED, 2)
    assert (sent.state, sent.patient.email_bounced_on, wish(sent).allowed) == ("failed", None, True)


def test_another_clinic_s_staff_do_not_see_it(sent, other_clinic):
    record(sent, Kind.DELIVERED)
    access.bind_clinics([other_clinic.pk])
    assert not DeliveryEvent.objects.exists()


@pytest.mark.parametrize("column", ["message_id", "provider_id"])
def test_a_mail_is_found_through_an_index(db, column):
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = %s", [f"reminders_by_{column}"])
        [(definition,)] = cursor.fetchall()
    assert f"({column})" in definition


# ---- The return path on a mail that goes out


def test_a_mail_goes_out_with_a_return_path_of_its_own(patient, follow, drain, sink, settings):
    settings.BOUNCE_ADDRESS = "bounces@clinic.example"
    follow(patient)
    drain()
    row = Reminder.objects.get(state="sent")
    assert sink.senders == [f"bounces+{return_path.token_of(row)}@clinic.example"]
    assert "appointments@clinic.example" in sink.arrived[0]["From"]
    assert return_path.token_of(row) not in sink.arrived[0].as_string()


def test_without_a_bounce_address_the_envelope_names_the_sender(patient, follow, drain, sink):
    follow(patient)
    drain()
    assert sink.senders == ["appointments@clinic.example"]


# ---- Many at once


def test_of_what_is_told_at_the_same_moment_one_is_recorded(committed_database, make_clinic, enrol, follow, drain):
    with transaction.atomic():
        follow(enrol(make_clinic("North")))
    drain()
    with access.system_run("test"):
        row = Reminder.objects.get(state="sent")
    report, results, begin = told(row, Kind.BOUNCED, permanent=True), [], threading.Barrier(6)

    def tell() -> None:
        begin.wait(10)
        try:
            results.append(feedback.record(report, now=LATER))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=tell) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [Result.RECORDED] + [Result.REPEATED] * 5
    with access.system_run("test"):
        assert (
            DeliveryEvent.objects.count(),
            row.events.filter(state="failed", reason="The mail came back.").count(),
        ) == (1, 1)
