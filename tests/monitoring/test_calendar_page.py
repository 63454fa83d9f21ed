"""Calendar and appointment pages, the worklist's part in them, and the feed."""

import re
from datetime import UTC, datetime, time, timedelta

import pytest
import time_machine
from django.urls import reverse
from django.utils import timezone
from icalendar import Calendar

from monitoring.models import ContactAttempt, Snooze
from monitoring.worklist import Filters, patients_in
from patients import access
from patients.models import Membership
from patients.recording import today_at
from schedules import appointments
from schedules.appointments import Wanted
from schedules.models import Appointment, Plan


@pytest.fixture(autouse=True)
def _on_a_tuesday():
    with time_machine.travel(datetime(2026, 11, 24, 10, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def user(clinic, make_user):
    return make_user(clinic, "coordinator", "clinician", name="Ada Okoye")


@pytest.fixture
def desk(user, sign_in):
    return sign_in(user)


@pytest.fixture
def today(clinic):
    return today_at(clinic, timezone.now())


@pytest.fixture
def tomorrow(today):
    return today + timedelta(1)


@pytest.fixture
def book(clinic, actor):
    def make(patient, day, at=time(9, 30), **details):
        starts_at = appointments.moment_at(clinic, day, at)
        before = starts_at - timedelta(days=30)
        return appointments.book(patient.pk, Wanted(starts_at, **details), by=actor, now=before)

    return make


def typed(day, **more):
    given = {"day": day, "time": "09:30", "minutes": "30", "purpose": "visit", "place": "Floor 2", "note": ""}
    return {name: str(value) for name, value in (given | more).items()}


def due(patient, day):
    """The patient's windows are due on that day."""
    plans = Plan.objects.filter(patient=patient)
    days = {"opens_on": -28, "due_on": 0, "overdue_on": 28, "escalate_on": 60, "trace_on": 90, "gap_on": 300}
    plans.update(**{name: day + timedelta(n) for name, n in days.items()})


# ---- Booking, moving, cancelling


def test_a_patient_is_booked_from_their_page_and_shown_there(desk, patient, tomorrow):
    url = reverse("appointment_book", args=[patient.pk])
    assert url in desk.get(reverse("patient", args=[patient.pk])).text
    page = desk.get(url)
    assert "Europe/London" in page.text
    answer = desk.post(url, typed(tomorrow), follow=True)
    assert f"{patient.display_name} is booked: Clinic visit, Wed 25 Nov 2026, 09:30." in answer.text
    row = Appointment.objects.get(patient=patient)
    assert (row.place, row.booked_by.name) == ("Floor 2", "Ada Okoye")
    assert reverse("appointment_move", args=[row.pk]) in answer.text


@pytest.fixture
def sunday(today):
    return today + timedelta(5)


def asked_once(answer):
    """The doubts that a page asks about, and what its button sends to go on."""
    assert answer.status_code == 422 and "all the same" in answer.text
    return " ".join(answer.context["doubts"]), answer.context["digest"]


def test_a_sunday_is_asked_about_once_with_the_clinics_hours_and_what_was_typed_stays(desk, clinic, patient, sunday):
    clinic.opening_hours = "Mon-Fri 8-16"
    clinic.save()
    url = reverse("appointment_book", args=[patient.pk])
    answer = desk.post(url, typed(sunday, note="With her daughter"))
    doubts, sure = asked_once(answer)
    assert doubts == "29 Nov 2026 is a Sunday; the clinic's hours are: Mon-Fri 8-16."
    assert "With her daughter" in answer.text and not Appointment.objects.exists()
    assert desk.post(url, typed(sunday + timedelta(7), sure=sure)).status_code == 422, "another Sunday is another doubt"
    assert desk.post(url, typed(sunday, sure=sure)).status_code == 302
    assert Appointment.objects.get().patient == patient


@pytest.mark.parametrize(("at", "doubted"), [("03:00", "03:00 is at night."), ("06:00", None)])
def test_an_appointment_at_night_is_wondered_at(at, doubted, desk, patient, tomorrow):
    answer = desk.post(reverse("appointment_book", args=[patient.pk]), typed(tomorrow, time=at))
    assert (asked_once(answer)[0] if doubted else None) == doubted


def test_a_second_appointment_of_the_day_is_asked_about_and_one_that_no_longer_stands_is_not(
    desk, patient, book, actor, tomorrow
):
    row = book(patient, tomorrow, time(14, 0), purpose="mri")
    url = reverse("appointment_book", args=[patient.pk])
    doubts, _sure = asked_once(desk.post(url, typed(tomorrow)))
    assert doubts == "The patient has an appointment on this day already: MRI, 14:00\N{EN DASH}14:30."
    appointments.cancel(row.pk, by=actor, reason="Away")
    assert desk.post(url, typed(tomorrow)).status_code == 302


@pytest.mark.parametrize(
    ("at", "is_asked"), [("09:00", False), ("09:15", True), ("09:45", True), ("10:14", True), ("10:15", False)]
)
def test_a_clinician_with_another_patient_then_is_asked_about(
    at, is_asked, desk, user, clinic, enrol, patient, book, tomorrow
):
    book(enrol(clinic, family_name="Elsewhere"), tomorrow, time(9, 30), minutes=45, clinician=user)
    book(enrol(clinic), tomorrow, time(14, 0), clinician=user)
    answer = desk.post(reverse("appointment_book", args=[patient.pk]), typed(tomorrow, time=at, clinician=user.pk))
    assert answer.status_code == (422 if is_asked else 302)
    if is_asked:
        said = "Ada Okoye has another patient then. Taken on this day: 09:30-10:15, 14:00-14:30."
        assert asked_once(answer)[0] == said.replace("-", "\N{EN DASH}")
        assert "Elsewhere" not in answer.text


def test_a_clinicians_time_in_a_clinic_one_does_not_see_is_not_told(
    desk, user, other_clinic, enrol, patient, book, make_user, tomorrow
):
    book(enrol(other_clinic), tomorrow, clinician=user)
    url = reverse("appointment_book", args=[patient.pk])
    assert desk.post(url, typed(tomorrow, clinician=user.pk)).status_code == 302


def test_who_moves_an_appointment_is_asked_the_same_and_not_about_itself(desk, patient, book, tomorrow, sunday):
    row = book(patient, tomorrow)
    url = reverse("appointment_move", args=[row.pk])
    doubts, sure = asked_once(desk.post(url, typed(sunday, sequence=0)))
    assert doubts == "29 Nov 2026 is a Sunday."
    desk.post(url, typed(sunday, sequence=0, sure=sure))
    row.refresh_from_db()
    assert today_at(patient.clinic, row.starts_at) == sunday
    assert desk.post(url, typed(sunday, time="10:30", sequence=1)).context["doubts"] == ["29 Nov 2026 is a Sunday."]


def test_the_page_says_where_the_day_lies_in_the_follow_up_window(desk, patient, tomorrow):
    due(patient, tomorrow + timedelta(300))
    page = desk.get(reverse("appointment_book", args=[patient.pk]))
    assert "The follow-up is asked for from" in page.text
    answer = desk.post(reverse("appointment_book", args=[patient.pk]), typed(tomorrow), follow=True)
    assert "This day lies before it" in answer.text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"day": "2020-01-01"}, "This time has passed."),
        ({"day": "soon"}, "Enter a valid date."),
        ({"time": "25:00"}, "Enter a valid time."),
        ({"minutes": "1"}, "Enter a whole number from 5 to 480."),
        ({"purpose": "tea"}, "Select a valid choice"),
        ({"place": "Hip clinic"}, "must not tell the disease: hip"),
    ],
)
def test_what_is_wrong_stands_at_its_field_and_nothing_is_saved(desk, patient, tomorrow, wrong, words):
    answer = desk.post(reverse("appointment_book", args=[patient.pk]), typed(tomorrow) | wrong)
    assert answer.status_code == 422
    assert words in answer.text
    assert not Appointment.objects.exists()


def test_an_appointment_is_moved_once_by_who_saw_it_as_it_was(desk, patient, book, tomorrow):
    row = book(patient, tomorrow)
    url = reverse("appointment_move", args=[row.pk])
    assert 'value="09:30"' in desk.get(url).text
    answer = desk.post(url, typed(tomorrow + timedelta(7), sequence=0), follow=True)
    assert f"{patient.display_name} has another time: Clinic visit, Wed 2 Dec 2026, 09:30." in answer.text
    row.refresh_from_db()
    assert (row.state, row.sequence) == ("moved", 1)
    answer = desk.post(url, typed(tomorrow + timedelta(9), sequence=0), follow=True)
    assert "has changed meanwhile" in answer.text
    row.refresh_from_db()
    assert row.sequence == 1


def test_a_cancellation_asks_why_and_leads_back(desk, patient, book, tomorrow):
    row = book(patient, tomorrow)
    url = reverse("appointment_cancel", args=[row.pk])
    assert desk.post(url, {"reason": ""}).status_code == 422
    back = reverse("calendar")
    answer = desk.post(url, {"reason": "Away", "tell_patient": "on", "back": back})
    assert answer.url == back
    assert row.reminders.filter(step="visit_cancelled").exists()
    assert "has changed meanwhile" in desk.get(url, follow=True).text


def test_a_way_back_to_another_site_is_not_taken(desk, patient, book, tomorrow):
    url = reverse("appointment_cancel", args=[book(patient, tomorrow).pk])
    answer = desk.post(url, {"reason": "Away", "back": "https://elsewhere.example/"})
    assert answer.url == reverse("patient", args=[patient.pk])


# ---- Coming and not coming


def test_who_did_not_come_is_back_on_the_worklist(desk, user, clinic, patient, book, today):
    row = book(patient, today, time(0, 0))
    Snooze.objects.create(
        clinic=clinic,
        patient=patient,
        from_on=today,
        until=today + timedelta(9),
        reason="booked",
        owner=user,
        actor="x",
    )
    answer = desk.post(reverse("appointment_settle", args=[row.pk]), {"came": "no"}, follow=True)
    assert "back on the worklist" in answer.text
    assert not Snooze.objects.filter(patient=patient, ended_at__isnull=True).exists()
    assert "Did not attend on" in desk.get(reverse("worklist_tab", args=["all"])).text


def test_who_came_is_noted_and_nobody_came_before_the_day(desk, patient, book, today):
    row = book(patient, today + timedelta(3))
    url = reverse("appointment_settle", args=[row.pk])
    assert "when the time has come" in desk.post(url, {"came": "yes"}, follow=True).text
    row = book(patient, today, time(0, 0))
    desk.post(reverse("appointment_settle", args=[row.pk]), {"came": "yes"})
    row.refresh_from_db()
    assert row.state == "attended"


def test_the_history_tells_of_appointments_in_words(desk, patient, book, tomorrow):
    book(patient, tomorrow)
    assert "Booked an appointment" in desk.get(reverse("patient_tab", args=[patient.pk, "history"])).text


# ---- The worklist


def outcome(desk, patient, **given):
    return desk.post(reverse("worklist_outcome", args=[patient.pk]), given, follow=True)


def test_booked_with_a_time_makes_the_appointment_and_undo_takes_it_back(desk, patient, tomorrow):
    outcome(desk, patient, outcome="booked", next_on=tomorrow, time="10:15", purpose="radiographs")
    row = Appointment.objects.get(patient=patient)
    assert (row.purpose, row.starts_at.astimezone(patient.clinic.zone).time()) == ("radiographs", time(10, 15))
    attempt = ContactAttempt.objects.get(patient=patient)
    desk.post(reverse("worklist_undo", args=[attempt.pk]))
    row.refresh_from_db()
    assert row.state == "cancelled"
    assert not row.reminders.filter(step="visit_cancelled").exists()


def test_booked_without_a_time_is_only_noted(desk, patient, tomorrow):
    outcome(desk, patient, outcome="booked", next_on=tomorrow)
    assert ContactAttempt.objects.filter(patient=patient, outcome="booked").exists()
    assert not Appointment.objects.exists()


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
@pytest.mark.parametrize("more", [{"time": "10:15", "purpose": "mri"}, {"time": ""}])
def test_what_is_booked_from_a_row_is_asked_about_once(headers, more, desk, patient, sunday):
    url = reverse("worklist_outcome", args=[patient.pk])
    given = {"outcome": "booked", "next_on": sunday, "note": "With her daughter", **more}
    answer = desk.post(url, given, headers=headers)
    doubts, sure = asked_once(answer)
    assert doubts == "29 Nov 2026 is a Sunday." and "With her daughter" in answer.text
    assert not ContactAttempt.objects.exists()
    assert desk.post(url, given | {"sure": sure}, headers=headers).status_code in (200, 302)
    assert ContactAttempt.objects.filter(outcome="booked").exists()
    assert Appointment.objects.exists() == bool(more["time"])


def test_a_row_is_asked_about_the_patients_other_appointment(desk, patient, book, tomorrow):
    book(patient, tomorrow, purpose="ct")
    given = {"outcome": "booked", "next_on": tomorrow, "time": "10:15", "purpose": "visit"}
    answer = desk.post(reverse("worklist_outcome", args=[patient.pk]), given)
    assert asked_once(answer)[0] == "The patient has an appointment on this day already: CT, 09:30\N{EN DASH}10:00."
    note = given | {"outcome": "reached"}
    assert desk.post(reverse("worklist_outcome", args=[patient.pk]), note).status_code == 302, "nothing is booked"


def test_a_row_offers_the_clinics_clinicians_and_chooses_the_responsible_one(
    desk, user, clinic, other_clinic, patient, make_user
):
    surgeon = make_user(clinic, "clinician", name="Dr Lind")
    make_user(other_clinic, "clinician"), make_user(clinic, "coordinator")
    patient.responsible = surgeon
    patient.save()
    page = desk.get(reverse("worklist_act", args=[patient.pk]), headers={"HX-Request": "true"})
    _before, _name, offered = page.text.partition('name="clinician">')
    options = re.findall(r'<option value="(\d*)"( selected)?', offered.partition("</select>")[0])
    assert options == [("", ""), (str(user.pk), ""), (str(surgeon.pk), " selected")]


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_a_row_is_asked_about_the_clinicians_other_patient(headers, desk, user, clinic, enrol, patient, book, tomorrow):
    book(enrol(clinic), tomorrow, time(9, 30), minutes=60, clinician=user)
    url = reverse("worklist_outcome", args=[patient.pk])
    given = {"outcome": "booked", "next_on": tomorrow, "time": "10:15", "purpose": "visit", "clinician": user.pk}
    answer = desk.post(url, given, headers=headers)
    doubts, sure = asked_once(answer)
    assert doubts == "Ada Okoye has another patient then. Taken on this day: 09:30\N{EN DASH}10:30."
    assert f'<option value="{user.pk}" selected>Ada Okoye' in answer.text
    assert desk.post(url, given | {"sure": sure}, headers=headers).status_code in (200, 302)
    assert Appointment.objects.get(patient=patient).clinician == user


@pytest.mark.parametrize("typed_clinician", ["stranger", "x", "9" * 30])
def test_a_row_books_with_clinicians_of_the_clinic_only(
    typed_clinician, desk, patient, tomorrow, other_clinic, make_user
):
    stranger = make_user(other_clinic, "clinician")
    chosen = stranger.pk if typed_clinician == "stranger" else typed_clinician
    given = {"outcome": "booked", "next_on": tomorrow, "time": "10:15", "purpose": "visit", "clinician": chosen}
    answer = outcome(desk, patient, **given)
    assert answer.status_code == 422 and "Choose a clinician of this clinic." in answer.text
    assert not Appointment.objects.exists() and not ContactAttempt.objects.exists()


def test_a_refused_appointment_leaves_no_outcome_either(desk, patient, today):
    answer = outcome(desk, patient, outcome="booked", next_on=today, time="00:00", purpose="visit")
    assert answer.status_code == 422
    assert "This time has passed." in answer.text
    assert not ContactAttempt.objects.exists()


def test_who_is_booked_need_not_be_booked_until_the_day_has_passed(user, patient, book, today, tomorrow):
    from monitoring.models import HipEvaluation

    viewer = access.viewer_for(user)
    HipEvaluation.objects.filter(patient=patient).update(status="due", due_on=today)
    assert patient in patients_in("due", viewer, Filters(), today)
    row = book(patient, tomorrow)
    assert patient not in patients_in("due", viewer, Filters(), today)
    assert patient in patients_in("due", viewer, Filters(), tomorrow + timedelta(1))
    Appointment.objects.filter(pk=row.pk).update(state="did_not_attend")
    assert patient in patients_in("due", viewer, Filters(), today)


# ---- The calendar


def test_a_week_shows_its_appointments_its_load_and_its_windows(desk, clinic, enrol, book, today):
    monday = today + timedelta(days=7 - today.weekday())
    first, second = enrol(clinic), enrol(clinic)
    book(first, monday, minutes=60, purpose="mri")
    book(second, monday, time(11), minutes=45)
    third = enrol(clinic)
    due(third, monday + timedelta(2))
    page = desk.get(reverse("calendar_week", args=[monday + timedelta(3)]))
    assert "2 appointments, 1\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}45\N{NO-BREAK SPACE}min" in page.text
    assert first.display_name in page.text
    assert reverse("appointment_book", args=[third.pk]) in page.text
    other = desk.get(reverse("calendar_week", args=[monday + timedelta(7)]))
    assert "Nothing booked." in other.text
    assert (
        f'href="{reverse("calendar")}#day-{today}"' in other.text and f'id="day-{today}"' in desk.get("/calendar/").text
    )


def test_a_time_that_passed_without_an_answer_is_asked_about(desk, patient, book, today):
    row = book(patient, today - timedelta(9))
    page = desk.get(reverse("calendar_week", args=[today - timedelta(9)]))
    assert page.text.count(f'id="appointment-{row.pk}"') == 1, "once on a page"
    assert "Did they come?" in desk.get(reverse("calendar")).text
    desk.post(reverse("appointment_settle", args=[row.pk]), {"came": "yes"})
    assert "Did they come?" not in desk.get(reverse("calendar")).text


@pytest.fixture
def monday(today):
    return today + timedelta(days=7 - today.weekday())


def test_a_full_day_shows_its_first_ten_says_how_many_more_there_are_and_opens(desk, clinic, enrol, book, monday):
    rows = [book(enrol(clinic), monday, time(8 + number // 4, 15 * (number % 4))) for number in range(13)]
    page = desk.get(reverse("calendar_week", args=[monday]))
    day = next(day for day in page.context["days"] if day.on == monday)
    assert [row["pk"] for row in day.rows] == [row.pk for row in rows[:10]]
    assert "13 appointments, 6\N{NO-BREAK SPACE}h\N{NO-BREAK SPACE}30\N{NO-BREAK SPACE}min" in page.text
    assert f"?open={monday}#day-{monday}" in page.text and ">3 more<" in page.text
    opened = desk.get(day.url)
    assert all(f'id="appointment-{row.pk}"' in opened.text for row in rows) and "3 more" not in opened.text
    assert "13 appointments" in desk.get(reverse("calendar_month", args=[monday])).text


def test_today_is_open_unless_another_list_is(desk, clinic, enrol, book, today):
    for number in range(12):
        book(enrol(clinic), today, time(8 + number // 4, 15 * (number % 4)))
    shown = {
        query: next(day for day in desk.get(reverse("calendar") + query).context["days"] if day.today)
        for query in ("", "?open=windows", "?open=nonsense")
    }
    assert [len(day.rows) for day in shown.values()] == [12, 10, 10]
    assert [day.more for day in shown.values()] == [0, 2, 2]


def test_an_open_day_turns_its_pages(desk, clinic, enrol, book, monday):
    patients = [enrol(clinic) for _number in range(52)]
    rows = [book(one, monday, time(8 + n // 12, 5 * (n % 12))) for n, one in enumerate(patients)]
    url = reverse("calendar_week", args=[monday], query={"open": str(monday)})
    first, second = desk.get(url), desk.get(f"{url}&page=2")
    for page, seen in ((first, rows[:50]), (second, rows[50:])):
        assert [row["pk"] for day in page.context["days"] for row in day.rows] == [row.pk for row in seen]
    assert "1 to 50 of 52" in first.text


def test_times_nobody_has_answered_for_are_all_counted_and_all_reached(desk, clinic, enrol, book, today):
    rows = [book(enrol(clinic), today - timedelta(20 + number)) for number in range(12)]
    page = desk.get(reverse("calendar"))
    assert len(page.context["unsettled"]) == 10 and "All 12" in page.text
    opened = desk.get(page.context["open_unsettled"])
    assert [row["pk"] for row in opened.context["unsettled"]] == [row.pk for row in reversed(rows)]


def test_the_windows_of_a_week_are_all_counted_and_all_reached(desk, clinic, enrol, monday):
    patients = [enrol(clinic) for _number in range(12)]
    for patient in patients:
        due(patient, monday + timedelta(2))
    page = desk.get(reverse("calendar_week", args=[monday]))
    assert len(page.context["windows"]) == 10 and "All 12" in page.text
    opened = desk.get(page.context["open_windows"])
    assert {row["patient"] for row in opened.context["windows"]} == set(patients)


def test_a_time_by_another_clock_than_ones_own_names_it(desk, user, patient, other_clinic, enrol, actor, tomorrow):
    Membership.objects.create(user=user, clinic=other_clinic, role="coordinator")
    for where, whose in ((patient.clinic, patient), (other_clinic, enrol(other_clinic))):
        at = appointments.moment_at(where, tomorrow, time(16, 30))
        appointments.book(whose.pk, Wanted(at), by=actor, now=at - timedelta(days=30))
    page = desk.get(reverse("calendar_week", args=[tomorrow])).text
    assert (page.count("\N{EN DASH}17:00"), page.count("\N{EN DASH}17:00 CET")) == (2, 1)


def test_a_month_counts_by_day(desk, patient, book, tomorrow):
    book(patient, tomorrow)
    page = desk.get(reverse("calendar_month", args=[tomorrow]))
    assert "1 appointment, 30\N{NO-BREAK SPACE}min" in page.text


@pytest.mark.parametrize("path", ["/calendar/week/2026-02-31/", "/calendar/month/2026-13-01/", "/calendar/week/x/"])
def test_a_day_that_does_not_exist_has_no_page(desk, path):
    assert desk.get(path).status_code == 404


def test_a_calendar_is_narrowed_to_one_clinician(desk, user, clinic, make_user, enrol, book, tomorrow):
    other = make_user(clinic, "clinician", name="Bela Stern")
    mine, theirs = enrol(clinic), enrol(clinic)
    book(mine, tomorrow, clinician=user)
    book(theirs, tomorrow, clinician=other)
    page = desk.get(reverse("calendar_week", args=[tomorrow]), {"who": user.pk})
    assert f"#appointment-{mine.pk}" not in page.text
    names = [row["patient"] for day in page.context["days"] for row in day.rows]
    assert names == [mine]


def test_a_week_takes_no_more_queries_for_fifty_appointments_than_for_one(
    desk, clinic, enrol, book, today, django_assert_max_num_queries
):
    day = today + timedelta(days=8 - today.weekday())
    book(enrol(clinic), day)
    url = reverse("calendar_week", args=[day])
    with django_assert_max_num_queries(15) as one:
        desk.get(url)
    for _number in range(12):
        book(enrol(clinic), day)
    with django_assert_max_num_queries(15) as many:
        desk.get(url)
    assert len(many) == len(one)


def test_another_clinics_appointments_are_neither_seen_nor_changed(
    sign_in, make_user, other_clinic, patient, book, tomorrow
):
    row = book(patient, tomorrow)
    stranger = sign_in(make_user(other_clinic, "coordinator"))
    assert patient.display_name not in stranger.get(reverse("calendar_week", args=[tomorrow])).text
    for name in ("appointment_move", "appointment_cancel"):
        assert stranger.get(reverse(name, args=[row.pk])).status_code == 404
    assert stranger.post(reverse("appointment_settle", args=[row.pk]), {"came": "yes"}).status_code == 404
    assert stranger.get(reverse("appointment_book", args=[patient.pk])).status_code == 404


# ---- The feed


@pytest.fixture
def address(desk):
    desk.post(reverse("calendar_feed_address"))
    return desk.get(reverse("calendar_feed_address")).context["url"]


def test_the_feed_tells_when_what_for_and_where_and_nothing_of_whom(
    client, address, user, patient, clinic, book, tomorrow
):
    row = book(patient, tomorrow, clinician=user, purpose="mri", place="Floor 2", note="brings pictures")
    book(patient, tomorrow, time(14))
    client.logout()
    answer = client.get(address)
    assert answer["Content-Type"].startswith("text/calendar")
    (event,) = Calendar.from_ical(answer.content).walk("VEVENT")
    assert (str(event["summary"]), str(event["location"])) == ("MRI", "Floor 2")
    assert event["dtstart"].dt == row.starts_at
    for secret in (patient.family_name, patient.given_name, patient.record_number, "pictures", patient.email):
        assert secret not in answer.text


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "1899-12-31", "2200-01-01", "2026-02-30"])
@pytest.mark.parametrize("span", ["week", "month"])
def test_a_day_beyond_every_calendar_is_no_address(desk, span, day):
    assert desk.get(f"/calendar/{span}/{day}/").status_code == 404


def test_a_new_address_makes_the_earlier_void_and_a_changed_one_never_worked(client, desk, address):
    desk.post(reverse("calendar_feed_address"), {"act": "stop"})
    fresh = desk.get(reverse("calendar_feed_address")).context["url"]
    client.logout()
    assert fresh != address
    assert client.get(address).status_code == 404
    assert client.get(fresh).status_code == 200
    assert client.get(fresh.replace("/feed/", "/feed/9")).status_code == 404


def test_who_left_the_clinic_reads_nothing(client, address, user, patient, book, tomorrow):
    book(patient, tomorrow, clinician=user)
    user.memberships.all().delete()
    client.logout()
    assert Calendar.from_ical(client.get(address).content).walk("VEVENT") == []
    type(user).objects.filter(pk=user.pk).update(is_active=False)
    assert client.get(address).status_code == 404


def test_nobody_sees_the_calendar_without_signing_in(client, clinic):
    assert client.get(reverse("calendar")).status_code == 302
