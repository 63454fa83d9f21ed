"""The bounce mailbox: a maildir and an IMAP folder, read once, marked after what they tell is stored."""

from datetime import timedelta
from urllib.parse import quote

import pytest

from monitoring import heartbeats
from schedules import bounce_mailbox, feedback
from schedules.bounce_mailbox import ImapMailbox, MaildirMailbox, Unreachable, poll, poll_if_any
from schedules.models import DeliveryEvent, Reminder
from tests.schedules.conftest import NOON
from tests.schedules.imap_server import PASSWORD, USER, imap_server
from tests.schedules.test_returned_mail import sample

pytestmark = pytest.mark.usefixtures("planned_by_hand", "bounce_address")
LATER = NOON + timedelta(minutes=10)


@pytest.fixture
def bounce_address(settings):
    settings.BOUNCE_ADDRESS = "bounces@clinic.example"


@pytest.fixture
def sent(patient, follow, drain) -> Reminder:
    follow(patient)
    drain()
    return Reminder.objects.select_related("patient").get(patient=patient, state="sent")


@pytest.fixture
def maildir(tmp_path):
    for part in ("new", "cur", "tmp"):
        (tmp_path / part).mkdir()
    return tmp_path


@pytest.fixture
def imap(settings):
    with imap_server() as folder:
        settings.BOUNCE_MAILBOX_URL = (
            f"imap://{quote(USER)}:{quote(PASSWORD, '')}@127.0.0.1:{folder.port}/Returned%20mail"
        )
        yield folder


def names(maildir):
    return sorted(path.name for path in (maildir / "cur").iterdir())


def test_a_returned_mail_in_a_maildir_fails_its_reminder_and_is_marked_as_read(sent, maildir):
    (maildir / "new" / "1806235331.M1P1.mx").write_bytes(sample("postfix_unknown_user", sent))
    tally = poll(MaildirMailbox(maildir), now=LATER)
    sent.refresh_from_db()
    assert (tally.mails, tally.results) == (1, {"recorded": 1})
    assert sent.state == "failed"
    assert "User unknown in virtual mailbox table" in sent.reason
    assert names(maildir) == ["1806235331.M1P1.mx:2,S"]
    assert poll(MaildirMailbox(maildir), now=LATER).mails == 0


def test_what_a_person_wrote_is_left_for_a_person(sent, maildir):
    for number, name in enumerate(["written_by_hand", "absence", "postfix_delayed"]):
        (maildir / "new" / f"{number}.M1P1.mx").write_bytes(sample(name, sent))
    tally = poll(MaildirMailbox(maildir), now=LATER)
    assert (tally.mails, tally.left) == (3, 1)
    assert names(maildir) == ["0.M1P1.mx:2,FS", "1.M1P1.mx:2,S", "2.M1P1.mx:2,S"]


def test_marks_of_others_stay(sent, maildir):
    (maildir / "cur" / "1.M1P1.mx:2,RT").write_bytes(sample("absence", sent))
    poll(MaildirMailbox(maildir), now=LATER)
    assert names(maildir) == ["1.M1P1.mx:2,RST"]


def test_a_poll_that_died_before_marking_reads_again_and_records_nothing_twice(sent, maildir):
    mail = maildir / "new" / "1.M1P1.mx"
    mail.write_bytes(sample("gmail_full", sent))
    poll(MaildirMailbox(maildir), now=LATER)
    (maildir / "cur" / "1.M1P1.mx:2,S").rename(mail)
    assert poll(MaildirMailbox(maildir), now=LATER).results == {"repeated": 1}
    assert DeliveryEvent.objects.count() == 1


def test_a_forged_return_path_changes_nothing(sent, maildir):
    raw = sample("postfix_unknown_user", Reminder(pk=sent.pk, sent_to="somebody@else.example"))
    (maildir / "new" / "1.M1P1.mx").write_bytes(raw)
    assert poll(MaildirMailbox(maildir), now=LATER).results == {"unknown": 1}
    sent.refresh_from_db()
    assert (sent.state, DeliveryEvent.objects.count()) == ("sent", 0)


def test_one_mail_that_cannot_be_dealt_with_keeps_none_waiting(sent, maildir, monkeypatch, settings):
    (maildir / "new" / "1.M1P1.mx").write_bytes(sample("gmail_full", sent))
    (maildir / "new" / "2.M1P1.mx").write_bytes(sample("absence", sent))
    record = feedback.record
    monkeypatch.setattr(feedback, "record", lambda report, now: record(report, now=None))
    settings.BOUNCE_MAILBOX_URL = f"maildir://{maildir}"
    poll_if_any(now=LATER)
    assert names(maildir) == ["2.M1P1.mx:2,S"]
    assert heartbeats.beat("bounces", LATER).behind == 1
    monkeypatch.undo()


# ---- IMAP


def test_an_imap_folder_is_read_and_marked(sent, imap):
    bounced, human = imap.add(sample("exchange_unknown", sent)), imap.add(sample("written_by_hand", sent))
    poll_if_any(now=LATER)
    sent.refresh_from_db()
    assert sent.state == "failed"
    assert bounced.flags == {"\\Seen"}
    assert human.flags == {"\\Seen", "\\Flagged"}
    assert imap.commands[-1] == "LOGOUT"
    poll_if_any(now=LATER)
    assert sum(command.startswith("UID FETCH") for command in imap.commands) == 2


def test_of_a_huge_mail_only_the_beginning_is_read(sent, imap):
    imap.add(sample("gmail_full", sent) + b"x" * 2_000_000)
    poll_if_any(now=LATER)
    assert DeliveryEvent.objects.get().kind == "bounced"


def test_a_server_that_hangs_up_before_marking_is_asked_again(sent, imap):
    imap.add(sample("gmail_full", sent))
    imap.hang_up_at = "UID STORE"
    with pytest.raises(Unreachable):
        poll(now=LATER)
    imap.hang_up_at = ""
    assert poll(now=LATER).results == {"repeated": 1}


def test_a_wrong_password_or_folder_says_so_without_the_password(imap):
    for user, password, folder in ((USER, "hunter2", "Returned mail"), (USER, PASSWORD, "Elsewhere")):
        with pytest.raises(Unreachable) as refused:
            ImapMailbox("127.0.0.1", imap.port, user=user, password=password, folder=folder, encrypted=False)
        assert password not in str(refused.value)
    assert [command.split()[0] for command in imap.commands if "CAPABILITY" not in command] == [
        *("LOGIN", "LOGOUT"),
        *("LOGIN", "SELECT", "LOGOUT"),
    ]


def test_an_encrypted_mailbox_is_not_read_in_the_clear(imap):
    with pytest.raises(Unreachable):
        ImapMailbox("127.0.0.1", imap.port, user=USER, password=PASSWORD, folder="INBOX", encrypted=True)
    assert not any("LOGIN" in command for command in imap.commands)


# ---- Its heartbeat


def test_a_poll_beats_the_heart_and_one_that_fails_does_not(db, imap):
    poll_if_any(now=LATER)
    assert not heartbeats.beat("bounces", LATER).late
    imap.hang_up_at = "LOGIN"
    later = LATER + timedelta(minutes=31)
    poll_if_any(now=later)
    assert heartbeats.beat("bounces", later).late
    assert "bounces" in [beat.name for beat in heartbeats.all_beats()]


def test_without_a_mailbox_nothing_is_polled_nor_missed(db, settings, monkeypatch):
    settings.BOUNCE_MAILBOX_URL = ""
    monkeypatch.setattr(bounce_mailbox, "_poll_listeners", [lambda *told: pytest.fail("nothing was polled")])
    poll_if_any(now=LATER)
    assert "bounces" not in [beat.name for beat in heartbeats.all_beats()]
