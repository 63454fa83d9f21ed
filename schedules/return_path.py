"""Return path: where a mail comes back to, and the token by which what is reported of it finds its reminder.

The token is a number and a signature over that number and the address that the mail goes to: it tells nothing, nobody
can make one up, and it is void as soon as the reminder has gone to another address.
"""

import base64
import re

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils.crypto import constant_time_compare, salted_hmac

from .models import Reminder

METADATA = "mail"  # the name under which providers keep the token and give it back
_TOKEN = re.compile(r"(\d{1,18})-([a-z2-7]{16})")


def token_of(reminder: Reminder) -> str:
    """The same for each copy of a mail to one address. Letters of one case and digits only: servers change case."""
    return f"{reminder.pk}-{_signature(reminder)}"


def reminder_named_in(token: str) -> int | None:
    """The reminder that a token names, true or not; `is_token_of` says whether it is."""
    found = _TOKEN.fullmatch(token.strip().lower())
    return int(found[1]) if found else None


def is_token_of(token: str, reminder: Reminder) -> bool:
    return constant_time_compare(token.strip().lower(), token_of(reminder))


def mark(message: EmailMessage, reminder: Reminder) -> None:
    """Let what becomes of this mail be known: the token goes along to a provider or in the sender of the envelope.

    A patient sees the address of the From field, which stays.
    """
    message.metadata = {METADATA: token_of(reminder)}  # type: ignore[attr-defined]  # read by anymail's backends
    if settings.BOUNCE_ADDRESS and not settings.MAIL_PROVIDER:
        message.extra_headers["From"] = message.from_email
        message.from_email = envelope_sender(reminder)


def envelope_sender(reminder: Reminder) -> str:
    """`bounces+TOKEN@example.org` for the BOUNCE_ADDRESS `bounces@example.org` (variable envelope return path)."""
    name, _, domain = settings.BOUNCE_ADDRESS.rpartition("@")
    return f"{name}+{token_of(reminder)}@{domain}"


def tokens_in(text: str) -> list[str]:
    """The tokens of return paths of ours that a header field holds."""
    name, _, domain = settings.BOUNCE_ADDRESS.rpartition("@")
    if not name:
        return []
    pattern = rf"(?<![\w.+-]){re.escape(name)}\+({_TOKEN.pattern})@{re.escape(domain)}(?![\w.-])"
    return [found[0].lower() for found in re.findall(pattern, text, re.IGNORECASE)]


def _signature(reminder: Reminder) -> str:
    key = f"{reminder.pk}|{reminder.sent_to.lower()}"
    digest = salted_hmac("schedules.return_path", key, algorithm="sha256").digest()
    return base64.b32encode(digest[:10]).decode().lower()
