"""The mailbox: takes mail by SMTP, keeps it as it arrived, shows it without running anything in it."""

import os
import re
import smtplib
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path

import pytest

from config.embedded import locations, mailbox

NOW = datetime(2026, 11, 22, 8, 30, tzinfo=UTC)


def mail(subject: str = "Röntgentermin <b>") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "desk@clinic.example", "marta@mail.example", subject
    message.set_content("Please ring us: https://clinic.example/a?x=1.\n")
    message.add_alternative(
        '<p>Please <a href="https://clinic.example/b?x=1&amp;y=2">ring us</a><script>alert(1)</script>', subtype="html"
    )
    message.add_attachment(b"BEGIN:VCALENDAR", maintype="text", subtype="calendar", filename="Termin ü.ics")
    return message


def keep(folder: Path, message: EmailMessage) -> str:
    return mailbox.store(
        folder, message.as_bytes(), sender="desk@clinic.example", recipients=["marta@mail.example"], now=NOW
    ).stem


def test_an_empty_mailbox_says_so(tmp_path: Path) -> None:
    assert b"No mail has arrived yet" in mailbox.answer(tmp_path, "/").body


def test_a_mail_is_kept_byte_for_byte_below_its_envelope(tmp_path: Path) -> None:
    message = mail()
    raw = (tmp_path / f"{keep(tmp_path, message)}.eml").read_bytes()
    assert raw.endswith(b"+0000\r\n" + message.as_bytes())
    assert raw.startswith(b"Return-Path: <desk@clinic.example>\r\nDelivered-To: marta@mail.example\r\n")


def test_the_newest_mail_stands_first_and_pages_follow(tmp_path: Path) -> None:
    for second in range(mailbox.PER_PAGE + 1):
        mailbox.store(
            tmp_path, f"Subject: number {second}\r\n\r\n".encode(), sender="", recipients=["a"],
            now=NOW.replace(minute=second // 60, second=second % 60),
        )  # fmt: skip
    first = mailbox.answer(tmp_path, "/").body.decode()
    assert first.index(f"number {mailbox.PER_PAGE}") < first.index("number 1<")
    assert "number 0<" not in first
    assert "number 0<" in mailbox.answer(tmp_path, "/?page=2").body.decode()


def test_nothing_in_a_mail_runs_or_leads_away_unseen(tmp_path: Path) -> None:
    name = keep(tmp_path, mail())
    page = mailbox.answer(tmp_path, f"/m/{name}")
    assert b"&lt;b&gt;" in page.body
    assert b"<script" not in page.body
    assert b"<iframe sandbox src" in page.body
    assert b'href="https://clinic.example/b?x=1&amp;y=2"' in page.body
    part = mailbox.answer(tmp_path, f"/m/{name}/html")
    assert part.policy.split("; ").count("sandbox") == 1
    assert "default-src 'none'" in part.policy


def test_an_attachment_is_offered_as_a_file(tmp_path: Path) -> None:
    reply = mailbox.answer(tmp_path, f"/m/{keep(tmp_path, mail())}/file/0")
    assert (reply.body, reply.kind, reply.download) == (b"BEGIN:VCALENDAR", "application/octet-stream", "Termin ü.ics")


@pytest.mark.parametrize("target", ["/m/../secrets", "/m/%2e%2e", "/m/x", "/m", "/other", "/?page=x"])
def test_nothing_but_mails_is_shown(tmp_path: Path, target: str) -> None:
    with pytest.raises((FileNotFoundError, ValueError)):
        mailbox.answer(tmp_path, target)


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.1:8025", True), ("localhost", True), ("evil.example", False), ("", False)]
)
def test_only_this_machine_is_answered(host: str, local: bool) -> None:
    assert mailbox.is_local(host) is local


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A mailbox process: its SMTP port and the address of its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "config.embedded.mailbox"], cwd=locations.PROJECT, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "DATA_DIR": str(tmp_path / "data")},
    )  # fmt: skip
    assert process.stderr is not None
    process.stderr.readline()
    yield locations.mailbox_ports(tmp_path / "data")[0], locations.mailbox_page(tmp_path / "data")
    process.terminate()
    assert process.wait(10) == 0


def test_a_mail_sent_by_smtp_can_be_read_on_the_page(running: tuple[int, str], tmp_path: Path) -> None:
    port, page = running
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as connection:
        for number in range(3):
            connection.send_message(mail(f"Nummer {number}"))
    with urllib.request.urlopen(page, timeout=10) as reply:
        listed = reply.read().decode()
        assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
    assert re.findall(r">(Nummer \d)<", listed) == ["Nummer 2", "Nummer 1", "Nummer 0"]
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(urllib.request.Request(page, headers={"Host": "evil.example"}), timeout=10)
