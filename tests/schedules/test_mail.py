"""What patients read: the mails as they really arrived, in every language."""

import email.policy
import re
from datetime import date, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

from patients.models.clinic import LANGUAGES as STAFF_LANGUAGES
from patients.models.clinic import PATIENT_LANGUAGES
from schedules.checks import every_step_in_every_language
from schedules.ladder import LADDER
from schedules.links import Purpose, read
from schedules.mail import WORDINGS, compose, message_id, telling_words, written_out
from schedules.models import Reminder
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
LANGUAGES = [code for code, _name in PATIENT_LANGUAGES]
OPENING = {
    "en": "Dear Marta Keller,",
    "de": "Guten Tag Marta Keller,",
    "es": "Hola, Marta Keller:",
    "fr": "Bonjour Marta Keller,",
}
WRITTEN = {"en": "27 March 2027", "de": "27. März 2027", "es": "27 de marzo de 2027", "fr": "27 mars 2027"}
FIRST_OF_MAY = {"en": "1 May 2027", "de": "1. Mai 2027", "es": "1 de mayo de 2027", "fr": "1er mai 2027"}
PUBLIC_URL = settings.PUBLIC_URL
CLINIC = {
    "mail_name": "Northside Clinic",
    "telephone": "+44 20 7946 0000",
    "address": "1 Harbour Street\nLondon N1 2AB",
    "opening_hours": "Mon-Fri 8:00-16:00",
    "reply_to": "desk@northside.example",
}
ASKED = {"en": "How are you?", "de": "Wie geht es Ihnen?", "es": "¿Cómo está?", "fr": "Comment allez-vous ?"}
AFTER = {"symptom_check": -91, "booking_prompt": -42, "due": 0, "missed": 1, "second_missed": 42}


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.links: list[str] = []
        self.skipping = False

    def handle_starttag(self, tag, attributes):
        self.skipping = tag == "style"
        self.links += [value for name, value in attributes if name in ("href", "src")]

    def handle_data(self, data):
        if not self.skipping and data.strip():
            self.said.append(" ".join(data.split()))


def read_html(message: EmailMessage) -> _Text:
    parser = _Text()
    parser.feed(message.get_body(("html",)).get_content())
    return parser


EVERY = pytest.mark.parametrize("which", [(step, lang) for step in AFTER for lang in LANGUAGES], ids="-".join)
_KEPT: dict[tuple[str, str], EmailMessage] = {}


@pytest.fixture
def arrived(which, clinic, enrol, follow, drain, sink):
    """One mail as the server got it, with its step and language; its patient and reminder are in the database."""
    step, language = which
    type(clinic).objects.filter(pk=clinic.pk).update(**CLINIC)
    patient = enrol(clinic, family_name="Keller", language=language, record_number="RN-77123")
    follow(patient, DUE_ON, now=NOON + timedelta(AFTER[step]))
    drain(at=NOON + timedelta(AFTER[step]))
    (message,) = sink.arrived
    _KEPT[which] = message
    return step, language, message


@pytest.fixture
def letter(which, request):
    """The same for who only reads it: each mail is sent once and read by several tests."""
    return (*which, _KEPT[which]) if which in _KEPT else request.getfixturevalue("arrived")


@EVERY
def test_the_mail_tells_nobody_why(letter):
    """Not in any header, not in the text, not in the HTML, not in a link."""
    _step, _language, message = letter
    headers = "\n".join(f"{name}: {value}" for name, value in message.items())
    html = message.get_body(("html",)).get_content()
    words = re.sub(r"<style.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL)
    for part in (headers, message.get_body(("plain",)).get_content(), words, " ".join(read_html(message).links)):
        assert telling_words(part) == []
        for secret in ("RN-77123", "1990", "10 March", "Northside Hip Clinic"):
            assert not re.search(rf"(?<!\w){secret}(?!\w)", part)  # as a word: boundaries are random digits


@EVERY
def test_the_mail_says_what_to_do_in_the_patients_language(letter):
    step, language, message = letter
    text = message.get_body(("plain",)).get_content()
    said = read_html(message).said
    for needed in (
        OPENING[language],
        WRITTEN[language],
        "Northside Clinic",
        "+44 20 7946 0000",
        "London N1 2AB",
        "Mon-Fri",
    ):
        assert needed in text
        assert any(needed in line for line in said), needed
    assert text.splitlines()[0] == (ASKED[language] if step == "symptom_check" else WRITTEN[language])
    assert message["Content-Language"] == language


def _first_word(step: str, language: str) -> str:
    with translation.override(language):
        return WORDINGS[step]("", "").heading.split()[0]


@EVERY
def test_text_and_html_say_the_same(letter):
    _step, language, message = letter
    text = " ".join(message.get_body(("plain",)).get_content().split())
    only_in_html = {_first_word(step, language) for step in WORDINGS}  # the heading
    sentences = [line for line in read_html(message).said if line.endswith((".", ",", ":")) and len(line.split()) > 1]
    assert len(sentences) >= 5
    for sentence in sentences:
        assert sentence in text or sentence.split()[0] in only_in_html


@EVERY
def test_headers_are_those_of_an_automatic_and_answerable_mail(arrived):
    _step, _language, message = arrived
    assert str(message["From"]) == "Northside Clinic <appointments@clinic.example>"
    assert message["Reply-To"] == "desk@northside.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f]{40}@clinic\.example>", message["Message-ID"])
    stop, write = re.findall(r"<([^>]+)>", message["List-Unsubscribe"])
    assert read(stop.rpartition("/")[2], Purpose.STOP).reminder_id == Reminder.objects.get(state="sent").pk
    assert stop.startswith(f"{PUBLIC_URL}/p/stop/")
    assert write == "mailto:desk@northside.example?subject=STOP"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Date"].datetime is not None
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]


@EVERY
def test_the_mail_links_to_the_telephone_and_to_contact_wishes_only_and_loads_nothing(arrived):
    step, _language, message = arrived
    *check, telephone, wishes = read_html(message).links
    assert bool(check) is (step == "symptom_check")
    assert all(read(url.rpartition("/")[2], Purpose.CHECK) for url in check)
    assert telephone == "tel:+442079460000"
    assert wishes.startswith(f"{PUBLIC_URL}/p/wishes/")
    assert read(wishes.rpartition("/")[2], Purpose.WISHES).patient_id == Reminder.objects.get(state="sent").patient_id
    assert re.findall(r"https?:\S+", message.get_body(("plain",)).get_content()) == [*check, wishes]


@pytest.mark.parametrize("language", LANGUAGES)
def test_dates_are_written_as_the_language_writes_them(language):
    with translation.override(language):
        assert written_out(DUE_ON) == WRITTEN[language]
        assert written_out(date(2027, 5, 1)) == FIRST_OF_MAY[language]


def test_every_step_has_every_language(monkeypatch):
    assert every_step_in_every_language(None) == []
    assert set(WORDINGS) == set(Reminder.Step.values) == {rung.step for rung in LADDER} | {*Reminder.OF_APPOINTMENTS}
    monkeypatch.setattr("schedules.checks.PATIENT_LANGUAGES", [*PATIENT_LANGUAGES, ("it", "Italian")])
    faults = every_step_in_every_language(None)
    assert {fault.id for fault in faults} == {"schedules.E002"}
    assert len(faults) == len(WORDINGS), "the server does not start while a language lacks a mail"


def test_subjects_differ_by_step_and_stay_short(clinic, patient, follow):
    follow(patient, now=NOON - timedelta(days=120))
    subjects = set()
    for row in Reminder.objects.all():
        for language in LANGUAGES:
            patient.language = language
            subjects.add(compose(row, patient, clinic).subject)
    assert len(subjects) == len(LADDER) * len(LANGUAGES)
    assert max(map(len, subjects)) <= 60


def test_the_same_mail_has_the_same_message_id_and_no_other(clinic, patient, follow):
    follow(patient)
    rows = list(Reminder.objects.all())
    assert len({message_id(row) for row in rows}) == 4
    assert message_id(rows[0]) == message_id(Reminder.objects.get(pk=rows[0].pk))


def test_what_people_typed_stays_text(clinic, enrol, follow):
    clinic.mail_name = "North\r\nBcc: x@y.example"
    patient = enrol(clinic, given_name="<b>Ann</b>", family_name="O'Hara & Sons")
    follow(patient)
    message = compose(Reminder.objects.get(step="due"), patient, clinic)
    sent = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(message.message().as_bytes())
    assert sent["Bcc"] is None
    assert sent["From"].addresses[0].display_name == "North Bcc: x@y.example"
    assert "&lt;b&gt;Ann&lt;/b&gt; O&#x27;Hara &amp; Sons" in sent.get_body(("html",)).get_content()
    assert "<b>Ann</b> O'Hara & Sons" in sent.get_body(("plain",)).get_content()


def test_what_is_the_patients_own_is_put_in_once(clinic, enrol, follow):
    patient = enrol(clinic, given_name="zqslotdayzq", family_name="zqslotwishesurlzq", language="en")
    follow(patient)
    reminder = Reminder.objects.filter(patient=patient, step="due").get()
    body = compose(reminder, patient, clinic).body
    assert body.count("Dear zqslotdayzq zqslotwishesurlzq,") == 1
    assert body.count("/p/wishes/") == 1


def test_a_mail_follows_a_change_of_the_clinic_and_keeps_to_its_own_patient(clinic, enrol, follow):
    first, second = enrol(clinic, family_name="Eins"), enrol(clinic, family_name="Zwei")
    for patient in (first, second):
        follow(patient)
    one, two = (Reminder.objects.filter(patient=patient, step="due").get() for patient in (first, second))
    before = compose(one, first, clinic).body
    clinic.telephone = "+49 30 999"
    after = compose(two, second, clinic).body
    assert "Eins" in before and "Eins" not in after and "Zwei" in after
    assert "+49 30 999" in after and "+49 30 999" not in before
    links = [re.findall(r"/p/wishes/(\S+)", body) for body in (before, after)]
    assert links[0] != links[1]


def test_opening_hours_are_in_the_patients_language_where_the_clinic_has_them(clinic, enrol, follow, drain, sink):
    said = CLINIC | {"opening_hours_in": "de: Mo-Fr 8-16 Uhr\r\nfr: lun-ven 8:00-16:00"}
    type(clinic).objects.filter(pk=clinic.pk).update(**said)
    for language in LANGUAGES:
        follow(enrol(clinic, language=language, email=f"{language}@mail.example"), DUE_ON, now=NOON)
    drain(at=NOON)
    bodies = {mail["to"].partition("@")[0]: mail.get_body(("plain",)).get_content() for mail in sink.arrived}
    hours = {"en": "Mon-Fri 8:00-16:00", "de": "Mo-Fr 8-16 Uhr", "es": "Mon-Fri 8:00-16:00", "fr": "lun-ven 8:00-16:00"}
    assert {code for code, words in hours.items() if words in bodies[code]} == set(LANGUAGES)
    assert "Mon-Fri" not in bodies["de"] + bodies["fr"]


def test_a_clinic_without_extras_still_makes_a_proper_mail(clinic, patient, follow):
    clinic.address = clinic.opening_hours = clinic.reply_to = ""
    follow(patient)
    message = compose(Reminder.objects.get(step="due"), patient, clinic)
    assert message.extra_headers["List-Unsubscribe"].count("<") == 1
    assert "mailto" not in message.extra_headers["List-Unsubscribe"]
    assert message.reply_to == []
    assert "\n\n\n" not in message.body
    assert "None" not in message.body


def test_staff_reading_german_do_not_change_a_patients_english(clinic, patient, follow):
    follow(patient)
    with translation.override("de"):
        assert compose(Reminder.objects.get(step="due"), patient, clinic).body.startswith("27 March 2027")


@pytest.mark.parametrize("language", [code for code in LANGUAGES if code != "en"])
def test_every_sentence_of_mail_is_translated(language):
    """What the sources mark is in the catalogue, and nothing is empty or fuzzy."""
    folder = Path(__file__).resolve().parents[2] / "schedules"
    catalogue = (folder / "locale" / language / "LC_MESSAGES" / "django.po").read_text()
    assert "#, fuzzy" not in catalogue
    known = dict(re.findall(r'^msgid "(.+)"\nmsgstr "(.*)"$', catalogue, re.MULTILINE))
    assert all(known.values())
    source = (folder / "mail.py").read_text()
    wanted = set(re.findall(r'gettext\("([^"]+)"\)', source))
    for template in (folder / "templates/schedules/mail").iterdir():
        wanted |= set(re.findall(r'{% translate "([^"]+)" %}', template.read_text()))
        blocks = re.findall(r"{% blocktranslate %}(.*?){% endblocktranslate %}", template.read_text(), re.DOTALL)
        wanted |= {re.sub(r"{{ (\w+) }}", r"%(\1)s", block) for block in blocks}
    assert len(wanted) > 20
    if language in dict(STAFF_LANGUAGES):
        for name in ("eligibility.py", "reminders.py", "leases.py"):
            wanted |= set(re.findall(r'= _\("([^"]+)"\)', (folder / name).read_text()))
        assert len(wanted) > 40
    assert wanted - set(known) == set()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Your Hip clinic", ["hip"]),
        ("Hüftsprechstunde", ["hüftsprechstunde"]),
        ("relationship, shipping, Philip", []),
        ("bring your X-ray of the left femoral head", ["x-ray", "left", "femoral"]),
        ("Nekrose links", ["nekrose", "links"]),
        ("La cadera izquierda, con dolor", ["cadera", "izquierda", "dolor"]),
        ("Radiografía de su prótesis", ["radiografía", "prótesis"]),
        ("La hanche gauche est douloureuse", ["hanche", "gauche", "douloureuse"]),
        ("Ostéonécrose: une IRM", ["ostéonécrose", "irm"]),
    ],
)
def test_telling_words_are_whole_words(text, found):
    assert telling_words(text) == found
