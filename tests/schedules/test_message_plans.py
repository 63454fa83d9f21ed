"""What a clinic may choose of its mail, and that what is planned follows at once."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from monitoring.models import AuditEntry
from schedules import reminders
from schedules.choosing import choose
from schedules.ladder import LADDER, Choice, chosen, rung_of, steps_of
from schedules.message_plans import Wishes, wishes_of
from schedules.models import MessagePlan, Reminder
from schedules.plans import PatientWindow
from tests.schedules.conftest import DUE_ON, NOON

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("planned_by_hand")


def window(cycle_on: date, due_on: date) -> PatientWindow:
    return PatientWindow(1, 1, cycle_on, due_on - 28 * DAY, due_on, due_on + 28 * DAY)


@pytest.mark.parametrize(
    ("months_days", "asked_for"), [(182, True), (90, True), (56, True), (55, False), (42, False), (28, False)]
)
def test_a_booking_prompt_needs_two_weeks_since_the_last_visit(months_days, asked_for):
    steps = [rung.step for rung, _on, _until in steps_of(window(DUE_ON - months_days * DAY, DUE_ON))]
    assert ("booking_prompt" in steps) is asked_for


def test_of_several_steps_in_the_past_at_most_one_still_helps_whatever_a_clinic_chose():
    for missed in (1, 14):
        for second in (7, 42):
            ladder = chosen({"missed": Choice(True, missed), "second_missed": Choice(True, second)})
            spans = [(on, until) for _rung, on, until in steps_of(window(DUE_ON - 182 * DAY, DUE_ON), ladder)]
            assert all(until < later for (_on, until), (later, _until) in pairwise(spans))


def test_without_the_second_the_first_missed_mail_helps_longer():
    ladder = chosen({"second_missed": Choice(False, 14)})
    (*_rest, (rung, _on, until)) = steps_of(window(DUE_ON - 182 * DAY, DUE_ON), ladder)
    assert (rung.step, until) == ("missed", DUE_ON + 102 * DAY)


def test_delivered_steps_stand_within_their_own_bounds():
    for rung in LADDER:
        least, most = rung.bounds
        assert least <= rung.days <= most


def test_a_step_switched_off_is_cancelled_and_comes_back(clinic, patient, follow, actor):
    follow(patient)
    choose(clinic, Wishes({"missed": Choice(False, 1)}), by=actor, now=NOON)
    row = Reminder.objects.get(step="missed")
    assert (row.state, row.reason) == ("cancelled", reminders.NOT_CHOSEN)
    choose(clinic, Wishes(), by=actor, now=NOON)
    assert Reminder.objects.get(step="missed").state == "planned"


def test_a_step_moved_moves_what_is_planned(clinic, patient, follow, actor):
    follow(patient)
    assert choose(clinic, Wishes({"second_missed": Choice(True, 30)}), by=actor, now=NOON)
    assert Reminder.objects.get(step="second_missed").send_on == DUE_ON + 58 * DAY
    assert not choose(clinic, Wishes({"second_missed": Choice(True, 30)}), by=actor, now=NOON), "nothing changed"
    assert AuditEntry.objects.filter(act="change_message_plan", actor=actor.name).count() == 1


def test_hours_decide_when_mail_goes_out(clinic, patient, follow, drain, sink, actor):
    choose(clinic, Wishes(mail_from=14, mail_until=20), by=actor, now=NOON)
    follow(patient)
    (due, *_later) = reminders.upcoming([clinic.pk], now=NOON - timedelta(hours=6))
    assert due.at == datetime(2027, 3, 27, 14, tzinfo=UTC)
    drain()
    assert not sink.arrived
    drain(at=NOON + timedelta(hours=3))
    assert len(sink.arrived) == 1


def test_one_clinic_chooses_for_itself(clinic, other_clinic, actor):
    choose(clinic, Wishes(mail_from=9), by=actor, now=NOON)
    chosen_by = wishes_of([clinic.pk, other_clinic.pk])
    assert [chosen_by[one.pk].mail_from for one in (clinic, other_clinic)] == [9, 8]


@pytest.mark.parametrize(
    ("wishes", "field"),
    [
        (Wishes({"due": Choice(True, 1)}), "due"),
        (Wishes({"due": Choice(True, -8)}), "due"),
        (Wishes({"booking_prompt": Choice(True, -71)}), "booking_prompt"),
        (Wishes({"second_missed": Choice(False, 6)}), "second_missed"),
        (Wishes(mail_from=5), "mail_from"),
        (Wishes(mail_until=22), "mail_until"),
        (Wishes(mail_from=10, mail_until=13), "mail_until"),
        (Wishes(volume_multiple=1), "volume_multiple"),
        (Wishes(volume_multiple=21), "volume_multiple"),
    ],
)
def test_what_is_out_of_bounds_is_said_at_its_field(clinic, actor, wishes, field):
    with pytest.raises(ValidationError) as refused:
        choose(clinic, wishes, by=actor, now=NOON)
    assert list(refused.value.message_dict) == [field]
    assert not MessagePlan.objects.exists()


@pytest.mark.parametrize("wrong", [{"mail_from": 5}, {"mail_until": 22}, {"mail_from": 18}, {"volume_multiple": 1}])
def test_the_database_keeps_the_bounds_too(clinic, wrong):
    with pytest.raises(IntegrityError), transaction.atomic():
        MessagePlan.objects.create(clinic=clinic, **wrong)


def test_a_removed_step_in_an_old_plan_does_no_harm(clinic):
    MessagePlan.objects.create(clinic=clinic, steps={"carrier_pigeon": {"on": True, "days": 3}})
    assert wishes_of([clinic.pk])[clinic.pk].ladder == LADDER
    assert rung_of("due").days == 0
