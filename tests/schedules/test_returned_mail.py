"""Returned mail: reports in the form that the common mail servers give them, read and told apart from other mail."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from schedules import return_path, returned_mail
from schedules.models import Reminder
from tests.schedules.conftest import NOON

SAMPLES = Path(__file__).parent / "returned"
ADDRESS = "patient1@mail.example"
REMINDER = Reminder(pk=4711, sent_to=ADDRESS)


def sample(name: str, reminder: Reminder = REMINDER) -> bytes:
    text = (SAMPLES / f"{name}.eml").read_text()
    text = text.replace("{return_path}", return_path.envelope_sender(reminder)).replace("{address}", reminder.sent_to)
    return text.replace("\n", "\r\n").encode()


@pytest.fixture(autouse=True)
def bounce_address(settings):
    settings.BOUNCE_ADDRESS = "bounces@clinic.example"


@pytest.mark.parametrize(
    ("name", "kind", "permanent", "words"),
    [
        ("postfix_unknown_user", "bounced", True, "User unknown in virtual mailbox table"),
        ("postfix_delayed", "deferred", False, "Connection timed out"),
        ("exim_plain_code", "bounced", True, "550 No such user here"),
        ("exim_blocked", "bounced", False, "likely unsolicited"),
        ("exchange_unknown", "bounced", True, "Recipient not found"),
        ("gmail_full", "bounced", False, "out of storage space"),
        ("in_prose", "bounced", True, "User unknown"),
        ("complaint", "complained", False, ""),
    ],
)
def test_the_common_servers_reports_are_understood(name, kind, permanent, words):
    (report,) = returned_mail.reports_in(sample(name), now=datetime(2027, 3, 28, tzinfo=UTC))
    assert (report.kind, report.permanent) == (kind, permanent)
    assert words in report.words
    assert report.token == return_path.token_of(REMINDER)
    assert report.at.date() == NOON.date()


@pytest.mark.parametrize("name", ["absence", "written_by_hand", "read_receipt"])
def test_what_is_no_report_tells_nothing(name):
    assert returned_mail.reports_in(sample(name), now=NOON) == []


def test_a_person_s_own_words_are_told_apart_from_automatic_replies():
    written_by_a_program = [returned_mail.is_automatic(sample(name)) for name in ("absence", "written_by_hand")]
    assert written_by_a_program == [True, False]


def test_a_report_has_the_same_id_each_time_it_is_read_and_another_than_the_next():
    one, again = (returned_mail.reports_in(sample("gmail_full"), now=NOON)[0] for _ in range(2))
    other = returned_mail.reports_in(sample("exim_blocked"), now=NOON)[0]
    assert one.event_id == again.event_id != other.event_id
    assert len(one.event_id) <= 120


def test_a_report_to_another_address_tells_nothing(settings):
    raw = sample("postfix_unknown_user")
    settings.BOUNCE_ADDRESS = "returned@clinic.example"
    assert returned_mail.reports_in(raw, now=NOON) == []


def test_the_status_of_a_full_mailbox_is_not_that_of_a_dead_one():
    raw = sample("postfix_unknown_user").replace(b"5.1.1", b"5.2.2").replace(b"User unknown", b"Over quota")
    assert not returned_mail.reports_in(raw, now=NOON)[0].permanent


def test_a_domain_without_mail_is_dead():
    raw = sample("postfix_unknown_user").replace(b"550 5.1.1", b"550 5.4.4").replace(b"Status: 5.1.1", b"Status: 5.4.4")
    assert returned_mail.reports_in(raw, now=NOON)[0].permanent


def test_a_complaint_of_another_sort_tells_nothing():
    raw = sample("complaint").replace(b"Feedback-Type: abuse", b"Feedback-Type: auth-failure")
    assert returned_mail.reports_in(raw, now=NOON) == []


def test_a_date_in_the_future_or_none_is_now():
    for date in (b"Date: Sat, 27 Mar 2060 13:02:11 +0100 (CET)", b"Date: soon"):
        raw = sample("postfix_unknown_user").replace(b"Date: Sat, 27 Mar 2027 13:02:11 +0100 (CET)", date, 1)
        assert returned_mail.reports_in(raw, now=NOON)[0].at == NOON


@pytest.mark.parametrize(
    "broken", [b"", b"\x00\xff", b"Content-Type: multipart/report; report-type=delivery-status\n\n"]
)
def test_rubbish_tells_nothing(broken):
    assert returned_mail.reports_in(broken, now=NOON) == []


@pytest.mark.parametrize("cut", range(200, 3000, 450))
def test_a_report_cut_anywhere_is_read_without_a_fault(cut):
    returned_mail.reports_in(sample("postfix_unknown_user")[:cut], now=NOON)


# ---- Tokens


def test_a_token_is_of_one_mail_to_one_address():
    token = return_path.token_of(REMINDER)
    assert return_path.reminder_named_in(token) == 4711
    assert return_path.is_token_of(token.upper(), REMINDER)
    assert not return_path.is_token_of(token, Reminder(pk=4712, sent_to=ADDRESS))
    assert not return_path.is_token_of(token, Reminder(pk=4711, sent_to="other@mail.example"))


def test_a_return_path_tells_nothing_and_fits():
    sender = return_path.envelope_sender(Reminder(pk=10**9, sent_to=ADDRESS))
    name, _, domain = sender.partition("@")
    assert domain == "clinic.example"
    assert len(name) <= 64
    assert ADDRESS.partition("@")[0] not in sender


def test_tokens_are_found_in_whatever_case_and_only_whole():
    path = return_path.envelope_sender(REMINDER)
    assert return_path.tokens_in(f"<{path.upper()}>") == [return_path.token_of(REMINDER)]
    assert return_path.tokens_in(f"x{path}") == []
    assert return_path.tokens_in(f"{path}.evil.example") == []
