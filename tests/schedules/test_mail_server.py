"""Whose fault it is: a server that refuses everything costs no mail an attempt; a mail's own three make a letter."""

from datetime import timedelta

import pytest

from patients.models import Patient
from schedules import channels, delivery, mail_server, storing
from schedules.answers import Ending, Outcome
from schedules.mail import sender_address
from schedules.mail_server import PutOff, is_at_fault
from schedules.models import MailServer, Reminder, Substitute
from tests.schedules.conftest import NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
LATER = "451 4.3.0 try later"


@pytest.fixture
def due(clinic, enrol, follow):
    """`due("one.example", ...)`: a mail that is due to a patient at each of these domains, by its domain."""

    def make(*domains: str) -> list[Reminder]:
        for number, domain in enumerate(domains):
            follow(enrol(clinic, email=f"patient{number}@{domain}"))
        return list(Reminder.objects.filter(step="due").select_related("patient", "clinic").order_by("id"))

    return make


def how_they_stand(rows):
    return list(
        Reminder.objects.filter(pk__in=[row.pk for row in rows]).order_by("id").values_list("state", "attempts")
    )


def minutes(many):
    return NOON + timedelta(minutes=many)


THREE = ("one.example", "two.example", "three.example")
AT_ONCE = {"ehlo": "421 4.3.2 not now", "mail": "451 4.3.0 disk full"}
TO_EVERYBODY = {"rcpt": LATER, "data": LATER}


@pytest.mark.parametrize("where", [*AT_ONCE, *TO_EVERYBODY])
@pytest.mark.parametrize("together", [1, pytest.param(10, marks=pytest.mark.slow)])
@pytest.mark.parametrize("pipelining", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_server_that_puts_everybody_off_for_hours_costs_no_attempt(due, drain, sink, where, together, pipelining):
    rows = due(*THREE)
    sink.pipelining = pipelining
    sink.answers[where] = {**AT_ONCE, **TO_EVERYBODY}[where]
    for turn in range(12):
        drain(at=minutes(15 * turn), together=together)
    assert how_they_stand(rows) == [("planned", 0)] * 3
    assert MailServer.objects.get().refusing_since == NOON
    sink.answers.clear()
    drain(at=minutes(15 * 12))
    assert how_they_stand(rows) == [("sent", 1)] * 3
    assert not MailServer.objects.exists()


def test_a_server_that_refuses_to_sign_us_in_costs_no_attempt(due, sink):
    rows = due("one.example")
    backend = channels.CarefulBackend(host="127.0.0.1", port=sink.port, timeout=5, username="us", password="wrong")
    tally = delivery.drain(channels.BackendChannel(backend), clock=lambda: NOON)
    assert "cannot be reached" in tally.unreachable
    assert how_they_stand(rows) == [("planned", 0)]


@pytest.mark.parametrize("answer", [LATER, "421 4.7.0 too many connections"])
def test_also_the_only_mail_is_not_charged_for_a_server_that_takes_nobody(due, drain, sink, answer):
    rows = due("one.example")
    sink.answers["rcpt"] = answer
    for turn in range(6):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows) == [("planned", 0)]
    assert sink.asked == 6


def test_a_server_that_is_left_alone_is_not_asked_until_its_pause_is_over(due, drain, sink):
    due("one.example")
    sink.answers["mail"] = LATER
    drain()
    pauses = []
    for _ in range(5):
        row = MailServer.objects.get()
        connections = sink.connections
        assert drain(at=row.ask_again_at - timedelta(seconds=1)).unreachable == row.said
        assert sink.connections == connections, "nobody knocked"
        drain(at=row.ask_again_at + timedelta(minutes=2))
        pauses.append(row.ask_again_at)
    assert MailServer.objects.get().tries == 6


def test_a_pause_noted_while_the_clock_was_hours_ahead_holds_no_mail_once_it_is_right_again(due, drain, sink):
    due("one.example")
    sink.answers["mail"] = LATER
    drain(at=NOON + timedelta(hours=4))
    assert MailServer.objects.get().ask_again_at > NOON + timedelta(hours=4)
    sink.answers.clear()
    rows = due("two.example")
    assert not drain(at=NOON + timedelta(minutes=5)).unreachable
    assert how_they_stand(rows) == [("planned", 0), ("sent", 1)]
    assert not MailServer.objects.exists()


FOR_GOOD = {
    "mail": "530 5.7.0 Authentication required",
    "rcpt": "554 5.7.1 Relay access denied",
    "data": "550 5.7.1 This content is not accepted",
}


@pytest.mark.parametrize("where", FOR_GOOD)
@pytest.mark.parametrize("together", [1, *(pytest.param(many, marks=pytest.mark.slow) for many in (2, 10))])
def test_a_server_that_refuses_everybody_for_good_costs_no_attempt_and_no_letter(due, drain, sink, where, together):
    rows = due(*THREE, "four.example")
    if where != "mail":
        sink.answers[sender_address()] = "250 OK"
    sink.answers[where] = FOR_GOOD[where]
    for turn in range(6):
        drain(at=minutes(15 * turn), together=together)
    assert how_they_stand(rows) == [("planned", 0)] * 4
    assert MailServer.objects.get().refusing_since == NOON
    assert not Substitute.objects.exclude(state="dropped").exists()
    assert not any(row.email_bounced_on for row in Patient.objects.all())
    sink.answers.clear()
    drain(at=minutes(15 * 6))
    assert how_they_stand(rows) == [("sent", 1)] * 4
    assert not MailServer.objects.exists()


@pytest.mark.parametrize(
    "answer",
    ["530 5.7.0 Authentication required", "550 relay not permitted", "550 5.1.8 Sender address rejected"],
)
def test_also_the_only_mail_is_not_charged_where_the_server_refuses_ourselves(due, drain, sink, answer):
    rows = due("one.example")
    sink.answers["rcpt"] = answer
    tally = drain()
    assert how_they_stand(rows) == [("planned", 0)]
    assert tally.unreachable == f"It refuses every mail: {answer[:3]}"
    history = list(rows[0].events.order_by("id").values_list("state", flat=True))
    assert list(dict.fromkeys(history)) == ["sending", "failed", "planned"], "what was stored is not unwritten"


def test_three_that_are_refused_while_others_are_taken_hold_up_nobody_and_get_letters(due, drain, sink):
    rows = due(*THREE, "four.example", "five.example")
    for row in rows[:3]:
        sink.answers[row.patient.email] = sink.answers.get("", "554 5.7.1 Forbidden")
    drain()
    assert how_they_stand(rows) == [("planned", 0)] * 5, "three in a row, and none was taken"
    drain(at=minutes(5))
    assert how_they_stand(rows) == [*[("failed", 1)] * 3, *[("sent", 1)] * 2], "others were asked first, and taken"
    assert not MailServer.objects.exists()


def test_what_was_told_by_hand_meanwhile_is_not_planned_again(due, drain, sink, actor):
    (row,) = due("one.example")
    sink.answers[row.patient.email] = "554 5.7.1 Forbidden"
    drain()
    refused = [PutOff(row.pk, "one.example", Outcome(Ending.REJECTED, code=554, may_mean_us=True))]
    Substitute.objects.update(state="done", decided_at=NOON, outcome="told", actor="Ada")
    storing.take_back(refused, now=NOON, by=actor)
    assert how_they_stand([row]) == [("failed", 1)]


@pytest.mark.parametrize("where", ["", "data:"])
def test_a_receiver_that_always_puts_off_while_others_take_gets_a_letter(
    due, drain, sink, where, clinic, enrol, follow
):
    rows = due("one.example", *["two.example"] * 3)
    sink.answers[f"{where}{rows[0].patient.email}"] = LATER
    rows[0].patient.address = "1 Canal Street"
    rows[0].patient.save()
    for turn in range(3):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows) == [("failed", 3), *[("sent", 1)] * 3]
    assert Substitute.objects.get().reminder == rows[0]
    assert not MailServer.objects.exists()


def test_three_receivers_that_always_put_off_are_not_taken_for_the_server(due, drain, sink):
    rows = due(*THREE)
    for row in rows:
        sink.answers[row.patient.email] = LATER
    for turn in range(3):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows) == [("failed", 3)] * 3
    assert Substitute.objects.count() == 3


def test_one_domain_that_puts_all_of_its_mail_off_gets_letters(due, drain, sink):
    rows = due(*["one.example"] * 4)
    for row in rows:
        sink.answers[f"data:{row.patient.email}"] = LATER
    for turn in range(3):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows) == [("failed", 3)] * 4


@pytest.mark.parametrize("answer", ["hang up", "421 4.3.0 cannot process this"])
def test_a_poison_mail_becomes_a_letter_and_holds_up_nobody(due, drain, sink, answer):
    rows = due(*THREE)
    sink.answers[rows[0].patient.email] = answer
    drain()
    assert how_they_stand(rows) == [("planned", 1), ("sent", 1), ("sent", 1)]
    for turn in (1, 2):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows)[0] == ("failed", 3)


def test_mails_that_cannot_be_written_hold_up_nobody_and_become_letters(due, drain, sink):
    rows = due(*["one.example"] * 4, "two.example")
    for row in rows[:4]:
        type(row.patient).objects.filter(pk=row.patient_id).update(email=f"a{row.pk}@b.example\nBcc: c@d.example")
    for turn in range(3):
        drain(at=minutes(40 * turn))
    assert how_they_stand(rows) == [*[("failed", 3)] * 4, ("sent", 1)]


def test_mail_that_becomes_too_late_while_the_server_refuses_everything_is_listed(due, drain, sink):
    rows = due(*THREE)
    sink.answers["rcpt"] = LATER
    drain()
    sink.answers.clear()
    drain(at=NOON + timedelta(days=1))
    assert how_they_stand(rows) == [("expired", 0)] * 3


def test_a_server_that_is_back_is_known_to_be_when_no_mail_is_left_to_tell(due, drain, sink):
    rows = due("one.example")
    sink.answers["mail"] = LATER
    drain()
    sink.answers.clear()
    Reminder.objects.filter(pk=rows[0].pk).update(state="cancelled")
    drain(at=minutes(10))
    assert not MailServer.objects.exists()


def test_what_is_kept_of_the_server_names_no_patient(due, drain, sink):
    due(*THREE)
    sink.answers["rcpt"] = "450 4.7.1 <patient0@one.example>: Recipient address rejected"
    tally = drain()
    assert tally.unreachable == MailServer.objects.get().said == "It puts every mail off: 450"


def test_the_mails_that_wait_for_the_server_are_counted(due, drain, sink):
    due(*THREE)
    sink.answers["data"] = LATER
    drain()
    assert delivery.waiting(NOON).count() == 3


def put_off(*domains, content=False):
    outcome = Outcome(Ending.TRY_LATER, code=451, after_recipient=content)
    return [PutOff(number, domain, outcome) for number, domain in enumerate(domains)]


@pytest.mark.parametrize(
    ("mails", "well", "at_fault"),
    [
        (put_off("a"), False, True),
        (put_off("a"), True, False),
        (put_off("a"), None, False),
        (put_off("a", "b", "c"), True, False),
        (put_off("a", "b", "c", content=True), True, True),
        (put_off("a", "a", "a", content=True), True, False),
        (put_off("a", "b", content=True), True, False),
        (put_off("a", "b", "b"), None, True),
        (put_off("a", "a", "a"), None, False),
    ],
)
def test_whose_fault_it_is(mails, well, at_fault):
    assert is_at_fault(mails, well=well) is at_fault


def test_pauses_grow_and_differ(db):
    pauses = []
    for _ in range(4):
        row = mail_server.leave_alone("away", now=NOON)
        pauses.append((row.ask_again_at - NOON) / timedelta(minutes=1))
    assert all(0.8 * want <= pause <= 1.2 * want for want, pause in zip((1, 2, 4, 4), pauses, strict=True))
    assert pauses[2] != pauses[3]
