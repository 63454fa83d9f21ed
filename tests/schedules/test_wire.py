"""The bytes that go over SMTP say exactly what the library would have written."""

import email
import email.policy
import re
import smtplib
from datetime import date

import pytest
from django.test import override_settings

from patients.models import Clinic, Patient
from patients.models.clinic import PATIENT_LANGUAGES
from schedules import channels, return_path
from schedules.mail import WORDINGS, compose
from schedules.models import Reminder
from schedules.wire import wire_of

NAMES = [("Marta", "Berg"), ("Jürgen", "Groß <b>&amp; Söhne"), ("=?utf-8?q?x?=", "O'Neil\n.Bcc: a@b.example")]
PLAIN = [str(step) for step in WORDINGS if step not in Reminder.OF_APPOINTMENTS]


def one(step="due", *, language="en", name=NAMES[0], to="marta.o'hara+x@mail.example", **details):
    clinic = Clinic(
        id=3, mail_name="Klinik am Nordring", telephone="+49 30 1234", reply_to="desk@clinic.example", **details
    )
    patient = Patient(id=5, clinic=clinic, given_name=name[0], family_name=name[1], email=to, language=language)
    days = {"cycle_on": date(2026, 9, 27), "due_on": date(2027, 3, 1), "send_on": date(2027, 3, 1)}
    return Reminder(id=7, clinic=clinic, patient=patient, step=step, sent_to=to, **days), patient, clinic


def read(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def told(message):
    """Headers in order, and each part with its type and words; what differs from one copy to the next is left out."""
    headers = [(name, str(said)) for name, said in message.items() if name not in ("Date", "Content-Type")]
    parts = [(part.get_content_type(), part.get_content_charset(), part.get_content()) for part in message.iter_parts()]
    return headers, parts, message.get_content_type()


@pytest.mark.parametrize("language", [code for code, _name in PATIENT_LANGUAGES])
@pytest.mark.parametrize("step", PLAIN)
@pytest.mark.parametrize("name", NAMES)
def test_the_bytes_say_what_the_library_would_have_written(step, language, name):
    reminder, patient, clinic = one(
        step, language=language, name=name, address="Straße 1\nÖrtlich", opening_hours="8-16"
    )
    wire = wire_of(reminder, patient, clinic)
    by_library = compose(reminder, patient, clinic)
    assert wire is not None
    assert told(read(wire.content)) == told(read(by_library.message().as_bytes(linesep="\r\n")))
    assert (wire.sender, wire.recipient) == ("appointments@clinic.example", patient.email)


def test_the_bytes_are_sound():
    reminder, patient, clinic = one("symptom_check", name=NAMES[1])
    raw = wire_of(reminder, patient, clinic).content
    message = read(raw)
    assert [part.defects for part in message.walk()] == [[], [], []]
    assert message["Date"].datetime
    assert b"zqslot" not in raw
    assert raw.count(b"\n") == raw.count(b"\r\n") and max(map(len, raw.split(b"\r\n"))) <= 998
    assert {part["Content-Transfer-Encoding"] for part in message.iter_parts()} == {"8bit"}


def test_a_name_that_looks_like_a_slot_stays_a_name():
    reminder, patient, clinic = one(name=("zqslotdayzq", "zqslotidzq"))
    assert (
        "zqslotdayzq zqslotidzq" in read(wire_of(reminder, patient, clinic).content).get_body(("plain",)).get_content()
    )


def test_a_mail_has_a_return_path_of_its_own():
    reminder, patient, clinic = one()
    with override_settings(BOUNCE_ADDRESS="bounces@clinic.example"):
        wire = wire_of(reminder, patient, clinic)
        by_library = compose(reminder, patient, clinic)
        return_path.mark(by_library, reminder)
    assert wire.sender == by_library.from_email
    assert read(wire.content)["From"] == by_library.extra_headers["From"]


@pytest.mark.parametrize(
    "to", ["jürgen@mail.example", "a@b.example\nBcc: c@d.example", "a@müller.example", '"a b"@c.example', ""]
)
def test_an_address_that_is_not_plain_is_left_to_the_library(to):
    assert wire_of(*one(to=to)) is None


def test_what_makes_too_long_a_line_is_left_to_the_library():
    assert wire_of(*one(name=("Marta " * 90, "Berg"))) is None
    assert wire_of(*one(opening_hours="8-16 " * 300)) is None


@pytest.mark.parametrize(
    "text", [b"", b".", b"a\r\n.\r\nb", b".a\r\n..b\r\n", b"a.\r\nb.c", b"\n.\n", b"a\r\n\r\n.", b"<p>.</p>\r\n"]
)
def test_dots_at_the_beginning_of_lines_are_doubled_as_the_library_does(text):
    assert channels.dots_doubled(text) == re.sub(rb"(?m)^\.", b"..", text)


@pytest.mark.parametrize(
    "address",
    ["a@b.example", "a.b+c@x-y.example", '"a b"@c.example', "A B <x@y.example>", "a@b.example\nBcc: c@d.example", ""],
)
def test_addresses_are_written_as_the_library_writes_them(address):
    assert channels.angled(address) == smtplib.quoteaddr(address)
