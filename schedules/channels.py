"""Channels: how a mail leaves the house."""

import email
import email.policy
import re
import smtplib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.backends.smtp import EmailBackend

from .answers import CLOSING, Ending, InDoubt, Outcome, Stage, is_farewell, is_unknown_mailbox, judge, words_of
from .mail import sender_address

SEVEN_BITS = email.policy.compat32.clone(cte_type="7bit", linesep="\r\n")
START = 354
AFTER_DOT = 600.0  # seconds to wait for the answer to a whole mail (RFC 5321, 4.5.3.2.6): giving up early doubles mails
_LEADING_DOT = re.compile(rb"^\.", re.MULTILINE)
PLAIN_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9.-]+")


@dataclass(frozen=True, slots=True)
class Wire:
    """A mail to one recipient, as it goes over SMTP."""

    sender: str
    recipient: str
    content: bytes


class Channel(Protocol):
    """A way to hand over mails one after the other. `send` never raises; closing twice has no effect.

    `takes_wire`: it may be given bytes. `following`: the mail that is handed over after this one, where it is known.
    """

    takes_wire: bool
    following: Wire | None

    def send(self, message: EmailMessage | Wire) -> Outcome: ...

    def is_well(self) -> bool | None:
        """False where the server takes no mail from us to anybody, None where it cannot be asked."""

    def close(self) -> None: ...


class _SMTP(smtplib.SMTP):
    """smtplib's client, except that it knows how far a mail came, and tells a failure after its final dot apart.

    Where the server offers it, what comes before a mail is written at once (RFC 2920): two waits a mail, not four. And
    where the mail that follows is known, that goes out with the end of the one before it: one wait a mail. Its content
    stays here until the server has answered for the one before, so no more mails are ever in doubt.
    """

    after_dot = AFTER_DOT
    stage = Stage.SENDER
    following: Wire | None = None
    announced: bytes = b""  # the commands that were sent ahead, whose answers are to come

    def sendmail(
        self,
        from_addr: str,
        to_addrs: str | Sequence[str],
        msg: Any,
        mail_options: Sequence[str] = (),
        rcpt_options: Sequence[str] = (),
    ) -> dict[str, tuple[int, bytes]]:
        """Text of eight bits is announced (RFC 6152), and written in seven for a server that takes no other."""
        self.stage = Stage.SENDER
        self.ehlo_or_helo_if_needed()
        if isinstance(msg, bytes) and not msg.isascii():
            if self.has_extn("8bitmime"):
                mail_options = (*mail_options, "BODY=8BITMIME")
            else:
                msg = email.message_from_bytes(msg).as_bytes(policy=SEVEN_BITS)
        if isinstance(msg, bytes) and len(to_addrs) == 1 and not rcpt_options and self.has_extn("pipelining"):
            return self._send_pipelined(from_addr, to_addrs[0], msg, mail_options)
        return super().sendmail(from_addr, to_addrs, msg, mail_options, rcpt_options)

    def rcpt(self, recip: str, options: Sequence[str] = ()) -> tuple[int, bytes]:
        self.stage = Stage.RECIPIENT
        return super().rcpt(recip, options)

    def data(self, msg: Any) -> tuple[int, bytes]:
        self.stage = Stage.CONTENT
        self.putcmd("data")
        code, said = self.getreply()
        if code != START:
            raise smtplib.SMTPDataError(code, said)
        return self._write(msg)

    def _send_pipelined(
        self, sender: str, recipient: str, msg: bytes, options: Sequence[str]
    ) -> dict[str, tuple[int, bytes]]:
        envelope = self._envelope(sender, recipient, msg, options)
        if self.announced != envelope:
            self.send(envelope)
        self.announced = b""
        code, said = self._answer(Stage.SENDER)
        if code != 250:
            self.close()  # whatever it makes of the two other commands
            raise smtplib.SMTPSenderRefused(code, said, sender)
        taken, words = self._answer(Stage.RECIPIENT)
        code, said = self._answer(Stage.CONTENT) if taken != CLOSING else (CLOSING, words)
        if taken not in (250, 251):
            if code == START:  # it waits for a mail to nobody: it gets an empty one
                self.send(".\r\n")
                self.getreply()
            self._start_over(taken)
            raise smtplib.SMTPRecipientsRefused({recipient: (taken, words)})
        if code == START:
            code, said = self._write(msg)
        if code != 250:
            self._start_over(code)
            raise smtplib.SMTPDataError(code, said)
        return {}

    def _envelope(self, sender: str, recipient: str, msg: bytes, options: Sequence[str] = ()) -> bytes:
        """What comes before the mail. Raises ValueError for an address that would be more than one line."""
        if self.has_extn("size"):
            options = (*options, f"size={len(msg)}")
        lines = (
            " ".join(("MAIL", f"FROM:{angled(sender)}", *options)),
            f"RCPT TO:{angled(recipient)}",
            "DATA",
        )
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("An address holds a line break.")
        return ("\r\n".join(lines) + "\r\n").encode("ascii")

    def envelope_of(self, mail: Wire) -> bytes:
        """As `sendmail` will send it; empty where that cannot be told ahead."""
        options = () if mail.content.isascii() else ("BODY=8BITMIME",)
        plain = PLAIN_ADDRESS.fullmatch(mail.sender) and PLAIN_ADDRESS.fullmatch(mail.recipient)
        if not plain or not self.has_extn("pipelining") or (options and not self.has_extn("8bitmime")):
            return b""
        return self._envelope(mail.sender, mail.recipient, mail.content, options)

    def _answer(self, stage: Stage) -> tuple[int, bytes]:
        self.stage = stage
        return self.getreply()

    def _start_over(self, code: int) -> None:
        if code == CLOSING:
            self.close()
        elif not self.announced:  # the server begins with the next mail by itself
            self._rset()  # type: ignore[attr-defined]  # smtplib's own, which forgives a server that is gone

    def _write(self, msg: bytes) -> tuple[int, bytes]:
        """The whole mail with its final dot, and what is said of it. Raises InDoubt where nothing is."""
        text = dots_doubled(msg)
        text += b".\r\n" if text.endswith(b"\r\n") else b"\r\n.\r\n"
        self.announced = self.envelope_of(self.following) if self.following else b""
        usual = self.sock.gettimeout() if self.sock else None
        if self.sock:
            self.sock.settimeout(self.after_dot)
        try:
            self.send(text + self.announced)
            return self.getreply()
        except Exception as fault:
            raise InDoubt(words_of(fault)) from fault
        finally:
            if self.sock:
                self.sock.settimeout(usual)

    def quit(self) -> tuple[int, bytes]:
        """A server that waits for a mail that was announced would take the word for the mail."""
        if self.announced:
            self.close()
            return CLOSING, b""
        return super().quit()


def angled(address: str) -> str:
    """The address as the dialogue writes it. The library takes one apart for longer than it takes to send a mail."""
    return f"<{address}>" if PLAIN_ADDRESS.fullmatch(address) else smtplib.quoteaddr(address)


def dots_doubled(text: bytes) -> bytes:
    """No line begins with a dot of its own (RFC 5321, 4.5.2): a lone one ends the mail. Few mails have any."""
    if not text.startswith(b".") and b"\n." not in text:
        return text
    return _LEADING_DOT.sub(b"..", text)


class _SMTP_SSL(_SMTP, smtplib.SMTP_SSL):
    """The same over TLS from the first byte."""


class CarefulBackend(EmailBackend):
    """Django's SMTP backend over a client that knows how far a mail came."""

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        return _SMTP_SSL if self.use_ssl else _SMTP


class BackendChannel:
    """A Django mail backend whose connection stays open between mails."""

    def __init__(self, backend: BaseEmailBackend) -> None:
        self.backend = backend
        self.following: Wire | None = None
        self.takes_wire = isinstance(backend, CarefulBackend)
        self._served = 0  # mails that this connection has taken

    def send(self, message: EmailMessage | Wire) -> Outcome:
        self._keep_announced(message)
        if unreachable := self._open():
            return unreachable
        outcome = self._hand_over(message)
        if outcome is None:  # servers close connections that have served long enough: nothing was handed over
            outcome = self._open() or self._hand_over(message) or Outcome(Ending.TRY_LATER, "The server hung up.")
        return outcome

    def is_well(self) -> bool | None:
        """Asked with a mail of ours to ourselves, which is taken back before it is written."""
        self._keep_announced(None)
        if self._open():
            return False
        client = self._client()
        if client is None:
            return None
        try:
            if client.mail(sender_address())[0] != 250:
                return False
            code, said = client.rcpt(sender_address())
            client.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()
            return False
        return code < 400 or (code >= 500 and is_unknown_mailbox(code, said))  # our address need not have a mailbox

    def close(self) -> None:
        self._served = 0
        with suppress(Exception):
            self.backend.close()
        if isinstance(self.backend, EmailBackend):
            self.backend.connection = None

    def _keep_announced(self, message: EmailMessage | Wire | None) -> None:
        """A connection on which another mail was announced than this is given up: that one is not handed over now."""
        client = self._client()
        if client and client.announced:
            expected = client.envelope_of(message) if isinstance(message, Wire) else b""
            if client.announced != expected:
                self._drop()

    def _client(self) -> _SMTP | None:
        client = getattr(self.backend, "connection", None)
        return client if isinstance(client, _SMTP) else None

    def _open(self) -> Outcome | None:
        try:
            self.backend.open()
            if client := self._client():
                client.ehlo_or_helo_if_needed()
        except (OSError, smtplib.SMTPException) as fault:
            self._drop()
            return Outcome(Ending.UNREACHABLE, f"The mail server cannot be reached: {words_of(fault)}")
        return None

    def _hand_over(self, message: EmailMessage | Wire) -> Outcome | None:
        """The outcome, or None when a connection that had served before was closed on us before the mail was out."""
        served, self._served = self._served, self._served + 1
        try:
            if isinstance(message, Wire):
                client = self.backend.connection  # type: ignore[attr-defined]
                client.following = self.following
                client.sendmail(message.sender, [message.recipient], message.content)
            else:
                self.backend.send_messages([message])
        except Exception as fault:
            client = self._client()
            stage = client.stage if client else Stage.RECIPIENT
            if served and is_farewell(fault, stage):
                self._drop()
                return None
            outcome = judge(fault, stage)
            lost = outcome.code in (0, CLOSING) or outcome.ending == Ending.UNREACHABLE
            if lost and outcome.ending != Ending.UNWRITABLE:
                self._drop()
            return outcome
        return Outcome(Ending.ACCEPTED)

    def _drop(self) -> None:
        """Forget the connection without a word: its state is not known."""
        client = getattr(self.backend, "connection", None)
        if client is not None:
            with suppress(Exception):
                client.close()
        self.close()


def default_channel() -> Channel:
    """The channel that the settings name; SMTP with the care that the answer to each mail deserves."""
    if settings.MAIL_PROVIDER:
        from .provider_channel import ProviderChannel  # loads an HTTP client that a mail server has no use for

        return ProviderChannel(get_connection())
    if settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend":
        return BackendChannel(CarefulBackend())
    return BackendChannel(get_connection())
