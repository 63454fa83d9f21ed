"""Virus scan: files are shown to clamd by its own protocol, and none is taken that it has not let pass."""

import socket
import struct
import threading
from contextlib import closing

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from monitoring.imports import virus_scan
from monitoring.imports.registry_file import ImportRefused
from monitoring.models import ImportBatch

EICAR = b"X5O!P%@AP[4\\PZX54(P^)7CC)7}$EICAR-" + b"STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
TABLE = b"record_number,family_name\nA-1,Lund\n"


class Clamd:
    """Clamd's side of INSTREAM: pieces with their lengths before them, a length of nothing, then its verdict."""

    def __init__(self, listening, most=64 << 20):
        self.listening, self.most, self.seen = listening, most, []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        """Wakes who waits for a caller: closing alone leaves it waiting, and it may then answer in the next test."""
        self.listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)

    def _serve(self):
        while True:
            try:
                connection, _address = self.listening.accept()
            except OSError:
                return
            with closing(connection), connection.makefile("rwb") as stream:
                stream.write(self._verdict(stream) + b"\0")
                stream.flush()

    def _verdict(self, stream):
        if stream.read(10) != b"zINSTREAM\0":
            return b"UNKNOWN COMMAND"
        content = b""
        while size := struct.unpack(">I", stream.read(4))[0]:
            content += stream.read(size)
            if len(content) > self.most:
                return b"INSTREAM size limit exceeded. ERROR"
        self.seen.append(content)
        return b"stream: Win.Test.EICAR_HDB-1 FOUND" if EICAR in content else b"stream: OK"


@pytest.fixture(params=["tcp", "unix"])
def clamd(request, settings, tmp_path):
    if request.param == "tcp":
        listening = socket.create_server(("127.0.0.1", 0))
        settings.VIRUS_SCANNER = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    else:
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(tmp_path / "clamd.ctl"))
        listening.listen()
        settings.VIRUS_SCANNER = f"unix:{tmp_path}/clamd.ctl"
    with closing(listening), closing(Clamd(listening)) as clamd:
        yield clamd


def test_a_clean_file_passes_and_the_scanner_has_seen_all_of_it(clamd):
    content = TABLE * 20_000
    virus_scan.refuse_infected(content)
    assert clamd.seen == [content]


def test_what_it_finds_something_in_is_refused(clamd):
    with pytest.raises(ImportRefused, match="found something"):
        virus_scan.refuse_infected(TABLE + EICAR)


def test_what_is_too_large_for_it_is_refused(clamd):
    clamd.most = 100_000
    with pytest.raises(ImportRefused, match=r"could not look|does not answer"):
        virus_scan.refuse_infected(TABLE * 100_000)


def test_while_it_does_not_answer_nothing_is_taken(settings, tmp_path, monkeypatch):
    settings.VIRUS_SCANNER = f"unix:{tmp_path}/nobody.ctl"
    with pytest.raises(ImportRefused, match="does not answer"):
        virus_scan.refuse_infected(TABLE)
    monkeypatch.setattr(virus_scan, "PATIENCE", 0.2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        settings.VIRUS_SCANNER = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(ImportRefused, match="does not answer"):
            virus_scan.refuse_infected(TABLE)


def test_the_import_page_shows_it_the_file_before_anything_is_kept(clamd, sign_in, clinic, make_user):
    browser = sign_in(make_user(clinic, "admin"))
    for content, status in ((TABLE + EICAR, 422), (TABLE, 302)):
        sent = {"clinic": clinic.pk, "date_order": "iso", "file": SimpleUploadedFile("registry.csv", content)}
        assert browser.post(reverse("imports"), sent).status_code == status
        assert ImportBatch.objects.exists() == (status == 302)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("registry.exe", TABLE),
        ("registry", TABLE),
        ("registry.xlsx", TABLE),
        ("registry.csv", b"PK\x03\x04 a workbook"),
    ],
)
def test_a_name_that_promises_something_else_is_refused(name, content, sign_in, clinic, make_user):
    sent = {"clinic": clinic.pk, "date_order": "iso", "file": SimpleUploadedFile(name, content)}
    answer = sign_in(make_user(clinic, "admin")).post(reverse("imports"), sent)
    assert answer.status_code == 422 and "does not fit" in answer.content.decode()
