"""Translation catalogues: each .po says everything in its language, and the .mo beside it says the same.

`python .ci/catalogues.py` judges (for `make check`), `--write` compiles. Needs nothing but Python.
"""

import ast
import gettext
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
CONTEXT = "\x04"  # between context and message in a .mo
PLACE = re.compile(r"%\((\w+)\)[sd]")
KEYWORD = re.compile(r'(msgctxt|msgid|msgid_plural|msgstr)(?:\[(\d+)\])?\s+(".*")$')
Entry = dict[str, str]  # by keyword; the forms of a plural under "msgstr0", "msgstr1"...


def entries(catalogue: Path) -> Iterator[Entry]:
    """The messages of a .po, the header (with an empty msgid) among them."""
    entry: Entry = {}
    key = ""
    for line in [*catalogue.read_text(encoding="utf-8").splitlines(), ""]:
        if found := KEYWORD.match(line):
            if found[1] in ("msgctxt", "msgid") and any(name.startswith("msgstr") for name in entry):
                yield entry
                entry = {}
            key = found[1] + (found[2] or "")
            entry[key] = ast.literal_eval(found[3])
        elif line.startswith('"'):
            entry[key] += ast.literal_eval(line)
        elif line.startswith("#, ") and "fuzzy" in line:
            raise ValueError(f"{catalogue}: a translation is marked as fuzzy")
    if entry:
        yield entry


def strings(catalogue: Path) -> dict[str, str]:
    """What the .mo is to hold: message to translation, plural forms joined as gettext joins them."""
    found: dict[str, str] = {}
    for entry in entries(catalogue):
        name = (entry["msgctxt"] + CONTEXT if "msgctxt" in entry else "") + entry["msgid"]
        if "msgid_plural" in entry:
            name += "\0" + entry["msgid_plural"]
        if name in found:
            raise ValueError(f"{catalogue}: {name!r} stands there twice")
        found[name] = "\0".join(value for key, value in entry.items() if key.startswith("msgstr"))
    return found


def compiled(found: dict[str, str]) -> bytes:
    """The same as a .mo: a header of seven numbers, two tables of (length, offset), the strings."""
    pairs = sorted((name.encode(), text.encode()) for name, text in found.items())
    body, tables = b"", ([], [])
    start = 28 + 16 * len(pairs)
    for column, table in enumerate(tables):
        for pair in pairs:
            table += [len(pair[column]), start + len(body)]
            body += pair[column] + b"\0"
    numbers = [0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, start, *tables[0], *tables[1]]
    return struct.pack(f"<{len(numbers)}I", *numbers) + body


def faults(catalogue: Path) -> Iterator[str]:
    """What is wrong with one .po and the .mo beside it, in words."""
    found = strings(catalogue)
    forms = int(re.search(r"nplurals=(\d)", found.get("", ""))[1]) if "nplurals" in found.get("", "") else 0
    if not forms:
        yield "the header does not say how plurals are formed"
    for name, text in found.items():
        if name == "":
            continue
        shown = name.rpartition(CONTEXT)[2].split("\0")[0]
        said = text.split("\0")
        if not all(said):
            yield f"{shown!r} has no translation"
        if "\0" in name and len(said) != forms:
            yield f"{shown!r} has {len(said)} plural forms, not {forms}"
        wanted = set(PLACE.findall(name))
        if any(set(PLACE.findall(form)) - wanted for form in said) or set(PLACE.findall(said[-1])) != wanted:
            yield f"{shown!r} and its translation do not name the same places"
    binary = catalogue.with_suffix(".mo")
    if not binary.exists() or _read(binary) != _read_bytes(compiled(found)):
        yield f"{binary.name} does not say the same; run `make translations`"


def _read(binary: Path) -> dict[object, str]:
    return _read_bytes(binary.read_bytes())


def _read_bytes(content: bytes) -> dict[object, str]:
    import io

    catalogue = gettext.GNUTranslations(io.BytesIO(content))
    return dict(catalogue._catalog)  # type: ignore[attr-defined]


def main(write: bool) -> int:
    catalogues = sorted(PROJECT.glob("*/locale/*/LC_MESSAGES/*.po"))
    wrong = 0
    for catalogue in catalogues:
        if write:
            catalogue.with_suffix(".mo").write_bytes(compiled(strings(catalogue)))
        for fault in faults(catalogue):
            wrong += 1
            print(f"{catalogue.relative_to(PROJECT)}: {fault}")
    print(f"{len(catalogues)} catalogues, {wrong} faults")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv[1:]))
