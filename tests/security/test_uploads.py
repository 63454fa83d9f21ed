"""Uploads that mean harm: they are refused in words, in little time and memory, and nothing of them is kept."""

import csv
import io
import resource
import struct
import subprocess
import sys
import zipfile

import pytest
import xlsxwriter
from django.core.files.uploadedfile import SimpleUploadedFile

from monitoring.fhir import bundles
from monitoring.imports import registry_file, workbook_limits
from monitoring.imports.registry_file import ImportRefused
from monitoring.models import ImportBatch
from monitoring.spreadsheets import harmless
from tests.conftest import PROJECT

HEADING = ["record_number", "family_name"]
SHEET = "xl/worksheets/sheet1.xml"


@pytest.fixture(autouse=True)
def _a_small_limit(monkeypatch):
    """A thirtieth of the real one: a burst of ten megabytes is as good as one of three hundred."""
    monkeypatch.setattr(workbook_limits, "MOST_BYTES", 8 << 20)


def book(rows=((1, 0, "A-1"), (1, 1, "Lund"))):
    file = io.BytesIO()
    with xlsxwriter.Workbook(file) as made:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, HEADING)
        for row, column, value in rows:
            sheet.write(row, column, value)
    return file.getvalue()


def with_part(content, name, data, *, method=zipfile.ZIP_DEFLATED):
    """The workbook with one part more, or another one of that name."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(file, "w", method) as new:
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, data)
    return file.getvalue()


def stated_as(content, name, size):
    """The same bytes in an archive that states another size of this part."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        true = archive.getinfo(name).file_size
    return content.replace(struct.pack("<I", true), struct.pack("<I", size))


ROWS_APART = b"<worksheet><sheetData><row r='1'><c r='A1'/></row><row r='9000000'><c r='B9000000'/></row></sheetData>"
BARE = b"<worksheet><sheetData>" + b"<row>" + b"<c/>" * 20_000 + b"</row>" + b"<row/>" * 20_000
BOMBS = {
    "two cells far apart": book([(1, 0, "x"), (1_048_575, 16_383, "y")]),
    "in other quotation marks": with_part(book(), SHEET, ROWS_APART),
    "cells that do not say where": with_part(book(), SHEET, BARE),
    "much of nothing": with_part(book(), "xl/media/image1.png", b"\0" * (9 << 20)),
    "many parts": with_part(book(), "docProps/x.xml", b"x"),
}
with zipfile.ZipFile(crowded := io.BytesIO(BOMBS["many parts"]), "a") as _archive:
    for _number in range(1100):
        _archive.writestr(f"docProps/{_number}.xml", b"x")
BOMBS["many parts"] = crowded.getvalue()


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_workbook_that_would_burst_is_refused_before_it_is_opened(name):
    with pytest.raises(ImportRefused, match="too large when unpacked"):
        registry_file.open_file(BOMBS[name])


@pytest.mark.parametrize(
    "content",
    [
        with_part(book(), "xl/workbook.bin", b"x"),
        with_part(book(), "content.xml", b"<table number-columns-repeated='999999'/>"),
        with_part(book(), "XL/Workbook.xml", b"<workbook/>"),
        with_part(book(), "x.xml", b"x", method=zipfile.ZIP_LZMA),
        book()[:-30],
        book()[:400],
        b"PK\x03\x04" + b"\0" * 500,
    ],
    ids=["binary", "OpenDocument", "twice", "packed otherwise", "cut off", "headless", "empty"],
)
def test_what_is_no_plain_workbook_is_refused(content):
    with pytest.raises(ImportRefused, match="no Excel workbook"):
        registry_file.open_file(content)


def test_the_size_that_an_archive_states_of_itself_is_not_believed():
    bomb = stated_as(BOMBS["much of nothing"], "xl/media/image1.png", 10)
    with pytest.raises(workbook_limits.TooMuch):
        workbook_limits.check(bomb)


def test_a_large_honest_workbook_is_read():
    rows = [(row, column, f"{row}-{column}") for row in range(1, 3000) for column in range(2)]
    assert registry_file.open_file(book(rows)).count() == 2999


def test_xml_that_is_deep_or_names_itself_ends_nothing():
    deep = b"<worksheet>" + b"<a>" * 300_000
    laughs = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><worksheet>&b;</worksheet>'
    for sheet in (deep, laughs):
        with pytest.raises(ImportRefused):
            registry_file.open_file(with_part(book(), SHEET, sheet)).count()


@pytest.mark.parametrize(
    "content",
    [
        b"," * 3_000_000 + b"\nx",
        b'record_number,family_name\n"' + b"x" * 3_000_000,
        b"record_number\n" + b"y" * 300_000,
        b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    ],
    ids=["columns", "open quotation", "long cell", "a picture"],
)
def test_a_text_that_is_no_table_is_refused(content):
    with pytest.raises(ImportRefused):
        registry_file.open_file(content).count()


def test_opening_a_bomb_takes_little_memory():
    """In a process of its own that may not take half a gigabyte: the library alone would be ended by it."""
    path = PROJECT / "var" / "test" / "bomb.xlsx"
    path.write_bytes(BOMBS["two cells far apart"])
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_DATA, (1 << 29, 1 << 29))\n"
        "from monitoring.imports import workbook_limits as limits\n"
        "try: limits.check(open(sys.argv[1], 'rb').read())\n"
        "except limits.TooMuch: print('refused')\n"
    )
    environment = {"HIPWATCH_TESTING": "1", "DJANGO_SETTINGS_MODULE": "config.settings", "PATH": "/usr/bin"}
    done = subprocess.run([sys.executable, "-c", program, path], cwd=PROJECT, env=environment, capture_output=True)
    assert done.stdout == b"refused\n", done.stderr[-2000:]
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1 << 20


def test_an_upload_that_is_refused_is_a_word_at_its_field_and_keeps_nothing(clinic, make_user, sign_in):
    desk = sign_in(make_user(clinic, "coordinator"))
    for name in ("two cells far apart", "many parts"):
        file = SimpleUploadedFile("list.xlsx", BOMBS[name])
        answer = desk.post("/import/", {"clinic": clinic.pk, "file": file, "date_order": "iso"})
        assert answer.status_code in {200, 422} and "too large when unpacked" in answer.content.decode()
    assert not ImportBatch.objects.exists()


def test_a_body_beyond_every_limit_is_refused_unread(clinic, make_user, sign_in):
    desk = sign_in(make_user(clinic, "coordinator"))
    answer = desk.generic(
        "POST", "/import/", b"x", content_type="multipart/form-data; boundary=x", CONTENT_LENGTH="99999999999"
    )
    assert answer.status_code == 413 and "too large" in answer.content.decode()


@pytest.mark.parametrize("text", ["=1+1", "+49 30", "-2", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1"])
def test_no_table_that_goes_out_holds_a_formula(text, clinic, make_user, sign_in):
    assert harmless(text) == f"'{text}" and harmless(f"x{text}") == f"x{text}" and harmless(7) == 7
    desk = sign_in(make_user(clinic, "coordinator"))
    table = f'record_number,family_name,"{text}"\nA-1,Lund,x\n'.encode()
    desk.post("/import/", {"clinic": clinic.pk, "file": SimpleUploadedFile("l.csv", table), "date_order": "iso"})
    for batch in ImportBatch.objects.all():
        rows = csv.reader(io.StringIO(desk.get(f"/import/{batch.pk}/problems.csv").content.decode("utf-8-sig")))
        assert not [cell for row in rows for cell in row if cell.lstrip(" ").startswith(("=", "+", "@"))]


def test_a_fhir_file_with_an_endless_line_or_a_deep_one_is_told_and_not_read_into_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(bundles, "MAX_LINE", 1 << 16)
    long = tmp_path / "long.ndjson"
    long.write_bytes(b'{"resourceType":"Patient","id":"1"}\n{"resourceType":"' + b"x" * (1 << 18))
    first, second = bundles.read_entries(long)
    assert first.type == "Patient" and "too long" in second.fault
    deep = tmp_path / "deep.ndjson"
    deep.write_bytes(b"[" * 60_000 + b"\n" + b'{"n":' + b"9" * 9_000 + b"}\n")
    assert all(entry.fault for entry in bundles.read_entries(deep))
