"""What the program itself wrote down in English is read in the language of the page."""

from datetime import date

import pytest
from django.utils import timezone, translation

from monitoring.imports import columns
from monitoring.web.actor_words import who
from monitoring.web.detail_words import how_words, name_words, note_words, reference_words, seen_words, value_words
from monitoring.web.fact_words import words_of
from monitoring.web.forms.score import HarrisForm
from patients.models import SymptomReport


@pytest.fixture(autouse=True)
def _german():
    with translation.override("de"):
        yield


def test_the_site_of_pain_is_said_in_german_and_free_text_stays():
    hurts = SymptomReport(on=date(2026, 11, 9), source="clinician", symptomatic=True, pain_nrs=2, pain_site="groin")
    assert words_of(hurts) == "Beschwerden, Schmerz 2 von 10, Leiste"
    hurts.pain_site = "beim Treppensteigen"
    assert words_of(hurts).endswith("beim Treppensteigen")


def test_the_options_of_the_harris_hip_score_are_in_german():
    shown = [str(words) for _code, words in HarrisForm(prefix="right-harris").fields["support"].choices]
    assert [words.rpartition(" ")[2] for words in shown if words.endswith(")")] == [
        "(11)", "(7)", "(5)", "(3)", "(2)", "(0)", "(0)",
    ]  # fmt: skip
    assert not any("cane" in words or "crutch" in words for words in shown)


def test_every_column_of_an_import_is_explained_in_german():
    with translation.override("en"):
        english = {name: (holds, says) for name, holds, says, _codes in columns.layout()}
    same = [name for name, holds, says, _codes in columns.layout() if holds == english[name][0] and holds != "Text"]
    assert same == []
    assert [n for n, _h, says, _c in columns.layout() if says and says == english[n][1]] == []


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("appointment", "2026-12-04 09:30", "4. Dez 2026, 09:30"),
        ("state", "booked", "Termin vereinbart"),
        ("died_on", "2026-12-01", "1. Dez 2026"),
        ("roles", ["clinician", "admin"], "Ärztin/Arzt, Administration"),
        ("justified", True, "ja"),
        ("place", "", ""),
        ("language", "de", "Deutsch"),
        ("outcome", "no_answer", "Keine Antwort"),
        ("list", "overdue", "Überfällig"),
        ("kinds", ["totp", "webauthn"], "Code aus einer App, Passkey"),
        ("counts", {"overdue": 2, "letters": 1}, "2 Patienten sind überfällig, 1 Brief ist zu drucken"),
        ("reason", "as typed", "as typed"),
    ],
)
def test_details_of_the_audit_are_said_in_german(name, value, words):
    assert value_words(name, value) == words


def test_a_moment_with_a_zone_is_shown_by_the_clock_of_the_reader():
    with timezone.override("Europe/Berlin"):
        assert value_words("until", "2026-11-30T01:27:35.758754+00:00") == "30. Nov 2026, 02:27"


def test_names_and_what_was_seen_are_said_in_german():
    assert name_words("rows_created") == "Zeilen: neu"
    assert name_words("born_on") == "Geburtsdatum"
    assert name_words("never heard of") == "Never heard of"
    assert seen_words("case-132") == "Fall 132"
    assert seen_words("effect of onfh-small-lesion/2") == "Wirkung des Protokolls onfh-small-lesion/2"
    assert seen_words("user-7") == "user-7"
    with translation.override("en"):
        assert reference_words("user-7") == "account 7" and reference_words("onfh-1") == "onfh-1"
        assert seen_words("worklist overdue") == "worklist, Overdue"
        assert seen_words("import-7 problems") == "problems of import 7"


def test_who_it_was_is_said_in_words_and_names_stay():
    with translation.override("en"):
        told = [who(actor) for actor in ("system: mail feedback", "system: tables", "patient, by link", "API: lab")]
    assert told == ["System: news of mail", "System: tables", "patient, by link", "API: lab"]
    assert who("Ada Okoye") == "Ada Okoye"


def test_what_stands_under_names_of_its_own_is_told_name_by_name():
    with translation.override("en"):
        told = value_words("steps", {"due": {"on": True, "days": -3}, "missed": {"on": False, "days": 1}})
        read = value_words("Patient", {"read": 2, "new": 1})
    assert told == "Due: (On: yes, Days: -3), Missed: (On: no, Days: 1)"
    assert read == "Read: 2, New: 1"


def test_what_the_program_noted_is_in_german_and_what_somebody_typed_is_not_touched():
    assert how_words("unsubscribed by the link in a mail") == "abbestellt über den Link in einer Nachricht"
    assert how_words("letter") == "letter"
    assert note_words("Adopted at installation on 2026-12-01.") == "Bei der Einrichtung am 1. Dez 2026 übernommen."
    assert note_words("Closer since 2026-12-01.") == "Closer since 2026-12-01."


@pytest.mark.parametrize("typed", ["2026-02-31", "9999-12-31T23:59:59-12:00", "2026-13-01T25:61"])
def test_figures_that_are_no_day_and_no_moment_stay_as_they_were_typed(typed):
    assert typed[:10] in value_words("reason", f"since {typed}")
