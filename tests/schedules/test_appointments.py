"""Appointments: booked, moved, cancelled, kept or not; what patients are told, and what it does to other mails."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.db import IntegrityError, connection, transaction
from icalendar import Calendar

from patients import access, recording
from schedules import appointments, reminders
from schedules.appointments import AppointmentChanged, BookingRefused, Fit, Wanted
from schedules.models import Appointment, AppointmentEvent, Reminder
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
State = Appointment.State
DAY = DUE_ON + timedelta(days=10)


@pytest.fixture
def book(patient, actor):
    """`book(day, at, purpose=...)`: an appointment of the patient by the clinic's clock."""

    def make(day=DAY, at=time(9, 30), *, now=NOON, **details):
        starts_at = appointments.moment_at(patient.clinic, day, at)
        return appointments.book(patient.pk, Wanted(starts_at, **details), by=actor, now=now)

    return make


@pytest.fixture
def move(actor):
    def make(row, day, at=time(9, 30), *, now=NOON, **details):
        starts_at = appointments.moment_at(row.patient.clinic, day, at)
        return appointments.move(row.pk, Wanted(starts_at, **details), by=actor, now=now)

    return make


def noon(day: date) -> datetime:
    return datetime.combine(day, time(12), tzinfo=UTC)


def mails(row, **conditions):
    """(step, sequence, state) of the mails about an appointment."""
    found = Reminder.objects.filter(appointment=row, **conditions).order_by("appointment_sequence", "send_on", "id")
    return [(one.step, one.appointment_sequence, one.state) for one in found]


def calendar_of(message):
    part = next(part for part in message.walk() if part.get_content_type() == "text/calendar")
    return part, Calendar.from_ical(part.get_content())


def event_of(message):
    return calendar_of(message)[1].walk("VEVENT")[0]


# ---- The acts


def test_a_booking_is_kept_with_its_history_and_announced(patient, book, actor, announced):
    row = book(purpose="mri", place="Floor 2", note="brings the old pictures")
    assert (row.state, row.sequence, row.place, row.actor) == ("booked", 0, "Floor 2", actor.name)
    (event,) = AppointmentEvent.objects.filter(appointment=row)
    assert (event.state, event.sequence, event.starts_at, event.actor) == ("booked", 0, row.starts_at, actor.name)
    (change,) = announced
    assert (change.act, change.clinical, change.patient_id) == ("book_appointment", False, patient.pk)


@pytest.fixture
def announced(monkeypatch, planned_by_hand, patient):
    from patients import changes

    told = []
    monkeypatch.setattr(changes, "_listeners", [*changes._listeners, told.append])
    return told


def test_a_move_to_where_it_is_already_is_refused_and_tells_nobody(book, move):
    row, mails = book(), Reminder.objects.count()
    with pytest.raises(BookingRefused, match="Nothing is different"):
        move(row, DAY)
    row.refresh_from_db()
    assert row.sequence == 0 and Reminder.objects.count() == mails


def test_a_move_keeps_the_appointment_and_raises_its_sequence(book, move):
    row = book()
    moved = move(row, DAY + timedelta(7))
    assert (moved.pk, moved.uid, moved.state, moved.sequence) == (row.pk, row.uid, "moved", 1)
    assert [event.state for event in row.events.all()] == ["booked", "moved"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"starts_at": NOON}, "day"),
        ({"starts_at": NOON + timedelta(800)}, "day"),
        ({"minutes": 4}, "minutes"),
        ({"minutes": 481}, "minutes"),
        ({"purpose": "tea"}, "purpose"),
        ({"place": "Orthopaedic ward"}, "place"),
        ({"place": "X-ray, floor 2"}, "place"),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(patient, actor, wanted, field):
    wanted = Wanted(**{"starts_at": NOON + timedelta(10), **wanted})
    with pytest.raises(BookingRefused) as refused:
        appointments.book(patient.pk, wanted, by=actor, now=NOON)
    assert refused.value.field == field
    assert not Appointment.objects.exists()


def test_nobody_is_booked_twice_for_one_time_or_after_death(book, patient, actor):
    book()
    with pytest.raises(BookingRefused, match="already"):
        book()
    recording.record_death(patient.pk, died_on=date(2026, 3, 1), source="registry office", by=actor)
    with pytest.raises(BookingRefused, match="died"):
        book(DAY + timedelta(1))


def test_the_database_refuses_a_second_appointment_at_one_time(book):
    row = book()
    with pytest.raises(IntegrityError, match="appointment_once_at_a_time"), transaction.atomic():
        Appointment.objects.create(
            clinic_id=row.clinic_id, patient_id=row.patient_id, starts_at=row.starts_at, actor="somebody"
        )


def test_what_came_of_it_can_be_said_when_the_time_has_come_and_corrected(book, actor):
    row = book()
    with pytest.raises(BookingRefused):
        appointments.attended(row.pk, by=actor, now=noon(DAY - timedelta(1)))
    with pytest.raises(BookingRefused):
        appointments.did_not_attend(row.pk, by=actor, now=row.starts_at - timedelta(minutes=1))
    appointments.did_not_attend(row.pk, by=actor, now=noon(DAY))
    assert appointments.attended(row.pk, by=actor, now=noon(DAY)).state == State.ATTENDED


def test_a_cancelled_appointment_stays_cancelled_and_gives_its_reason(book, move, actor):
    row = book()
    with pytest.raises(BookingRefused):
        appointments.cancel(row.pk, by=actor, reason=" ", now=NOON)
    row = appointments.cancel(row.pk, by=actor, reason="Away", now=NOON)
    assert (row.state, row.cancelled_reason) == ("cancelled", "Away")
    with pytest.raises(AppointmentChanged):
        move(row, DAY + timedelta(1))
    with pytest.raises(AppointmentChanged):
        appointments.cancel(row.pk, by=actor, reason="again", now=NOON)


def test_who_moves_what_somebody_else_has_moved_is_told(book, move, actor):
    row = book()
    move(row, DAY + timedelta(1))
    with pytest.raises(AppointmentChanged):
        appointments.cancel(row.pk, by=actor, reason="Away", sequence=row.sequence, now=NOON)


def test_every_transition_of_the_table_and_no_other_is_possible(book):
    from schedules.appointments import _change

    row = book()
    for source in State.values:
        for to in State.values:
            reason = "Away" if "cancelled" in (source, to) else ""
            Appointment.objects.filter(pk=row.pk).update(state=source, cancelled_reason=reason)
            found = Appointment.objects.get(pk=row.pk)
            if to in Appointment.TRANSITIONS[source]:
                _change(found, State(to), by=appointments.Actor("somebody"), now=NOON)
                assert Appointment.objects.get(pk=row.pk).state == to
            else:
                with pytest.raises(AppointmentChanged):
                    _change(found, State(to), by=appointments.Actor("somebody"), now=NOON)


def test_another_clinic_sees_no_appointment_and_history_is_only_added(book, other_clinic):
    row = book()
    with pytest.raises(Exception, match="permission denied"), transaction.atomic():
        AppointmentEvent.objects.filter(appointment=row).update(reason="never happened")
    with pytest.raises(Exception, match="permission denied"), transaction.atomic():
        Appointment.objects.filter(pk=row.pk)._raw_delete("default")
    access.bind_clinics([other_clinic.pk])
    assert not Appointment.objects.exists()
    assert not AppointmentEvent.objects.exists()


def test_an_appointment_is_its_patients_and_its_clinics(book, enrol, other_clinic):
    row = book()
    stranger = enrol(other_clinic)
    with pytest.raises(IntegrityError, match="appointment_of_patient_in_clinic"), transaction.atomic():
        Appointment.objects.filter(pk=row.pk).update(patient=stranger)
        connection.cursor().execute("SET CONSTRAINTS ALL IMMEDIATE")


# ---- Time zones


@pytest.mark.parametrize(
    ("zone", "day", "offset"),
    [
        ("Europe/Berlin", date(2026, 10, 24), 2),
        ("Europe/Berlin", date(2026, 10, 25), 1),
        ("Europe/Berlin", date(2027, 3, 27), 1),
        ("Europe/Berlin", date(2027, 3, 28), 2),
        ("America/New_York", date(2026, 10, 25), -4),
        ("America/New_York", date(2026, 11, 1), -5),
        ("America/New_York", date(2027, 3, 28), -4),
        ("America/New_York", date(2027, 3, 13), -5),
    ],
)
def test_half_past_nine_is_half_past_nine_at_the_clinic(patient, actor, zone, day, offset):
    clinic = patient.clinic
    clinic.time_zone = zone
    clinic.save()
    before = noon(day - timedelta(30))
    row = appointments.book(patient.pk, Wanted(appointments.moment_at(clinic, day, time(9, 30))), by=actor, now=before)
    row.refresh_from_db()
    assert row.starts_at == datetime.combine(day, time(9, 30), tzinfo=UTC) - timedelta(hours=offset)
    sends = dict(Reminder.objects.filter(appointment=row).values_list("step", "send_on"))
    assert sends == {"visit_in_3_days": day - timedelta(3), "visit_in_1_day": day - timedelta(1)}
    from schedules.calendar_files import invitation

    read = Calendar.from_ical(invitation(row, patient=patient, clinic=clinic))
    (event,) = read.walk("VEVENT")
    assert event["dtstart"].params["TZID"] == zone
    assert event["dtstart"].dt.replace(tzinfo=None) == datetime.combine(day, time(9, 30))
    assert event["dtstart"].dt.astimezone(UTC) == row.starts_at
    (rules,) = read.walk("VTIMEZONE")
    assert rules.to_tz(lookup_tzid=False).utcoffset(event["dtstart"].dt.replace(tzinfo=None)) == timedelta(hours=offset)


def test_a_time_that_the_clock_leaves_out_is_refused_and_one_it_shows_twice_is_the_first(patient):
    clinic = patient.clinic
    clinic.time_zone = "Europe/Berlin"
    with pytest.raises(BookingRefused):
        appointments.moment_at(clinic, date(2027, 3, 28), time(2, 30))
    twice = appointments.moment_at(clinic, date(2026, 10, 25), time(2, 30))
    assert twice.astimezone(UTC) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


# ---- Mails about the appointment


def test_the_patient_is_reminded_three_days_and_one_day_before(book, drain, sink):
    row = book(place="Floor 2")
    for days in range(12):
        drain(at=noon(DUE_ON + timedelta(days)))
    assert len(sink.arrived) == 2
    assert mails(row) == [("visit_in_3_days", 0, "sent"), ("visit_in_1_day", 0, "sent")]
    sent = [one.decided_at.date() for one in Reminder.objects.filter(appointment=row).order_by("send_on")]
    assert sent == [DAY - timedelta(3), DAY - timedelta(1)]
    text = sink.arrived[0].get_body(("plain",)).get_content()
    assert "6 April 2027, 09:30" in text
    assert "Where: Floor 2" in text


def test_the_calendar_part_says_when_and_where_and_nothing_else(book, drain, sink, patient):
    row = book(purpose="mri", note="brings the old pictures")
    drain(at=noon(DAY - timedelta(3)))
    part, calendar = calendar_of(sink.arrived[0])
    assert part.get_param("method") == "REQUEST"
    assert calendar["method"] == "REQUEST"
    event = event_of(sink.arrived[0])
    assert str(event["summary"]) == "Northside"
    assert str(event["uid"]).startswith(str(row.uid))
    assert (event["sequence"], str(event["status"])) == (0, "CONFIRMED")
    assert event["dtstart"].params["TZID"] == "Europe/London"
    assert event["dtend"].dt - event["dtstart"].dt == timedelta(minutes=30)
    assert str(event["attendee"]) == f"mailto:{patient.email}"
    whole = part.get_content()
    for secret in ("MRI", "pictures", patient.record_number, patient.family_name):
        assert secret not in whole
    (file,) = [one for one in sink.arrived[0].walk() if one.get_filename() == "appointment.ics"]
    assert Calendar.from_ical(file.get_payload(decode=True)).walk("VEVENT")[0]["uid"] == event["uid"]


def test_a_move_is_told_at_once_and_the_reminders_are_of_the_new_time(book, move, drain, sink):
    row = book()
    drain(at=noon(DAY - timedelta(3)))
    later = DAY + timedelta(7)
    move(row, later, now=noon(DAY - timedelta(3)) + timedelta(hours=1))
    drain(at=noon(DAY - timedelta(3)) + timedelta(hours=2))
    assert "New time" in sink.arrived[1]["Subject"]
    first, second = (event_of(message) for message in sink.arrived)
    assert first["uid"] == second["uid"]
    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert second["dtstart"].dt.date() == later
    for days in range(10):
        drain(at=noon(DAY - timedelta(2) + timedelta(days)))
    assert [state for _step, _sequence, state in mails(row, appointment_sequence=0)] == ["sent", "cancelled"]
    assert [state for _step, _sequence, state in mails(row, appointment_sequence=1)] == ["sent", "sent", "sent"]
    assert len(sink.arrived) == 4


def test_a_cancellation_is_told_once_and_nothing_follows(book, actor, drain, sink):
    row = book()
    drain(at=noon(DAY - timedelta(1)))
    appointments.cancel(row.pk, by=actor, reason="Scanner broken", now=noon(DAY - timedelta(1)))
    for days in range(-1, 4):
        drain(at=noon(DAY + timedelta(days)) + timedelta(hours=1))
    reminder, cancellation = sink.arrived
    assert calendar_of(cancellation)[0].get_param("method") == "CANCEL"
    assert (event_of(cancellation)["sequence"], str(event_of(cancellation)["status"])) == (1, "CANCELLED")
    assert event_of(cancellation)["uid"] == event_of(reminder)["uid"]
    assert "Scanner" not in cancellation.as_string()


def test_a_time_given_anew_before_its_cancellation_went_out_is_not_cancelled_by_mail(book, actor, drain, sink):
    night = noon(DAY - timedelta(10)) + timedelta(hours=9)
    first = book()
    appointments.cancel(first.pk, by=actor, reason="mistake", now=night)
    book(now=night)
    drain(at=noon(DAY - timedelta(9)))
    assert mails(first, step="visit_cancelled") == [("visit_cancelled", 1, "cancelled")]
    assert sink.arrived == []


def test_one_time_cancelled_twice_in_a_night_is_told_once(book, move, actor, drain, sink):
    night = noon(DAY - timedelta(10)) + timedelta(hours=9)
    elsewhere = book(DAY + timedelta(3))
    for again in (book(), book, lambda now: move(elsewhere, DAY, now=now)):
        row = again if isinstance(again, Appointment) else again(now=night)
        appointments.cancel(row.pk, by=actor, reason="Scanner broken", now=night)
    drain(at=noon(DAY - timedelta(9)))
    (told,) = sink.arrived
    assert "does not take place" in told["subject"]


def test_two_times_of_one_day_are_two_cancellations_each_for_its_own_calendar_entry(book, actor, drain, sink):
    rows = book(), book(at=time(11))
    for row in rows:
        appointments.cancel(row.pk, by=actor, reason="Scanner broken", now=noon(DAY - timedelta(10)))
    drain(at=noon(DAY - timedelta(10)) + timedelta(minutes=5))
    assert {str(event_of(told)["uid"]).partition("@")[0] for told in sink.arrived} == {str(row.uid) for row in rows}


def test_no_mail_goes_out_after_the_appointment_however_long_the_server_was_away(book, drain, sink):
    row = book()
    drain(at=row.starts_at + timedelta(minutes=1))
    drain(at=noon(DAY + timedelta(30)))
    assert sink.arrived == []
    assert mails(row) == [("visit_in_3_days", 0, "expired"), ("visit_in_1_day", 0, "expired")]


def test_a_cancellation_after_the_time_is_not_told(book, actor, drain, sink):
    row = book()
    appointments.cancel(row.pk, by=actor, reason="wrong patient", now=noon(DAY))
    drain(at=noon(DAY + timedelta(1)))
    assert sink.arrived == []


def test_a_mail_that_was_planned_before_a_move_is_refused_when_it_is_sent_after_all(book, drain, sink):
    """Should a move ever fail to take the old mails back, the moment of sending still does."""
    row = book()
    Appointment.objects.filter(pk=row.pk).update(sequence=5)
    drain(at=noon(DAY - timedelta(1)))
    assert sink.arrived == []
    assert {state for _step, _sequence, state in mails(row)} <= {"refused", "expired"}


def test_whoever_is_snoozed_or_not_followed_is_still_reminded_of_an_appointment(book, follow, patient, drain, sink):
    from schedules import circumstances

    book()
    circumstances._snooze_lookups.append(lambda ids: {patient.pk: DAY + timedelta(30)})
    try:
        follow(patient, None)
        drain(at=noon(DAY - timedelta(1)))
    finally:
        circumstances._snooze_lookups.pop()
    assert len(sink.arrived) == 1


def test_who_does_not_want_mail_gets_none_about_appointments(book, patient, actor, drain, sink):
    row = book()
    recording.set_contact_wish(
        patient.pk, channel="email", allowed=False, how="on paper", on=date(2026, 3, 1), by=actor
    )
    drain(at=noon(DAY - timedelta(1)))
    assert sink.arrived == []
    assert "refused" in {state for _step, _sequence, state in mails(row)}


def test_an_appointment_of_tomorrow_is_reminded_of_once(book, drain, sink):
    row = book(DUE_ON + timedelta(1))
    assert mails(row) == [("visit_in_3_days", 0, "expired"), ("visit_in_1_day", 0, "planned")]
    drain(at=NOON)
    drain(at=NOON + timedelta(hours=20))
    assert len(sink.arrived) == 1


def test_a_move_to_tomorrow_is_told_once(book, move, drain, sink):
    row = move(book(), DUE_ON + timedelta(1))
    drain(at=NOON)
    drain(at=NOON + timedelta(hours=20))
    assert len(sink.arrived) == 1
    assert mails(row, appointment_sequence=1)[0:2] != []
    assert Reminder.objects.filter(appointment=row, reason=appointments.TOLD_ALREADY).exists()


# ---- What it does to the ladder


def ladder_of(patient):
    return dict(Reminder.objects.filter(patient=patient, appointment__isnull=True).values_list("step", "state"))


def test_a_booked_appointment_holds_the_ladder_back(book, follow, patient, drain, sink):
    follow(patient)
    book()
    for days in range(8):
        drain(at=noon(DUE_ON + timedelta(days)))
    assert [message["Subject"] for message in sink.arrived] == ["Your appointment: Northside"]
    held = Reminder.objects.get(patient=patient, step="missed")
    assert (held.state, held.reason) == ("planned", "An appointment is booked.")


def test_the_coming_fortnight_shows_that_an_appointment_holds_a_mail_back(book, follow, patient):
    follow(patient)
    book()
    due = next(one for one in reminders.upcoming([patient.clinic_id], now=NOON) if one.reminder.step == "due")
    assert (due.verdict.action, due.verdict.reason) == ("later", "An appointment is booked.")


def test_a_cancelled_appointment_lets_the_ladder_go_on(book, follow, patient, actor, drain, sink):
    follow(patient)
    row = book()
    drain(at=NOON + timedelta(days=1))
    assert sink.arrived == []
    appointments.cancel(row.pk, by=actor, reason="Away", tell_patient=False, now=NOON + timedelta(days=2))
    drain(at=NOON + timedelta(days=2))
    assert [message["Subject"] for message in sink.arrived] == ["Please arrange your visit to Northside"]


def test_who_did_not_attend_is_asked_again(book, follow, patient, actor, drain, sink):
    follow(patient)
    row = book(DUE_ON + timedelta(5))
    drain(at=noon(DUE_ON + timedelta(1)))
    appointments.did_not_attend(row.pk, by=actor, now=noon(DUE_ON + timedelta(5)))
    drain(at=noon(DUE_ON + timedelta(6)))
    assert sink.arrived[-1]["Subject"] == "Please arrange your visit to Northside"


def test_an_appointment_nobody_settled_holds_the_ladder_back_for_three_days(book, follow, patient, drain, sink):
    follow(patient)
    book(DUE_ON + timedelta(2))
    for days in range(6):
        drain(at=noon(DUE_ON + timedelta(days)))
    assert "missed" not in {step for step, state in ladder_of(patient).items() if state == "sent"}
    drain(at=noon(DUE_ON + timedelta(6)))
    assert ladder_of(patient)["missed"] == "sent"


@pytest.mark.parametrize(
    ("day", "purpose"), [(DUE_ON + timedelta(200), "visit"), (DAY, "telephone"), (DUE_ON - timedelta(29), "visit")]
)
def test_an_appointment_beyond_the_ladder_or_by_telephone_holds_nothing_back(
    book, follow, patient, drain, sink, day, purpose
):
    follow(patient)
    book(day, purpose=purpose, now=NOON - timedelta(40))
    drain(at=NOON)
    assert ladder_of(patient)["due"] == "sent"


def test_planning_leaves_mails_about_appointments_alone(book, follow, patient):
    row = book()
    follow(patient)
    follow(patient, DUE_ON + timedelta(90))
    follow(patient, None)
    assert {state for _step, _sequence, state in mails(row)} == {"planned"}


def test_mails_about_appointments_do_not_use_up_the_episode(book, follow, patient, drain, sink):
    follow(patient)
    for day in range(1, 8):
        book(DUE_ON - timedelta(day), now=NOON - timedelta(30), purpose="telephone")
    Reminder.objects.filter(appointment__isnull=False).update(
        state="sent", sent_to="a@b.example", decided_at=NOON - timedelta(9), cycle_on=date(2026, 9, 27)
    )
    drain(at=NOON)
    assert ladder_of(patient)["due"] == "sent"


# ---- The window


def test_a_day_lies_before_within_or_after_the_window(follow, patient):
    follow(patient)
    window = appointments.window_of(patient.pk)
    days = (window.opens_on - timedelta(1), window.opens_on, window.overdue_on - timedelta(1), window.overdue_on)
    assert [appointments.fit(day, window) for day in days] == [Fit.EARLY, Fit.WITHIN, Fit.WITHIN, Fit.LATE]
    assert appointments.fit(DUE_ON, None) == Fit.NONE


def test_the_next_appointment_of_each_patient(book, patient):
    book(DAY + timedelta(7))
    first = book()
    assert appointments.standing([patient.pk], since=NOON) == {patient.pk: first}
    assert ZoneInfo("Europe/London") == patient.clinic.zone
