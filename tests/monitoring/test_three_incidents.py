"""Three incidents of public screening programmes, replayed here: each is seen by staff within a day.

England 2018: a rule that was read in two ways at the edge of an interval, and nobody counted. England 2018: a file lost
between the step that made it and the step that mailed it. Scotland 2021: exclusions that nobody read again.
"""

from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from monitoring import census, heartbeats, pipeline
from monitoring.digest import Kind, contents_of
from monitoring.models import HipEvaluation, ImportBatch
from patients import recording
from patients.vocabulary import EndReason
from schedules import delivery
from schedules.models import Plan, Reminder

NEXT_MORNING = timedelta(days=1)


@pytest.fixture
def admin(clinic, make_user):
    return make_user(clinic, "admin")


def digest_of(user, clinic, now):
    return {group.kind: group.count for group in contents_of(user, clinic, now=now).groups}


@pytest.mark.parametrize("edge", ["opens_on", "due_on", "overdue_on", "gap_on"])
def test_a_rule_read_wrongly_at_the_edge_of_an_interval_is_seen_the_next_morning(clinic, enrol, admin, sign_in, edge):
    with time_machine.travel(datetime(2026, 1, 10, 9, tzinfo=UTC), tick=False):
        patient = enrol(clinic)
    plan = Plan.objects.filter(hip__patient=patient, state="current").first()
    day = datetime.combine(getattr(plan, edge), datetime.min.time(), UTC) + timedelta(hours=9)
    with time_machine.travel(day, tick=False):
        pipeline.sweep(day)
        right = HipEvaluation.objects.get(hip=plan.hip).status
        census.take_census(clinic, day)
        assert Kind.CENSUS_WRONG not in digest_of(admin, clinic, day)
        wrong = {"opens_on": "upcoming", "due_on": "open", "overdue_on": "due", "gap_on": "overdue"}[edge]
        assert right != wrong
        HipEvaluation.objects.filter(hip=plan.hip).update(status=wrong)  # "up to" was taken to include the day
        census.take_census(clinic, day + timedelta(minutes=1))
        assert digest_of(admin, clinic, day + timedelta(hours=1))[Kind.CENSUS_WRONG] == 1
        assert "do not add up" in sign_in(admin).get("/").content.decode()


def test_a_mail_lost_between_two_steps_is_seen_the_next_morning(clinic, enrol, make_user, sign_in):
    desk, patient = make_user(clinic, "coordinator"), enrol(clinic)
    now = datetime(2026, 6, 2, 9, tzinfo=UTC)
    handed_over = {"state": "sending", "claimed_by": "worker", "lease_until": now, "sent_to": patient.email}
    day = {"cycle_on": date(2026, 1, 10), "due_on": now.date(), "send_on": now.date()}
    Reminder.objects.create(clinic=clinic, patient=patient, step="second_missed", **day, **handed_over)
    delivery.recover_leases(now=now + timedelta(minutes=2))  # its worker was never heard of again
    assert digest_of(desk, clinic, now + NEXT_MORNING)[Kind.MAIL_UNCERTAIN] == 1
    assert patient.family_name in sign_in(desk).get("/messages/uncertain/").content.decode()


def test_a_file_that_nobody_took_up_is_seen_within_the_hour(clinic, admin, sign_in, make_user):
    since = datetime.now(UTC) - timedelta(hours=3)
    waits = {"clinic": clinic, "file_name": "lab.csv", "digest": "0" * 64, "actor": "Ada", "created_at": since}
    ImportBatch.objects.create(state=ImportBatch.State.WAITING, **waits)
    for name in heartbeats.WATCHING:
        heartbeats.finished(name, datetime.now(UTC))
    page = sign_in(admin).get("/system/").content.decode()
    assert "3 hours" in page and "Imports that wait" in page


def test_an_exclusion_that_nobody_has_read_for_a_year_is_seen_the_next_morning(clinic, enrol, admin, actor, sign_in):
    patient = enrol(clinic, enrolled_on=date(2024, 1, 10))
    recorded = datetime(2025, 3, 1, 9, tzinfo=UTC)
    given = {"on": recorded.date(), "reason": EndReason.ENTERED_IN_ERROR, "evidence": "mix-up"}
    recording.end_follow_up(patient.hips.get(side="left"), by=actor, now=recorded, **given)
    morning = recorded + timedelta(days=365) + NEXT_MORNING
    assert digest_of(admin, clinic, morning)[Kind.ENDINGS_UNREAD] == 1
    assert "has not been read for a year" in sign_in(admin).get("/").content.decode()
