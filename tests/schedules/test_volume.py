"""An unusual number of mails waits for a person; a rehearsal reaches no patient."""

from datetime import timedelta

import pytest

from monitoring.models import AuditEntry
from patients.models import Clinic
from schedules import reminders, volume
from schedules.choosing import choose
from schedules.message_plans import Wishes
from schedules.models import MessagePlan, Reminder
from tests.schedules.conftest import DUE_ON, NOON

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("planned_by_hand")


def past(patient, day, count):
    """Mails that went out on one day."""
    Reminder.objects.bulk_create(
        Reminder(
            clinic=patient.clinic, patient=patient, cycle_on=day - n * DAY, due_on=day, step="due", send_on=day,
            state="sent", sent_to="a@mail.example", decided_at=NOON - (DUE_ON - day),
        )
        for n in range(count)
    )  # fmt: skip


@pytest.fixture
def flood(clinic, enrol, follow, actor):
    """A clinic that asks at twice the usual day, with 41 mails due: one more than the limit."""
    choose(clinic, Wishes(volume_multiple=2), by=actor, now=NOON)
    for _ in range(41):
        follow(enrol(clinic))
    return clinic


def test_the_usual_day_is_the_median_of_days_with_mail_and_at_least_twenty(clinic, patient):
    assert volume.usual_day(clinic, DUE_ON) == 20
    for back, count in ((1, 30), (2, 50), (9, 40), (10, 500)):
        past(patient, DUE_ON - back * DAY, count)
    past(patient, DUE_ON, 999)
    assert volume.usual_day(clinic, DUE_ON) == 45, "today does not count"


def test_too_much_mail_waits_and_nothing_is_lost(flood, drain, sink):
    drain()
    assert not sink.arrived
    plan = MessagePlan.objects.get(clinic=flood)
    assert (plan.held_count, plan.held_limit, plan.held_at) == (41, 40, NOON)
    assert set(Reminder.objects.filter(step="due").values_list("state", flat=True)) == {"planned"}
    (ahead, *_rest) = reminders.upcoming([flood.pk], now=NOON)
    assert ahead.verdict.reason == "More mail is due than usual; a person decides."
    drain(at=NOON + timedelta(minutes=1))
    assert AuditEntry.objects.filter(act="hold_mail").count() == 1, "said once"


def test_what_a_person_releases_goes_out_that_day(flood, drain, sink, actor):
    drain()
    assert volume.release(flood, by=actor, now=NOON)
    assert not volume.release(flood, by=actor, now=NOON)
    drain(seconds=60)
    assert len(sink.arrived) == 41
    assert AuditEntry.objects.get(act="release_mail").actor == actor.name


def test_kept_stopped_is_the_stop_switch(flood, drain, sink, actor):
    drain()
    assert volume.keep_stopped(flood, by=actor)
    drain()
    assert not sink.arrived
    assert Clinic.objects.get(pk=flood.pk).mail_stopped
    assert not volume.held([flood.pk])


def test_what_went_out_today_counts_too(clinic, enrol, follow, drain, sink, actor, patient):
    choose(clinic, Wishes(volume_multiple=2), by=actor, now=NOON)
    past(patient, DUE_ON, 20)
    for _ in range(21):
        follow(enrol(clinic))
    drain()
    assert not sink.arrived


def test_a_flood_in_one_clinic_holds_up_no_other(flood, other_clinic, enrol, follow, drain, sink):
    follow(enrol(other_clinic))
    drain()
    assert len(sink.arrived) == 1


def test_the_messages_page_asks_and_staff_decide(flood, drain, make_user, sign_in):
    drain()
    client = sign_in(make_user(flood, "coordinator"))
    page = client.get("/messages/").content.decode()
    assert "waits for a person" in page
    assert "41 mails are due on one day" in page
    client.post(f"/messages/held/{flood.pk}/", {"act": "release"})
    assert "waits for a person" not in client.get("/messages/").content.decode()
    assert client.post("/messages/held/999999/", {"act": "release"}).status_code == 404


def test_a_rehearsal_reaches_no_patient(patient, follow, drain, sink, settings, make_user, sign_in):
    settings.MAIL_REHEARSAL_TO = "rehearsal@clinic.example"
    follow(patient)
    drain()
    assert sink.recipients == ["rehearsal@clinic.example"]
    (message,) = sink.arrived
    assert message["Subject"] == "[REHEARSAL] Your next visit to Northside"
    assert message["To"] == "rehearsal@clinic.example"
    assert message["List-Unsubscribe"] is None
    assert patient.email not in message.as_string()
    row = Reminder.objects.get(step="due")
    assert (row.state, row.sent_to) == ("sent", "rehearsal@clinic.example")
    page = sign_in(make_user(patient.clinic, "coordinator")).get("/messages/").content.decode()
    assert "Rehearsal: every mail goes to rehearsal@clinic.example." in page


def test_a_dead_rehearsal_address_is_no_bounce_of_the_patient(patient, follow, drain, sink, settings):
    settings.MAIL_REHEARSAL_TO = "rehearsal@clinic.example"
    sink.answers["rehearsal@clinic.example"] = "550 5.1.1 no such mailbox"
    follow(patient)
    drain()
    patient.refresh_from_db()
    assert patient.email_bounced_on is None
