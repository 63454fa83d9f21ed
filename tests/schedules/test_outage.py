"""A month without mail: afterwards what still helps goes out, what is too late is listed, and nothing is lost.

Patients stand at different places of the ladder and live by an injected clock; evaluation, database and mail server
are real. Days of 2027; the clocks change on 28 March, the last Sunday of the outage.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from monitoring import pipeline
from patients import recording
from patients.models import Imaging, SymptomReport, Visit
from patients.vocabulary import Side
from schedules import appointments, channels, delivery, desk, volume
from schedules.choosing import choose
from schedules.eligibility import Reason
from schedules.message_plans import Wishes
from schedules.models import MessagePlan, Reminder

EVE, FIRST, BACK = date(2027, 2, 28), date(2027, 3, 1), date(2027, 3, 31)
HOURS = (time(6), time(10, 30), time(15))  # the first is night in the clinic
OUTAGES = ("server", "workers", "workers and sweep")
DAY = timedelta(days=1)

pytestmark = pytest.mark.slow


def at(day: date, hour: time = time(12)) -> datetime:
    return datetime.combine(day, hour, tzinfo=UTC)


def days(first: date, last: date) -> Iterator[date]:
    """From the first to the day before the last."""
    for number in range((last - first).days):
        yield first + number * DAY


@contextmanager
def on(day: date) -> Iterator[datetime]:
    """What is recorded inside is recorded, and evaluated at once, at noon of that day."""
    with pipeline.deferred(at(day)):
        yield at(day)


@pytest.fixture
def come(actor: Any) -> Callable[..., None]:
    """`come(patient, day)`: a complete follow-up of both hips."""

    def record(patient: Any, day: date, *, now: datetime) -> None:
        views = ["AP_PELVIS", "FROG_LATERAL"]
        facts = [
            (side, fact)
            for side in Side
            for fact in (
                Imaging(on=day, modality="XR", views=views),
                SymptomReport(on=day, source="clinician", symptomatic=False, pain_nrs=0),
            )
        ]
        recording.record_facts(patient.pk, facts, by=actor, visit=Visit(on=day), now=now)

    return record


@pytest.fixture
def watched(clinic: Any, enrol: Any, come: Any) -> Callable[[date], Any]:
    """`watched(day)`: a patient whose last follow-up was on that day; the next is due three months later."""

    def make(last: date) -> Any:
        with on(EVE) as now:
            patient = enrol(clinic, now=now)
            come(patient, last, now=now)
        return patient

    return make


@pytest.fixture
def live(drain: Any) -> Callable[..., None]:
    """`live(day, out="")`: one day of sweeps and mail runs, without what is out."""
    dead = channels.BackendChannel(channels.CarefulBackend(host="127.0.0.1", port=1, timeout=2))

    def run(day: date, out: str = "") -> None:
        if "sweep" not in out:
            pipeline.sweep(at(day, HOURS[0]))
        for hour in HOURS:
            delivery.recover_leases(now=at(day, hour))
            if out == "server":
                delivery.drain(dead, clock=lambda hour=hour: at(day, hour))
            elif "workers" not in out:
                for _doubled in range(2):
                    drain(at=at(day, hour))

    return run


def stood(patient: Any) -> dict[str, str]:
    """The state of each mail of the window that the outage met, and of what was booked."""
    first = min(Reminder.objects.filter(patient=patient, appointment=None).values_list("cycle_on", flat=True))
    rows = Reminder.objects.filter(patient=patient).exclude(appointment=None, cycle_on__gt=first)
    return dict(rows.values_list("step", "state"))


@pytest.fixture
def month(watched: Any, live: Any, come: Any, actor: Any, sink: Any) -> Callable[[str], dict[str, Any]]:
    """The eve, the outage and the day after; returns the patients."""

    def pass_by(out: str) -> dict[str, Any]:
        people = {
            "is asked to book": watched(date(2027, 1, 20)),
            "is due": watched(date(2026, 12, 15)),
            "is asked once more": watched(date(2026, 11, 10)),
            "comes": watched(date(2026, 12, 24)),
            "dies": watched(date(2026, 12, 26)),
            "wants no mail": watched(date(2026, 12, 14)),
            "has time": watched(date(2027, 2, 20)),
            "is to be called": watched(date(2026, 12, 16)),
        }
        called = people["is to be called"]
        call = appointments.Wanted(at(date(2027, 4, 2), time(9)), purpose="telephone")
        appointments.book(called.pk, call, by=actor, now=at(EVE))
        live(EVE)
        for day in days(FIRST, BACK):
            with on(day) as now:
                if day == date(2027, 3, 18):
                    died = {"died_on": day - DAY, "source": "letter"}
                    recording.record_death(people["dies"].pk, by=actor, now=now, **died)
                if day == date(2027, 3, 20):
                    come(people["comes"], day, now=now)
                    wish = {"channel": "email", "allowed": False, "how": "by telephone"}
                    recording.set_contact_wish(people["wants no mail"].pk, by=actor, on=day, **wish)
            live(day, out)
        sink.recipients.clear()
        live(BACK)
        return people

    return pass_by


def states(step: str) -> set[str]:
    return set(Reminder.objects.filter(step=step).values_list("state", flat=True))


@pytest.mark.parametrize("out", OUTAGES)
def test_after_a_month_without_mail_each_rung_stands_where_it_should(month, out, sink):
    people = month(out)
    assert {name: stood(person) for name, person in people.items()} == {
        "is asked to book": {
            "symptom_check": "expired", "booking_prompt": "sent", "due": "planned", "missed": "planned",
            "second_missed": "planned",
        },
        "is due": {"booking_prompt": "sent", "due": "expired", "missed": "sent", "second_missed": "planned"},
        "is asked once more": {
            "booking_prompt": "expired", "due": "expired", "missed": "sent", "second_missed": "sent",
        },
        "comes": {"booking_prompt": "sent", "due": "cancelled", "missed": "cancelled", "second_missed": "cancelled"},
        "dies": {"booking_prompt": "sent", "due": "cancelled", "missed": "cancelled", "second_missed": "cancelled"},
        "wants no mail": {
            "booking_prompt": "sent", "due": "expired", "missed": "refused", "second_missed": "planned",
        },
        "has time": {
            "symptom_check": "planned", "booking_prompt": "planned", "due": "planned", "missed": "planned",
            "second_missed": "planned",
        },
        "is to be called": {
            "booking_prompt": "sent", "due": "expired", "missed": "sent", "second_missed": "planned",
            "visit_in_3_days": "planned", "visit_in_1_day": "planned",
        },
    }  # fmt: skip
    written_to = ("is asked to book", "is due", "is asked once more", "is to be called")
    assert Counter(sink.recipients) == Counter(people[name].email for name in written_to), "one mail each"
    assert not Reminder.objects.filter(state__in=["failed", "uncertain", "sending"]).exists()
    assert set(Reminder.objects.filter(state="sent").values_list("attempts", flat=True)) == {1}
    assert not Reminder.objects.exclude(state="sent").exclude(attempts=0).exists()


def test_what_is_too_late_is_listed_with_its_reason(month, make_user, clinic, sign_in):
    month("workers")
    late = Reminder.objects.filter(state="expired", send_on__gte=FIRST)
    assert set(late.values_list("reason", flat=True)) == {Reason.TOO_LATE}
    page = sign_in(make_user(clinic, "coordinator")).get("/messages/refused/").content.decode()
    assert page.count("Too late to be of help.") == late.count() == 4
    for row in late.select_related("patient"):
        assert row.patient.record_number in page or row.patient.family_name in page


def test_what_had_to_wait_for_another_mail_of_the_day_follows_or_is_listed(month, live, sink):
    called = month("workers")["is to be called"]
    sink.recipients.clear()
    live(BACK + DAY)
    appointment = Reminder.objects.filter(patient=called).exclude(appointment=None)
    assert dict(appointment.values_list("step", "state")) == {"visit_in_3_days": "expired", "visit_in_1_day": "sent"}
    assert sink.recipients == [called.email]


def test_a_month_later_the_ladder_has_gone_on_and_nothing_was_sent_twice(month, live, sink):
    month("server")
    for day in days(BACK + DAY, date(2027, 5, 1)):
        live(day)
    arrived = Counter(message["Message-ID"] for message in sink.arrived)
    sent = set(Reminder.objects.filter(state="sent").values_list("message_id", flat=True))
    assert set(arrived) == sent
    assert set(arrived.values()) == {1}
    assert not Reminder.objects.filter(state="planned", send_on__lt=date(2027, 5, 1)).exists()


def test_an_unusual_backlog_waits_until_a_person_releases_it(watched, live, clinic, actor, sink):
    choose(clinic, Wishes(volume_multiple=2), by=actor, now=at(EVE))
    people = [watched(date(2026, 12, 10) + number % 20 * DAY) for number in range(45)]
    for day in days(FIRST, BACK):
        live(day, "workers and sweep")
    live(BACK)
    assert (len(sink.arrived), MessagePlan.objects.get(clinic=clinic).held_limit) == (0, 40)
    planned = {"booking_prompt": {"planned"}, "due": {"planned"}, "missed": {"planned"}}
    assert {step: states(step) for step in planned} == planned, "nothing is lost or marked"
    volume.release(clinic, by=actor, now=at(BACK, time(15, 1)))
    live(BACK)
    assert Counter(sink.recipients) == Counter(person.email for person in people)
    assert {step: states(step) for step in planned} == {
        "booking_prompt": {"expired"}, "due": {"expired"}, "missed": {"sent"},
    }  # fmt: skip


def test_what_a_person_finds_to_have_arrived_counts_for_the_day_on_which_it_went(watched, drain, actor, sink):
    """Else a mail of the day on which it is found would wait, and one that helps on that day only would be lost."""
    patient = watched(BACK - DAY - timedelta(days=90))
    call = appointments.Wanted(at(BACK + DAY, time(9)), purpose="telephone")
    appointments.book(patient.pk, call, by=actor, now=at(BACK - DAY, time(8)))
    sink.answers[f"data:{patient.email}"] = "hang up"
    drain(at=at(BACK - DAY))
    sink.answers.clear()
    doubtful = Reminder.objects.get(state="uncertain")
    desk.resolve_uncertain(doubtful.pk, arrived=True, by=actor, now=at(BACK, time(9)))
    doubtful.refresh_from_db()
    assert doubtful.decided_at == at(BACK - DAY)
    drain(at=at(BACK))
    assert len(sink.arrived) == 2
