"""The mailbox of development: takes mail by real SMTP on this machine, keeps each as a file, shows them on a page."""

import asyncio
import email.policy
import html
import json
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesParser
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from aiosmtpd.smtp import SMTP, Envelope, Session
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from config.embedded import locations
from config.embedded.ports import hold_port, port_of

PER_PAGE = 100
NAME = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}\Z")
LINK = re.compile(r"https?://[^\s<>\"')\]]+")
CLOSED = "default-src 'none'; base-uri 'none'; form-action 'none'; "
PAGE_POLICY = CLOSED + "style-src 'self'; frame-src 'self'; frame-ancestors 'none'"
PART_POLICY = CLOSED + "sandbox; style-src 'unsafe-inline'; img-src data:"
STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { margin: 0 auto; max-width: 64rem; padding: 1rem }
table { border-collapse: collapse; width: 100% } caption { text-align: left; padding: .5rem 0 }
th, td { border-bottom: 1px solid #8a95a1; padding: .4rem .6rem .4rem 0; text-align: left; vertical-align: top }
iframe { border: 1px solid #8a95a1; background: #fff; width: 100%; height: 32rem }
pre { border: 1px solid #8a95a1; padding: .8rem; overflow-x: auto; white-space: pre-wrap; overflow-wrap: anywhere }
a, td { overflow-wrap: anywhere } a:focus-visible, summary:focus-visible { outline: 3px solid #b45309 }
"""


def store(folder: Path, raw: bytes, *, sender: str, recipients: list[str], now: datetime) -> Path:
    """Keep one mail as it arrived, below the two lines every mail server adds. The file appears whole or not at all."""
    name = f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
    added = (
        f"Return-Path: <{sender}>\r\nDelivered-To: {', '.join(recipients)}\r\nX-Received-At: {format_datetime(now)}\r\n"
    )
    draft, kept = folder / f".{name}", folder / f"{name}.eml"
    draft.write_bytes(added.encode("utf-8") + raw)
    draft.rename(kept)
    return kept


def names(folder: Path) -> list[str]:
    """The kept mails, newest first."""
    return sorted((path.stem for path in folder.glob("*.eml")), reverse=True)


def read(folder: Path, name: str, *, headers_only: bool = False) -> EmailMessage:
    """One kept mail. Raises FileNotFoundError for a name that is none of ours."""
    if not NAME.match(name):
        raise FileNotFoundError(name)
    with (folder / f"{name}.eml").open("rb") as file:
        return BytesParser(EmailMessage, policy=email.policy.default).parse(file, headersonly=headers_only)


def part(message: EmailMessage, kind: str) -> str | None:
    """The text of the preferred part of this kind (`plain` or `html`), or None."""
    found = message.get_body((kind,))
    if found is None:
        return None
    try:
        return str(found.get_content())
    except LookupError:  # a character set that Python does not know
        content = found.get_payload(decode=True)
        return content.decode("latin-1") if isinstance(content, bytes) else ""


def links(message: EmailMessage) -> list[str]:
    """Every address in the mail, once, in order: a link's text may differ from where it leads."""
    text = (part(message, "plain") or "") + "\n" + html.unescape(part(message, "html") or "")
    return list(dict.fromkeys(found.rstrip(".,;") for found in LINK.findall(text)))


class Receiver:
    """What aiosmtpd calls for each mail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        raw = envelope.original_content or b""
        sender, recipients = envelope.mail_from or "", [str(address) for address in envelope.rcpt_tos]
        store(self.folder, raw, sender=sender, recipients=recipients, now=datetime.now(UTC))
        return "250 Kept in the local mailbox"


@dataclass(frozen=True)
class Reply:
    """An answer of the page server."""

    body: bytes
    kind: str = "text/html; charset=utf-8"
    policy: str = PAGE_POLICY
    status: int = 200
    download: str = ""


def _page(title: str, content: SafeString) -> Reply:
    frame = format_html(
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/style.css"></head>'
        "<body><main>{}</main></body></html>",
        title,
        content,
    )
    return Reply(frame.encode())


def _row(folder: Path, name: str) -> tuple[str, str, str, str]:
    head = read(folder, name, headers_only=True)
    when = datetime.strptime(name[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return (
        f"{when:%d %b %Y %H:%M:%S} UTC",
        str(head["To"] or head["Delivered-To"] or ""),
        name,
        str(head["Subject"] or "(no subject)"),
    )


def show_list(folder: Path, page: int) -> Reply:
    everything = names(folder)
    shown = everything[(page - 1) * PER_PAGE : page * PER_PAGE]
    rows = format_html_join(
        "", '<tr><td>{}</td><td>{}</td><td><a href="/m/{}">{}</a></td></tr>', (_row(folder, name) for name in shown)
    )
    older = (
        format_html('<p><a href="/?page={}">Older mails</a></p>', page + 1) if page * PER_PAGE < len(everything) else ""
    )
    table = format_html(
        "<table><caption>{} in the mailbox, newest first</caption><thead><tr><th scope=col>Received</th>"
        "<th scope=col>To</th><th scope=col>Subject</th></tr></thead><tbody>{}</tbody></table>{}",
        len(everything),
        rows,
        older,
    )
    nothing = SafeString("<p>No mail has arrived yet. This page shows it as soon as it is loaded again.</p>")
    heading = SafeString("<h1>Local mailbox</h1><p>Nothing here has left this machine.</p>")
    return _page(f"Mailbox ({len(everything)})", heading + (table if everything else nothing))


def _headers(message: EmailMessage) -> Iterator[tuple[str, str]]:
    for name in ("Delivered-To", "From", "To", "Date", "Subject"):
        if name in message:
            yield name, str(message[name])


def show_message(folder: Path, name: str) -> Reply:
    message = read(folder, name)
    subject = str(message["Subject"] or "(no subject)")
    blocks = [format_html('<p><a href="/">All mails</a></p><h1>{}</h1><table>{}</table>', subject, format_html_join(
        "", "<tr><th scope=row>{}</th><td>{}</td></tr>", _headers(message)))]  # fmt: skip
    if part(message, "html") is not None:
        blocks.append(
            format_html('<h2>HTML part</h2><iframe sandbox src="/m/{}/html" title="HTML part"></iframe>', name)
        )
    if (text := part(message, "plain")) is not None:
        blocks.append(format_html("<h2>Text part</h2><pre>{}</pre>", text))
    if found := links(message):
        items = format_html_join("", '<li><a href="{0}" rel="noreferrer">{0}</a></li>', ((link,) for link in found))
        blocks.append(format_html("<h2>Links in this mail</h2><ul>{}</ul>", items))
    files = [
        (name, place, item.get_filename() or item.get_content_type())
        for place, item in enumerate(message.iter_attachments())
    ]
    if files:
        items = format_html_join("", '<li><a href="/m/{}/file/{}">{}</a></li>', files)
        blocks.append(format_html("<h2>Attachments</h2><ul>{}</ul>", items))
    everything = "\n".join(f"{key}: {value}" for key, value in message.items())
    blocks.append(format_html("<details><summary>All headers</summary><pre>{}</pre></details>", everything))
    blocks.append(format_html('<p><a href="/m/{}/raw">As it arrived</a></p>', name))
    return _page(subject, SafeString("".join(blocks)))  # nosec B703  # each block is escaped above


def show_file(folder: Path, name: str, place: int) -> Reply:
    found = list(read(folder, name).iter_attachments())[place]
    content = found.get_payload(decode=True)
    body = content if isinstance(content, bytes) else b""
    return Reply(body, "application/octet-stream", PART_POLICY, download=found.get_filename() or "attachment")


def answer(folder: Path, target: str) -> Reply:
    """The reply to GET `target`. Raises FileNotFoundError, IndexError or ValueError when there is no such thing."""
    url = urlsplit(target)
    match url.path.strip("/").split("/"):
        case [""]:
            return show_list(folder, max(1, int(parse_qs(url.query).get("page", ["1"])[0])))
        case ["style.css"]:
            return Reply(STYLE.encode(), "text/css; charset=utf-8")
        case ["m", name]:
            return show_message(folder, name)
        case ["m", name, "html"]:
            return Reply((part(read(folder, name), "html") or "").encode(), policy=PART_POLICY)
        case ["m", name, "raw"]:
            read(folder, name, headers_only=True)
            return Reply((folder / f"{name}.eml").read_bytes(), "text/plain; charset=utf-8", PART_POLICY)
        case ["m", name, "file", place]:
            return show_file(folder, name, int(place))
    raise FileNotFoundError(target)


def is_local(host: str) -> bool:
    """Does the Host header name this machine? A stranger's page may point its own name at 127.0.0.1."""
    return urlsplit(f"//{host}").hostname in ("127.0.0.1", "localhost", "::1")


def page_handler(folder: Path) -> type[BaseHTTPRequestHandler]:
    """The request handler for the mails in `folder`."""

    class Handler(BaseHTTPRequestHandler):
        server_version = "mailbox"
        sys_version = ""

        def do_GET(self) -> None:
            if not is_local(self.headers.get("Host", "")):
                self.give(Reply(b"This mailbox answers on this machine only.\n", "text/plain", status=403))
                return
            try:
                self.give(answer(folder, self.path))
            except (FileNotFoundError, IndexError, ValueError):
                self.give(Reply(b"There is no such mail.\n", "text/plain", status=404))

        def give(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.send_header("Content-Security-Policy", reply.policy)
            self.send_header("X-Content-Type-Options", "nosniff")
            self.send_header("Referrer-Policy", "no-referrer")
            self.send_header("Cache-Control", "no-store")
            if reply.download:
                safe = re.sub(r"[^\w.-]", "_", reply.download, flags=re.ASCII)
                self.send_header("Content-Disposition", f'attachment; filename="{safe}"')
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *arguments: object) -> None:
            """Looking at mails is no news."""

    return Handler


def hold_ports(data: Path) -> tuple[socket.socket, socket.socket]:
    """Hold the mailbox's two ports, the last used ones if free, and write them where the settings look for them."""
    folder = locations.ensure_private(locations.mailbox_dir(locations.ensure_data_dir(data)))
    smtp, page = (hold_port(port) for port in locations.mailbox_ports(data))
    draft = folder / ".address.json"
    draft.write_text(json.dumps({"smtp": port_of(smtp), "page": port_of(page)}))
    draft.rename(folder / "address.json")
    return smtp, page


def _inherited_ports() -> tuple[socket.socket, socket.socket] | None:
    """The sockets that the process above us holds, so that a restart keeps its addresses."""
    given = os.environ.get("MAILBOX_SOCKETS", "")
    if not given:
        return None
    smtp, page = (socket.socket(fileno=int(number)) for number in given.split(","))
    return smtp, page


async def _serve(folder: Path, smtp: socket.socket, page: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    pages = ThreadingHTTPServer(("127.0.0.1", 0), page_handler(folder), bind_and_activate=False)
    pages.socket.close()
    pages.socket = page
    threading.Thread(target=pages.serve_forever, daemon=True).start()
    receiver = Receiver(folder)
    server = await loop.create_server(
        lambda: SMTP(receiver, enable_SMTPUTF8=True, hostname="mailbox.localhost", ident="local mailbox", loop=loop),
        sock=smtp,
    )
    async with server:
        await ended.wait()
    pages.shutdown()


def main() -> int:
    data = locations.data_dir()
    smtp, page = _inherited_ports() or hold_ports(data)
    folder = locations.ensure_private(locations.mailbox_dir(data))
    sys.stderr.write(f"Mailbox: SMTP on 127.0.0.1:{port_of(smtp)}, page http://127.0.0.1:{port_of(page)}/\n")
    asyncio.run(_serve(folder, smtp, page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
