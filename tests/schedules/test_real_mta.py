"""Mails as a real mail server takes, files and gives them back: a Postfix of our own, which relays nothing anywhere.

Needs Postfix (`apt-get install postfix`) and root, because Postfix drops its own rights; skipped elsewhere.
"""

import email
import email.policy
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from icalendar import Calendar

from patients.models import Clinic, Patient
from patients.models.clinic import PATIENT_LANGUAGES
from schedules.answers import Ending
from schedules.channels import BackendChannel, CarefulBackend
from schedules.mail import WORDINGS, compose, message_id
from schedules.models import Appointment, Reminder
from tests.schedules.conftest import DUE_ON, NOON, wait_for

POSTFIX = shutil.which("postfix", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
LANGUAGES = [code for code, _name in PATIENT_LANGUAGES]
KNOWN = "patient@mail.example"
IN_AN_UMLAUT_DOMAIN = "patient@müller.example"
PUT_OFF = "later@mail.example"
UNKNOWN = "nobody@mail.example"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not POSTFIX or os.getuid() != 0, reason="needs an installed postfix, and root to start it"),
]

MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
myhostname = mta.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
default_transport = error:5.4.0 this server delivers nothing elsewhere
relay_transport = error:5.4.0 this server delivers nothing elsewhere
mynetworks =
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access inline:{{{{{put_off} = 450 4.2.0 Greylisted, come back later}}}}
virtual_mailbox_domains = mail.example, xn--mller-kva.example
virtual_mailbox_maps = inline:{{{{{known} = box/}}, {{patient@xn--mller-kva.example = box/}}}}
virtual_mailbox_base = {folder}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
alias_maps =
smtpd_tls_security_level = none
smtpd_peername_lookup = no
"""
MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
proxymap unix - - n - - proxymap
postlog unix-dgram n - n - 1 postlogd
"""


@dataclass(frozen=True)
class Mta:
    """A running Postfix and the one mailbox that it fills."""

    port: int
    folder: Path

    @property
    def box(self) -> Path:
        return self.folder / "box" / "new"

    def fetch(self, count: int) -> list[bytes]:
        """The next `count` mails in the mailbox, which is empty then."""
        assert wait_for(lambda: self.box.is_dir() and len(list(self.box.iterdir())) >= count, 30), self.log()
        files = sorted(self.box.iterdir())
        found = [path.read_bytes() for path in files]
        for path in files:
            path.unlink()
        return found

    def log(self) -> str:
        return (self.folder / "mail.log").read_text()


@pytest.fixture(scope="module")
def mta() -> Iterator[Mta]:
    folder = Path(tempfile.mkdtemp(prefix="hipwatch-mta-"))
    folder.chmod(0o755)  # Postfix passes through it as a user of its own
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "etc"
    for name in ("etc", "queue", "data", "box"):
        (folder / name).mkdir()
    (settings / "main.cf").write_text(MAIN.format(folder=folder, put_off=PUT_OFF, known=KNOWN))
    (settings / "master.cf").write_text(MASTER.format(port=port))
    shutil.chown(folder / "data", "postfix")
    shutil.chown(folder / "box", 65534, 65534)
    started = subprocess.run([POSTFIX, "-c", settings, "start"], capture_output=True, text=True)
    running = Mta(port, folder)
    try:
        assert started.returncode == 0, started.stderr
        assert wait_for(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0, 20), running.log()
        yield running
    finally:
        subprocess.run([POSTFIX, "-c", settings, "stop"], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def channel(mta: Mta) -> Iterator[BackendChannel]:
    """The product's own way to a mail server, to this one; takes the place of the channel to the tests' sink."""
    opened = BackendChannel(CarefulBackend(host="127.0.0.1", port=mta.port, timeout=10))
    yield opened
    opened.close()


@pytest.fixture
def awkward_clinic(clinic: Clinic) -> Clinic:
    """Everything that people may type and mail has to carry: dots and From at the start of a line, accents, Greek."""
    clinic.mail_name = "Praxis Zürich-Süd, Ελπίς & Søn"
    clinic.address = ".\n..two dots\nFrom here on\nRue de l’Église 5"
    clinic.opening_hours = "Mo–Fr 8:00–16:00"
    clinic.save()
    return clinic


@pytest.fixture
def make_mail(awkward_clinic: Clinic, enrol: Callable[..., Patient]) -> Callable[[str, str], tuple[Reminder, object]]:
    """`make_mail(step, language)`: a reminder and its mail."""

    def make(step: str, language: str, address: str = KNOWN) -> tuple[Reminder, object]:
        patient = enrol(
            awkward_clinic, language=language, email=address, given_name="Zoë Ελένη", family_name="Müller-Łęcki"
        )
        reminder = Reminder(
            clinic=awkward_clinic, patient=patient, step=step, cycle_on=DUE_ON, due_on=DUE_ON, send_on=DUE_ON
        )
        if step in Reminder.OF_APPOINTMENTS:
            cancelled = step == Reminder.Step.APPOINTMENT_CANCELLED
            reminder.appointment = Appointment.objects.create(
                clinic=awkward_clinic,
                patient=patient,
                starts_at=NOON + timedelta(days=3),
                place=".Étage 2, bâtiment Ω, " + "very " * 15 + "far",
                actor="test",
                **({"state": "cancelled", "cancelled_reason": "Away"} if cancelled else {}),
            )
            reminder.appointment_sequence = 0
        reminder.save()
        return reminder, compose(reminder, patient, awkward_clinic)

    return make


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def lines_of(message: EmailMessage) -> list[str]:
    return message.get_body(("plain",)).get_content().splitlines()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_mail_comes_back_whole_from_a_mailbox(mta, channel, make_mail, language):
    """Headers, parts, encodings and every character, as the patient's own mail program will read them."""
    made = [make_mail(step, language) for step in WORDINGS]
    for _reminder, message in made:
        assert channel.send(message).ending == Ending.ACCEPTED
    contents = {parsed(content)["Message-ID"]: content for content in mta.fetch(len(made))}
    assert set(contents) == {message_id(reminder) for reminder, _message in made}
    for reminder, message in made:
        check_mail(contents[message_id(reminder)], reminder, message)


def check_mail(content: bytes, reminder: Reminder, sent) -> None:
    arrived = parsed(content)
    assert not [defect for part in arrived.walk() for defect in part.defects]
    assert not [name for name, value in arrived.items() if value.defects]
    assert max(map(len, content.splitlines())) <= 998, "RFC 5322, 2.1.1"
    for name in ("From", "To", "Subject", "Date", "Message-ID", "Reply-To", "Content-Language"):
        assert len(arrived.get_all(name)) == 1, name
    (sender,) = arrived["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (reminder.clinic.mail_name, "appointments@clinic.example")
    assert [one.addr_spec for one in arrived["To"].addresses] == [KNOWN]
    assert arrived["Subject"].strip() == sent.subject  # a long one may begin on the second line of its field
    assert abs(parsedate_to_datetime(arrived["Date"]).timestamp() - time.time()) < 300
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert re.fullmatch(r"<https?://\S+/p/stop/\S+>, <mailto:\S+\?subject=STOP>", arrived["List-Unsubscribe"].strip())
    assert arrived["Content-Language"] == reminder.patient.language
    check_parts(arrived, reminder, sent)


def check_parts(arrived: EmailMessage, reminder: Reminder, sent) -> None:
    of_appointment = reminder.appointment is not None
    alternative = next(part for part in arrived.walk() if part.get_content_type() == "multipart/alternative")
    assert arrived.get_content_type() == ("multipart/mixed" if of_appointment else "multipart/alternative")
    kinds = [part.get_content_type() for part in alternative.iter_parts()]
    assert kinds == ["text/plain", "text/html", "text/calendar"][: 3 if of_appointment else 2]
    for part in alternative.iter_parts():
        assert part.get_content_charset() == "utf-8"
    assert lines_of(arrived) == sent.body.splitlines(), "also lines that begin with a dot"
    assert {".", "..two dots", "From here on"} <= set(lines_of(arrived))
    assert arrived.get_body(("html",)).get_content().splitlines() == sent.alternatives[0][0].splitlines()
    if of_appointment:
        check_calendar(alternative, arrived, reminder)


def check_calendar(alternative: EmailMessage, arrived: EmailMessage, reminder: Reminder) -> None:
    part = list(alternative.iter_parts())[2]
    calendar = Calendar.from_ical(part.get_payload(decode=True))
    assert part.get_param("method") == calendar["METHOD"], "RFC 6047, 2.4"
    assert calendar["METHOD"] == ("CANCEL" if reminder.step == "visit_cancelled" else "REQUEST")
    (event,) = calendar.walk("VEVENT")
    assert event["SUMMARY"] == reminder.clinic.mail_name
    assert event["LOCATION"] == reminder.appointment.place
    assert event["DTSTART"].dt == reminder.appointment.starts_at
    assert f"mailto:{KNOWN}" == event["ATTENDEE"]
    (file,) = arrived.iter_attachments()
    assert file.get_filename() == "appointment.ics"
    assert file.get_content().splitlines() == part.get_payload(decode=True).splitlines()


def test_a_domain_with_an_umlaut_is_reached(mta, channel, make_mail):
    _reminder, message = make_mail("due", "de", IN_AN_UMLAUT_DOMAIN)
    assert channel.send(message).ending == Ending.ACCEPTED
    (content,) = mta.fetch(1)
    assert [one.addr_spec for one in parsed(content)["To"].addresses] == ["patient@xn--mller-kva.example"]


@pytest.mark.usefixtures("planned_by_hand")
@pytest.mark.parametrize("together", [1, 10])
def test_what_the_server_says_is_stored(mta, clinic, enrol, follow, drain, together):
    """An unknown mailbox is a failure that no second attempt follows; a server that greylists is asked again."""
    people = {address: enrol(clinic, email=address) for address in (KNOWN, UNKNOWN, PUT_OFF, "x@elsewhere.example")}
    for patient in people.values():
        follow(patient)
    drain(together=together)
    mta.fetch(1)
    rows = {address: Reminder.objects.get(patient=patient, step="due") for address, patient in people.items()}
    for patient in people.values():
        patient.refresh_from_db()
    assert rows[KNOWN].state == "sent"
    assert rows[UNKNOWN].state == "failed"
    assert "550 5.1.1" in rows[UNKNOWN].reason
    assert people[UNKNOWN].email_bounced_on == DUE_ON
    assert rows[PUT_OFF].state == "planned"
    assert "450 4.2.0" in rows[PUT_OFF].reason
    assert rows[PUT_OFF].not_before > NOON
    assert people[PUT_OFF].email_bounced_on is None
    assert rows["x@elsewhere.example"].state != "sent", "this server relays nothing"
    assert people["x@elsewhere.example"].email_bounced_on is None
