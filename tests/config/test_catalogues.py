"""The German catalogues: every string has its German, with the same placeholders, and is compiled."""

import ast
import gettext
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from django.utils import dates

PROJECT = Path(__file__).resolve().parents[2]
APPS = ("config", "monitoring", "patients", "schedules")
PLACEHOLDER = re.compile(r"%(?:\([^)]+\))?[sd%]")
TAG = re.compile(r"</?\w+")


@dataclass
class Entry:
    """One string of a catalogue: `strings` holds its German, in both numbers where it has two."""

    context: str = ""
    source: str = ""
    plural: str = ""
    fuzzy: bool = False
    strings: dict[str, str] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        return [self.source, self.plural] if self.plural else [self.source]


def _catalogue(app: str) -> Path:
    return PROJECT / app / "locale/de/LC_MESSAGES/django.po"


def _entry(block: str) -> Entry:
    entry, name, said = Entry(), "", {}
    for line in block.splitlines():
        if line.startswith("#"):
            entry.fuzzy |= line.startswith("#,") and "fuzzy" in line
            continue
        word, _, text = line.partition(" ")
        if not line.startswith('"'):
            name, said[word] = word, ""
        else:
            text = line
        said[name] += ast.literal_eval(text)
    entry.context, entry.source = said.pop("msgctxt", ""), said.pop("msgid", "")
    entry.plural, entry.strings = said.pop("msgid_plural", ""), said
    return entry


def _entries(path: Path) -> list[Entry]:
    blocks = re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip())
    return [entry for entry in map(_entry, blocks) if entry.source]


def _compiled(path: Path) -> dict[object, str]:
    with path.open("rb") as file:
        return gettext.GNUTranslations(file)._catalog


@pytest.mark.parametrize("app", APPS)
def test_every_string_has_its_german(app):
    entries = _entries(_catalogue(app))
    assert len(entries) > 100
    assert [e.source for e in entries if e.fuzzy] == []
    assert [e.source for e in entries if len(e.strings) != len(e.sources) or not all(e.strings.values())] == []


@pytest.mark.parametrize("app", APPS)
def test_the_german_fills_in_what_the_english_fills_in(app):
    for entry in _entries(_catalogue(app)):
        most = set(PLACEHOLDER.findall(" ".join(entry.sources)))
        least = set(PLACEHOLDER.findall(entry.sources[-1])) - {"%%"}
        *_, last = entry.strings.values()
        assert all(set(PLACEHOLDER.findall(german)) <= most for german in entry.strings.values()), entry.source
        assert least <= set(PLACEHOLDER.findall(last)), entry.source
        assert sorted(TAG.findall(last)) == sorted(TAG.findall(entry.sources[-1])), entry.source


@pytest.mark.parametrize("app", APPS)
def test_the_compiled_catalogue_says_what_the_written_one_says(app):
    written = {}
    for entry in _entries(_catalogue(app)):
        key = f"{entry.context}\x04{entry.source}" if entry.context else entry.source
        for number, german in enumerate(entry.strings.values()):
            written[(key, number) if entry.plural else key] = german
    compiled = {key: german for key, german in _compiled(_catalogue(app).with_suffix(".mo")).items() if key != ""}
    assert compiled == written


@pytest.mark.parametrize("app", APPS)
def test_msgfmt_finds_nothing_wrong(app, tmp_path):
    if not shutil.which("msgfmt"):
        pytest.skip("msgfmt is not installed")
    done = subprocess.run(
        ["msgfmt", "-c", "-o", str(tmp_path / "de.mo"), str(_catalogue(app))], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert _compiled(tmp_path / "de.mo").items() >= _compiled(_catalogue(app).with_suffix(".mo")).items() - {("", "")}


@pytest.mark.parametrize("app", APPS)
def test_no_string_is_missing_from_the_catalogue(app, tmp_path):
    """Extracts as `makemessages` does, from a copy, so that a new string without German fails here."""
    if not shutil.which("xgettext"):
        pytest.skip("xgettext is not installed")
    copy = tmp_path / app
    shutil.copytree(PROJECT / app, copy, ignore=shutil.ignore_patterns("locale", "static", "__pycache__"))
    (copy / "locale").mkdir()
    django_admin = [sys.executable, "-m", "django", "makemessages", "-l", "de", "--no-location"]
    plain = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    subprocess.run(django_admin, cwd=copy, env=plain, check=True, capture_output=True)
    there = {(e.context, e.source) for e in _entries(_catalogue(app))}
    asked = {(e.context, e.source) for e in _entries(copy / "locale/de/LC_MESSAGES/django.po")}
    assert sorted(asked - there) == []


@pytest.mark.parametrize("app", APPS)
def test_no_string_takes_the_place_of_a_month_or_weekday(app):
    """A catalogue of ours overrides Django's: “May” as a heading would rename the month on every page."""
    named = {str(name) for names in (dates.MONTHS, dates.WEEKDAYS, dates.WEEKDAYS_ABBR) for name in names.values()}
    assert [e.source for e in _entries(_catalogue(app)) if not e.context and e.source in named] == []
