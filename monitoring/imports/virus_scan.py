"""Virus scan: an uploaded file is shown to the clinic's ClamAV, where one is set, before anything else reads it.

It speaks clamd's own protocol (INSTREAM) over TCP or a local socket. Where a scanner is set but does not answer, no
file is taken: one that was not looked at is as good as one that was found.
"""

import logging
import socket
import struct
from contextlib import closing
from typing import Final
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.translation import gettext as _

from .registry_file import ImportRefused

log = logging.getLogger(__name__)
PIECE: Final = 64 * 1024
PATIENCE: Final = 20.0  # seconds for each word of the scanner
LONGEST_ANSWER: Final = 1000


def refuse_infected(content: bytes) -> None:
    """Raise ImportRefused for what the scanner finds something in, and while it cannot say. No scanner: nothing."""
    if not settings.VIRUS_SCANNER:
        return
    try:
        said = _ask(settings.VIRUS_SCANNER, content)
    except OSError as fault:
        log.error("the virus scanner does not answer: %s", type(fault).__name__)
        raise ImportRefused(_("The virus scanner does not answer, so no file is taken. Try again later.")) from fault
    if said.endswith("FOUND"):
        log.warning("the virus scanner found something in a file that was uploaded")
        raise ImportRefused(_("The virus scanner found something in this file. Nothing of it was kept."))
    if not said.endswith(": OK"):
        log.error("the virus scanner could not look at a file that was uploaded")
        raise ImportRefused(_("The virus scanner could not look at this file, so it is not taken."))


def _ask(address: str, content: bytes) -> str:
    """What clamd says of the content: “stream: OK”, “stream: … FOUND”, or an error. Raises OSError."""
    with closing(_connected(address)) as scanner:
        try:
            scanner.sendall(b"zINSTREAM\0")
            for start in range(0, len(content), PIECE):
                piece = content[start : start + PIECE]
                scanner.sendall(struct.pack(">I", len(piece)) + piece)
            scanner.sendall(struct.pack(">I", 0))
        except (BrokenPipeError, ConnectionResetError):
            log.info("the virus scanner stopped listening; it may have said why")  # too large for it
        return _answer(scanner)


def _connected(address: str) -> socket.socket:
    parts = urlsplit(address)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "", parts.port or 3310), timeout=PATIENCE)
    local = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    local.settimeout(PATIENCE)
    try:
        local.connect(parts.path)
    except OSError:
        local.close()
        raise
    return local


def _answer(scanner: socket.socket) -> str:
    said = b""
    while not said.endswith(b"\0") and len(said) < LONGEST_ANSWER:
        if not (more := scanner.recv(LONGEST_ANSWER)):
            break
        said += more
    return said.rstrip(b"\0").decode("ascii", "replace")
