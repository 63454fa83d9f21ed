"""Bounce mailbox: reads the mail that came back to the return path, and leaves for people what is theirs.

A mail is marked as read only after what it tells is committed, so a poll that dies reads it again and records nothing
twice. What is no report and no automatic reply is marked as important: somebody wrote to an address that nobody reads.
"""

import contextlib
import imaplib
import logging
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from django.conf import settings

from . import feedback, returned_mail

log = logging.getLogger(__name__)
TIMEOUT = 30.0  # seconds for each answer of the server
POLL_FOR = 60.0  # seconds; the next poll goes on
MOST_BYTES = 256 * 1024  # of one mail: a report comes before the mail that it returns
IMAPS_PORT, IMAP_PORT = 993, 143


class Unreachable(RuntimeError):
    """The mailbox cannot be opened or read; the message says why, without the password."""


class Mailbox(Protocol):
    def unread(self) -> Iterator[tuple[str, bytes]]:
        """The names of mails that nobody has read and the beginning of each, oldest first. Marks nothing."""
        ...

    def mark(self, name: str, *, important: bool) -> None: ...
    def close(self) -> None: ...


@dataclass
class Tally:
    """What one poll found: `results` counts reports, `left` mails left for a person, `failed` those to read again."""

    mails: int = 0
    left: int = 0
    failed: int = 0
    results: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        told = ", ".join(f"{count} {result}" for result, count in sorted(self.results.items()))
        rest = f"{self.left} left for a person, {self.failed} to read again"
        return f"{self.mails} mails read, {rest}; reports: {told or 'none'}"


def poll(box: Mailbox | None = None, *, now: datetime, seconds: float = POLL_FOR) -> Tally:
    """Read what came back and record it. Raises Unreachable."""
    tally, until = Tally(), time.monotonic() + seconds
    with contextlib.closing(box or open_mailbox(settings.BOUNCE_MAILBOX_URL)) as opened, _named_faults():
        for name, raw in opened.unread():
            left = _record(raw, tally, now)
            if left is not None:
                opened.mark(name, important=left)
            if time.monotonic() > until:
                break
    return tally


def _record(raw: bytes, tally: Tally, now: datetime) -> bool | None:
    """Record what the mail tells; True where a person should read it, None where it is to be read again.

    One mail that cannot be dealt with must not keep those behind it waiting.
    """
    tally.mails += 1
    try:
        reports = returned_mail.reports_in(raw, now=now)
        tally.results.update(feedback.record(report, now=now) for report in reports)
    except Exception:
        log.exception("a mail in the bounce mailbox cannot be dealt with")
        tally.failed += 1
        return None
    left = not reports and not returned_mail.is_automatic(raw)
    tally.left += left
    return left


@contextlib.contextmanager
def _named_faults() -> Iterator[None]:
    try:
        yield
    except (OSError, imaplib.IMAP4.error) as fault:
        raise Unreachable(f"The bounce mailbox cannot be read: {type(fault).__name__}") from fault


# ---- Mailboxes


def open_mailbox(url: str) -> Mailbox:
    """The mailbox that the address names. Raises Unreachable."""
    parts = urlsplit(url)
    if parts.scheme == "maildir":
        return MaildirMailbox(Path(unquote(parts.path)))
    port = parts.port or (IMAPS_PORT if parts.scheme == "imaps" else IMAP_PORT)
    folder = unquote(parts.path.strip("/")) or "INBOX"
    return ImapMailbox(
        parts.hostname or "",
        port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        folder=folder,
        encrypted=parts.scheme == "imaps",
    )


class ImapMailbox:
    """A folder of an IMAP server (RFC 9051). What is read is asked for by UID and without marking it."""

    def __init__(self, host: str, port: int, *, user: str, password: str, folder: str, encrypted: bool) -> None:
        with _named_faults():
            if encrypted:
                context = ssl.create_default_context()
                self.server: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=context, timeout=TIMEOUT)
            else:
                self.server = imaplib.IMAP4(host, port, timeout=TIMEOUT)
            try:
                self.server.login(_quoted(user), password)  # which quotes the password itself
                self._ask(self.server.select(_quoted(folder)))
            except Exception:
                self.close()
                raise

    def unread(self) -> Iterator[tuple[str, bytes]]:
        found = self._ask(self.server.uid("SEARCH", "UNSEEN", "UNDELETED"))
        for name in b" ".join(part for part in found if isinstance(part, bytes)).decode("ascii").split():
            answer = self._ask(self.server.uid("FETCH", name, f"(BODY.PEEK[]<0.{MOST_BYTES}>)"))
            raw = next((part[1] for part in answer if isinstance(part, tuple)), None)
            if raw is not None:  # somebody else may have removed it meanwhile
                yield name, raw

    def mark(self, name: str, *, important: bool) -> None:
        flags = r"(\Seen \Flagged)" if important else r"(\Seen)"
        self._ask(self.server.uid("STORE", name, "+FLAGS.SILENT", flags))

    def close(self) -> None:
        with contextlib.suppress(OSError, imaplib.IMAP4.error):
            self.server.logout()

    def _ask(self, answer: tuple[str, Sequence[Any]]) -> Sequence[Any]:
        said, data = answer
        if said != "OK":
            raise imaplib.IMAP4.error(said)
        return data


def _quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'


class MaildirMailbox:
    """A folder into which a mail server on this machine delivers: one file a mail, its marks behind the name."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "new").is_dir():
            raise Unreachable(f"There is no maildir in {folder}.")
        self.folder = folder

    def unread(self) -> Iterator[tuple[str, bytes]]:
        waiting = [path for part in ("new", "cur") for path in (self.folder / part).glob("[!.]*")]
        for path in sorted(waiting, key=lambda path: path.name):
            if "S" not in _marks(path):
                with path.open("rb") as file:
                    raw = file.read(MOST_BYTES)
                yield str(path.relative_to(self.folder)), raw

    def mark(self, name: str, *, important: bool) -> None:
        path = self.folder / name
        marks = "".join(sorted({*_marks(path), *("FS" if important else "S")}))
        path.rename(self.folder / "cur" / f"{path.name.partition(':')[0]}:2,{marks}")

    def close(self) -> None:
        """Nothing is open."""


def _marks(path: Path) -> str:
    return path.name.partition(":2,")[2]


# ---- Watching


PollListener = Callable[[datetime, Tally], None]
_poll_listeners: list[PollListener] = []


def tell_polls_to(listener: PollListener) -> None:
    """Call `listener` at the end of each poll that went well. One that failed is heard of by its absence."""
    if listener not in _poll_listeners:
        _poll_listeners.append(listener)


def poll_if_any(*, now: datetime) -> None:
    """One poll where a mailbox is set; a mailbox that cannot be read is logged, and its heartbeat stays away."""
    if not settings.BOUNCE_MAILBOX_URL:
        return
    try:
        tally = poll(now=now)
    except Unreachable as fault:
        log.error("%s", fault)
        return
    log.info("bounce mailbox: %s", tally)
    for listener in _poll_listeners:
        listener(now, tally)
