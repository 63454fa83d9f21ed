"""What the guideline says is shown in the language of the page, whatever it says."""

import random
from datetime import date

import pytest
from django.utils.translation import override

from monitoring.models import CaseNote
from monitoring.web.finding_words import with_dates
from monitoring.web.guideline_words import ASKED, asked_words, because_words, known
from monitoring.web.review import note_words
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.reading import read_record
from schedules.guideline.rules import RULES
from tests.conftest import as_signed_in
from tests.guideline.reference.focused import focused_record
from tests.guideline.reference.records import random_record
from tests.guideline.strategies import make_as_of, make_record


def sentences():
    """What the guideline says of random records, those of its own tests among them."""
    for seed in range(400):
        rnd = random.Random(seed)
        record, as_of = random_record(rnd)
        yield from said_of(record, date.fromisoformat(as_of))
        record, days = focused_record(rnd)
        for day in days:
            yield from said_of(record, date.fromisoformat(day))
        record = make_record(rnd)
        yield from said_of(record, make_as_of(rnd, record))


def said_of(record, as_of):
    for hip in evaluate(read_record(record), DEFAULT, as_of).hips:
        yield hip.because
        yield from (finding.because for finding in hip.findings)


@pytest.fixture(scope="module")
def said():
    return sorted(set(sentences()))


def test_every_sentence_has_a_known_form(said):
    assert len(said) > 1000
    assert [sentence for sentence in said if not known(sentence)] == []


def test_every_rule_says_something_that_is_known():
    assert {rule.asks for rule in RULES.values()} == set(ASKED)


def test_in_english_only_the_days_are_written_otherwise(said):
    with override("en"):
        assert [
            one for one in said if not one.startswith("Follow-up has ended") and because_words(one) != with_dates(one)
        ] == []


@pytest.mark.parametrize(
    ("sentence", "german"),
    [
        (
            "6-month interval: no known reason for a shorter one.",
            "Abstand 6 Monate: kein Grund für einen kürzeren bekannt.",
        ),
        (
            "3-month interval: collapse, age over 40, JIC type C2. Collapse since 2026-03-02.",
            "Abstand 3 Monate: Kollaps, Alter über 40, JIC-Typ C2. Kollaps seit dem 2. Mär 2026.",
        ),
        (
            "The volume of 29.5 % (2026-03-02) is close to the cut of 30 %.",
            "Das Volumen von 29,5 % (2. Mär 2026) liegt nahe an der Grenze von 30 %.",
        ),
        (
            "Follow-up has ended: transferred on 2026-03-02.",
            "Die Nachsorge ist beendet: An eine andere Klinik übergeben am 2. Mär 2026.",
        ),
        ("Something no rule says 2026-03-02.", "Something no rule says 2. Mär 2026."),
    ],
)
def test_in_german(sentence, german):
    with override("de"):
        assert because_words(sentence) == german


def test_a_question_in_german():
    with override("de"):
        assert asked_words(RULES["R28"].asks) == "Eine Beurteilung wartet zu lange auf ihre Entscheidung."


def test_what_a_rule_says_is_german_on_a_german_page_and_its_id_and_sources_stay(client, clinic, make_user, enrol):
    user = make_user(clinic, "clinician", language="de")
    desk = as_signed_in(client, user)
    desk.cookies["django_language"] = "de"
    page = desk.get(f"/patients/{enrol(clinic, enrolled_on=date(2024, 1, 10)).pk}/").text
    assert "über diese Hüfte ist nichts bekannt" in page
    assert "nothing is known about this hip" not in page


def test_what_a_case_was_opened_with_is_translated_and_what_somebody_wrote_is_not():
    said = "No MR of this hip is known; asked since 2026-03-02."
    with override("de"):
        words = {kind: note_words(CaseNote(kind=kind, text=said)) for kind in ("opened", "comment")}
    assert words["opened"].startswith("Es ist kein MRT dieser Hüfte bekannt")
    assert words["comment"] == "No MR of this hip is known; asked since 2. Mär 2026."
