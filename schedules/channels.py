"""Channels: how a mail leaves the house, and what its server said of it."""

import email
import email.policy
import smtplib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend

SEVEN_BITS = email.policy.compat32.clone(cte_type="7bit", linesep="\r\n")
AFTER_DOT = 600.0  # seconds to wait for the answer to a whole mail (RFC 5321, 4.5.3.2.6): giving up early doubles mails


class Ending(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"  # for good
    TRY_LATER = "try_later"
    UNREACHABLE = "unreachable"  # the server's fault or ours, not this mail's
    IN_DOUBT = "in_doubt"  # handed over, and no answer came


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mail. `address_bad`: the server knows no such mailbox.

    `provider_id`: the name under which a provider will tell what becomes of the mail later.
    """

    ending: Ending
    reason: str = ""
    address_bad: bool = False
    provider_id: str = ""


class Channel(Protocol):
    """A way to hand over mails one after the other. `send` never raises; closing twice has no effect."""

    def send(self, message: EmailMessage) -> Outcome: ...
    def close(self) -> None: ...


class InDoubt(Exception):
    """The connection failed after the whole mail was written and before its server answered."""


class _SMTP(smtplib.SMTP):
    """smtplib's client, except that a failure after a mail's final dot is told apart from one before it."""

    after_dot = AFTER_DOT
    handed_over = False

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, tuple[int, bytes]]:
        """Text of eight bits is announced (RFC 6152), and written in seven for a server that takes no other."""
        self.ehlo_or_helo_if_needed()
        if isinstance(msg, bytes) and not msg.isascii():
            if self.has_extn("8bitmime"):
                mail_options = (*mail_options, "BODY=8BITMIME")
            else:
                msg = email.message_from_bytes(msg).as_bytes(policy=SEVEN_BITS)
        return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.handed_over, usual = False, self.sock.gettimeout() if self.sock else None
        try:
            return super().data(msg)
        except smtplib.SMTPDataError:
            raise
        except Exception as fault:
            if self.handed_over:
                raise InDoubt(_words(fault)) from fault
            raise
        finally:
            if self.sock:
                self.sock.settimeout(usual)

    def send(self, s: Any) -> None:
        """smtplib writes commands as text; bytes are a mail with its final dot."""
        if not isinstance(s, str) and self.sock:
            self.handed_over = True
            self.sock.settimeout(self.after_dot)
        super().send(s)


class _SMTP_SSL(_SMTP, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class CarefulBackend(EmailBackend):
    """Django's SMTP backend over a client that knows whether a mail was handed over."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SMTP_SSL if self.use_ssl else _SMTP


class BackendChannel:
    """A Django mail backend whose connection stays open between mails."""

    def __init__(self, backend: BaseEmailBackend) -> None:
        self.backend = backend
        self._served = 0  # mails that this connection has taken

    def send(self, message: EmailMessage) -> Outcome:
        if unreachable := self._open():
            return unreachable
        outcome = self._hand_over(message)
        if outcome is None:  # servers close connections that have served long enough: nothing was handed over
            outcome = self._open() or self._hand_over(message) or Outcome(Ending.TRY_LATER, "The server hung up.")
        return outcome

    def close(self) -> None:
        self._served = 0
        with suppress(Exception):
            self.backend.close()
        if isinstance(self.backend, EmailBackend):
            self.backend.connection = None

    def _open(self) -> Outcome | None:
        try:
            self.backend.open()
        except (OSError, smtplib.SMTPException) as fault:
            self.close()
            return Outcome(Ending.UNREACHABLE, f"The mail server cannot be reached: {_words(fault)}")
        return None

    def _hand_over(self, message: EmailMessage) -> Outcome | None:
        """The outcome, or None when a connection that had served before was closed on us before the mail was out."""
        served, self._served = self._served, self._served + 1
        try:
            self.backend.send_messages([message])
        except (OSError, smtplib.SMTPServerDisconnected) as fault:
            if not isinstance(fault, smtplib.SMTPResponseException | smtplib.SMTPRecipientsRefused):
                self._drop()
                gone = isinstance(fault, smtplib.SMTPServerDisconnected | ConnectionError)
                return None if served and gone else Outcome(Ending.TRY_LATER, _words(fault))
            return self._judge(fault)
        except Exception as fault:
            return self._judge(fault)
        return Outcome(Ending.ACCEPTED)

    def _judge(self, fault: Exception) -> Outcome:
        outcome = judge(fault)
        if outcome.ending in (Ending.UNREACHABLE, Ending.IN_DOUBT):
            self._drop()
        return outcome

    def _drop(self) -> None:
        """Forget the connection without a word: its state is not known."""
        client = getattr(self.backend, "connection", None)
        if client is not None:
            with suppress(Exception):
                client.close()
        self.close()


def judge(fault: Exception) -> Outcome:
    """What an exception of a mail backend means for the mail."""
    match fault:
        case InDoubt():
            return Outcome(Ending.IN_DOUBT, f"No answer came after it was handed over: {_words(fault)}")
        case smtplib.SMTPRecipientsRefused():
            code, text = next(iter(fault.recipients.values()))
            return _by_code(code, _said(code, text), bad_address=is_unknown_mailbox(code, text))
        case smtplib.SMTPSenderRefused() if fault.smtp_code >= 500:
            return Outcome(Ending.UNREACHABLE, f"Our address is refused. {_said(fault.smtp_code, fault.smtp_error)}")
        case smtplib.SMTPResponseException():
            said = _said(fault.smtp_code, fault.smtp_error)
            return _by_code(fault.smtp_code, said, bad_address=_enhanced(fault.smtp_error).startswith("5.1."))
        case _:
            return Outcome(Ending.TRY_LATER, _words(fault))


def _by_code(code: int, said: str, *, bad_address: bool) -> Outcome:
    if code == 421:
        return Outcome(Ending.UNREACHABLE, said)
    if 500 <= code < 600:
        return Outcome(Ending.REJECTED, said, address_bad=bad_address)
    return Outcome(Ending.TRY_LATER, said)


def is_unknown_mailbox(code: int, text: bytes | str) -> bool:
    """Blocked, full or forbidden is not unknown: only a dead address may stop later mail.

    `text` is what the server said, beginning with its enhanced status code where it gave one.
    """
    enhanced = _enhanced(text)
    return enhanced.startswith(("5.1.", "5.2.1")) if enhanced else code in (550, 551, 553)


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())


def _enhanced(said: bytes | str) -> str:
    """The enhanced status code (RFC 3463) that the answer begins with, or ""."""
    first = _text(said).partition(" ")[0]
    return first if first.count(".") == 2 and first.replace(".", "").isdigit() else ""


def _said(code: int, text: bytes | str) -> str:
    return f"The server said: {code} {_text(text)}"[:200]


def _words(fault: Exception) -> str:
    return f"{type(fault).__name__} {_text(str(fault))}".strip()[:150]


def default_channel() -> Channel:
    """The channel that the settings name; SMTP with the care that the answer to each mail deserves."""
    if settings.MAIL_PROVIDER:
        from .provider_channel import ProviderChannel  # loads an HTTP client that a mail server has no use for

        return ProviderChannel(get_connection())
    if settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":
        return BackendChannel(CarefulBackend())
    return BackendChannel(get_connection())
