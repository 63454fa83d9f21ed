"""Merging: two records of one person become one that reads everything, and undoing it leaves both as they were."""

from datetime import date
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitoring import census, pipeline
from monitoring.models import AuditEntry, HipEvaluation
from patients import recording
from patients.changes import Actor
from patients.models import ContactWish, Exposure, Imaging, Merge, Patient, Procedure, Score, SymptomReport
from patients.reading import read_record
from patients.recording import RecordingRefused
from patients.vocabulary import EndReason, Side

SAME = {"family_name": "Berg", "given_name": "Marta"}


def xray(on: date, **read: Any) -> Imaging:
    return Imaging(on=on, modality="XR", views=["AP", "FROG_LATERAL"], necrosis=True, **read)


@pytest.fixture
def two(clinic: Any, enrol: Any, actor: Any) -> tuple[Patient, Patient]:
    """A record with a radiograph of March, and one of the same person with one of June and pain."""
    with pipeline.deferred():
        one = enrol(clinic, **SAME)
        other = enrol(clinic, **SAME, enrolled_on=date(2025, 12, 1), telephone="+442079460123", email="")
        recording.record_facts(one.pk, [(Side.LEFT, xray(date(2026, 3, 1)))], by=actor)
        pain = SymptomReport(on=date(2026, 6, 1), source="clinician", symptomatic=True, pain_nrs=4)
        recording.record_facts(other.pk, [(Side.LEFT, xray(date(2026, 6, 1))), (Side.LEFT, pain)], by=actor)
        recording.record_exposure(other.pk, Exposure(kind="sle"), by=actor)
    return one, other


@pytest.fixture
def merged(two: Any, actor: Any) -> Merge:
    return recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same national card")


def state_of(pk: int) -> tuple[Any, ...]:
    """All that is read of a person: the record with its facts' ids, and the details without the version."""
    details = Patient.objects.filter(pk=pk).values().get()
    details.pop("record_version")
    wishes = list(ContactWish.objects.filter(patient=pk).order_by("channel").values_list("channel", "allowed", "how"))
    return read_record(pk), details, wishes


def test_the_survivor_reads_the_facts_of_both(two: Any, merged: Merge) -> None:
    record = read_record(two[0].pk)
    assert [image.on for image in record.left.imaging] == [date(2026, 3, 1), date(2026, 6, 1)]
    assert [report.pain_nrs for report in record.left.symptoms] == [4]
    assert {str(condition) for condition in record.conditions} == {"sle"}
    assert record.enrolled_on == date(2025, 12, 1)
    assert str(Patient.objects.get(pk=two[0].pk).telephone) == "+442079460123"


def test_copies_keep_who_recorded_them_and_when(two: Any, merged: Merge) -> None:
    kind, original, copy = merged.wrote["facts"][0]
    assert kind == "imaging"
    before, after = Imaging.objects.get(pk=original), Imaging.objects.get(pk=copy)
    assert (before.actor, before.recorded_at, before.visit_id) == (after.actor, after.recorded_at, after.visit_id)
    assert (before.patient_id, before.withdrawn_at) == (two[1].pk, None)


def test_what_both_records_say_word_for_word_comes_once(two: Any, actor: Any) -> None:
    recording.record_facts(two[1].pk, [(Side.LEFT, xray(date(2026, 3, 1)))], by=actor)
    merge = recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")
    assert len(merge.wrote["already"]) == 1
    assert len(read_record(two[0].pk).left.imaging) == 2


def test_a_score_with_its_answers_is_compared_too(two: Any, actor: Any) -> None:
    answers = {"pain": 30, "limp": 8}
    for patient in two:
        score = Score(on=date(2026, 3, 1), instrument="HHS", value=70, items=dict(answers))
        recording.record_facts(patient.pk, [(Side.LEFT, score)], by=actor)
    merge = recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")
    assert len(merge.wrote["already"]) == 1


def test_a_correction_comes_along_with_what_it_corrects(two: Any, actor: Any) -> None:
    old = Imaging.objects.get(patient=two[1])
    new = xray(date(2026, 6, 2), supersedes=old, correction_reason="a slip")
    recording.record_facts(two[1].pk, [(Side.LEFT, new)], by=actor)
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")
    latest = read_record(two[0].pk).left.imaging[-1]
    assert latest.on == date(2026, 6, 2)
    assert latest.supersedes == f"imaging-{Imaging.objects.get(patient=two[0], on=date(2026, 6, 1)).pk}"


def test_the_merged_record_is_ended_and_the_census_adds_up(two: Any, merged: Merge, clinic: Any) -> None:
    from django.utils import timezone

    counted = census.take_census(clinic, timezone.now())
    assert counted.adds_up, counted.disagreements
    assert counted.buckets["ended: merged"] == 2
    assert set(HipEvaluation.objects.filter(patient=two[1]).values_list("pathway", flat=True)) == {"ended"}


def test_nothing_is_written_to_a_merged_record(two: Any, merged: Merge, actor: Any) -> None:
    with pytest.raises(RecordingRefused, match="part of another"):
        recording.record_facts(two[1].pk, [(Side.LEFT, xray(date(2026, 7, 1)))], by=actor)
    with pytest.raises(RecordingRefused, match="part of another"):
        recording.amend_patient(two[1].pk, by=actor, changes={"email": "new@mail.example"})


def test_a_wish_told_of_the_old_record_is_the_survivors(two: Any, merged: Merge, actor: Any) -> None:
    recording.set_contact_wish(
        two[1].pk, by=actor, channel="email", allowed=False, how="by the link in a mail", on=date(2026, 8, 1)
    )
    assert ContactWish.objects.get(patient=two[0], channel="email").allowed is False


def test_the_wish_that_was_told_last_holds(two: Any, actor: Any) -> None:
    recording.set_contact_wish(
        two[1].pk, by=actor, channel="email", allowed=False, how="by letter", on=date(2099, 1, 1)
    )
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")
    assert ContactWish.objects.get(patient=two[0], channel="email").how == "by letter"


def test_it_is_audited_in_both_records(two: Any, merged: Merge) -> None:
    told = AuditEntry.objects.filter(act="merge_patients").order_by("patient_id")
    assert [(entry.patient_id, entry.after["other"]) for entry in told] == [
        (two[0].pk, two[1].pk),
        (two[1].pk, two[0].pk),
    ]


# ---- Two people


@pytest.fixture
def differing(clinic: Any, enrol: Any) -> tuple[Patient, Patient]:
    return enrol(clinic, **SAME), enrol(clinic, **SAME, born_on=date(1990, 10, 3))


def by(user: Any) -> Actor:
    return Actor(name=user.name, user_id=user.pk)


def test_where_identifiers_differ_a_second_person_merges(differing: Any, clinic: Any, make_user: Any) -> None:
    ada, ben = make_user(clinic, "coordinator"), make_user(clinic, "coordinator")
    merge = recording.propose_merge(differing[0].pk, differing[1].pk, by=by(ada), reason="day and month exchanged")
    assert (merge.state, merge.differing) == ("proposed", ["born_on"])
    with pytest.raises(RecordingRefused, match="Somebody else"):
        recording.approve_merge(merge.pk, by=by(ada))
    assert recording.approve_merge(merge.pk, by=by(ben)).state == "merged"


def test_the_database_too_wants_two_people(differing: Any, clinic: Any, make_user: Any) -> None:
    ada = make_user(clinic, "coordinator")
    merge = recording.propose_merge(differing[0].pk, differing[1].pk, by=by(ada), reason="exchanged")
    with pytest.raises(IntegrityError, match="by_two"), transaction.atomic():
        Merge.objects.filter(pk=merge.pk).update(state="merged", decided_by=ada)


def test_a_rejected_proposal_changes_nothing(differing: Any, clinic: Any, make_user: Any) -> None:
    ada = make_user(clinic, "coordinator")
    before = state_of(differing[0].pk), state_of(differing[1].pk)
    merge = recording.propose_merge(differing[0].pk, differing[1].pk, by=by(ada), reason="exchanged")
    recording.reject_merge(merge.pk, by=by(ada), reason="twins")
    assert (state_of(differing[0].pk), state_of(differing[1].pk)) == before


# ---- What a merge must not do


def test_a_merge_ends_nobodys_follow_up(two: Any, actor: Any) -> None:
    hip = two[1].hips.get(side="left")
    recording.end_follow_up(hip, by=actor, on=date(2026, 7, 1), reason=EndReason.DISCHARGED, evidence="letter")
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")
    assert HipEvaluation.objects.get(patient=two[0], hip__side="left").pathway != "ended"


def test_an_ended_record_does_not_swallow_a_followed_one(two: Any, actor: Any) -> None:
    hip = two[0].hips.get(side="left")
    recording.end_follow_up(hip, by=actor, on=date(2026, 7, 1), reason=EndReason.DISCHARGED, evidence="letter")
    with pytest.raises(RecordingRefused, match="left hip has ended"):
        recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")


def test_the_dead_and_the_living_are_not_merged(two: Any, actor: Any) -> None:
    recording.record_death(two[1].pk, by=actor, died_on=date(2026, 7, 1), source="relatives")
    with pytest.raises(RecordingRefused, match="deceased"):
        recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="same person")


def test_records_of_two_clinics_are_not_merged(patient: Patient, enrol: Any, other_clinic: Any, actor: Any) -> None:
    with pytest.raises(RecordingRefused, match="one clinic"):
        recording.propose_merge(patient.pk, enrol(other_clinic).pk, by=actor, reason="same person")


# ---- Undoing


def test_facts_recorded_since_go_where_a_person_says(two: Any, merged: Merge, actor: Any) -> None:
    kept = recording.record_facts(two[0].pk, [(Side.RIGHT, xray(date(2026, 8, 1)))], by=actor).facts[0]
    given = recording.record_facts(two[0].pk, [(Side.RIGHT, xray(date(2026, 9, 1)))], by=actor).facts[0]
    assert [fact.key for fact in recording.facts_since(merged)] == [kept.key, given.key]
    recording.undo_merge(merged.pk, by=actor, reason="cousins", of_the_other=[given.key])
    assert [image.on for image in read_record(two[0].pk).right.imaging] == [date(2026, 8, 1)]
    assert [image.on for image in read_record(two[1].pk).right.imaging] == [date(2026, 9, 1)]


def test_a_correction_made_since_corrects_the_original(two: Any, merged: Merge, actor: Any) -> None:
    copy = Imaging.objects.get(patient=two[0], on=date(2026, 6, 1))
    fixed = xray(date(2026, 6, 3), supersedes=copy, correction_reason="a slip")
    fact = recording.record_facts(two[0].pk, [(Side.LEFT, fixed)], by=actor).facts[0]
    assert recording.corrects_a_copy(merged, fact)
    recording.undo_merge(merged.pk, by=actor, reason="cousins", of_the_other=[fact.key])
    latest = read_record(two[1].pk).left.imaging[-1]
    assert (latest.on, latest.supersedes) == (
        date(2026, 6, 3),
        f"imaging-{Imaging.objects.get(patient=two[1], on=date(2026, 6, 1)).pk}",
    )


def test_what_was_an_error_is_one_in_the_record_that_comes_back(two: Any, merged: Merge, actor: Any) -> None:
    recording.withdraw_fact(SymptomReport.objects.get(patient=two[0]), by=actor, reason="another person's")
    recording.undo_merge(merged.pk, by=actor, reason="cousins")
    assert read_record(two[1].pk).left.symptoms == ()


def test_a_detail_changed_since_stays(two: Any, merged: Merge, actor: Any) -> None:
    recording.amend_patient(two[0].pk, by=actor, changes={"telephone": "+442079460999"})
    recording.undo_merge(merged.pk, by=actor, reason="cousins")
    assert str(Patient.objects.get(pk=two[0].pk).telephone) == "+442079460999"


def test_merges_are_undone_last_first(two: Any, merged: Merge, clinic: Any, enrol: Any, actor: Any) -> None:
    later = recording.propose_merge(two[0].pk, enrol(clinic, **SAME).pk, by=actor, reason="a third")
    with pytest.raises(RecordingRefused, match="later merge first"):
        recording.undo_merge(merged.pk, by=actor, reason="cousins")
    recording.undo_merge(later.pk, by=actor, reason="cousins")
    assert recording.undo_merge(merged.pk, by=actor, reason="cousins").state == "undone"


_DAYS = st.dates(date(2026, 1, 11), date(2026, 11, 20))
_SIDES = st.sampled_from(Side)
_FACTS = st.one_of(
    st.builds(lambda on, crescent: Imaging(on=on, modality="XR", views=["AP"], crescent=crescent), _DAYS,
              st.sampled_from(["present", "absent"])),
    st.builds(lambda on, nrs: SymptomReport(on=on, source="clinician", symptomatic=nrs > 0, pain_nrs=nrs), _DAYS,
              st.integers(0, 10)),
    st.builds(lambda on: Procedure(on=on, procedure="CORE_DECOMPRESSION"), _DAYS),
)  # fmt: skip
_RECORDED = st.lists(st.tuples(_SIDES, _FACTS), max_size=4)


@pytest.mark.slow
@pytest.mark.django_db
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_RECORDED, _RECORDED, st.sampled_from(["", "b@mail.example"]), st.booleans())
def test_merging_and_undoing_is_as_if_nothing_had_been(
    clinic: Any, enrol: Any, actor: Any, one: Any, other: Any, email: str, wanted: bool
) -> None:
    wishes = {"email": (wanted, "on paper")}
    pair = enrol(clinic, **SAME), enrol(clinic, **SAME, email=email, contact_wishes=wishes)
    for patient, facts in zip(pair, (one, other), strict=True):
        if facts:
            recording.record_facts(patient.pk, facts, by=actor)
    before = [state_of(patient.pk) for patient in pair]
    merge = recording.propose_merge(pair[0].pk, pair[1].pk, by=actor, reason="same person", taken=["email"])
    recording.undo_merge(merge.pk, by=actor, reason="two people")
    assert [state_of(patient.pk) for patient in pair] == before
