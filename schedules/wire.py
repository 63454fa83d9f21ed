"""Wire: a reminder's mail as the bytes that go over SMTP.

The library that puts mails together takes longer than all the rest of one. Mails of one kind differ in a few words
only: so it makes a form of each kind, with slots in it, and the slots are filled. What a form cannot carry (an
appointment's calendar part, an address that is not plain) is left to the library.
"""

import re
import time
from email.utils import formatdate
from functools import lru_cache

from django.conf import settings
from django.utils.html import escape

from patients.models import Clinic, Patient

from .channels import PLAIN_ADDRESS, Wire
from .links import Purpose, link_of, url_of
from .mail import SLOTS, Kind, form_of, kind_of, message_id, own_words, put_together, sender_address
from .models import Reminder
from .return_path import envelope_sender

_TO, _MESSAGE_ID, _DATE = "zqslottozq@zq.example", "zqslotidzq", "zqslotdatezq"
_STOP = "zqslotstop" + "q" * 100 + "zq"  # long, as the address is, so that the header is folded around it
_HTML = {slot: slot.replace("slot", "slothtml") for slot in SLOTS.values()}
_SLOT = re.compile("|".join([*SLOTS.values(), *_HTML.values(), _TO, _MESSAGE_ID, _DATE, _STOP]).encode())
LONGEST_LINE = 998  # bytes (RFC 5322, 2.1.1)


def wire_of(reminder: Reminder, patient: Patient, clinic: Clinic) -> Wire | None:
    """The mail of a claimed reminder to its patient; None where no form carries it."""
    if reminder.appointment_id or not PLAIN_ADDRESS.fullmatch(patient.email):
        return None
    kind = kind_of(reminder, patient, clinic)
    own = own_words(reminder, patient, clinic, form_of(kind))
    words = {
        **own,
        **{_HTML[slot]: escape(said) for slot, said in own.items()},
        _TO: patient.email,
        _MESSAGE_ID: reminder.message_id or message_id(reminder),
        _DATE: _date_of(int(time.time()), settings.EMAIL_USE_LOCALTIME),
        _STOP: url_of(link_of(reminder, Purpose.STOP)),
    }
    longest, pieces = _pieces(kind, sender_address(), all(said.isascii() for said in own.values()))
    if longest + 2 * max(len(said.encode()) for said in words.values()) > LONGEST_LINE:
        return None
    content = b"".join(piece if slot is None else words[slot].encode() for slot, piece in pieces)
    return Wire(envelope_sender(reminder) if settings.BOUNCE_ADDRESS else sender_address(), patient.email, content)


@lru_cache(maxsize=8)
def _date_of(second: int, local: bool) -> str:
    return formatdate(second, localtime=local)


@lru_cache(maxsize=512)
def _pieces(kind: Kind, sender: str, ascii_only: bool) -> tuple[int, tuple[tuple[str | None, bytes], ...]]:
    """The longest line of a kind's form, and the form cut at its slots: the slot's name, or bytes that stay.

    `ascii_only`: whether what is put in is; bytes of eight bits must be announced. `sender`: the form has it as well.
    """
    form = form_of(kind)
    html = re.sub("|".join(_HTML), lambda slot: _HTML[slot[0]], form.html)
    message = put_together(kind, form.subject, form.text, html, to=_TO, message_id=_MESSAGE_ID, stop=_STOP)
    message.extra_headers["Date"] = _DATE
    raw: bytes = message.message().as_bytes(linesep="\r\n")  # type: ignore[call-arg]  # of Django's own class
    if not ascii_only:
        raw = raw.replace(b"\r\nContent-Transfer-Encoding: 7bit\r\n", b"\r\nContent-Transfer-Encoding: 8bit\r\n")
    found: list[tuple[str | None, bytes]] = []
    end = 0
    for slot in _SLOT.finditer(raw):
        found += [(None, raw[end : slot.start()]), (slot[0].decode(), b"")]
        end = slot.end()
    longest = LONGEST_LINE if b"quoted-printable" in raw else max(map(len, raw.split(b"\r\n")))
    return longest, (*found, (None, raw[end:]))
