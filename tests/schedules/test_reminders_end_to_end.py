"""From a recorded fact to the reminders: the whole way, evaluation included."""

from datetime import date, timedelta

from monitoring import heartbeats
from monitoring.models import Snooze
from patients import recording
from patients.vocabulary import EndReason, Side
from schedules import delivery
from schedules.models import Reminder
from tests.schedules.conftest import DUE_ON, NOON


def states() -> set[str]:
    return set(Reminder.objects.values_list("state", flat=True))


def test_enrolment_plans_reminders_and_a_death_cancels_them_at_once(clinic, enrol, actor):
    patient = enrol(clinic, enrolled_on=date.today())
    assert states() == {"planned"}
    assert Reminder.objects.count() == 3, "one mail for both hips"
    recording.record_death(patient.pk, by=actor, died_on=date.today(), source="letter")
    assert states() == {"cancelled"}
    recording.withdraw_death(patient.pk, by=actor, reason="another person")
    assert states() == {"planned"}


def test_reminders_end_with_the_second_hip(clinic, enrol, actor):
    patient = enrol(clinic, enrolled_on=date.today())
    hips = {hip.side: hip for hip in patient.hips.all()}
    for side, left_over in ((Side.LEFT, "planned"), (Side.RIGHT, "cancelled")):
        recording.end_follow_up(
            hips[side.value],
            by=actor,
            on=date.today(),
            reason=EndReason.DECLINED_IN_WRITING,
            evidence="letter of today",
        )
        assert states() == {left_over}


def test_a_snooze_made_by_staff_holds_mail_back_and_ends_by_itself(clinic, enrol, make_user, follow, drain, sink):
    patient = enrol(clinic)
    follow(patient, DUE_ON - timedelta(days=5))
    Snooze.objects.create(
        clinic=clinic,
        patient=patient,
        from_on=DUE_ON - timedelta(days=3),
        until=DUE_ON + timedelta(days=2),
        reason="abroad",
        owner=make_user(clinic, "coordinator"),
        actor="Staff",
    )
    drain()
    assert not sink.arrived
    drain(at=NOON + timedelta(days=1))
    assert not sink.arrived
    drain(at=NOON + timedelta(days=2))
    assert len(sink.arrived) == 1


def test_a_run_of_mail_beats_the_heart_that_pages_show(clinic):
    assert heartbeats.beat("mail", NOON).late
    delivery.finish_run(delivery.Tally(), now=NOON)
    assert not heartbeats.beat("mail", NOON).late
