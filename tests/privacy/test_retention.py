"""Retention: who is over for long enough loses the name, by two people; facts, lists and the census stay."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
import time_machine
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, connection, transaction
from django.db.utils import ProgrammingError
from django.urls import reverse

from monitoring import census, pipeline
from monitoring.models import AuditEntry, RetentionRule, RetentionRun
from monitoring.privacy import retention
from monitoring.privacy.inventory import held_of
from monitoring.privacy.retention import RetentionRefused
from patients import access, recording
from patients.models import Exposure, Imaging, Patient
from patients.vocabulary import EndReason, Side
from schedules.models import Reminder

NOW = datetime(2038, 6, 1, 12, tzinfo=UTC)
SECRETS = {
    "family_name": "Xqvortzberg", "given_name": "Zwynthia", "national_id": "7781342", "address": "Kvortzlane 9",
    "next_of_kin": "Yzqthor", "telephone": "+442079461713", "email": "zwynthia@qvx.example", "record_number": "RN-4711",
}  # fmt: skip
NEEDLES = (*SECRETS.values(), "Pwyxquill", "1981-03-04")


@pytest.fixture
def over(clinic: Any, enrol: Any, actor: Any) -> Patient:
    """A patient who moved away in 2026, with free text everywhere."""
    with pipeline.deferred():
        who = enrol(clinic, **SECRETS, born_on=date(1981, 3, 4))
        image = Imaging(on=date(2026, 3, 1), modality="XR", necrosis=True, report="Pwyxquill", note="Pwyxquill")
        recording.record_facts(who.pk, [(Side.LEFT, image)], by=actor)
        recording.record_exposure(who.pk, Exposure(kind="sle", source="Pwyxquill"), by=actor)
        recording.amend_patient(who.pk, by=actor, changes={"address": "Kvortzlane 10"})
        for hip in who.hips.all():
            recording.end_follow_up(hip, by=actor, on=date(2026, 4, 1), reason=EndReason.TRANSFERRED,
                                    evidence="Pwyxquill", receiving_clinic="Pwyxquill")  # fmt: skip
        when = {"cycle_on": date(2026, 1, 10), "due_on": date(2026, 4, 10), "send_on": date(2026, 3, 1)}
        Reminder.objects.create(clinic=clinic, patient=who, step="due", state="sent", sent_to=SECRETS["email"], **when)
    return who


@pytest.fixture
def rule(clinic: Any) -> RetentionRule:
    return RetentionRule.objects.create(clinic=clinic, kind="ended_patients", months=120, actor="Ada Okoye")


@pytest.fixture
def two(clinic: Any, make_user: Any) -> tuple[Any, Any]:
    users = make_user(clinic, "admin"), make_user(clinic, "admin")
    return access.viewer_for(users[0]), access.viewer_for(users[1])


def carried_out(two: Any, rule: RetentionRule) -> RetentionRun:
    run = retention.propose(two[0], rule, now=NOW)
    return retention.approve(two[1], run.pk, now=NOW)


def test_who_is_followed_or_was_seen_lately_is_not_due(over: Patient, clinic: Any, enrol: Any) -> None:
    enrol(clinic)
    assert list(retention.due(clinic, "ended_patients", date(2026, 4, 2))) == [over]
    assert list(retention.due(clinic, "ended_patients", date(2026, 4, 1))) == []


def test_nothing_of_the_person_is_left_but_the_audit(over: Patient, rule: RetentionRule, two: Any) -> None:
    assert carried_out(two, rule).done == 1
    encode = DjangoJSONEncoder(default=str).encode
    left = {
        (table, needle)
        for table, rows in held_of([over.pk])
        if table != "monitoring_auditentry"
        for row in rows
        for needle in NEEDLES
        if needle.casefold() in encode({name: str(value) for name, value in row.items()}).casefold()
    }
    assert left == set()


def test_facts_and_the_census_stay(over: Patient, rule: RetentionRule, two: Any, clinic: Any) -> None:
    before = census.count_hips(clinic, date(2026, 11, 22))
    facts = Imaging.objects.filter(patient=over).values_list("on", "modality", "necrosis").get()
    carried_out(two, rule)
    assert census.count_hips(clinic, date(2026, 11, 22)) == before
    assert Imaging.objects.filter(patient=over).values_list("on", "modality", "necrosis").get() == facts
    over.refresh_from_db()
    assert (over.born_on, over.anonymised_on is None) == (date(1981, 1, 1), False)


def test_a_merged_record_loses_its_name_with_the_one_that_stayed(
    over: Patient, clinic: Any, enrol: Any, actor: Any, rule: RetentionRule, two: Any
) -> None:
    other = enrol(clinic, family_name="Xqvortzberg", given_name="Zwynthia", born_on=over.born_on)
    for hip in other.hips.all():
        recording.end_follow_up(hip, by=actor, on=date(2026, 4, 1), reason=EndReason.ENTERED_IN_ERROR, evidence="twice")
    recording.propose_merge(over.pk, other.pk, by=actor, reason="one person", now=datetime(2026, 4, 2, tzinfo=UTC))
    carried_out(two, rule)
    assert Patient.objects.get(pk=other.pk).family_name == "anonymised"


def test_one_person_alone_cannot(over: Patient, rule: RetentionRule, two: Any) -> None:
    run = retention.propose(two[0], rule, now=NOW)
    with pytest.raises(RetentionRefused, match="Somebody else"):
        retention.approve(two[0], run.pk, now=NOW)
    with pytest.raises(IntegrityError, match="retention_run_by_two"), transaction.atomic():
        RetentionRun.objects.filter(pk=run.pk).update(state="approved", decided_by=run.proposed_by)


def test_the_database_forgets_nobody_without_an_approved_run(over: Patient, rule: RetentionRule, two: Any) -> None:
    run = retention.propose(two[0], rule, now=NOW)
    with pytest.raises(ProgrammingError, match="no approved run"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT anonymise_patient(%s, %s)", [run.pk, over.pk])


def test_who_came_back_meanwhile_is_left_alone(over: Patient, rule: RetentionRule, two: Any, actor: Any) -> None:
    run = retention.propose(two[0], rule, now=NOW)
    Patient.objects.filter(pk=over.pk).update(died_on=date(2038, 1, 1), death_source="letter")
    done = retention.approve(two[1], run.pk, now=NOW)
    assert (done.done, done.skipped) == (0, 1)


def test_old_addresses_are_forgotten_and_the_message_stays(over: Patient, clinic: Any, two: Any) -> None:
    rule = RetentionRule.objects.create(clinic=clinic, kind="messages", months=24, actor="Ada Okoye")
    carried_out(two, rule)
    sent = Reminder.objects.get(patient=over, state="sent")
    assert sent.sent_to == "anonymised@mail.invalid"
    assert Patient.objects.get(pk=over.pk).email == SECRETS["email"]


def test_nothing_happens_by_itself_without_the_switch(over: Patient, rule: RetentionRule) -> None:
    assert retention.run_automatic(NOW) == 0
    RetentionRule.objects.update(automatic=True)
    assert retention.run_automatic(NOW) == 1
    assert RetentionRun.objects.get().automatic is True


def test_each_step_is_audited(over: Patient, rule: RetentionRule, two: Any) -> None:
    carried_out(two, rule)
    acts = list(AuditEntry.objects.filter(act__contains="retention").order_by("id").values_list("act", flat=True))
    assert acts == ["propose_retention", "carry_out_retention"]
    assert AuditEntry.objects.get(act="anonymise_patient").patient_id == over.pk


def test_the_pages_keep_a_rule_show_whom_it_finds_and_let_another_approve(
    over: Patient, clinic: Any, make_user: Any, sign_in: Any
) -> None:
    ada, ben = make_user(clinic, "admin"), make_user(clinic, "admin")
    kind = {"clinic": clinic.pk, "kind": "ended_patients"}
    with time_machine.travel(NOW, tick=False):
        browser = sign_in(ada)
        browser.post(reverse("retention"), {**kind, f"{clinic.pk}-ended_patients-months": "120"})
        assert "Xqvortzberg" in browser.get(reverse("retention")).content.decode()
        where = browser.post(reverse("retention"), {**kind, "propose": "1"}).url
        browser.post(where, {"approve": "1"})
        assert RetentionRun.objects.get().state == "proposed"
        sign_in(ben).post(where, {"approve": "1"})
    assert RetentionRun.objects.get().state == "done"
    assert Patient.objects.get(pk=over.pk).family_name == "anonymised"


def test_a_rule_of_a_few_months_is_refused(clinic: Any, make_user: Any, sign_in: Any) -> None:
    sent = {"clinic": clinic.pk, "kind": "messages", f"{clinic.pk}-messages-months": "3"}
    assert sign_in(make_user(clinic, "admin")).post(reverse("retention"), sent).status_code == 422


def test_the_page_says_that_the_name_is_gone_and_shows_no_birthday(
    over: Patient, rule: RetentionRule, two: Any, clinic: Any, make_user: Any, sign_in: Any
) -> None:
    carried_out(two, rule)
    browser = sign_in(make_user(clinic, "coordinator"))
    page = browser.get(f"/patients/{over.pk}/").content.decode()
    assert "The name was taken out of this record on" in page and "1 Jan 1981" not in page and "1981" in page
    assert "1 Jan 1981" not in browser.get("/patients/").content.decode()


def test_nothing_is_written_to_a_record_without_a_name(
    over: Patient, rule: RetentionRule, two: Any, clinic: Any, make_user: Any, sign_in: Any, actor: Any
) -> None:
    carried_out(two, rule)
    with pytest.raises(recording.RecordingRefused, match="enrol the person anew"):
        recording.amend_patient(over.pk, by=actor, changes={"family_name": "Xqvortzberg"})
    page = sign_in(make_user(clinic, "coordinator")).get(f"/patients/{over.pk}/").content.decode()
    assert f"/patients/{over.pk}/visit/" not in page
