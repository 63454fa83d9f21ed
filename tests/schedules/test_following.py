"""Mails whose successor is known: the server hears of that one early, and nothing else is different."""

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schedules.answers import Ending, Outcome
from schedules.channels import BackendChannel, CarefulBackend, Wire

# What the server does with a mail to a recipient.
WAYS = (
    "takes it",
    "knows no such mailbox",
    "puts the recipient off",
    "refuses the mail",
    "puts the mail off",
    "keeps it and says nothing",
    "says nothing",
    "has had enough after it",
    "closes after it",
    "is closing at its sender",
    "refuses the sender",
    "takes its time",
)
SLOW = 2.0  # seconds


class Server:
    """Offers pipelining and does to each mail what its recipient's name says. `kept`: the mails that it answers for."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.kept: list[tuple[str, bytes]] = []
        self.heard: list[bytes] = []
        self.hold = threading.Event()  # what comes after a mail's final dot is answered when this is set
        self.hold.set()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                line, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(line,), daemon=True).start()

    def _talk(self, line: socket.socket) -> None:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with closing(line), suppress(OSError):
            self._answer_all(line)

    def _answer_all(self, line: socket.socket) -> None:
        said = line.makefile("rb")
        line.sendall(b"220 here\r\n")
        way = ""
        while command := said.readline():
            self.heard.append(command)
            verb = command[:4].upper()
            if verb == b"EHLO":
                line.sendall(b"250-here\r\n250-PIPELINING\r\n250-SIZE 9999999\r\n250 8BITMIME\r\n")
            elif verb == b"MAIL":
                number = command.partition(b"FROM:<")[2].partition(b"@")[0].rpartition(b".")[2]
                way = WAYS[int(number) if number.isdigit() else 0]
                time.sleep(SLOW if way == "takes its time" else 0)
                if way == "is closing at its sender":
                    return self._leave(line, b"421 4.3.2 closing\r\n")
                line.sendall(b"550 5.7.1 not from you\r\n" if way == "refuses the sender" else b"250 ok\r\n")
            elif verb == b"RCPT":
                recipient = command.partition(b"<")[2].partition(b">")[0].decode()
                answers = {"knows no such mailbox": b"550 5.1.1 nobody\r\n", "puts the recipient off": b"450 later\r\n"}
                line.sendall(answers.get(way, b"250 ok\r\n"))
            elif verb == b"DATA":
                if way in ("knows no such mailbox", "puts the recipient off"):
                    line.sendall(b"503 nobody to write to\r\n")
                    continue
                line.sendall(b"354 go on\r\n")
                mail = b""
                while (text := said.readline()) not in (b".\r\n", b""):
                    mail += text
                if text != b".\r\n":
                    return None
                self.hold.wait(10)
                if way in ("takes it", "keeps it and says nothing", "closes after it"):
                    self.kept.append((recipient, mail))
                if way in ("keeps it and says nothing", "says nothing"):
                    return self._leave(line, b"")
                if way == "has had enough after it":
                    return self._leave(line, b"421 4.7.0 enough\r\n")
                if way == "closes after it":
                    return self._leave(line, b"250 kept\r\n")
                answers = {"refuses the mail": b"554 5.7.1 no\r\n", "puts the mail off": b"451 4.3.0 later\r\n"}
                line.sendall(answers.get(way, b"250 kept\r\n"))
            elif verb == b"QUIT":
                return self._leave(line, b"221 bye\r\n")
            else:
                line.sendall(b"250 ok\r\n" if verb in (b"RSET", b"NOOP") else b"500 what?\r\n")
        return None

    def _leave(self, line: socket.socket, words: bytes) -> None:
        """In order: what was said arrives, whatever the other side has sent meanwhile."""
        line.sendall(words)
        line.shutdown(socket.SHUT_WR)
        line.settimeout(5)
        while line.recv(4096):
            pass


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.listener.close()


def mail(number: int, way: str, text: bytes = b"Subject: due\r\n\r\nCome.\r\n") -> Wire:
    """The way stands in the sender, as the server hears of that first."""
    return Wire(f"desk.{WAYS.index(way)}@clinic.example", f"p{number}@mail.example", text)


def handed_over(server: Server, mails: Sequence[Wire], *, following: bool) -> tuple[list[Outcome], list[str]]:
    server.kept.clear()
    channel = BackendChannel(CarefulBackend(host="127.0.0.1", port=server.port, timeout=5))
    outcomes = []
    for one, after in zip(mails, [*mails[1:], None], strict=True):
        channel.following = after if following else None
        outcomes.append(channel.send(one))
    channel.close()
    return outcomes, [recipient for recipient, _mail in server.kept]


@settings(max_examples=150, deadline=None)
@given(ways=st.lists(st.sampled_from(WAYS[:-1]), min_size=1, max_size=6))
def test_what_becomes_of_each_mail_is_the_same_whether_the_next_is_known_or_not(ways, server):
    mails = [mail(number, way) for number, way in enumerate(ways)]
    by_one, kept_by_one = handed_over(server, mails, following=False)
    known, kept = handed_over(server, mails, following=True)
    assert [(one.ending, one.code, one.address_bad) for one in known] == [
        (one.ending, one.code, one.address_bad) for one in by_one
    ]
    assert kept == kept_by_one and len(set(kept)) == len(kept)
    for one, outcome in zip(mails, known, strict=True):
        if outcome.ending == Ending.ACCEPTED:
            assert one.recipient in kept
        elif outcome.ending != Ending.IN_DOUBT:
            assert one.recipient not in kept


def test_the_content_of_the_next_mail_stays_here_until_the_one_before_is_answered_for(server):
    first, second = (mail(number, "takes it", b"Subject: %d\r\n\r\nCome.\r\n" % number) for number in (1, 2))
    channel = BackendChannel(CarefulBackend(host="127.0.0.1", port=server.port, timeout=5))
    server.kept.clear()
    server.hold.clear()
    channel.following = second
    outcomes: list[Outcome] = []
    sending = threading.Thread(target=lambda: outcomes.append(channel.send(first)))
    sending.start()
    sending.join(0.3)
    assert sending.is_alive() and server.kept == [] and outcomes == []
    server.hold.set()
    sending.join(5)
    channel.following = None
    assert [*outcomes, channel.send(second)] == [Outcome(Ending.ACCEPTED)] * 2
    assert server.kept == [(first.recipient, first.content), (second.recipient, second.content)]
    channel.close()


@pytest.mark.parametrize("way", ["takes it", "refuses the sender", "takes its time"])
def test_a_mail_that_was_announced_and_is_not_handed_over_is_no_mail(server, way):
    """Neither the word of farewell nor a question of ours is taken for it, nor an answer to it for one to us."""
    server.kept.clear()
    for asks in (False, True):
        channel = BackendChannel(CarefulBackend(host="127.0.0.1", port=server.port, timeout=5))
        channel.following = mail(2, way)
        assert channel.send(mail(1, "takes it")).ending == Ending.ACCEPTED
        began = time.monotonic()
        if asks:
            assert channel.is_well()
        channel.close()
        assert time.monotonic() - began < SLOW / 2, "nobody waits for an answer that does not come"
    assert [recipient for recipient, _mail in server.kept] == ["p1@mail.example"] * 2


def test_another_mail_than_was_announced_goes_to_its_own_recipient(server):
    first, second, third = (mail(number, "takes it") for number in (1, 2, 3))
    channel = BackendChannel(CarefulBackend(host="127.0.0.1", port=server.port, timeout=5))
    server.kept.clear()
    channel.following = second
    assert channel.send(first).ending == Ending.ACCEPTED
    channel.following = None
    assert channel.send(third).ending == Ending.ACCEPTED
    assert [recipient for recipient, _mail in server.kept] == [first.recipient, third.recipient]
    channel.close()


def test_the_next_mail_is_heard_of_with_the_end_of_the_one_before(server):
    """One question and answer a mail: no reset, no second look."""
    eight_bits = "Betreff: Grüße\r\n\r\n.\r\n".encode()
    mails = [mail(1, "takes it"), mail(2, "refuses the mail"), mail(3, "takes it", eight_bits)]
    server.heard.clear()
    outcomes, kept = handed_over(server, mails, following=True)
    assert [one.ending for one in outcomes] == [Ending.ACCEPTED, Ending.REJECTED, Ending.ACCEPTED]
    assert kept == [mails[0].recipient, mails[2].recipient]
    assert [command[:4].upper() for command in server.heard] == [b"EHLO", *[b"MAIL", b"RCPT", b"DATA"] * 3, b"QUIT"]
    assert b"BODY=8BITMIME" in server.heard[7] and b"size=" in server.heard[7]
