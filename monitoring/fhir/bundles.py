"""Bundles: the resources in a file or folder of FHIR JSON, one at a time, each told by content and not by name."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

MAX_DOCUMENT: Final = 512 * 1024 * 1024  # bytes of one JSON document: it is read as a whole
MAX_LINE: Final = 64 * 1024 * 1024
_NAMES: Final = frozenset({".json", ".ndjson", ".jsonl"})


@dataclass(frozen=True)
class Entry:
    """One resource and where it stands; with `fault` there is none and the text says why."""

    place: str
    resource: dict[str, Any]
    full_url: str = ""
    fault: str = ""

    @property
    def type(self) -> str:
        return str(self.resource.get("resourceType") or "(no resource)")

    @property
    def references(self) -> list[str]:
        """How other resources may point at this one."""
        pk = self.resource.get("id")
        return [r for r in (self.full_url, f"{self.type}/{pk}" if pk else "", f"urn:uuid:{pk}" if pk else "") if r]


def files_of(path: Path) -> tuple[list[Path], list[Path]]:
    """The files to be read, and those of a folder that are left alone. Raises FileNotFoundError."""
    if not path.is_dir():
        path.stat()
        return [path], []
    found = sorted(p for p in path.rglob("*") if p.is_file() and not _is_hidden(p.relative_to(path)))
    read = [p for p in found if p.suffix.lower() in _NAMES]
    return read, [p for p in found if p not in set(read)]


def _is_hidden(inside: Path) -> bool:
    return any(part.startswith(".") for part in inside.parts)


def read_entries(file: Path) -> Iterator[Entry]:
    """Every resource of the file: a Bundle's entries, NDJSON's lines. A broken place is an entry with a fault."""
    if _is_ndjson(file):
        yield from _lines(file)
    else:
        yield from _document(file)


def _is_ndjson(file: Path) -> bool:
    """Whether the first line is a whole resource and another line follows."""
    if file.suffix.lower() in (".ndjson", ".jsonl"):
        return True
    with file.open("rb") as source:
        first, second = source.readline(MAX_LINE), source.readline(4096)
    if not second.strip():
        return False
    try:
        return isinstance(json.loads(first.decode("utf-8-sig")), dict)
    except ValueError:
        return False


def _lines(file: Path) -> Iterator[Entry]:
    with file.open("rb") as source:
        number = 0
        while line := source.readline(MAX_LINE):
            number += 1
            place = f"{file.name}:{number}"
            if len(line) >= MAX_LINE:
                yield Entry(
                    place, {}, fault="The line is too long to be a resource; the rest of the file was not read."
                )
                return
            if line.strip(b"\xef\xbb\xbf \t\r\n"):
                yield from _parsed(place, line)


def _document(file: Path) -> Iterator[Entry]:
    if file.stat().st_size > MAX_DOCUMENT:
        yield Entry(file.name, {}, fault=f"Larger than {MAX_DOCUMENT >> 20} MB; export it as NDJSON.")
        return
    yield from _parsed(file.name, file.read_bytes())


def _parsed(place: str, text: bytes) -> Iterator[Entry]:
    try:
        resource = json.loads(text.decode("utf-8-sig"), parse_float=Decimal)
    except UnicodeDecodeError:
        yield Entry(place, {}, fault="This is not UTF-8, which FHIR JSON is.")
    except (ValueError, RecursionError) as error:
        yield Entry(place, {}, fault=f"This is no JSON: {error}")
    else:
        yield from _unpacked(place, resource, "")


def _unpacked(place: str, resource: Any, full_url: str) -> Iterator[Entry]:
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        yield Entry(place, {}, fault="This is no FHIR resource: it names no resourceType.")
        return
    if resource["resourceType"] != "Bundle":
        yield Entry(place, resource, full_url)
        return
    entries = resource.get("entry") or []
    if not isinstance(entries, list):
        yield Entry(place, {}, fault="The Bundle's entry is no list.")
        return
    for number, entry in enumerate(entries):
        inside = f"{place}#{number}"
        if not isinstance(entry, dict) or "resource" not in entry:
            yield Entry(inside, {}, fault="The entry holds no resource.")
            continue
        yield from _unpacked(inside, entry["resource"], str(entry.get("fullUrl") or ""))
