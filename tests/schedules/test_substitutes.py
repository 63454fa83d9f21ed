"""Letters and calls in the place of mails: which way, opened the same day, given back, printed once, called."""

import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, connections, transaction

from patients import access, recording
from patients.changes import Actor
from schedules import appointments, delivery, desk, printing, substitutes
from schedules.appointments import Wanted
from schedules.models import Reminder, ReminderEvent, Substitute
from schedules.substitutes import Ways, channel_for
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
ADDRESS = "4 Mill Lane\nLeeds LS1 4AB"
BY = Actor.system("test")
MISSED = NOON + timedelta(days=1)  # the day on which the first reminder of a missed visit goes out
LETTER, CALL = "letter", "telephone"
BOTH, POST, PHONE, NOTHING = Ways(True, True), Ways(True, False), Ways(False, True), Ways(False, False)


def at(days):
    return NOON + timedelta(days=days)


# ---- Which way


@pytest.mark.parametrize(
    ("step", "ways", "days_left", "way"),
    [
        ("booking_prompt", BOTH, 30, LETTER),
        ("missed", BOTH, 3, LETTER),
        ("missed", BOTH, 2, CALL),  # the post is too slow
        ("due", BOTH, 0, CALL),
        ("due", POST, 0, LETTER),  # late, but nobody can telephone
        ("missed", PHONE, 30, CALL),
        ("missed", NOTHING, 30, CALL),  # and the number has to be found
        ("missed", Ways(True, True, letters=False), 30, CALL),
        ("missed", Ways(True, True, calls=False), 30, LETTER),
        ("missed", Ways(True, True, calls=False), 0, LETTER),
        ("missed", Ways(True, True, letters=False, calls=False), 30, None),
        ("missed", Ways(False, True, calls=False), 30, None),
        ("symptom_check", BOTH, 27, CALL),  # questions want answers
        ("symptom_check", POST, 27, CALL),
        ("symptom_check", Ways(True, True, calls=False), 27, None),
        ("visit_in_3_days", BOTH, 1, CALL),
        ("visit_in_1_day", BOTH, 1, CALL),
        ("visit_in_1_day", POST, 1, CALL),
        ("visit_moved", BOTH, 10, LETTER),
        ("visit_moved", BOTH, 2, CALL),
        ("visit_moved", POST, 2, CALL),
        ("visit_cancelled", BOTH, 10, LETTER),
    ],
)
def test_the_way_that_reaches_a_patient(step, ways, days_left, way):
    assert channel_for(step, ways, days_left=days_left) == way


# ---- Opened the same day


@pytest.fixture
def person(clinic, enrol, follow):
    """Somebody with a postal address and a telephone, whose visit was due yesterday."""
    found = enrol(clinic, address=ADDRESS, telephone="+442079460123")
    follow(found)
    Reminder.objects.filter(patient=found, step="due").update(state="expired", reason="test")
    return found


def the_one(patient):
    return Substitute.objects.select_related("reminder", "patient").get(patient=patient)


def amend(patient, actor, **changes):
    recording.amend_patient(patient.pk, by=actor, changes=changes, reason="the patient said so")


@pytest.mark.parametrize(
    ("hindrance", "why"),
    [
        ("no consent", "The patient has not said that e-mail is wanted."),
        ("opted out", "The patient does not want e-mail."),
        ("no address", "There is no e-mail address."),
        ("bounced", "Mail to this address came back."),
    ],
)
def test_what_stands_against_mail_opens_a_letter_the_same_day(person, drain, actor, hindrance, why):
    match hindrance:
        case "no consent":
            person.contact_wishes.update(channel="letter")
        case "opted out":
            person.contact_wishes.update(allowed=False)
        case "no address":
            amend(person, actor, email="")
        case "bounced":
            recording.record_bounce(person.pk, by=actor, address=person.email, reason="gone", on=DUE_ON)
    drain(MISSED)
    row = the_one(person)
    assert (row.channel, row.state, row.why, row.opened_at) == (LETTER, "open", why, MISSED)
    assert (row.reminder.state, row.reminder.step) == ("refused", "missed")
    assert row.reminder.events.last().reason == "A letter takes its place."


@pytest.mark.parametrize("answer", ["550 5.1.1 No such user", "550 5.7.1 Not allowed"])
def test_a_mail_that_a_server_rejects_becomes_a_letter(person, drain, sink, answer):
    sink.answers[person.email] = answer
    drain(MISSED)
    row = the_one(person)
    assert (row.channel, row.state, row.reminder.state) == (LETTER, "open", "failed")
    assert "550" in row.why


def test_the_third_transient_failure_becomes_a_letter_and_not_the_first(person, drain, sink):
    sink.answers[person.email] = "451 4.3.0 Try later"
    for hours in (0, 1):
        drain(MISSED + timedelta(hours=hours))
        assert not Substitute.objects.exists()
    drain(MISSED + timedelta(hours=2))
    assert (the_one(person).channel, the_one(person).reminder.state) == (LETTER, "failed")


def test_without_an_address_a_call_is_asked_for_though_no_number_is_known(person, drain, actor):
    amend(person, actor, email="", address="", telephone="")
    drain(MISSED)
    assert the_one(person).channel == CALL


def test_who_wants_nothing_gets_nothing(person, drain, actor):
    for channel in ("email", "letter", "telephone"):
        recording.set_contact_wish(
            person.pk, by=actor, channel=channel, allowed=False, how="on the telephone", on=DUE_ON
        )
    drain(MISSED)
    assert not Substitute.objects.exists()


@pytest.mark.parametrize("end", ["died", "not followed", "too late", "withheld"])
def test_a_mail_without_purpose_opens_nothing(person, drain, follow, actor, end):
    amend(person, actor, email="")
    when = MISSED
    match end:
        case "died":
            recording.record_death(person.pk, by=actor, died_on=DUE_ON, source="relatives", now=NOON)
        case "not followed":
            follow(person, None)
        case "too late":
            Reminder.objects.filter(step="second_missed").update(state="cancelled")
            when = at(300)
        case "withheld":
            for row in Reminder.objects.filter(patient=person, state="planned"):
                desk.cancel(row.pk, by=actor, reason="by hand", now=NOON)
    drain(when)
    assert not Substitute.objects.exists()


def test_opening_again_changes_nothing(person, drain, actor):
    amend(person, actor, email="")
    drain(MISSED)
    row = the_one(person)
    assert substitutes.open_for([row.reminder_id], by=BY, at=MISSED) == 0
    printing.print_letters([person.clinic_id], by=actor, now=MISSED)
    assert substitutes.open_for([row.reminder_id], by=BY, at=MISSED) == 0
    assert the_one(person).state == "done"


# ---- Given back


def test_a_corrected_address_resumes_the_mail_and_drops_the_letter(person, drain, sink, follow, actor):
    sink.answers[person.email] = "550 5.1.1 No such user"
    drain(MISSED)
    amend(person, actor, email="right@mail.example")
    follow(person, now=MISSED)
    row = the_one(person)
    assert (row.state, row.outcome) == ("dropped", "Mail is possible again.")
    drain(MISSED)
    assert sink.recipients == ["right@mail.example"]
    assert the_one(person).reminder.state == "sent"


def test_the_same_address_does_not_resume_what_it_refused(person, drain, sink, follow):
    sink.answers[person.email] = "550 5.7.1 Not allowed"
    drain(MISSED)
    follow(person, now=MISSED)
    assert (the_one(person).state, the_one(person).reminder.state) == ("open", "failed")


def test_consent_resumes_the_mail(person, drain, sink, follow, actor):
    person.contact_wishes.update(allowed=False)
    drain(MISSED)
    recording.set_contact_wish(person.pk, by=actor, channel="email", allowed=True, how="on paper", on=DUE_ON)
    follow(person, now=MISSED)
    drain(MISSED)
    assert (the_one(person).state, sink.recipients) == ("dropped", [person.email])


def test_what_was_told_by_letter_is_not_mailed_again(person, drain, sink, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    printing.print_letters([person.clinic_id], by=actor, now=MISSED)
    amend(person, actor, email="new@mail.example")
    follow(person, now=MISSED)
    drain(at(2))
    assert (the_one(person).state, sink.recipients) == ("done", [])


def test_an_address_that_is_lost_again_opens_the_letter_again(person, drain, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    amend(person, actor, email="new@mail.example")
    follow(person, now=MISSED)
    amend(person, actor, email="")
    drain(at(2))
    row = the_one(person)
    assert (row.state, row.opened_at, row.outcome, row.decided_at) == ("open", at(2), "", None)


def test_a_patient_who_was_seen_needs_no_letter(person, drain, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    follow(person, DUE_ON + timedelta(days=180), cycle_on=DUE_ON, now=at(2))
    assert (the_one(person).state, "no purpose" in the_one(person).outcome) == ("dropped", True)


def test_a_visit_entered_in_error_brings_the_letter_back(person, drain, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    follow(person, DUE_ON + timedelta(days=180), cycle_on=DUE_ON, now=MISSED)
    assert the_one(person).state == "dropped"
    follow(person, now=MISSED)
    assert the_one(person).state == "open"


def test_who_wants_letters_after_all_gets_one(person, drain, follow, actor):
    for channel in ("email", "letter", "telephone"):
        recording.set_contact_wish(person.pk, by=actor, channel=channel, allowed=False, how="by mail", on=DUE_ON)
    drain(MISSED)
    recording.set_contact_wish(person.pk, by=actor, channel="letter", allowed=True, how="by mail", on=DUE_ON)
    follow(person, now=MISSED)
    assert the_one(person).channel == LETTER


def test_a_death_drops_the_letter(person, drain, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    recording.record_death(person.pk, by=actor, died_on=DUE_ON, source="relatives", now=MISSED)
    follow(person, None, now=MISSED)
    assert (the_one(person).state, the_one(person).outcome) == ("dropped", "The patient has died.")


def test_a_booked_appointment_puts_the_letter_off_until_it_was_not_kept(person, drain, actor):
    amend(person, actor, email="")
    drain(MISSED)
    row = appointments.book(person.pk, Wanted(at(6)), by=actor, now=MISSED)
    assert waiting(person, at(8)) == []
    appointments.did_not_attend(row.pk, by=actor, now=at(7))
    assert waiting(person, at(8)) == [the_one(person)]


def waiting(patient, now, way=Substitute.Way.LETTER):
    return list(substitutes.to_do(way, [patient.clinic_id], now))


def test_a_cancelled_appointment_makes_its_own_letter_and_moving_it_again_drops_that(person, drain, actor):
    amend(person, actor, email="")
    row = appointments.book(person.pk, Wanted(at(30)), by=actor, now=NOON)
    row = appointments.move(row.pk, Wanted(at(33)), by=actor, now=NOON)
    drain(NOON)
    letter = Substitute.objects.get(reminder__step="visit_moved")
    assert (letter.channel, letter.state) == (LETTER, "open")
    appointments.move(row.pk, Wanted(at(35)), by=actor, now=NOON)
    letter.refresh_from_db()
    assert letter.state == "dropped"


def test_a_corrected_address_resumes_what_was_to_be_told_of_an_appointment(person, drain, sink, follow, actor):
    amend(person, actor, email="")
    row = appointments.book(person.pk, Wanted(at(30)), by=actor, now=NOON)
    appointments.move(row.pk, Wanted(at(33)), by=actor, now=NOON)
    drain(NOON)
    amend(person, actor, email="new@mail.example")
    follow(person, now=NOON)
    drain(NOON)
    assert sink.recipients == ["new@mail.example"]
    assert Substitute.objects.get(reminder__step="visit_moved").state == "dropped"


def test_without_a_postal_address_any_more_the_letter_becomes_a_call(person, drain, follow, actor):
    amend(person, actor, email="")
    drain(MISSED)
    amend(person, actor, address="")
    follow(person, now=MISSED)
    assert the_one(person).channel == CALL


def test_what_nobody_did_in_time_is_dropped_and_says_so(person, drain, actor):
    amend(person, actor, email="")
    drain(MISSED)
    last = the_one(person).until
    delivery.finish_run(delivery.Tally(), now=at((last - DUE_ON).days))
    assert the_one(person).state == "open"
    delivery.finish_run(delivery.Tally(), now=at((last - DUE_ON).days + 1))
    assert (the_one(person).state, the_one(person).outcome) == ("dropped", "Too late to be of help.")


def test_a_letter_counts_as_written_that_day_and_in_the_episode(person, drain, sink, actor):
    from schedules.circumstances import cases_for

    amend(person, actor, email="")
    drain(MISSED)
    printing.print_letters([person.clinic_id], by=actor, now=MISSED)
    other = Reminder.objects.select_related("patient", "clinic").get(patient=person, step="second_missed")
    case = cases_for([other], MISSED)[other.pk]
    assert (case.sent_in_episode, case.last_written_on) == (1, MISSED.date())


# ---- Printing


@pytest.fixture
def letters(clinic, enrol, follow, drain):
    """`letters(n)`: so many letters that wait in the clinic."""

    def make(number):
        people = [enrol(clinic, address=ADDRESS, email="") for _ in range(number)]
        for one in people:
            follow(one)
        Reminder.objects.filter(step="due").update(state="expired", reason="test")
        drain(MISSED)
        return people

    return make


def test_printing_marks_each_letter_with_who_and_when(clinic, letters, actor, monkeypatch):
    from patients import changes

    people, told = letters(3), []
    monkeypatch.setattr(changes, "_listeners", [*changes._listeners, told.append])
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    rows = Substitute.objects.filter(batch=batch)
    assert {(row.state, row.actor, row.decided_at) for row in rows} == {("done", actor.name, MISSED)}
    assert [(one.act, one.patient_id) for one in told] == [("print_letter", person.pk) for person in people]
    assert printing.print_letters([clinic.pk], by=actor, now=MISSED) is None
    (shown,) = printing.batches([clinic.pk], now=MISSED)
    assert (shown.id, shown.letters, shown.actor) == (batch, 3, actor.name)


def test_the_pdf_of_a_batch_can_be_made_again(clinic, letters, actor):
    import io

    from pypdf import PdfReader

    people = letters(3)
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    rows = printing.letters_of(batch, [clinic.pk], now=MISSED)
    pages = PdfReader(io.BytesIO(printing.pdf_of(rows, title="Letters", now=MISSED))).pages
    assert len(pages) == 3
    assert all(one.display_name in page.extract_text() for one, page in zip(people, pages, strict=True))


@pytest.mark.parametrize("end", ["died", "seen"])
def test_a_letter_is_never_printed_to_who_needs_none_any_more(clinic, letters, actor, end):
    one, other = letters(2)
    if end == "died":
        type(one).objects.filter(pk=one.pk).update(died_on=DUE_ON, death_source="relatives")
    else:
        one.plans.update(state="closed")
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    assert [row.patient for row in printing.letters_of(batch, [clinic.pk], now=MISSED)] == [other]
    assert the_one(one).state == "dropped"


def test_a_batch_is_not_printed_again_to_who_died_meanwhile(clinic, letters, actor):
    one, other = letters(2)
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    type(one).objects.filter(pk=one.pk).update(died_on=DUE_ON, death_source="relatives")
    assert [row.patient for row in printing.letters_of(batch, [clinic.pk], now=MISSED)] == [other]


def test_a_batch_that_is_taken_back_is_printed_again(clinic, letters, actor):
    letters(2)
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    assert printing.take_back(batch, [clinic.pk], by=actor, now=MISSED) == 2
    assert printing.take_back(batch, [clinic.pk], by=actor, now=MISSED) == 0
    assert printing.batches([clinic.pk], now=MISSED) == []
    again = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    assert again not in (batch, None)


def test_another_clinics_batch_is_neither_seen_nor_taken_back(clinic, other_clinic, letters, actor):
    letters(1)
    batch = printing.print_letters([clinic.pk], by=actor, now=MISSED)
    assert printing.letters_of(batch, [other_clinic.pk], now=MISSED) == []
    assert printing.take_back(batch, [other_clinic.pk], by=actor, now=MISSED) == 0
    assert printing.print_letters([other_clinic.pk], by=actor, now=MISSED) is None


def test_a_patient_gets_one_letter_a_day(person, drain, actor):
    amend(person, actor, email="")
    row = appointments.book(person.pk, Wanted(at(30)), by=actor, now=NOON)
    appointments.cancel(row.pk, by=actor, reason="the room is closed", now=MISSED)
    drain(MISSED)
    drain(MISSED)
    assert Substitute.objects.filter(state="open", channel=LETTER).count() == 2
    for day, left in ((1, 1), (1, 1), (2, 0)):
        printing.print_letters([person.clinic_id], by=actor, now=at(day))
        assert Substitute.objects.filter(state="open").count() == left


def test_people_who_print_at_once_have_each_letter_in_one_batch(committed_database, make_clinic, enrol, follow, actor):
    with transaction.atomic():
        clinic = make_clinic("North")
        for _ in range(20):
            follow(enrol(clinic, address=ADDRESS, email=""))
        Reminder.objects.filter(step="due").update(state="expired", reason="test")
        clinic_id = clinic.pk
    delivery.drain(clock=lambda: MISSED)
    batches, start = [], threading.Barrier(3)

    def work():
        try:
            start.wait()
            with access.system_run("test") as run:
                batches.append(printing.print_letters([clinic_id], by=run.actor, now=MISSED))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with access.system_run("test") as run:
        printing.print_letters([clinic_id], by=run.actor, now=MISSED)  # what was left to somebody else's lock
        rows = Substitute.objects.filter(state="done")
        assert (rows.count(), len(batches)) == (20, 3)
        printed = ReminderEvent.objects.filter(reason=printing.PRINTED).values_list("reminder_id", flat=True)
        assert len(printed) == len(set(printed)) == 20


# ---- Calls


@pytest.fixture
def to_call(person, drain, actor):
    """Somebody who is to be called: e-mail and post reach nobody."""
    amend(person, actor, email="", address="")
    drain(MISSED)
    return person


def calls(patient, days):
    return waiting(patient, at(days), Substitute.Way.CALL)


def test_a_call_that_reached_the_patient_is_done(to_call, actor):
    assert substitutes.record_call(to_call.pk, told=True, outcome="Reached", by=actor, at=MISSED) == 1
    row = the_one(to_call)
    assert (row.state, row.outcome, row.actor, row.decided_at) == ("done", "Reached", actor.name, MISSED)


def test_what_a_call_has_told_is_not_sent_again_either(to_call, actor):
    substitutes.record_call(to_call.pk, told=True, outcome="Reached", by=actor, at=MISSED)
    reminder = the_one(to_call).reminder
    with pytest.raises(desk.NotPossible):
        desk.send_again(reminder.pk, by=actor, now=MISSED)
    reminder.refresh_from_db()
    assert reminder.state == "refused"


def test_no_answer_keeps_the_call_open_until_the_next_date(to_call, actor):
    next_on = DUE_ON + timedelta(days=5)
    substitutes.record_call(to_call.pk, told=False, outcome="No answer", by=actor, at=MISSED, next_on=next_on)
    assert [len(calls(to_call, days)) for days in (1, 4, 5, 6)] == [0, 0, 1, 1]
    assert the_one(to_call).attempts == 1


@pytest.mark.parametrize("told", [True, False])
def test_a_call_entered_in_error_is_to_be_made(to_call, actor, told):
    next_on = DUE_ON + timedelta(days=5)
    substitutes.record_call(to_call.pk, told=told, outcome="x", by=actor, at=MISSED, next_on=next_on)
    assert calls(to_call, 1) == []
    assert substitutes.undo_call(to_call.pk, told=told, by=actor, at=MISSED, now=MISSED) == 1
    assert (len(calls(to_call, 1)), the_one(to_call).attempts) == (1, 0)


# ---- What the database says


def test_a_substitute_stands_for_one_reminder_once(person, drain, actor):
    amend(person, actor, email="")
    drain(MISSED)
    row = the_one(person)
    row.pk = None
    with pytest.raises(IntegrityError, match="reminder"), transaction.atomic():
        row.save(force_insert=True)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"channel": "pigeon"}, "substitute_way_known"),
        ({"state": "done", "outcome": "x", "channel": "telephone"}, "substitute_is_open_or_decided"),
        ({"decided_at": NOON}, "substitute_is_open_or_decided"),
        ({"state": "dropped", "decided_at": NOON}, "decided_substitute_says_what_came_of_it"),
        ({"state": "done", "decided_at": NOON, "outcome": "x"}, "printed_letter_names_batch"),
        ({"why": ""}, "substitute_gives_reason"),
    ],
)
def test_the_database_refuses_what_cannot_be(person, drain, actor, columns, constraint):
    amend(person, actor, email="")
    drain(MISSED)
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Substitute.objects.filter(patient=person).update(**columns)


def test_a_substitute_belongs_to_the_patient_of_its_reminder_and_stays(person, drain, actor, enrol, clinic):
    amend(person, actor, email="")
    drain(MISSED)
    stranger = enrol(clinic)
    with pytest.raises(IntegrityError, match="substitute_of_its_reminder"), transaction.atomic():
        Substitute.objects.filter(patient=person).update(patient=stranger)
        with connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("DELETE FROM schedules_substitute")


def test_one_query_tells_that_nothing_is_open(clinic, enrol, django_assert_num_queries):
    ids = [enrol(clinic).pk for _ in range(3)]
    with django_assert_num_queries(1):
        substitutes.reconsider(ids, by=BY, at=NOON)


def test_many_are_reconsidered_in_a_fixed_number_of_queries(clinic, letters, django_assert_max_num_queries):
    ids = [one.pk for one in letters(12)]
    with django_assert_max_num_queries(12):
        substitutes.reconsider(ids, by=BY, at=MISSED)
