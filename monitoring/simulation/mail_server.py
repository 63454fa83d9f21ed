"""Mail server: a real SMTP server on this machine for rehearsals; it refuses, puts off and hangs up, and keeps a log.

What it says to whom is told by the rehearsal; its log is the judge of what went out. Nothing leaves the machine.
"""

import email
import email.policy
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from aiosmtpd.controller import Controller

HOST: Final = "127.0.0.1"
NOBODY_LISTENS: Final = 1  # a port that belongs to nobody here
NO_MAILBOX: Final = "550 5.1.1 User unknown"
TRY_LATER: Final = "451 4.7.1 Try again later"
CLOSING: Final = "421 4.3.2 Closing for maintenance"
KEPT: Final = "250 OK"
HANG_UP_AFTER: Final = "hang up after keeping the mail"
HANG_UP_BEFORE: Final = "hang up without keeping the mail"


@dataclass(frozen=True, slots=True)
class Said:
    """One answer to a recipient or, with a Message-ID, to a whole mail. `kept`: the mail is in the mailbox."""

    at: datetime
    address: str
    answer: str
    message_id: str = ""
    kept: bool = False


@dataclass
class MailServer:
    """`to_recipient` and `to_mail` decide, by address and Message-ID, what is said; `now` is the rehearsal's time."""

    now: datetime
    to_recipient: Callable[[str], str]
    to_mail: Callable[[str], str]
    log: list[Said] = field(default_factory=list)
    port: int = 0

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        """A mail may be announced with the end of the one before."""
        session.host_name = hostname
        return ["250-PIPELINING", *responses]

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        answer = self.to_recipient(address)
        if answer == KEPT:
            envelope.rcpt_tos.append(address)
        else:
            self.log.append(Said(self.now, address, answer))
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message_id = str(email.message_from_bytes(envelope.content, policy=email.policy.default)["Message-ID"])
        answer = self.to_mail(message_id)
        self.log.append(Said(self.now, envelope.rcpt_tos[0], answer, message_id, kept=answer != HANG_UP_BEFORE))
        if answer != KEPT:
            server.transport.abort()
        return KEPT


@contextmanager
def running(server: MailServer) -> Iterator[MailServer]:
    """The server answers inside, on a free port of this machine."""
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd tells every command
    with socket.socket() as free:
        free.bind((HOST, 0))
        server.port = free.getsockname()[1]
    controller = Controller(server, hostname=HOST, port=server.port, enable_SMTPUTF8=True)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
