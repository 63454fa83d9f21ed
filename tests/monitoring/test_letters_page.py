"""Letters and calls on the pages: printed with one button, taken back, and telephoned from the worklist."""

import io
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.test import Client
from pypdf import PdfReader

from monitoring import emergency, outreach, worklist
from monitoring.models import AuditEntry
from monitoring.worklist import Filters, patients_in
from patients import access, recording
from patients.models import Patient
from schedules import letters, printing, substitutes
from schedules.models import Reminder, Substitute
from tests.conftest import as_signed_in
from tests.monitoring.test_worklist import seen
from tests.schedules.test_letters import NO_FONT_HAS

TODAY = date(2026, 7, 12)
NOON = datetime(2026, 7, 12, 12, tzinfo=UTC)
ADDRESS = "4 Mill Lane\nLeeds LS1 4AB"


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOON, tick=False):
        yield


@pytest.fixture
def waits(enrol, actor, clinic):
    """`waits(address=...)`: a patient due two days ago whom e-mail cannot reach; a letter or a call takes its place."""

    def one(where=clinic, **details):
        known = {"enrolled_on": date(2026, 1, 10), "email": "", "address": ADDRESS, "telephone": "+442079460123"}
        patient = enrol(where, **{**known, **details})
        recording.record_facts(patient.pk, seen(date(2026, 1, 10)), by=actor)
        row = Reminder.objects.get(patient=patient, step="missed", due_on=date(2026, 7, 10))
        Reminder.objects.filter(pk=row.pk).update(
            state="refused", reason="There is no e-mail address.", decided_at=NOON
        )
        assert substitutes.open_for([row.pk], by=actor, at=NOON) == 1
        return patient

    return one


@pytest.fixture
def coordinator(clinic, make_user):
    return make_user(clinic, "coordinator", name="Ada Okoye")


@pytest.fixture
def staff(coordinator, sign_in):
    return sign_in(coordinator)


def pages_of(response):
    assert response["Content-Type"] == "application/pdf"
    return [page.extract_text() for page in PdfReader(io.BytesIO(response.content)).pages]


def test_one_button_prints_what_waits(staff, waits):
    people = [waits() for _ in range(3)]
    page = staff.get("/messages/letters/").content.decode()
    assert "Print 3 letters" in page
    assert all(one.display_name in page for one in people)
    pdf = pages_of(staff.post("/messages/letters/print/", follow=True))
    assert len(pdf) == 3
    assert all(one.display_name in text for one, text in zip(people, pdf, strict=True))
    after = staff.get("/messages/letters/").content.decode()
    assert "No letter waits" in after
    assert "Ada Okoye" in after


def test_what_no_font_has_is_said_before_it_is_printed(staff, waits):
    waits(given_name=NO_FONT_HAS)
    page = staff.get("/messages/letters/").content.decode()
    assert f"The server has no font for {NO_FONT_HAS}" in page
    (text,) = pages_of(staff.post("/messages/letters/print/", follow=True))
    assert letters.GAP in text


def test_printing_is_audited_patient_by_patient_and_so_is_looking(staff, waits):
    patient = waits()
    staff.post("/messages/letters/print/", follow=True)
    acts = AuditEntry.objects.filter(patient_id=patient.pk, actor="Ada Okoye").values_list("act", "object")
    reminder = Substitute.objects.get().reminder_id
    assert {("print_letter", f"reminder-{reminder}"), ("look", "letter")} <= set(acts)


def test_a_batch_is_printed_again_and_taken_back(staff, waits):
    waits()
    staff.post("/messages/letters/print/")
    batch = Substitute.objects.get().batch
    assert len(pages_of(staff.get(f"/messages/letters/{batch}/"))) == 1
    back = staff.post(f"/messages/letters/{batch}/back/", follow=True).content.decode()
    assert "1 letter waits again." in back
    assert "Print 1 letter" in back
    again = staff.post(f"/messages/letters/{batch}/back/", follow=True).content.decode()
    assert "taken these letters back already" in again
    assert staff.get(f"/messages/letters/{batch}/").status_code == 404


def test_the_second_to_print_is_told_that_nothing_waits(staff, waits):
    waits()
    staff.post("/messages/letters/print/")
    assert "No letter waits any more." in staff.post("/messages/letters/print/", follow=True).content.decode()


def test_another_clinics_letters_are_not_there(other_clinic, make_user, sign_in, waits, actor):
    patient = waits()
    batch = printing.print_letters([patient.clinic_id], by=actor, now=NOON)
    stranger = sign_in(make_user(other_clinic, "coordinator"))
    assert patient.display_name not in stranger.get("/messages/letters/").content.decode()
    assert stranger.get(f"/messages/letters/{batch}/").status_code == 404
    stranger.post(f"/messages/letters/{batch}/back/")
    access.bind_clinics([patient.clinic_id])
    assert Substitute.objects.get().state == "done"


def test_a_letter_that_is_not_printed_now_says_why(staff, waits):
    patient = waits()
    Patient.objects.filter(pk=patient.pk).update(died_on=TODAY, death_source="relatives")
    assert "Not printed now: The patient has died." in staff.get("/messages/letters/").content.decode()
    staff.post("/messages/letters/print/")
    assert Substitute.objects.get().state == "dropped"


def test_the_button_counts_what_it_would_print_today(staff, waits):
    waits()
    assert "Print 1 letter" in staff.get("/messages/letters/").content.decode()
    Patient.objects.filter(pk=waits().pk).update(died_on=TODAY, death_source="relatives")
    assert "Print 1 letter<" in staff.get("/messages/letters/").content.decode()
    Patient.objects.update(died_on=TODAY, death_source="relatives")
    assert "letters/print/" not in staff.get("/messages/letters/").content.decode()


@pytest.mark.parametrize("number", [1, 12])
def test_the_page_takes_a_fixed_number_of_queries(staff, waits, number, django_assert_max_num_queries):
    for _ in range(number):
        waits()
    with django_assert_max_num_queries(45):
        staff.get("/messages/letters/")


def test_the_tabs_of_messages_count_letters_and_calls(staff, waits):
    waits()
    waits(address="")
    tabs = {str(tab["name"]): tab["count"] for tab in staff.get("/messages/").context["tabs"]}
    assert (tabs["Letters to print"], tabs["Calls to make"]) == (1, 1)


def test_the_patients_messages_tell_of_the_letter(staff, waits, actor):
    patient = waits()
    assert "<strong>Letter:</strong> To do" in staff.get(f"/patients/{patient.pk}/messages/").content.decode()
    printing.print_letters([patient.clinic_id], by=actor, now=NOON)
    assert (
        "<strong>Letter:</strong> The letter was printed."
        in staff.get(f"/patients/{patient.pk}/messages/").content.decode()
    )


# ---- Calls


def to_call(viewer, day=TODAY):
    return list(patients_in("calls", viewer, Filters(), day))


@pytest.mark.parametrize(
    ("telephone", "words"),
    [("+442079460123", "Call +44 20 7946 0123. There is no"), ("", "No telephone number is known: find one. There is")],
)
def test_a_call_stands_on_the_worklist_with_its_reason(staff, waits, telephone, words):
    waits(address="", telephone=telephone)
    page = staff.get("/worklist/calls/").content.decode()
    assert "Tell by telephone: Missed, follow-up due 10 Jul 2026" in page
    assert words in page


@pytest.mark.parametrize("outcome", ["reached", "booked", "declined"])
def test_a_call_that_told_the_patient_is_done(coordinator, waits, outcome):
    viewer, patient = access.viewer_for(coordinator), waits(address="")
    assert to_call(viewer) == [patient]
    attempt = outreach.record_outcome(
        patient, outcome=outcome, viewer=viewer, today=TODAY, next_on=TODAY + timedelta(days=9)
    )
    assert (to_call(viewer), Substitute.objects.get().state) == ([], "done")
    outreach.undo_outcome(attempt, viewer=viewer)
    assert to_call(viewer) == [patient]


@pytest.mark.parametrize("outcome", ["no_answer", "message_left", "wrong_number"])
def test_a_call_without_an_answer_comes_back_on_its_day(coordinator, waits, outcome):
    viewer, patient = access.viewer_for(coordinator), waits(address="")
    day = TODAY + timedelta(days=3)
    attempt = outreach.record_outcome(patient, outcome=outcome, viewer=viewer, today=TODAY, next_on=day)
    assert [to_call(viewer, on) for on in (TODAY, day)] == [[], [patient]]
    outreach.undo_outcome(attempt, viewer=viewer)
    assert to_call(viewer) == [patient]


def test_a_call_is_done_with_one_step_on_its_row(staff, waits):
    patient = waits(address="")
    answer = staff.post(f"/worklist/{patient.pk}/outcome/?tab=calls", {"outcome": "reached"}, follow=True)
    assert "Reached recorded" in answer.content.decode()
    assert "Nobody has to be called" in answer.content.decode()


def test_a_note_does_not_end_a_call(coordinator, waits):
    viewer, patient = access.viewer_for(coordinator), waits(address="")
    outreach.record_outcome(patient, outcome="note", viewer=viewer, today=TODAY, note="speaks Polish")
    assert to_call(viewer) == [patient]


def test_who_is_put_off_is_called_afterwards(coordinator, waits):
    viewer, patient = access.viewer_for(coordinator), waits(address="")
    back = TODAY + timedelta(days=10)
    outreach.snooze(patient, until=back, reason="on holiday", viewer=viewer, today=TODAY)
    assert [to_call(viewer, day) for day in (TODAY, back)] == [[], [patient]]
    outreach.end_snooze(patient, viewer=viewer)
    assert to_call(viewer) == [patient]


def test_a_corrected_address_takes_the_call_off_the_list(coordinator, waits, actor):
    viewer, patient = access.viewer_for(coordinator), waits(address="")
    recording.amend_patient(patient.pk, by=actor, changes={"email": "new@mail.example"}, reason="told us")
    assert to_call(viewer) == []
    assert Reminder.objects.get(patient=patient, step="missed", due_on=date(2026, 7, 10)).state == "planned"


def test_a_visit_that_took_place_takes_the_letter_off_the_list(waits, actor, clinic):
    patient = waits()
    recording.record_facts(patient.pk, seen(TODAY), by=actor)
    assert Substitute.objects.get().state == "dropped"
    assert not substitutes.to_do(Substitute.Way.LETTER, [clinic.pk], NOON).exists()


def test_the_list_of_calls_is_as_long_as_its_count(coordinator, waits):
    viewer = access.viewer_for(coordinator)
    for address in ("", "", ADDRESS):
        waits(address=address)
    assert worklist.counts(viewer, Filters(), TODAY)["calls"] == len(to_call(viewer)) == 2


# Restricted records


@pytest.fixture
def shut(waits, clinic, make_user):
    """Of two patients with a letter the first is restricted."""
    first, second = waits(family_name="Kanzler"), waits(family_name="Lund")
    emergency.restrict(first, reason="Well known.", viewer=access.viewer_for(make_user(clinic, "admin")))
    return first, second


def test_the_letter_of_a_restricted_record_waits_for_somebody_who_has_passed_the_gate(staff, shut):
    first, _second = shut
    page = staff.get("/messages/letters/").content.decode()
    assert "1 letter of a restricted record is held back" in page and "whoever has opened the record" in page
    assert "Kanzler" not in page and "2 letters wait" in page and "Print 1 letter" in page
    printed = pages_of(staff.post("/messages/letters/print/", follow=True))
    assert "Lund" in "".join(printed) and "Kanzler" not in "".join(printed)
    assert list(Substitute.objects.filter(state="open").values_list("patient", flat=True)) == [first.pk]
    staff.post(f"/patients/{first.pk}/gate/", {"reason": "To print the letter."})
    assert "Kanzler" in "".join(pages_of(staff.post("/messages/letters/print/", follow=True)))


def test_who_has_not_passed_the_gate_does_not_print_the_batch_of_a_colleague(staff, shut, make_user, clinic):
    first, _second = shut
    staff.post(f"/patients/{first.pk}/gate/", {"reason": "To print the letter."})
    printed = staff.post("/messages/letters/print/").headers["Location"]
    colleague = as_signed_in(Client(), make_user(clinic, "coordinator"))
    gate = colleague.get(printed).headers["Location"]
    assert gate.startswith(f"/patients/{first.pk}/gate/?next=")
    assert "Kanzler" in "".join(pages_of(colleague.post(gate, {"reason": "Paper jam."}, follow=True)))


def test_nobody_to_print_for_is_said_in_words(staff, shut, make_user, clinic):
    _first, second = shut
    emergency.restrict(second, reason="Well known.", viewer=access.viewer_for(make_user(clinic, "admin")))
    page = staff.get("/messages/letters/").content.decode()
    assert "2 letters of restricted records are held back" in page and "/messages/letters/print/" not in page
