"""Text beyond ASCII on its way: announced to a server that takes eight bits, in seven for one that does not."""

import email
import email.policy
import socket
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from django.core.mail import EmailMultiAlternatives

from schedules.answers import Ending
from schedules.channels import BackendChannel, CarefulBackend

TEXT = "Zoë, Ελένη\n.\nFrom here on\n" + "ü" * 300 + "\n"


class Server:
    """Keeps what it was told of each mail and what it got."""

    def __init__(self, *, eight_bits: bool) -> None:
        self.eight_bits = eight_bits
        self.options: list[list[str]] = []
        self.contents: list[bytes] = []

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [line for line in responses if self.eight_bits or "8BITMIME" not in line]

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.options.append([option for option in envelope.mail_options if option.startswith("BODY")])
        self.contents.append(envelope.content)
        return "250 OK"


def text_of(message: EmailMessage, kind: str) -> str:
    return "\n".join(message.get_body((kind,)).get_content().splitlines()) + "\n"


@pytest.fixture
def send_to() -> Iterator[Callable[[Server, str], EmailMessage]]:
    """`send_to(server, text)`: one mail of text and HTML; returns what arrived."""
    started: list[Controller] = []

    def send(server: Server, text: str) -> EmailMessage:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started.append(Controller(server, hostname="127.0.0.1", port=port))
        started[-1].start()
        channel = BackendChannel(CarefulBackend(host="127.0.0.1", port=port, timeout=5))
        message = EmailMultiAlternatives("Grüße", text, "desk@clinic.example", ["patient@mail.example"])
        message.attach_alternative(f"<p>{text}</p>", "text/html")
        assert channel.send(message).ending == Ending.ACCEPTED
        channel.close()
        arrived = email.message_from_bytes(server.contents[-1], policy=email.policy.default)
        assert isinstance(arrived, EmailMessage)
        return arrived

    yield send
    for controller in started:
        controller.stop()


def test_eight_bits_are_announced(send_to):
    server = Server(eight_bits=True)
    arrived = send_to(server, TEXT)
    assert server.options == [["BODY=8BITMIME"]]
    assert text_of(arrived, "plain") == TEXT


def test_ascii_needs_no_announcement(send_to):
    server = Server(eight_bits=True)
    send_to(server, "Hello\n")
    assert server.options == [[]]


def test_a_server_of_seven_bits_gets_seven(send_to):
    server = Server(eight_bits=False)
    arrived = send_to(server, TEXT)
    assert server.options == [[]]
    assert server.contents[0].isascii()
    assert arrived["Subject"] == "Grüße"
    assert text_of(arrived, "plain") == TEXT
    assert text_of(arrived, "html") == f"<p>{TEXT}</p>\n"
