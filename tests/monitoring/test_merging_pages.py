"""Pages of duplicates and merging: found at night, compared, merged by one or two, undone; and what follows of it."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from monitoring import merging
from monitoring.imports import batch as batches
from patients import access, recording
from patients.changes import Actor
from patients.duplicate_search import dismiss_pair, search_duplicates
from patients.models import ContactWish, Imaging, Merge, Patient, PossibleDuplicate
from patients.vocabulary import Side
from schedules import appointments, circumstances, links
from schedules.appointments import Wanted
from schedules.eligibility import Reason, decide
from schedules.links import Purpose
from schedules.models import Appointment, Reminder

SAME = {"family_name": "Berg", "given_name": "Marta"}


@pytest.fixture
def two(clinic: Any, enrol: Any) -> tuple[Patient, Patient]:
    return enrol(clinic, **SAME), enrol(clinic, **SAME)


@pytest.fixture
def differing(clinic: Any, enrol: Any) -> tuple[Patient, Patient]:
    return enrol(clinic, **SAME), enrol(clinic, **SAME, born_on=date(1990, 10, 3))


@pytest.fixture
def ada(clinic: Any, make_user: Any) -> Any:
    return make_user(clinic, "coordinator")


def address(two: Any) -> str:
    return reverse("patient_merge", args=[two[0].pk, two[1].pk])


# ---- The nightly list


def test_the_night_finds_pairs_and_each_once(two: Any, enrol: Any, clinic: Any) -> None:
    enrol(clinic, family_name="Quist", given_name="Olaf", born_on=date(1971, 5, 5))
    assert search_duplicates(clinic.pk) == 1
    assert search_duplicates(clinic.pk) == 1
    pair = PossibleDuplicate.objects.get()
    assert (pair.one, pair.other) == two


def test_what_was_dismissed_is_not_found_again(two: Any, clinic: Any, actor: Actor) -> None:
    search_duplicates(clinic.pk)
    dismiss_pair(PossibleDuplicate.objects.get().pk, by=actor, reason="twins")
    assert search_duplicates(clinic.pk) == 0


def test_a_pair_that_is_alike_no_longer_leaves_the_list(two: Any, clinic: Any, actor: Actor) -> None:
    search_duplicates(clinic.pk)
    changes = {"family_name": "Öztürk", "given_name": "Boris", "born_on": date(1950, 1, 1)}
    recording.amend_patient(two[1].pk, by=actor, changes=changes)
    assert search_duplicates(clinic.pk) == 0


def test_merged_records_are_no_duplicates(two: Any, clinic: Any, actor: Actor) -> None:
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    assert search_duplicates(clinic.pk) == 0


def test_the_search_runs_once_a_night(two: Any) -> None:
    now = timezone.now()
    assert merging.search_where_due(now) == 1
    assert merging.search_where_due(now + timedelta(hours=1)) == 0
    assert merging.search_where_due(now + timedelta(hours=24)) == 1


# ---- The pages


def test_a_pair_is_shown_with_its_reasons_and_dismissed(two: Any, clinic: Any, ada: Any, sign_in: Any) -> None:
    search_duplicates(clinic.pk)
    page = sign_in(ada).get(reverse("duplicates"))
    assert "same family name; same given name; same date of birth" in page.content.decode()
    sign_in(ada).post(address(two), {"dismiss": "1", "two-reason": "twins"})
    assert PossibleDuplicate.objects.get().dismissed_reason == "twins"


def test_the_list_takes_as_many_queries_for_many(
    clinic: Any, enrol: Any, ada: Any, sign_in: Any, django_assert_max_num_queries: Any
) -> None:
    for number in range(6):
        enrol(clinic, **SAME, record_number=f"D-{number}")
    search_duplicates(clinic.pk)
    staff = sign_in(ada)
    with django_assert_max_num_queries(20):
        assert staff.get(reverse("duplicates")).context["page"].paginator.count == 15


def test_two_records_are_merged_by_one_person_where_nothing_differs(two: Any, ada: Any, sign_in: Any) -> None:
    page = sign_in(ada).get(address(two)).content.decode()
    assert "What is asked of both hips" in page
    sent = sign_in(ada).post(address(two), {"reason": "the same passport"})
    assert sent.url == reverse("patient", args=[two[0].pk])
    assert Patient.objects.get(pk=two[1].pk).merged_into == two[0]


def test_a_reason_is_asked_for(two: Any, ada: Any, sign_in: Any) -> None:
    assert sign_in(ada).post(address(two), {"reason": " "}).status_code == 422


def test_who_proposed_cannot_approve(differing: Any, clinic: Any, ada: Any, make_user: Any, sign_in: Any) -> None:
    sign_in(ada).post(address(differing), {"reason": "day and month exchanged"})
    where = reverse("merge", args=[Merge.objects.get().pk])
    assert sign_in(ada).post(where, {"approve": "1"}).status_code == 422
    assert sign_in(make_user(clinic, "coordinator")).post(where, {"approve": "1"}).status_code == 302
    assert Merge.objects.get().state == "merged"


def test_a_proposal_is_rejected_with_a_reason(differing: Any, ada: Any, sign_in: Any) -> None:
    sign_in(ada).post(address(differing), {"reason": "exchanged"})
    where = reverse("merge", args=[Merge.objects.get().pk])
    assert sign_in(ada).post(where, {"reason": ""}).status_code == 422
    sign_in(ada).post(where, {"reason": "cousins"})
    assert (Merge.objects.get().state, Merge.objects.get().closing_reason) == ("rejected", "cousins")


def test_a_merge_is_undone_from_its_page(two: Any, ada: Any, sign_in: Any, actor: Actor) -> None:
    merge = recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    where = reverse("merge", args=[merge.pk])
    assert "Undo the merge" in sign_in(ada).get(where).content.decode()
    sign_in(ada).post(where, {"reason": "cousins"})
    assert Patient.objects.get(pk=two[1].pk).merged_into is None


def test_the_merged_record_says_where_the_person_is_now(two: Any, ada: Any, sign_in: Any, actor: Actor) -> None:
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    page = sign_in(ada).get(reverse("patient", args=[two[1].pk])).content.decode()
    assert f"Part of record {two[0].record_number}" in page
    assert "Record a visit" not in page


def test_any_two_records_are_compared_by_their_numbers(two: Any, ada: Any, sign_in: Any) -> None:
    sent = {"survivor": two[0].record_number, "merged": two[1].record_number}
    assert sign_in(ada).post(reverse("duplicates"), sent).url == address(two)
    assert sign_in(ada).post(reverse("duplicates"), {**sent, "merged": "none"}).status_code == 422
    refused = sign_in(ada).post(reverse("duplicates"), {**sent, "merged": sent["survivor"]})
    assert refused.status_code == 422 and "of this one record" in refused.content.decode()


def test_another_clinics_records_are_not_there(two: Any, other_clinic: Any, make_user: Any, sign_in: Any) -> None:
    stranger = sign_in(make_user(other_clinic, "admin"))
    assert stranger.get(address(two)).status_code == 404


# ---- What follows


def test_a_standing_appointment_goes_along_and_comes_back(two: Any, actor: Actor) -> None:
    when = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
    now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    appointments.book(two[1].pk, Wanted(when), by=actor, now=now)
    merge = merging.propose(two[0], two[1], by=actor, reason="one person", taken=[], now=now)
    standing = Appointment.objects.filter(state__in=Appointment.STANDING)
    assert standing.get().patient == two[0]
    merging.undo(merge, by=actor, reason="cousins", now=now)
    assert standing.get().patient == two[1]
    assert not Reminder.objects.filter(step=Reminder.Step.APPOINTMENT_CANCELLED).exists()


def test_nothing_is_mailed_to_a_merged_record(two: Any, actor: Actor) -> None:
    now = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    appointments.book(two[1].pk, Wanted(now + timedelta(days=2)), by=actor, now=now)
    reminder = Reminder.objects.filter(patient=two[1], appointment__isnull=False).first()
    assert reminder is not None
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    verdict = decide(circumstances.cases_for([reminder], now)[reminder.pk])
    assert verdict.reason == Reason.NOT_A_PERSON


def test_who_had_a_mail_today_from_the_other_record_gets_none_more(two: Any, actor: Actor) -> None:
    now = datetime(2026, 11, 20, 12, tzinfo=UTC)
    when = {"cycle_on": date(2026, 1, 10), "due_on": date(2026, 11, 20), "send_on": now.date(), "clinic": two[0].clinic}
    sent = {"state": "sent", "sent_to": "b@mail.example", "decided_at": now}
    Reminder.objects.create(patient=two[1], step="due", **sent, **when)
    mine = Reminder.objects.create(patient=two[0], step="missed", state="planned", **when)
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    assert circumstances.cases_for([mine], now)[mine.pk].last_written_on == now.date()


def test_the_api_names_the_record_that_speaks_for_the_person(two: Any, actor: Actor, api: Any) -> None:
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    answer = api.get(f"patients/{two[1].pk}/hips/")
    assert (answer.status_code, answer["Location"]) == (307, f"/api/v1/patients/{two[0].pk}/hips/")
    assert api.get(f"patients/{two[0].pk}/").json()["merged_into"] is None


def test_an_import_writes_to_the_record_that_speaks_for_the_person(two: Any, clinic: Any, actor: Actor) -> None:
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    row = f"record_number,family_name,visit_on,right_modality\n{two[1].record_number},Berg,2026-03-01,XR\n"
    batch = batches.check(clinic, row.encode(), file_name="registry.csv", by=actor, options=batches.Options())
    batches.commit(batch.pk, clinic_id=clinic.pk, by=actor)
    assert Imaging.objects.filter(patient=two[0], hip__side=Side.RIGHT).count() == 1


def test_an_old_mails_link_stops_the_mail_of_the_record_that_speaks_for_the_person(
    two: Any, actor: Actor, client: Any
) -> None:
    step = {"step": "due", "state": "planned", "cycle_on": date(2026, 1, 10), "due_on": date(2026, 4, 10)}
    mail = Reminder.objects.create(clinic=two[1].clinic, patient=two[1], send_on=timezone.now().date(), **step)
    url = links.url_of(links.link_of(mail, Purpose.STOP))
    recording.propose_merge(two[0].pk, two[1].pk, by=actor, reason="one person")
    answer = client.post("/p/" + url.split("/p/")[1], {"List-Unsubscribe": "One-Click"})
    access.bind_clinics([two[0].clinic_id])
    assert answer.status_code == 200
    assert ContactWish.objects.get(patient=two[0], channel="email").allowed is False
