"""The letter to the referring doctor: what it says, in which language, on how many pages, and to whom it went."""

import io
from datetime import UTC, date, datetime

import pytest
from django.utils import timezone
from pypdf import PdfReader

from monitoring import pipeline
from monitoring.models import AuditEntry, HipEvaluation
from monitoring.web.chart import MODELS, read_chart
from monitoring.web.doctor_letter import write
from patients import recording
from patients.models import Clinic, Imaging, Patient, Procedure, Score, Staging, SymptomReport, Visit
from patients.vocabulary import Side
from schedules.letters import GAP
from schedules.models import Appointment
from tests.monitoring.test_patient_page import baseline, noon, page, watched  # noqa: F401 - fixtures
from tests.schedules.test_letters import NO_FONT_HAS

TO = "Dr Maria Keller\nSurgery at the Mill\n4 Mill Lane\nLeeds LS1 4AB"


@pytest.fixture
def letter(watched, clinic, make_user, sign_in):  # noqa: F811
    """`letter(sentence="...")`: the text of each page of the PDF, with the spaces of one line."""
    client = sign_in(make_user(clinic, "clinician", name="Dr Lindqvist"))

    def read(pk=watched.pk, **typed):
        answer = client.post(f"/patients/{pk}/letter/", {"to": TO, "act": "pdf", **typed})
        assert answer["Content-Type"] == "application/pdf", answer.content.decode()[:400]
        read.pdf = PdfReader(io.BytesIO(answer.content))
        return [" ".join(sheet.extract_text().split()) for sheet in read.pdf.pages]

    return read


def test_it_names_the_patient_both_hips_and_what_comes_next(letter, watched):  # noqa: F811
    text = " ".join(letter())
    for words in (
        "Dr Maria Keller Surgery at the Mill 4 Mill Lane Leeds LS1 4AB",
        f"Follow-up of osteonecrosis of the hip: {watched.display_name}",
        watched.record_number,
        "Right hip",
        "10 Jan 2026: MRI: no necrosis",
        "Left hip",
        "ARCO I (2019)",
        "12 %",
        "Left hip: Latest images",
        "Left hip: What the guideline asks next",
        "What comes next was worked out on 5 Mar 2026 by protocol",
        "Next follow-up: due on 10 Jul 2026, overdue from 24 Jul 2026",
        "Telephone: +44 20 7946 0000",
    ):
        assert words in text, (words, text)
    assert "Synthetic" not in text


def test_a_pressing_finding_stands_first_with_its_day(letter, watched, actor):  # noqa: F811
    report = SymptomReport(on=date(2026, 3, 3), source="patient", symptomatic=True, pain_nrs=6)
    recording.record_facts(watched.pk, [(Side.LEFT, report)], by=actor)
    text = " ".join(letter())
    asked = text[text.rindex("What the guideline asks next") :]
    assert "Core decompression review: by 17 Mar 2026" in asked
    assert asked.index("by ") < asked.index("Next follow-up")


def test_what_was_found_at_the_latest_visit_is_told(letter, watched, actor):  # noqa: F811
    facts = [(Side.LEFT, Score(on=date(2026, 3, 4), instrument="HHS", value=81))]
    visit = Visit(on=date(2026, 3, 4), kind="clinic")
    recording.record_facts(watched.pk, facts, by=actor, visit=visit)
    text = " ".join(letter())
    assert "Latest visit: Clinic visit, 4 Mar 2026" in text and "81 points" in text


def test_treatments_and_latest_images_stand_with_their_days(letter, watched, actor):  # noqa: F811
    done = Procedure(on=date(2026, 2, 1), procedure="CORE_DECOMPRESSION")
    recording.record_facts(watched.pk, [(Side.LEFT, done)], by=actor)
    text = " ".join(letter())
    assert "1 Feb 2026: Core decompression" in text and "10 Jan 2026: MRI" in text


def test_it_speaks_the_language_of_the_clinic(letter, watched, clinic):  # noqa: F811
    Clinic.objects.filter(pk=clinic.pk).update(language="de")
    text = " ".join(letter())
    for words in ("Verlaufskontrolle bei Osteonekrose der Hüfte", "Rechte Hüfte", "Linke Hüfte", "Mit freundlichen"):
        assert words in text, text
    assert letter.pdf.trailer["/Root"]["/Lang"] == "de"


def test_what_no_font_has_is_said_on_the_page_and_a_gap_on_paper(letter, watched, page):  # noqa: F811
    Patient.objects.filter(pk=watched.pk).update(family_name=NO_FONT_HAS)
    assert f"The server has no font for {NO_FONT_HAS}" in page(rest="letter/").content.decode()
    assert GAP in letter()[0]


def test_it_is_tagged_and_named(letter, watched):  # noqa: F811
    letter()
    root = letter.pdf.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] == True  # noqa: E712 - an object of the reader
    assert b"pdfuaid:part" in root["/Metadata"].get_data()
    assert watched.display_name in letter.pdf.metadata.title


def test_an_invented_patient_is_marked_on_every_page(letter, watched):  # noqa: F811
    type(watched).objects.filter(pk=watched.pk).update(synthetic=True)
    pages = letter()
    assert all("Synthetic patient: nobody of this name exists." in text for text in pages)


def test_what_was_typed_is_never_read_as_markup(letter):
    typed = '#panic("no") $x$ *bold* <label> \\ #eval("1")'
    text = " ".join(letter(to=f"{typed}\nLeeds", sentence=typed, greeting="Dear #strong[Maria],"))
    assert text.count(typed) == 2 and "Dear #strong[Maria]," in text


def test_a_long_course_stays_on_two_pages(letter, watched, actor):  # noqa: F811
    many = []
    for day in range(1, 29):
        on = date(2026, 2, day)
        for side in (Side.LEFT, Side.RIGHT):
            many += [
                (side, Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"], note="x" * 300)),
                (side, Imaging(on=on, modality="CT", necrosis=True, crescent="present")),
                (side, Procedure(on=on, procedure="CORE_DECOMPRESSION", operator="Dr " + "Long " * 20)),
                (side, Staging(on=on, system="ARCO", version="2019", code="II")),
                (side, SymptomReport(on=on, source="clinician", symptomatic=True, pain_nrs=5, pain_site="groin " * 10)),
            ]
    recording.record_facts(watched.pk, many, by=actor)
    assert len(letter(sentence="A sentence of some length. " * 20)) == 2


def test_to_whom_it_went_is_kept_with_the_audit(letter, watched, page):  # noqa: F811
    letter(sentence="He asks about sport.")
    entry = AuditEntry.objects.get(act="export", patient_id=watched.pk)
    assert (entry.actor, entry.object) == ("Dr Lindqvist", "letter to the doctor")
    assert entry.after["to"] == TO and entry.after["sentence"] == "He asks about sport."
    shown = page("admin", "audit/?show=exports").content.decode()
    assert "Exported: letter to the doctor" in shown and "Dr Maria Keller" in shown


def test_it_is_looked_at_before_it_is_made(page, watched, clinic, make_user, sign_in):  # noqa: F811
    client = sign_in(make_user(clinic, "coordinator"))
    shown = client.post(f"/patients/{watched.pk}/letter/", {"to": TO, "act": "preview"}).content.decode()
    assert "Dr Maria Keller<br>" in shown and "Next follow-up" in shown
    assert not AuditEntry.objects.filter(act="export").exists()
    assert AuditEntry.objects.filter(act="look", object="letter to the doctor").count() == 1


@pytest.mark.parametrize("to", ["", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight"])
def test_without_an_address_that_fits_there_is_no_letter(to, watched, clinic, make_user, sign_in):  # noqa: F811
    client = sign_in(make_user(clinic, "clinician"))
    answer = client.post(f"/patients/{watched.pk}/letter/", {"to": to, "act": "pdf"})
    assert answer.status_code == 422 and not AuditEntry.objects.filter(act="export").exists()


def test_another_clinics_patient_is_not_there(watched, other_clinic, make_user, sign_in):  # noqa: F811
    client = sign_in(make_user(other_clinic, "admin"))
    assert client.get(f"/patients/{watched.pk}/letter/").status_code == 404
    assert client.post(f"/patients/{watched.pk}/letter/", {"to": TO, "act": "pdf"}).status_code == 404
    assert client.get(f"/patients/{watched.pk}/audit/").status_code == 404
    assert client.get(f"/patients/{watched.pk}/audit.csv").status_code == 404


def test_a_passed_deadline_is_said_to_have_passed_and_the_clinics_own_delay_is_left_out(watched, actor, noon):  # noqa: F811
    report = SymptomReport(on=date(2026, 3, 3), source="clinician", symptomatic=True, pain_nrs=6)
    recording.record_facts(watched.pk, [(Side.LEFT, report)], by=actor)
    noon.move_to(datetime(2026, 4, 20, 12, tzinfo=UTC))
    pipeline.sweep(timezone.now())
    found = HipEvaluation.objects.get(hip__patient=watched, hip__side="left").answer["findings"]
    assert "R28" in [one["rule"] for one in found], "it is asked for within the clinic"
    person = Patient.objects.get(pk=watched.pk)
    left = write(read_chart(person, MODELS), to=TO, greeting="", sentence="").hips[1]
    told = {line.term: line.words for line in left.next}
    assert told["Core decompression review"] == "was due by 17 Mar 2026"
    assert "Decision overdue" not in told


def test_the_next_appointment_is_told(letter, watched):  # noqa: F811
    assert "Next appointment" not in " ".join(letter())
    about = {"clinic": watched.clinic, "patient": watched, "actor": "Ada"}
    Appointment.objects.create(starts_at=datetime(2026, 3, 2, 9, tzinfo=UTC), **about)
    Appointment.objects.create(starts_at=datetime(2026, 3, 16, 14, 30, tzinfo=UTC), **about)
    text = " ".join(letter())
    assert "Next appointment Clinic visit, Mon 16 Mar 2026, 14:30" in text.replace(": ", " ")
    assert "Mon 2 Mar" not in text
