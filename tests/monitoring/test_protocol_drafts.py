"""Protocol drafts: who may take which step, what the database refuses, and that a version in force evaluates."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from monitoring import pipeline, protocol_drafts
from monitoring.models import AuditEntry, EvaluationReceipt, HipEvaluation, PatientEvaluation
from monitoring.protocol_drafts import TRANSITIONS, Act, DraftMoved, State, StepRefused
from patients import access, recording
from patients.models import Clinic, Imaging, SymptomReport
from patients.vocabulary import Side
from schedules import adoption
from schedules.guideline.protocol import Protocol, ProtocolRefused
from schedules.models import ProtocolStep, ProtocolVersion

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def author(clinic, make_user):
    return access.viewer_for(make_user(clinic, "clinician", name="Ada Okoye"))


@pytest.fixture
def second(clinic, make_user):
    return access.viewer_for(make_user(clinic, "clinician", name="Dr Lindqvist"))


@pytest.fixture
def admin(clinic, make_user):
    return access.viewer_for(make_user(clinic, "admin", name="Ruth Amsel"))


def edited(version, viewer, **changes):
    protocol = replace(Protocol.from_json(version.parameters), **changes)
    return protocol_drafts.edit_draft(version.pk, protocol, note="", seen=version.digest, viewer=viewer, now=NOW)


@pytest.fixture
def draft(author):
    made = protocol_drafts.start_draft(None, note="Closer follow-up.", viewer=author, now=NOW)
    return edited(made, author, standard_interval_months=4)


@pytest.fixture
def under_review(draft, author, second):
    protocol_drafts.submit(draft.pk, viewer=author, now=NOW)
    return protocol_drafts.take_up(draft.pk, viewer=second, now=NOW)


def test_a_draft_goes_all_the_way_and_each_step_is_kept(under_review, second):
    approved = protocol_drafts.approve(under_review.pk, in_force_from=date(2026, 3, 9), viewer=second, now=NOW)
    assert (approved.state, str(approved)) == ("approved", "onfh-small-lesion/2")
    assert [step.act for step in approved.steps.all()] == ["drafted", "edited", "submitted", "taken_up", "approved"]
    assert [step.actor for step in approved.steps.all()][-1] == "Dr Lindqvist"
    assert adoption.protocol_in_force(date(2026, 3, 8)) == adoption.DEFAULT
    assert adoption.protocol_in_force(date(2026, 3, 9)).standard_interval_months == 4
    assert AuditEntry.objects.get(act="protocol_approved").after["in_force_from"] == "2026-03-09"


def approved_in_a_week(pk, viewer):
    now = timezone.now()  # the database's own clock says what has been in force
    day = protocol_drafts.last_today(now) + timedelta(days=7)
    return protocol_drafts.approve(pk, in_force_from=day, viewer=viewer, now=now)


CALLS = {
    Act.EDITED: lambda pk, viewer: edited(ProtocolVersion.objects.get(pk=pk), viewer, baseline_days=20),
    Act.SUBMITTED: lambda pk, viewer: protocol_drafts.submit(pk, viewer=viewer, now=NOW),
    Act.TAKEN_UP: lambda pk, viewer: protocol_drafts.take_up(pk, viewer=viewer, now=NOW),
    Act.RETURNED: lambda pk, viewer: protocol_drafts.send_back(pk, reason="Why?", viewer=viewer, now=NOW),
    Act.APPROVED: approved_in_a_week,
    Act.WITHDRAWN: lambda pk, viewer: protocol_drafts.withdraw(pk, reason="Given up.", viewer=viewer, now=NOW),
}
TO = {
    State.DRAFT: (),
    State.SUBMITTED: (Act.SUBMITTED,),
    State.UNDER_REVIEW: (Act.SUBMITTED, Act.TAKEN_UP),
    State.RETURNED: (Act.SUBMITTED, Act.TAKEN_UP, Act.RETURNED),
    State.APPROVED: (Act.SUBMITTED, Act.TAKEN_UP, Act.APPROVED),
    State.WITHDRAWN: (Act.WITHDRAWN,),
}


@pytest.mark.parametrize("act", CALLS)
@pytest.mark.parametrize("state", TO)
def test_only_the_steps_of_the_table_can_be_taken(state, act, draft, author, second):
    reviewing = protocol_drafts.REVIEWING
    for step in TO[state]:
        CALLS[step](draft.pk, second if step in reviewing else author)
    viewer = second if act in reviewing else author
    if (state, act) in TRANSITIONS:
        CALLS[act](draft.pk, viewer)
        assert ProtocolVersion.objects.get(pk=draft.pk).state == TRANSITIONS[state, act]
    else:
        with pytest.raises(StepRefused):
            CALLS[act](draft.pk, viewer)
        assert ProtocolVersion.objects.get(pk=draft.pk).state == state


def test_whoever_had_a_hand_in_it_does_not_review_it(draft, author, second):
    edited(draft, second, worsening_nrs=3)
    protocol_drafts.submit(draft.pk, viewer=author, now=NOW)
    for viewer in (author, second):
        with pytest.raises(PermissionDenied):
            protocol_drafts.take_up(draft.pk, viewer=viewer, now=NOW)


def test_an_administrator_drafts_and_does_not_approve(draft, author, admin, clinic, make_user):
    protocol_drafts.submit(draft.pk, viewer=admin, now=NOW)
    with pytest.raises(PermissionDenied):
        protocol_drafts.take_up(draft.pk, viewer=access.viewer_for(make_user(clinic, "admin")), now=NOW)
    with pytest.raises(PermissionDenied):
        coordinator = access.viewer_for(make_user(clinic, "coordinator"))
        protocol_drafts.start_draft(None, note="Other.", viewer=coordinator, now=NOW)


def test_the_database_refuses_an_approval_by_the_author(under_review, author):
    with pytest.raises(DatabaseError, match=r"approved by its author|approved_by_another"), transaction.atomic():
        ProtocolVersion.objects.filter(pk=under_review.pk).update(
            state="approved", in_force_from=date(2026, 3, 9), approved_by=author.actor.user_id
        )


def test_the_database_refuses_an_approval_by_whoever_edited_it(draft, author, second):
    edited(draft, second, worsening_nrs=3)
    protocol_drafts.submit(draft.pk, viewer=author, now=NOW)
    with pytest.raises(DatabaseError, match="approved by its author"), transaction.atomic():
        ProtocolVersion.objects.filter(pk=draft.pk).update(
            state="approved", in_force_from=date(2026, 3, 9), approved_by=second.actor.user_id
        )


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"state": "approved", "in_force_from": date(2026, 3, 9)}, "approved_protocol_says_by_whom"),
        ({"state": "submitted", "submitted_by": None}, "submitted_protocol_says_by_whom"),
        ({"state": "somewhere"}, "protocol_state_known"),
    ],
)
def test_the_database_keeps_a_version_in_order(draft, change, name):
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        ProtocolVersion.objects.filter(pk=draft.pk).update(**change)


def test_what_was_submitted_or_adopted_is_fixed_by_the_database(under_review, second):
    rows = ProtocolVersion.objects.filter(pk=under_review.pk)
    with pytest.raises(DatabaseError, match="is fixed"), transaction.atomic():
        rows.update(parameters=adoption.DEFAULT.to_json())
    protocol_drafts.approve(under_review.pk, in_force_from=date(2026, 3, 9), viewer=second, now=NOW)
    with pytest.raises(DatabaseError, match="is adopted"), transaction.atomic():
        rows.update(in_force_from=date(2026, 3, 4))
    with pytest.raises(DatabaseError, match="has been in force"), transaction.atomic():
        rows.update(state="withdrawn")  # by the database's clock its day is long past


def test_steps_are_only_added(draft):
    for statement in ("DELETE FROM schedules_protocolstep", "UPDATE schedules_protocolstep SET reason = 'x'"):
        with pytest.raises(DatabaseError, match="permission denied"), transaction.atomic():
            connection.cursor().execute(statement)


def test_it_comes_into_force_within_two_years(under_review, second):
    with pytest.raises(StepRefused, match="two years"):
        protocol_drafts.approve(under_review.pk, in_force_from=date(2999, 1, 1), viewer=second, now=NOW)


def test_it_comes_into_force_tomorrow_at_the_earliest(under_review, second):
    Clinic.objects.update(time_zone="Pacific/Auckland")  # there it is already the third
    late = datetime(2026, 3, 2, 12, tzinfo=UTC)
    with pytest.raises(StepRefused):
        protocol_drafts.approve(under_review.pk, in_force_from=date(2026, 3, 3), viewer=second, now=late)
    protocol_drafts.approve(under_review.pk, in_force_from=date(2026, 3, 4), viewer=second, now=late)


def test_two_versions_do_not_begin_on_one_day(under_review, author, second):
    day = date(2026, 3, 9)
    protocol_drafts.approve(under_review.pk, in_force_from=day, viewer=second, now=NOW)
    other = edited(protocol_drafts.start_draft(None, note="x", viewer=author, now=NOW), author, baseline_days=20)
    protocol_drafts.submit(other.pk, viewer=author, now=NOW)
    protocol_drafts.take_up(other.pk, viewer=second, now=NOW)
    with pytest.raises(StepRefused):
        protocol_drafts.approve(other.pk, in_force_from=day, viewer=second, now=NOW)


def test_an_approved_version_is_withdrawn_before_its_day_and_not_after(clinic, author, second):
    now = timezone.now()
    made = protocol_drafts.start_draft(None, note="Closer.", viewer=author, now=now)
    edited(made, author, standard_interval_months=4)
    protocol_drafts.submit(made.pk, viewer=author, now=now)
    protocol_drafts.take_up(made.pk, viewer=second, now=now)
    day = protocol_drafts.last_today(now) + timedelta(days=7)
    protocol_drafts.approve(made.pk, in_force_from=day, viewer=second, now=now)
    with pytest.raises(StepRefused, match="stays"):
        protocol_drafts.withdraw(made.pk, reason="Late.", viewer=second, now=now + timedelta(days=8))
    protocol_drafts.withdraw(made.pk, reason="In time.", viewer=second, now=now)
    assert adoption.protocol_in_force(day) == adoption.DEFAULT


def test_a_draft_beyond_its_bounds_is_refused_with_every_problem(draft, author):
    with pytest.raises(ProtocolRefused) as refused:
        edited(draft, author, baseline_days=0, short_interval_months=5, age_over_years=50)
    assert [fault.paths for fault in Protocol(baseline_days=0).faults()] == [("baseline_days",)]
    assert len(refused.value.problems) == 3
    assert ProtocolStep.objects.filter(version=draft, act="edited").count() == 1


def test_a_draft_changed_meanwhile_is_not_overwritten(draft, author, admin):
    edited(draft, admin, worsening_nrs=3)
    with pytest.raises(DraftMoved):
        edited(draft, author, worsening_nrs=4)


def test_a_draft_that_changes_nothing_is_not_submitted(author):
    made = protocol_drafts.start_draft(None, note="Nothing yet.", viewer=author, now=NOW)
    with pytest.raises(StepRefused):
        protocol_drafts.submit(made.pk, viewer=author, now=NOW)


@pytest.fixture
def watched(clinic, enrol, actor):
    """Three patients with a silent lesion of 12 %, all seen on 10 January."""
    lesion = {"necrosis": True, "lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}
    day, people = date(2026, 1, 10), [enrol(clinic) for _number in range(3)]
    for patient in people:
        facts = [
            (Side.LEFT, Imaging(on=day, modality="MR", **lesion)),
            (Side.LEFT, Imaging(on=day, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
            (Side.LEFT, SymptomReport(on=day, source="clinician", symptomatic=False, pain_nrs=0)),
            (Side.RIGHT, Imaging(on=day, modality="MR", necrosis=False)),
        ]
        recording.record_facts(patient.pk, facts, by=actor)
    return people


def swept(clinic, now):
    counts = pipeline.sweep(now)
    access.bind_clinics([clinic.pk])
    return counts


def test_on_its_day_every_hip_is_evaluated_by_it_in_batches_and_with_receipts(
    clinic, watched, under_review, second, monkeypatch
):
    monkeypatch.setattr(pipeline, "CHUNK", 2)
    protocol_drafts.approve(under_review.pk, in_force_from=date(2026, 3, 9), viewer=second, now=NOW)
    swept(clinic, NOW)
    due = HipEvaluation.objects.filter(hip__side="left").values_list("due_on", flat=True)
    swept(clinic, datetime(2026, 3, 8, 10, tzinfo=UTC))
    assert set(due.all()) == {date(2026, 7, 10)}, "not before its day"
    counts = swept(clinic, datetime(2026, 3, 9, 10, tzinfo=UTC))
    assert (counts.patients, counts.changed) == (3, 3)
    assert set(due.all()) == {date(2026, 5, 10)}
    assert set(PatientEvaluation.objects.values_list("protocol", flat=True)) == {"onfh-small-lesion/2"}
    receipts = EvaluationReceipt.objects.filter(protocol="onfh-small-lesion/2")
    assert (receipts.count(), receipts.first().as_of) == (3, date(2026, 3, 9))
    assert swept(clinic, datetime(2026, 3, 9, 11, tzinfo=UTC)).patients == 0
