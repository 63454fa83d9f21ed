"""Census: it adds up, and it notices when somebody is lost."""

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.db import connection

from monitoring import census, pipeline
from monitoring.models import Census, HipEvaluation
from patients import access, recording
from patients.models import Imaging, Procedure, SymptomReport
from patients.vocabulary import EndReason, Side
from schedules.models import Plan

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def lesion(side, **details):
    facts = {"on": date(2026, 1, 10), "modality": "MR", "necrosis": True, **details}
    return (side, Imaging(**facts))


@pytest.fixture
def registry(clinic, enrol, actor):
    """Five patients in as many situations."""
    with time_machine.travel(NOON, tick=False):
        _unknown, watched, ended, replaced, dead = (enrol(clinic) for _ in range(5))
        recording.record_facts(watched.pk, [lesion(Side.LEFT), lesion(Side.RIGHT, necrosis=False)], by=actor)
        recording.end_follow_up(
            ended.hips.get(side="left"), by=actor, on=date(2026, 2, 1), reason=EndReason.DISCHARGED, evidence="letter"
        )
        tha = Procedure(on=date(2026, 2, 1), procedure="THA")
        recording.record_facts(replaced.pk, [lesion(Side.LEFT), (Side.LEFT, tha), lesion(Side.RIGHT)], by=actor)
        recording.record_death(dead.pk, by=actor, died_on=date(2026, 2, 2), source="register")
        yield clinic


def test_each_hip_stands_in_one_bucket_and_they_add_up(registry):
    taken = census.take_census(registry, NOON)
    assert taken.adds_up, taken.disagreements
    assert taken.buckets == {
        "contralateral_watch": 1,
        "deceased": 2,
        "ended: discharged": 1,
        "overdue": 5,
        "replaced": 1,
    }


def test_it_adds_up_a_year_later_after_a_sweep_and_not_before(registry):
    later = datetime(2027, 3, 5, 12, tzinfo=UTC)
    with time_machine.travel(later, tick=False):
        assert not census.take_census(registry, later).adds_up
        pipeline.sweep(later)
        assert census.take_census(registry, later).adds_up


def test_a_hip_that_lost_its_plan_is_found(registry):
    plan = Plan.objects.filter(state="current").first()
    Plan.objects.filter(pk=plan.pk).update(state="closed")
    taken = census.take_census(registry, NOON)
    assert not taken.adds_up
    assert {"hip": plan.hip_id, "census": "lost", "lists": "overdue"} in taken.disagreements
    assert census.clinics_that_do_not_add_up((registry.pk,)) == [taken]


def test_a_hip_without_an_evaluation_is_found(registry):
    evaluation = HipEvaluation.objects.filter(status="overdue").first()
    HipEvaluation.objects.filter(pk=evaluation.pk).update(status="upcoming")
    assert not census.take_census(registry, NOON).adds_up


def test_the_census_is_taken_once_a_day_and_leaves_a_heartbeat(registry):
    with time_machine.travel(NOON, tick=False):
        assert census.take_census_where_due(NOON) == 1
        assert census.take_census_where_due(NOON) == 0


def test_clinics_that_are_counted_together_are_told_apart(registry, other_clinic, enrol):
    with time_machine.travel(NOON, tick=False):
        enrol(other_clinic)
    assert census.take_census_where_due(NOON) == 2
    access.bind_clinics([registry.pk, other_clinic.pk])
    assert dict(Census.objects.values_list("clinic", "enrolled_hips")) == {registry.pk: 10, other_clinic.pk: 2}
    assert all(Census.objects.values_list("adds_up", flat=True))


def test_who_is_enrolled_right_after_the_count_does_not_make_it_wrong(registry, enrol):
    came = []

    def meanwhile(execute, sql, params, many, context):
        if "monitoring_standing_now" in sql and not came:  # the next statement of a census
            came.append(enrol(registry))
        return execute(sql, params, many, context)

    with time_machine.travel(NOON, tick=False), connection.execute_wrapper(meanwhile):
        taken = census.take_census(registry, NOON)
    assert came and taken.adds_up and taken.enrolled_hips == 10


def test_pain_alone_leaves_a_hip_counted_as_unknown(clinic, enrol, actor):
    with time_machine.travel(NOON, tick=False):
        patient = enrol(clinic)
        report = SymptomReport(on=date(2026, 2, 1), source="patient", symptomatic=True)
        recording.record_facts(patient.pk, [(Side.LEFT, report)], by=actor)
        assert census.take_census(clinic, NOON).adds_up
