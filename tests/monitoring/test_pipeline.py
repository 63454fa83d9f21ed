"""Pipeline: recording moves plans, flags and reviews at once; the sweep does it for time."""

from datetime import UTC, date, datetime

import pytest
import time_machine
from django.core.exceptions import PermissionDenied

from monitoring import evaluating, pipeline, review
from monitoring.models import EvaluationReceipt, EvaluationRun, Flag, HipEvaluation, PatientEvaluation, ReviewCase
from patients import access, recording
from patients.models import Decision, Imaging, SymptomReport
from patients.vocabulary import Side
from schedules.models import Plan

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)


def baseline(on=date(2026, 1, 10)):
    return [
        (
            Side.LEFT,
            Imaging(on=on, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"),
        ),
        (Side.LEFT, Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
        (Side.LEFT, SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)),
        (Side.RIGHT, Imaging(on=on, modality="MR", necrosis=False)),
    ]


def pain(on=date(2026, 3, 3)):
    return [(Side.LEFT, SymptomReport(on=on, source="patient", symptomatic=True, pain_nrs=3))]


@pytest.fixture
def watched(clinic, enrol, actor):
    with time_machine.travel(NOON, tick=False):
        patient = enrol(clinic)
        recording.record_facts(patient.pk, baseline(), by=actor)
        yield patient


def left(patient):
    return patient.hips.get(side="left")


def test_a_recorded_baseline_gives_the_plan_of_the_guideline(watched):
    plan = Plan.objects.get(hip=left(watched), state="current")
    assert (plan.pathway, plan.due_on, plan.interval_months) == ("observation", date(2026, 7, 10), 6)


def test_new_pain_opens_a_core_decompression_review_in_the_same_request(watched, actor):
    recording.record_facts(watched.pk, pain(), by=actor)
    case = ReviewCase.objects.get(patient=watched)
    assert (case.action, case.since, case.act_by) == ("CORE_DECOMPRESSION_REVIEW", date(2026, 3, 3), date(2026, 3, 17))
    assert Plan.objects.get(hip=left(watched), state="current").due_on == date(2026, 4, 10)


def test_a_decision_closes_the_case_and_a_later_episode_opens_another(watched, actor, make_user):
    recording.record_facts(watched.pk, pain(), by=actor)
    surgeon = access.viewer_for(make_user(watched.clinic, "clinician"))
    case = ReviewCase.objects.get(patient=watched)
    verdict = review.Verdict(outcome="observe", reason="mild, wants to wait", on=date(2026, 3, 5))
    review.decide_case(case, verdict, viewer=surgeon)
    case.refresh_from_db()
    assert (case.state, case.decision.reason) == ("decided", "mild, wants to wait")
    with time_machine.travel(datetime(2026, 5, 20, 12, tzinfo=UTC)):
        calm = [(Side.LEFT, SymptomReport(on=date(2026, 4, 10), source="clinician", symptomatic=False))]
        recording.record_facts(watched.pk, calm, by=actor)
        recording.record_facts(watched.pk, pain(date(2026, 5, 18)), by=actor)
    again = ReviewCase.objects.get(patient=watched, state="open", action="CORE_DECOMPRESSION_REVIEW")
    assert again.pk != case.pk and again.notes.first().kind == "reopened"


def test_a_coordinator_cannot_decide(watched, actor, make_user):
    recording.record_facts(watched.pk, pain(), by=actor)
    coordinator = access.viewer_for(make_user(watched.clinic, "coordinator"))
    verdict = review.Verdict(outcome="observe", reason="x", on=date(2026, 3, 5))
    with pytest.raises(PermissionDenied, match="does not allow"):
        review.decide_case(ReviewCase.objects.get(patient=watched), verdict, viewer=coordinator)
    assert not Decision.objects.exists()


def test_a_case_decided_meanwhile_is_not_decided_twice(watched, actor, make_user):
    recording.record_facts(watched.pk, pain(), by=actor)
    surgeon = access.viewer_for(make_user(watched.clinic, "clinician"))
    case = ReviewCase.objects.get(patient=watched)
    verdict = review.Verdict(outcome="observe", reason="first", on=date(2026, 3, 5))
    review.decide_case(case, verdict, viewer=surgeon)
    with pytest.raises(review.CaseRefused, match="closed meanwhile"):
        review.decide_case(case, verdict, viewer=surgeon)
    assert Decision.objects.count() == 1


def test_withdrawing_the_pain_lapses_the_case(watched, actor):
    fact = recording.record_facts(watched.pk, pain(), by=actor).facts[0]
    recording.withdraw_fact(fact, by=actor, reason="the other hip")
    assert ReviewCase.objects.get(patient=watched).state == "lapsed"
    assert not Flag.objects.filter(patient=watched, closed_at__isnull=True, rule="R11").exists()


def test_time_alone_makes_a_hip_overdue_by_the_sweep(watched):
    with time_machine.travel(datetime(2026, 7, 24, 9, tzinfo=UTC)) as clock:
        pipeline.sweep(datetime.now(UTC))
        assert HipEvaluation.objects.get(hip=left(watched)).status == "overdue"
        assert Flag.objects.filter(patient=watched, rule="R21", closed_at__isnull=True).exists()
        clock.move_to(datetime(2026, 7, 24, 10, tzinfo=UTC))
        assert pipeline.sweep(datetime.now(UTC)).patients == 0


def test_sweeping_twice_changes_nothing(watched):
    with time_machine.travel(datetime(2026, 8, 24, 9, tzinfo=UTC)):
        pipeline.sweep(datetime.now(UTC))
        pipeline.sweep(datetime.now(UTC), everything=True)
        before = (Plan.objects.count(), Flag.objects.count(), EvaluationReceipt.objects.count())
        assert pipeline.sweep(datetime.now(UTC), everything=True).changed == 0
        assert (Plan.objects.count(), Flag.objects.count(), EvaluationReceipt.objects.count()) == before


def test_a_kept_follow_up_begins_the_next_cycle(watched, actor):
    with time_machine.travel(datetime(2026, 7, 9, 9, tzinfo=UTC)):
        recording.record_facts(watched.pk, baseline(date(2026, 7, 8))[1:3], by=actor)
    states = dict(Plan.objects.filter(hip=left(watched)).values_list("cycle_on", "state"))
    assert states == {date(2026, 1, 10): "kept", date(2026, 7, 8): "current"}


def test_death_ends_window_flags_and_cases(watched, actor):
    recording.record_facts(watched.pk, pain(), by=actor)
    recording.record_death(watched.pk, by=actor, died_on=date(2026, 3, 4), source="relative, by telephone")
    assert not Plan.objects.filter(patient=watched, state="current").exists()
    assert not Flag.objects.filter(patient=watched, closed_at__isnull=True).exists()
    assert not ReviewCase.objects.filter(patient=watched, state="open").exists()


def test_a_fault_in_a_rule_does_not_block_recording_and_is_tried_again(watched, actor, monkeypatch):
    def broken(*_args):
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(evaluating, "evaluate", broken)
        recording.record_facts(watched.pk, pain(), by=actor)
    assert SymptomReport.objects.filter(patient=watched).count() == 2
    assert PatientEvaluation.objects.get(patient=watched).error
    assert pipeline.sweep(datetime.now(UTC)).patients == 1
    assert PatientEvaluation.objects.get(patient=watched).error == ""
    assert ReviewCase.objects.filter(patient=watched, state="open").exists()


def test_each_run_leaves_a_receipt(watched):
    run = EvaluationRun.objects.filter(kind="recording").order_by("-id").first()
    assert run.finished_at and run.receipts.get().answer["hips"][0]["pathway"] == "observation"


def test_deferred_recordings_are_evaluated_at_the_end(clinic, enrol, actor):
    with time_machine.travel(NOON, tick=False), pipeline.deferred():
        patient = enrol(clinic)
        assert not PatientEvaluation.objects.filter(patient=patient).exists()
    assert PatientEvaluation.objects.get(patient=patient).record_version == 1
