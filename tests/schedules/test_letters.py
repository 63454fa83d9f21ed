"""Letters: the same words as the mail, for four languages, tagged, and without a word that tells."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from pypdf import PdfReader

from schedules import letters
from schedules.mail import compose, telling_words
from schedules.models import Appointment, Reminder
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
ADDRESS = "Rose Cottage\n\n 4  Mill Lane \nLeeds LS1 4AB"
STEPS = ["booking_prompt", "due", "missed", "second_missed"]
EPISODE = {"cycle_on": DUE_ON, "due_on": DUE_ON, "send_on": DUE_ON}


@pytest.fixture
def reads():
    """`reads(letter, ...)`: the text of each page, with the spaces of one line."""

    def read(*written, title="Letters"):
        pdf = PdfReader(io.BytesIO(letters.bind(written, title=title, now=NOON)))
        return [" ".join(page.extract_text().split()) for page in pdf.pages]

    return read


def letter_to(patient, step="missed", **details):
    reminder = Reminder(patient=patient, clinic=patient.clinic, step=step, **EPISODE, **details)
    return letters.write(reminder, patient, patient.clinic, now=NOON)


def test_a_letter_has_a_head_an_address_a_date_and_the_words_of_the_mail(clinic, enrol, reads):
    clinic.address, clinic.opening_hours = "1 High Street\nYork", "Mon-Fri 8-16"
    patient = enrol(clinic, address=ADDRESS, given_name="Zoë", family_name="Łukasz")
    patient.clinic = clinic
    (page,) = reads(letter_to(patient))
    assert page.startswith("Northside 1 High Street York +44 20 7946 0000 Northside, 1 High Street, York")
    assert "Zoë Łukasz Rose Cottage 4 Mill Lane Leeds LS1 4AB" in page
    assert "27 March 2027" in page
    assert "Dear Zoë Łukasz," in page
    assert "Your routine visit to Northside was due on 27 March 2027, and we have not seen you yet." in page
    assert "Telephone: +44 20 7946 0000 We are there: Mon-Fri 8-16" in page


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
@pytest.mark.parametrize("step", STEPS)
def test_a_letter_says_what_the_mail_says_and_nothing_that_tells(clinic, enrol, reads, language, step):
    patient = enrol(clinic, address=ADDRESS, language=language)
    reminder = Reminder(patient=patient, clinic=clinic, step=step, **EPISODE)
    letter = letters.write(reminder, patient, clinic, now=NOON)
    said = " ".join(compose(reminder, patient, clinic).body.split())
    for words in [letter.paragraphs[0], letter.paragraphs[1], letter.paragraphs[-1], *letter.closing]:
        assert words in said
    (page,) = reads(letter)
    assert telling_words(page) == []
    assert patient.record_number not in page
    assert "1990" not in page


def test_a_letter_about_an_appointment_names_time_and_place(clinic, enrol, reads):
    patient = enrol(clinic, address=ADDRESS)
    at = datetime(2027, 4, 20, 8, 30, tzinfo=UTC)
    appointment = Appointment.objects.create(clinic=clinic, patient=patient, starts_at=at, place="Floor 2", actor="a")
    details = {"appointment": appointment, "appointment_sequence": 0}
    (page,) = reads(letter_to(patient, "visit_moved", **details))
    assert "We now expect you at Northside on 20 April 2027, 09:30." in page
    assert "Where: Floor 2" in page


def test_what_was_typed_is_never_read_as_markup(clinic, enrol, reads):
    typed = '#panic("no") $x$ *bold* <label> \\ #eval("1")'
    patient = enrol(clinic, address=f"{typed}\nLeeds", family_name=typed)
    (page,) = reads(letter_to(patient))
    assert typed in page


def test_many_letters_are_one_document_a_page_each(clinic, enrol, reads):
    people = [enrol(clinic, address=ADDRESS) for _ in range(12)]
    pages = reads(*(letter_to(one) for one in people))
    assert [one.display_name in page for one, page in zip(people, pages, strict=True)] == [True] * 12


def test_the_document_is_tagged_and_names_its_languages(clinic, enrol):
    german = enrol(clinic, address=ADDRESS, language="de")
    pdf = PdfReader(io.BytesIO(letters.bind([letter_to(german)], title="Letters of today", now=NOON)))
    root = pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 - an object of the reader
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    assert (pdf.metadata.title, root["/Lang"]) == ("Letters of today", "en")
    assert "de" in _languages(root["/StructTreeRoot"])


def _languages(node, found=None):
    """The languages that the structure tree names."""
    found = set() if found is None else found
    node = node.get_object()
    if isinstance(node, list):
        for child in node:
            _languages(child, found)
    elif isinstance(node, dict):
        if "/Lang" in node:
            found.add(node["/Lang"])
        if "/K" in node:
            _languages(node["/K"], found)
    return found


NO_FONT_HAS = "\U0003f000"  # not assigned to anything


def test_what_no_font_has_is_a_gap_to_be_filled_in_by_hand_and_costs_no_tags(clinic, enrol, reads, caplog):
    name = 2 * NO_FONT_HAS
    letter = letter_to(enrol(clinic, given_name=name, family_name=name, address=f"5 {name}\nLeeds"))
    (page,) = reads(letter)
    assert "Leeds" in page and f"Dear {letters.GAP}," in page and f"5 {letters.GAP}" in page
    assert letters.undrawable(f"Ann {name} Öztürk") == NO_FONT_HAS
    assert b"pdfuaid" in letters.bind([letter], title="t", now=NOON)
    assert not caplog.records


def test_greek_cyrillic_and_arabic_are_drawn():
    assert letters.undrawable("Αλέξης Παπαδόπουλος, Анна Жукова, محمد علي, Nguyễn Thị Hường") == ""


def test_without_a_letter_there_is_no_document():
    with pytest.raises(ValueError, match="no letter"):
        letters.bind([], title="Letters", now=NOON)


def test_the_same_letters_make_the_same_document(clinic, enrol):
    letter = letter_to(enrol(clinic, address=ADDRESS))
    assert letters.bind([letter], title="t", now=NOON) == letters.bind([letter], title="t", now=NOON)
    assert letters.bind([letter], title="t", now=NOON + timedelta(days=1))
