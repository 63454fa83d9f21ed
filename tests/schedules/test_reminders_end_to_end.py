"""From a recorded fact to the reminders: the whole way, evaluation included."""

from datetime import date

from patients import recording
from patients.vocabulary import EndReason, Side
from schedules.models import Reminder


def states() -> set[str]:
    return set(Reminder.objects.values_list("state", flat=True))


def test_enrolment_plans_reminders_and_a_death_cancels_them_at_once(clinic, enrol, actor):
    patient = enrol(clinic, enrolled_on=date.today())
    assert states() == {"planned"}
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
