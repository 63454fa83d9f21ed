"""A small IMAP4rev1 server of one folder in this process: enough to search, fetch and mark by UID."""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

USER, PASSWORD = "bounces@clinic.example", "p@ss word/1"


@dataclass
class Mail:
    raw: bytes
    flags: set[str] = field(default_factory=set)


@dataclass
class Folder:
    """What the server keeps; `mails` by UID. `hang_up_at`: a command at which it goes away."""

    mails: dict[int, Mail] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    hang_up_at: str = ""
    port: int = 0

    def add(self, raw: bytes) -> Mail:
        self.mails[len(self.mails) + 1] = mail = Mail(raw)
        return mail


class _Session(socketserver.StreamRequestHandler):
    folder: Folder

    def handle(self) -> None:
        self.say("* OK ready")
        while line := self.rfile.readline().decode().strip():
            tag, _, command = line.partition(" ")
            self.folder.commands.append(command)
            if self.folder.hang_up_at and command.startswith(self.folder.hang_up_at):
                return
            self.say(f"{tag} {self.answer(command)}")
            if command == "LOGOUT":
                return

    def answer(self, command: str) -> str:
        name = " ".join(command.split()[: 2 if command.startswith("UID") else 1])
        method = getattr(self, name.lower().replace(" ", "_"), None)
        return method(command) if method else "BAD what?"

    def capability(self, command: str) -> str:
        self.say("* CAPABILITY IMAP4rev1")
        return "OK done"

    def login(self, command: str) -> str:
        return "OK done" if command == f'LOGIN "{USER}" "{PASSWORD}"' else "NO wrong"

    def select(self, command: str) -> str:
        if command != 'SELECT "Returned mail"':
            return "NO no such folder"
        self.say(f"* {len(self.folder.mails)} EXISTS")
        return "OK [READ-WRITE] selected"

    def uid_search(self, command: str) -> str:
        assert command == "UID SEARCH UNSEEN UNDELETED"
        self.say(
            "* SEARCH " + " ".join(str(uid) for uid, mail in self.folder.mails.items() if "\\Seen" not in mail.flags)
        )
        return "OK done"

    def uid_fetch(self, command: str) -> str:
        uid, most = map(int, re.fullmatch(r"UID FETCH (\d+) \(BODY\.PEEK\[\]<0\.(\d+)>\)", command).groups())
        raw = self.folder.mails[uid].raw[:most]
        self.wfile.write(f"* {uid} FETCH (UID {uid} BODY[]<0> {{{len(raw)}}}\r\n".encode() + raw + b")\r\n")
        return "OK done"

    def uid_store(self, command: str) -> str:
        uid, flags = re.fullmatch(r"UID STORE (\d+) \+FLAGS\.SILENT \((.*)\)", command).groups()
        self.folder.mails[int(uid)].flags |= set(flags.split())
        return "OK done"

    def logout(self, command: str) -> str:
        self.say("* BYE")
        return "OK done"

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@contextmanager
def imap_server() -> Iterator[Folder]:
    folder = Folder()
    session = type("Session", (_Session,), {"folder": folder})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), session) as server:
        server.daemon_threads = True
        folder.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield folder
        server.shutdown()
