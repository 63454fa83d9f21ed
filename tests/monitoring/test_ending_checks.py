"""Ending checks: an ending comes back to be read after a year, again and again, until it is taken back."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied

from monitoring import ending_checks
from monitoring.digest import Kind, contents_of
from monitoring.models import AuditEntry, EndingCheck
from patients import access, recording
from patients.vocabulary import EndReason

ENDED = datetime(2025, 3, 1, 9, tzinfo=UTC)
YEAR = timedelta(days=365)


@pytest.fixture
def ending(patient, actor):
    """The left hip's follow-up ended in writing."""
    hip = patient.hips.get(side="left")
    given = {"on": ENDED.date(), "reason": EndReason.DECLINED_IN_WRITING, "evidence": "letter of 1 Mar 2025"}
    return recording.end_follow_up(hip, by=actor, now=ENDED, **given)


@pytest.fixture
def patient(clinic, enrol):
    return enrol(clinic, enrolled_on=date(2025, 1, 10))


@pytest.fixture
def admin(clinic, make_user):
    return make_user(clinic, "admin")


@pytest.fixture
def viewer(admin):
    return access.viewer_for(admin)


def due(viewer, now):
    return [row.pk for row in ending_checks.due(viewer, now)]


def test_an_ending_is_due_to_be_read_a_year_after_it_was_recorded(ending, viewer):
    assert due(viewer, ENDED + YEAR - timedelta(seconds=1)) == []
    assert due(viewer, ENDED + YEAR) == [ending.pk]


def test_a_confirmed_ending_comes_back_a_year_later(ending, viewer):
    now = ENDED + YEAR
    ending_checks.confirm(ending.pk, viewer=viewer, known_from="telephone", now=now)
    assert due(viewer, now + timedelta(days=364)) == []
    assert due(viewer, now + YEAR) == [ending.pk]


def test_confirming_is_audited_and_says_how_it_is_known(ending, viewer):
    ending_checks.confirm(ending.pk, viewer=viewer, known_from=" telephone, 2 Mar ", now=ENDED + YEAR)
    entry = AuditEntry.objects.get(act="confirm_ending")
    assert (entry.object, entry.reason) == (f"ending-{ending.pk}", "telephone, 2 Mar")
    with pytest.raises(ending_checks.NotDue):
        ending_checks.confirm(ending.pk, viewer=viewer, known_from=" ", now=ENDED + 3 * YEAR)


def test_nobody_confirms_twice_at_once(ending, viewer):
    now = ENDED + YEAR
    ending_checks.confirm(ending.pk, viewer=viewer, known_from="telephone", now=now)
    with pytest.raises(ending_checks.NotDue):
        ending_checks.confirm(ending.pk, viewer=viewer, known_from="telephone", now=now)
    assert EndingCheck.objects.count() == 1


def test_who_is_followed_again_or_has_died_is_on_no_list(ending, viewer, actor):
    recording.reopen_follow_up(ending, by=actor, on=date(2026, 2, 1), reason="came back", now=ENDED + YEAR)
    assert due(viewer, ENDED + 2 * YEAR) == []


def test_the_dead_are_not_read_again(ending, viewer, actor):
    recording.record_death(ending.patient_id, by=actor, died_on=date(2026, 2, 1), source="register")
    assert due(viewer, ENDED + 2 * YEAR) == []


def test_only_administrators_of_the_clinic_confirm(ending, clinic, other_clinic, make_user, viewer):
    coordinator = access.viewer_for(make_user(clinic, "coordinator"))
    stranger = access.viewer_for(make_user(other_clinic, "admin"))
    assert due(coordinator, ENDED + YEAR) == due(stranger, ENDED + YEAR) == []
    with pytest.raises(PermissionDenied):
        ending_checks.confirm(ending.pk, viewer=coordinator, known_from="telephone", now=ENDED + YEAR)
    with pytest.raises(ending_checks.NotDue):
        ending_checks.confirm(ending.pk, viewer=stranger, known_from="telephone", now=ENDED + YEAR)


def test_the_page_confirms_and_asks_how_it_is_known(ending, admin, sign_in):
    client = sign_in(admin)
    assert "letter of 1 Mar 2025" in client.get("/endings/").content.decode()
    refused = client.post(f"/endings/{ending.pk}/confirm/", {"known_from": " "})
    assert refused.status_code == 422 and "Say how it is known." in refused.content.decode()
    client.post(f"/endings/{ending.pk}/confirm/", {"known_from": "telephone"})
    assert "No ending has to be read again" in client.get("/endings/").content.decode()


def test_the_worklist_tells_administrators_and_nobody_else(ending, admin, clinic, make_user, sign_in):
    words = "1 ending of follow-up has not been read for a year."
    assert words in sign_in(admin).get("/").content.decode()
    assert words not in sign_in(make_user(clinic, "coordinator")).get("/").content.decode()


def test_the_digest_counts_what_the_page_lists(ending, admin, clinic, sign_in):
    told = contents_of(admin, clinic, now=datetime.now(UTC))
    group = next(group for group in told.groups if group.kind == Kind.ENDINGS_UNREAD)
    assert group.count == 1
    assert "1 ending to read again" in sign_in(admin).get(group.path).content.decode()
