"""Which reminders a follow-up window calls for, and what becomes of them when it changes."""

from datetime import date, timedelta

import pytest

from patients.changes import Actor
from schedules import desk, reminders
from schedules.desk import NotPossible
from schedules.models import MessagePlan, Reminder, ReminderEvent
from schedules.reminders import move, reconcile_reminders
from tests.schedules.conftest import DUE_ON, NOON

DAY = timedelta(days=1)
pytestmark = pytest.mark.usefixtures("planned_by_hand")


def states(patient) -> dict[str, str]:
    return {row.step: row.state for row in Reminder.objects.filter(patient=patient).order_by("send_on", "id")}


def test_a_window_calls_for_four_mails_on_their_days(patient, follow):
    follow(patient, DUE_ON + 45 * DAY)
    planned = Reminder.objects.filter(patient=patient).order_by("send_on").values_list("step", "send_on", "state")
    due = DUE_ON + 45 * DAY
    assert list(planned) == [
        ("booking_prompt", due - 42 * DAY, "planned"),
        ("due", due, "planned"),
        ("missed", due + DAY, "planned"),
        ("second_missed", due + 42 * DAY, "planned"),
    ]


def test_planning_twice_changes_nothing(patient, follow):
    follow(patient)
    before = list(Reminder.objects.order_by("id").values())
    follow(patient)
    assert list(Reminder.objects.order_by("id").values()) == before
    assert not ReminderEvent.objects.exists()


@pytest.mark.parametrize(
    ("days_late", "expected"),
    [
        (0, {"booking_prompt": "expired", "due": "planned", "missed": "planned", "second_missed": "planned"}),
        (1, {"booking_prompt": "expired", "due": "expired", "missed": "planned", "second_missed": "planned"}),
        (41, {"booking_prompt": "expired", "due": "expired", "missed": "planned", "second_missed": "planned"}),
        (42, {"booking_prompt": "expired", "due": "expired", "missed": "expired", "second_missed": "planned"}),
        (102, {"booking_prompt": "expired", "due": "expired", "missed": "expired", "second_missed": "planned"}),
        (103, {"booking_prompt": "expired", "due": "expired", "missed": "expired", "second_missed": "expired"}),
        (2000, {"due": "expired", "missed": "expired", "second_missed": "expired"}),
    ],
)
def test_a_patient_enrolled_late_gets_one_mail_at_most(patient, follow, drain, sink, days_late, expected):
    follow(patient, DUE_ON - days_late * DAY)
    assert states(patient) == expected
    drain()
    assert len(sink.arrived) == (1 if days_late <= 102 else 0)


def test_what_is_too_late_when_planned_says_so(patient, follow):
    follow(patient, DUE_ON - 2000 * DAY)
    assert set(Reminder.objects.values_list("reason", flat=True)) == {reminders.MISSED_WHEN_PLANNED}


def test_a_new_window_cancels_what_was_planned_for_the_old_one(patient, follow):
    follow(patient, DUE_ON + 10 * DAY)
    follow(patient, DUE_ON + 190 * DAY, cycle_on=DUE_ON)
    old = Reminder.objects.filter(patient=patient, due_on=DUE_ON + 10 * DAY)
    assert set(old.values_list("state", "reason")) == {("cancelled", reminders.NEW_WINDOW)}
    assert ReminderEvent.objects.filter(state="cancelled", actor="system: test").count() == 4


def test_an_end_of_follow_up_cancels_and_a_reopening_brings_back(patient, follow):
    follow(patient, DUE_ON + 10 * DAY)
    follow(patient, None)
    assert set(Reminder.objects.values_list("state", "reason")) == {("cancelled", reminders.NO_WINDOW)}
    follow(patient, DUE_ON + 10 * DAY)
    assert set(states(patient).values()) == {"planned"}


def test_a_moved_due_date_plans_anew_and_what_was_sent_stays(patient, follow, drain):
    follow(patient)
    drain()
    follow(patient, DUE_ON + 90 * DAY)
    rows = set(Reminder.objects.values_list("due_on", "step", "state"))
    assert (DUE_ON, "due", "sent") in rows
    assert (DUE_ON, "missed", "cancelled") in rows
    assert (DUE_ON + 90 * DAY, "due", "planned") in rows


def test_reminders_are_planned_in_a_fixed_number_of_queries(clinic, enrol, django_assert_num_queries):
    def windows(patients, due_on):
        return {
            p.pk: reminders.PatientWindow(
                patient_id=p.pk, clinic_id=clinic.pk, cycle_on=date(2026, 9, p.pk % 28 + 1),
                opens_on=due_on - 28 * DAY, due_on=due_on, overdue_on=due_on + 28 * DAY,
            )
            for p in patients
        }  # fmt: skip

    people = [enrol(clinic) for _ in range(12)]
    run = Actor.system("test")
    for group in (people[:1], people[1:]):
        with django_assert_num_queries(4):  # the clinics' ladders, what there is, insert, letters and calls
            reconcile_reminders(windows(group, DUE_ON), actor=run, now=NOON)
    assert Reminder.objects.count() == 48
    for group in (people[:1], people[1:]):
        with django_assert_num_queries(5):  # and the cancellations
            reconcile_reminders(windows(group, DUE_ON + DAY), actor=run, now=NOON)


def test_a_refused_mail_is_planned_again_once_the_patient_agrees(patient, follow, drain, actor, sink):
    patient.contact_wishes.update(allowed=False)
    follow(patient)
    drain()
    assert states(patient)["due"] == "refused"
    follow(patient)
    assert states(patient)["due"] == "refused", "nothing has changed"
    patient.contact_wishes.update(allowed=True)
    follow(patient)
    assert states(patient)["due"] == "planned"
    drain()
    assert len(sink.arrived) == 1


def test_what_a_person_withheld_stays_withheld(patient, follow, actor, drain, sink):
    follow(patient)
    row = desk.cancel(Reminder.objects.get(step="due").pk, by=actor, reason="speaks with us today", now=NOON)
    assert (row.state, row.reason) == ("refused", "Withheld by Ada Okoye: speaks with us today")
    follow(patient)
    drain()
    assert states(patient)["due"] == "refused"
    assert not sink.arrived
    assert desk.send_again(row.pk, by=actor, now=NOON).state == "planned"


def test_an_uncertain_mail_waits_for_a_person(patient, follow, actor):
    follow(patient)
    pk = Reminder.objects.get(step="due").pk
    with pytest.raises(NotPossible):
        desk.resolve_uncertain(pk, arrived=True, by=actor)
    move([pk], Reminder.State.SENDING, out_of=["planned"], at=NOON, by=actor, claim="w", lease_until=NOON)
    Reminder.objects.filter(pk=pk).update(sent_to="a@b.example")
    move([pk], Reminder.State.UNCERTAIN, out_of=["sending"], at=NOON, by=actor, reason="worker died")
    assert desk.resolve_uncertain(pk, arrived=False, by=actor).state == "planned"
    with pytest.raises(NotPossible):
        desk.resolve_uncertain(pk, arrived=True, by=actor)


def test_staff_actions_are_audited_and_evaluate_nothing(patient, follow, actor):
    from monitoring.models import AuditEntry

    follow(patient)
    desk.cancel(Reminder.objects.get(step="due").pk, by=actor, reason="called", now=NOON)
    desk.stop_mail(patient.clinic, by=actor, reason="test week")
    told = set(AuditEntry.objects.filter(actor=actor.name).values_list("act", flat=True))
    assert {"withhold_reminder", "stop_mail"} <= told


def test_a_move_that_is_not_in_the_table_is_a_mistake(patient, actor):
    with pytest.raises(ValueError, match="sent to planned"):
        move([1], Reminder.State.PLANNED, out_of=["sent"], at=NOON, by=actor)


def test_history_tells_every_move(patient, follow, drain):
    follow(patient)
    drain()
    row = Reminder.objects.get(step="due")
    assert list(row.events.values_list("state", "actor")) == [("sending", "system: mail"), ("sent", "system: mail")]


def test_looking_ahead_uses_the_rules_of_sending(clinic, enrol, follow):
    good, never_asked = enrol(clinic), enrol(clinic, contact_wishes={})
    for person in (good, never_asked):
        follow(person, DUE_ON + 3 * DAY)
    ahead = reminders.upcoming([clinic.pk], now=NOON)
    seen = {(item.reminder.patient_id, item.reminder.step): item.verdict.action for item in ahead}
    assert seen == {
        (good.pk, "due"): "send",
        (good.pk, "missed"): "send",
        (never_asked.pk, "due"): "refuse",
        (never_asked.pk, "missed"): "refuse",
    }
    assert {item.at.date() for item in ahead} == {DUE_ON + 3 * DAY, DUE_ON + 4 * DAY}


# ---- Asked for now


def by(name="Ada"):
    return Actor(name=name)


def test_a_mail_asked_for_now_keeps_its_day_when_planned_again(patient, follow, drain, sink):
    follow(patient, DUE_ON + 60 * DAY)
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert (asked.at, asked.why) == (NOON, "")
    follow(patient, DUE_ON + 60 * DAY)
    row = Reminder.objects.get(patient=patient, step="booking_prompt")
    assert row.send_on == NOON.date()
    drain()
    assert len(sink.arrived) == 1
    assert ReminderEvent.objects.filter(reminder=row, reason="Asked for now by Ada").count() == 1


def test_no_mail_goes_earlier_than_a_clinic_may_choose(patient, follow):
    follow(patient, DUE_ON + 71 * DAY)
    before = list(Reminder.objects.order_by("id").values())
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert (asked.at, asked.why, asked.earliest) == (None, desk.TOO_EARLY, NOON.date() + DAY)
    assert list(Reminder.objects.order_by("id").values()) == before


def test_that_a_visit_was_missed_is_not_said_before_it_was_due(patient, follow):
    follow(patient, DUE_ON)
    Reminder.objects.filter(patient=patient, step="due").update(state="cancelled")
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert asked.reminder.step == "missed" and asked.why == desk.TOO_EARLY


def test_asking_twice_changes_nothing_more(patient, follow):
    follow(patient, DUE_ON + 60 * DAY)
    first = desk.send_now([patient.pk], by=by(), now=NOON)
    assert desk.send_now([patient.pk], by=by("Ben"), now=NOON) == first
    assert ReminderEvent.objects.filter(reason__startswith="Asked for now").count() == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"died_on": NOON.date(), "death_source": "letter"}, "The patient has died."),
        ({"email": ""}, "There is no e-mail address."),
        ({"email_bounced_on": NOON.date()}, "Mail to this address came back."),
    ],
)
def test_what_eligibility_refuses_is_not_brought_forward(patient, follow, change, why):
    follow(patient, DUE_ON + 60 * DAY)
    type(patient).objects.filter(pk=patient.pk).update(**change)
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert (asked.at, str(asked.why)) == (None, why)
    assert Reminder.objects.get(patient=patient, step="booking_prompt").send_on > NOON.date()


def test_held_mail_waits_for_whoever_decides(patient, follow, clinic):
    follow(patient, DUE_ON + 60 * DAY)
    MessagePlan.objects.create(clinic=clinic, held_at=NOON, held_count=50, held_limit=20)
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert asked.why == "More mail is due than usual; a person decides."


def test_a_mail_without_a_purpose_makes_way_for_the_next(patient, follow, clinic):
    follow(patient, DUE_ON + 60 * DAY)
    check = Reminder.objects.get(patient=patient, step="booking_prompt")
    Reminder.objects.filter(pk=check.pk).update(due_on=DUE_ON, step="due", send_on=NOON.date())  # of a window gone by
    follow_up = Reminder.objects.get(patient=patient, step="due", due_on=DUE_ON + 60 * DAY)
    Reminder.objects.filter(pk=follow_up.pk).update(step="booking_prompt")
    (asked,) = desk.send_now([patient.pk], by=by(), now=NOON)
    assert asked.reminder.pk == follow_up.pk and asked.at == NOON


def test_many_are_asked_for_in_a_fixed_number_of_reads(enrol, clinic, follow, django_assert_max_num_queries):
    people = [enrol(clinic) for _number in range(20)]
    for one in people:
        follow(one, DUE_ON + 200 * DAY)
    with django_assert_max_num_queries(17):
        assert len(desk.send_now([one.pk for one in people], by=by(), now=NOON)) == 20
