"""Digest: what is escalated to whom and until when, and that each number is the length of the list it opens."""

import html
import re
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from monitoring import digest, outreach, pipeline, worklist
from monitoring.digest import Kind, Section, contents_of
from monitoring.digest_mail import compose
from monitoring.escalation import Rung, teams_of
from monitoring.models import CaseNote, Heartbeat, ReviewCase, StaffNotice
from patients import access, recording
from patients.models import Clinic, Imaging, Membership, Patient, SymptomReport
from patients.vocabulary import EndReason, Side
from schedules.mail import telling_words
from schedules.models import Reminder, Substitute


def at(day, hour=12):
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def seen(on):
    """A complete follow-up of a small lesion on the left; the right hip is clear."""
    return [
        (
            Side.LEFT,
            Imaging(on=on, modality="MR", necrosis=True, lesion_volume_percent=12, volume_method="MRI_3D_SEGMENTATION"),
        ),
        (Side.LEFT, Imaging(on=on, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
        (Side.LEFT, SymptomReport(on=on, source="clinician", symptomatic=False, pain_nrs=0)),
        (Side.RIGHT, Imaging(on=on, modality="MR", necrosis=False)),
    ]


@pytest.fixture
def clock():
    """`clock(day)`: that day at noon, with every answer brought up to it."""
    running = []

    def move(day, hour=12):
        for one in running:
            one.stop()
        running[:] = [time_machine.travel(at(day, hour), tick=False)]
        running[0].start()
        run = pipeline.EvaluationRun.objects.create(kind="sweep", actor="system: test", started_at=at(day, hour))
        pipeline.evaluate_patients(Patient.objects.values_list("id", flat=True), run=run, now=at(day, hour))
        Heartbeat.objects.all().delete()
        for name in digest.heartbeats.LATE_AFTER:
            digest.heartbeats.finished(name, at(day, hour))
        return at(day, hour)

    yield move
    for one in running:
        one.stop()


@pytest.fixture
def watch(enrol, actor, clinic):
    """A patient of 76 seen on 10 Jan 2026, next due on 10 Apr: overdue 24 Apr, then 10 May, 9 Jul, gap 9 Aug."""

    def one(*, where=None, **details):
        with time_machine.travel(at(date(2026, 1, 12)), tick=False):
            patient = enrol(
                where or clinic, **{"enrolled_on": date(2026, 1, 10), "born_on": date(1950, 1, 1), **details}
            )
            recording.record_facts(patient.pk, seen(date(2026, 1, 10)), by=actor)
        return patient

    return one


def count(user, where, now, kind):
    return contents_of(user, where, now=now).counts.get(kind.value, 0)


ESCALATED = Kind.OVERDUE_ESCALATED


# ---- To whom, from when, until when


@pytest.mark.parametrize(
    ("day", "coordinator", "clinician", "admin"),
    [
        (date(2026, 4, 23), 0, 0, 0),  # due, not overdue
        (date(2026, 4, 24), 1, 0, 0),  # overdue after 14 days
        (date(2026, 5, 9), 1, 0, 0),
        (date(2026, 5, 10), 1, 1, 0),  # a Sunday, 30 days after it was due
        (date(2026, 5, 11), 1, 1, 0),  # the Monday on which it is mailed
        (date(2026, 7, 8), 1, 1, 0),
        (date(2026, 7, 9), 1, 1, 1),  # 90 days after it was due
        (date(2026, 8, 9), 1, 1, 1),
    ],
)
def test_an_overdue_patient_goes_up_rung_by_rung(day, coordinator, clinician, admin, watch, clinic, make_user, clock):
    who = {role: make_user(clinic, role) for role in ("coordinator", "clinician", "admin")}
    watch()
    now = clock(day)
    assert count(who["coordinator"], clinic, now, Kind.OVERDUE) == coordinator
    assert count(who["clinician"], clinic, now, ESCALATED) == clinician
    assert count(who["admin"], clinic, now, ESCALATED) == admin
    assert count(who["coordinator"], clinic, now, ESCALATED) == 0


def window_of(patient):
    return patient.hip_evaluations.get(status__isnull=False).answer["window"]


@pytest.mark.parametrize("born", [1950, 1990])  # a short interval, and one in which the gap comes with the escalation
@pytest.mark.parametrize("name", ["escalate_on", "trace_on", "gap_on"])
def test_the_day_of_the_window_itself_is_the_first(born, name, watch, clinic, make_user, clock):
    clinician, admin = make_user(clinic, "clinician"), make_user(clinic, "admin")
    patient = watch(born_on=date(born, 1, 1))
    window = {key: date.fromisoformat(text) for key, text in window_of(patient).items() if text}
    for days in (-1, 0, 1):
        day = window[name] + timedelta(days=days)
        now = clock(day)
        assert count(clinician, clinic, now, ESCALATED) == int(day >= window["escalate_on"])
        assert count(admin, clinic, now, ESCALATED) == int(day >= min(window["trace_on"], window["gap_on"]))


def test_it_stays_with_the_clinician_after_it_came_to_the_administrator(watch, clinic, make_user, clock):
    clinician, admin = make_user(clinic, "clinician"), make_user(clinic, "admin")
    watch()
    now = clock(date(2026, 10, 20))
    assert count(clinician, clinic, now, ESCALATED) == count(admin, clinic, now, ESCALATED) == 1


def test_the_responsible_clinician_is_told_and_the_others_are_not(watch, clinic, make_user, clock):
    hers, his = make_user(clinic, "clinician"), make_user(clinic, "clinician")
    make_user(clinic, "admin")
    watch(responsible=hers)
    watch()
    now = clock(date(2026, 5, 20))
    assert (count(hers, clinic, now, ESCALATED), count(his, clinic, now, ESCALATED)) == (2, 1)


@pytest.mark.parametrize("gone", ["deactivated", "another role", "never of this clinic"])
def test_a_responsible_clinician_who_is_none_leaves_nobody_out(gone, watch, clinic, other_clinic, make_user, clock):
    left, here = make_user(clinic, "clinician"), make_user(clinic, "clinician")
    watch(responsible=left)
    if gone == "deactivated":
        left.is_active = False
        left.save()
    elif gone == "another role":
        Membership.objects.filter(user=left).update(role="coordinator")
    else:
        Membership.objects.filter(user=left).update(clinic=other_clinic)
    now = clock(date(2026, 5, 20))
    assert count(here, clinic, now, ESCALATED) == 1
    assert count(left, clinic, now, ESCALATED) == 0


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (["coordinator", "clinician", "admin"], "clinician"),
        (["coordinator", "admin"], "admin"),
        (["coordinator"], "coordinator"),
        (["clinician"], "clinician"),
    ],
)
def test_what_is_for_a_clinician_never_goes_to_nobody(roles, told, watch, clinic, make_user, clock):
    who = {role: make_user(clinic, role) for role in roles}
    watch()
    now = clock(date(2026, 5, 20))
    assert [role for role in roles if count(who[role], clinic, now, ESCALATED)] == [told]
    group = next(one for one in contents_of(who[told], clinic, now=now).groups if one.kind == ESCALATED)
    assert group.instead_of == (None if told == "clinician" else Rung.CLINICIAN)
    said = compose(who[told], clinic, contents_of(who[told], clinic, now=now), now=now).body
    assert ("Nobody is clinician of this clinic" in said) == (told != "clinician")


@pytest.mark.parametrize(
    ("roles", "told"), [(["coordinator", "clinician"], "clinician"), (["coordinator"], "coordinator")]
)
def test_what_is_for_an_administrator_never_goes_to_nobody(roles, told, watch, clinic, make_user, clock):
    who = {role: make_user(clinic, role) for role in roles}
    watch(responsible=who.get("clinician"))
    now = clock(date(2026, 10, 20))
    assert [role for role in roles if count(who[role], clinic, now, ESCALATED)] == [told]


@pytest.mark.parametrize("event", ["seen", "died", "snoozed", "transferred"])
def test_it_ends_with_the_event_that_resolves_it(event, watch, clinic, make_user, clock, actor):
    admin = make_user(clinic, "admin")
    patient = watch()
    now = clock(date(2026, 10, 20))
    assert count(admin, clinic, now, ESCALATED) == 1
    if event == "seen":
        recording.record_facts(patient.pk, seen(date(2026, 10, 20)), by=actor)
    elif event == "died":
        recording.record_death(patient.pk, by=actor, died_on=date(2026, 10, 19), source="family")
    elif event == "transferred":
        for hip in patient.hips.all():
            recording.end_follow_up(
                hip,
                by=actor,
                on=date(2026, 10, 20),
                reason=EndReason.TRANSFERRED,
                evidence="letter",
                receiving_clinic="Westside",
            )
    else:
        viewer = access.viewer_for(admin)
        outreach.snooze(patient, until=date(2026, 11, 2), reason="abroad", viewer=viewer, today=now.date())
    assert count(admin, clinic, clock(date(2026, 10, 21)), ESCALATED) == 0
    if event == "snoozed":
        assert count(admin, clinic, clock(date(2026, 11, 2)), ESCALATED) == 1, "a snooze ends by itself"


def test_the_page_names_the_same_person_as_the_digest(watch, clinic, make_user, clock):
    from monitoring.web.worklist_rows import words_for

    clinician, admin = make_user(clinic, "clinician", name="Dr Lindqvist"), make_user(clinic, "admin")
    watch(responsible=clinician)
    for day in (date(2026, 5, 10), date(2026, 7, 9)):
        now = clock(day)
        viewer = access.viewer_for(admin)
        rows = words_for(worklist.page_of("overdue", viewer, worklist.Filters(), day).rows, "overdue", day, viewer)
        expected = "Administrator" if count(admin, clinic, now, ESCALATED) else "Dr Lindqvist"
        assert [row.next for row in rows] == [expected]


def test_two_clinics_are_two_digests(watch, clinic, other_clinic, make_user, clock):
    user = make_user(clinic, "coordinator")
    make_user(clinic, "clinician", "admin")
    make_user(other_clinic, "coordinator", "admin")
    Membership.objects.create(user=user, clinic=other_clinic, role="clinician")
    watch()
    watch(where=other_clinic)
    watch(where=other_clinic)
    now = clock(date(2026, 5, 20))
    here, there = contents_of(user, clinic, now=now), contents_of(user, other_clinic, now=now)
    assert (here.counts["overdue"], here.counts.get("overdue_escalated", 0)) == (1, 0)
    assert there.counts == {"overdue_escalated": 2}


def test_who_does_not_work_here_is_told_nothing(watch, clinic, other_clinic, make_user, clock):
    stranger = make_user(other_clinic, "admin")
    left = make_user(clinic, "admin", is_active=False)
    watch()
    now = clock(date(2026, 10, 20))
    assert not contents_of(stranger, clinic, now=now)
    assert not contents_of(left, clinic, now=now)


# ---- Cases


def pain(patient, on, actor):
    recording.record_facts(
        patient.pk, [(Side.LEFT, SymptomReport(on=on, source="patient", symptomatic=True, pain_nrs=3))], by=actor
    )


@pytest.fixture
def case(watch, clock, actor):
    patient = watch()
    clock(date(2026, 3, 5), 6)
    pain(patient, date(2026, 3, 3), actor)
    return ReviewCase.objects.filter(patient=patient).order_by("id").first()


def test_a_new_case_is_new_once_and_open_until_decided(case, clinic, make_user, clock):
    clinician = make_user(clinic, "clinician")
    now = clock(date(2026, 3, 5), 8)
    first = contents_of(clinician, clinic, now=now)
    assert first.counts["cases_new"] == first.counts["cases_unassigned"] >= 1
    StaffNotice.objects.create(
        user=clinician,
        clinic=clinic,
        day=date(2026, 3, 5),
        state="sent",
        sent_to="x@y.example",
        decided_at=now,
        actor="system: digest",
    )
    second = contents_of(clinician, clinic, now=clock(date(2026, 3, 6), 8))
    assert "cases_new" not in second.counts
    assert second.counts["cases_unassigned"] == first.counts["cases_unassigned"]


def test_a_digest_that_may_not_have_arrived_told_nothing(case, clinic, make_user, clock):
    clinician = make_user(clinic, "clinician")
    now = clock(date(2026, 3, 5), 8)
    StaffNotice.objects.create(
        user=clinician,
        clinic=clinic,
        day=date(2026, 3, 5),
        state="uncertain",
        reason="no answer",
        decided_at=now,
        actor="system: digest",
    )
    assert "cases_new" in contents_of(clinician, clinic, now=clock(date(2026, 3, 6), 5)).counts


def test_an_assignment_makes_an_old_case_new_to_whom_it_is_given(case, clinic, make_user, clock):
    from monitoring import review

    hers, his = make_user(clinic, "clinician"), make_user(clinic, "clinician")
    now = clock(date(2026, 3, 20))
    assert "cases_new" not in contents_of(hers, clinic, now=now).counts
    review.assign_case(case, to=hers, viewer=access.viewer_for(his))
    assert contents_of(hers, clinic, now=now).counts["cases_new"] == 1
    assert contents_of(hers, clinic, now=now).counts["cases_mine"] == 1
    assert "cases_new" not in contents_of(his, clinic, now=now).counts


def test_a_case_of_somebody_who_left_is_nobodys(case, clinic, make_user, clock):
    from monitoring import review

    left, here = make_user(clinic, "clinician"), make_user(clinic, "clinician")
    now = clock(date(2026, 3, 20))
    before = contents_of(here, clinic, now=now).counts["cases_unassigned"]
    review.assign_case(case, to=left, viewer=access.viewer_for(here))
    assert contents_of(here, clinic, now=now).counts.get("cases_unassigned", 0) == before - 1
    left.is_active = False
    left.save()
    assert contents_of(here, clinic, now=now).counts["cases_unassigned"] == before


def test_a_case_undecided_for_28_days_goes_to_the_administrator(case, clinic, make_user, clock):
    clinician, admin = make_user(clinic, "clinician"), make_user(clinic, "admin")
    told = {}
    for day in (date(2026, 3, 30), date(2026, 4, 13), date(2026, 4, 14), date(2026, 4, 15), date(2026, 5, 30)):
        now = clock(day)
        told[day] = count(admin, clinic, now, Kind.CASES_ESCALATED)
        levels = ReviewCase.objects.filter(state="open", level="admin").count()
        assert told[day] == levels
    assert told[date(2026, 3, 30)] == 0
    assert told[date(2026, 5, 30)] > 0
    assert count(clinician, clinic, now, Kind.CASES_ESCALATED) == 0


def test_without_a_clinician_the_cases_come_to_the_administrator_and_the_digest_says_so(case, clinic, make_user, clock):
    admin = make_user(clinic, "admin")
    contents = contents_of(admin, clinic, now=clock(date(2026, 3, 6)))
    group = next(one for one in contents.groups if one.kind == Kind.CASES_UNASSIGNED)
    assert (group.section, group.instead_of) == (Section.ESCALATED, Rung.CLINICIAN)


# ---- Promises


def outcome(patient, user, day, **details):
    return outreach.record_outcome(patient, viewer=access.viewer_for(user), today=day, owner=user, **details)


@pytest.mark.parametrize(
    ("said", "next_on", "looked_on", "told"),
    [
        ("no_answer", date(2026, 8, 4), date(2026, 8, 3), 0),
        ("no_answer", date(2026, 8, 4), date(2026, 8, 4), 1),
        ("no_answer", date(2026, 8, 4), date(2026, 8, 6), 1),
        ("booked", date(2026, 8, 4), date(2026, 8, 4), 0),
        ("booked", date(2026, 8, 4), date(2026, 8, 5), 1),
    ],
)
def test_a_promise_is_told_from_its_day_until_something_is_recorded(
    said, next_on, looked_on, told, watch, clinic, make_user, clock
):
    ada, ben = make_user(clinic, "coordinator"), make_user(clinic, "coordinator")
    patient = watch()
    clock(date(2026, 7, 28))
    outcome(patient, ada, date(2026, 7, 28), outcome=said, next_on=next_on)
    now = clock(looked_on)
    assert count(ada, clinic, now, Kind.PROMISES) == told
    assert count(ben, clinic, now, Kind.PROMISES) == 0
    outcome(patient, ben, looked_on, outcome="reached")
    assert count(ada, clinic, now, Kind.PROMISES) == 0


def test_a_booked_visit_that_was_kept_is_no_promise_any_more(watch, clinic, make_user, clock, actor):
    ada = make_user(clinic, "coordinator")
    patient = watch()
    clock(date(2026, 7, 28))
    outcome(patient, ada, date(2026, 7, 28), outcome="booked", next_on=date(2026, 8, 4))
    recording.record_facts(patient.pk, seen(date(2026, 7, 28)), by=actor)
    assert count(ada, clinic, clock(date(2026, 8, 5)), Kind.PROMISES) == 0


def test_a_snooze_that_ended_is_its_owners_promise(watch, clinic, make_user, clock):
    ada = make_user(clinic, "coordinator")
    patient = watch()
    now = clock(date(2026, 7, 28))
    outreach.snooze(patient, until=date(2026, 8, 4), reason="abroad", viewer=access.viewer_for(ada), today=now.date())
    assert count(ada, clinic, clock(date(2026, 8, 3)), Kind.PROMISES) == 0
    now = clock(date(2026, 8, 4))
    assert count(ada, clinic, now, Kind.PROMISES) == 1
    outcome(patient, ada, date(2026, 8, 4), outcome="reached")
    assert count(ada, clinic, now, Kind.PROMISES) == 0


# ---- Mail and machinery


def test_uncertain_mail_is_the_coordinators_and_late_runs_the_administrators(patient, clinic, make_user, clock):
    coordinator, admin = make_user(clinic, "coordinator"), make_user(clinic, "admin")
    now = clock(date(2026, 3, 5))
    Reminder.objects.create(
        clinic=clinic,
        patient=patient,
        cycle_on=date(2026, 1, 1),
        due_on=date(2026, 7, 1),
        step="due",
        send_on=date(2026, 7, 1),
        state="uncertain",
        reason="no answer",
    )
    Heartbeat.objects.filter(name="census").delete()
    assert contents_of(coordinator, clinic, now=now).counts["mail_uncertain"] == 1
    assert contents_of(admin, clinic, now=now).counts == {"runs_late": 1}


# ---- Bounds and pages


def test_a_long_list_is_cut_and_says_how_much_more(watch, clinic, make_user, clock):
    clinician = make_user(clinic, "clinician")
    for _ in range(digest.MOST_ITEMS + 3):
        watch()
    now = clock(date(2026, 5, 20))
    group = contents_of(clinician, clinic, now=now).groups[0]
    assert (group.count, len(group.items), group.more) == (11, 8, 3)
    assert "and 3 more" in compose(clinician, clinic, contents_of(clinician, clinic, now=now), now=now).body


def other_reminder(row):
    row = Reminder.objects.get(pk=row.pk)
    row.pk, row.step, row.state = None, "missed", "refused"
    row.save()
    return row


def length_of(page):
    found = re.search(r'aria-current="page">[^<]*<span class="count[^"]*">(\d+)</span>', page)
    return int(found[1])


@pytest.mark.slow
@pytest.mark.parametrize("role", ["coordinator", "clinician", "admin"])
@pytest.mark.parametrize("several", [False, True])
def test_each_number_is_the_length_of_the_list_that_its_address_opens(
    role, several, watch, case, clinic, other_clinic, make_user, clock, sign_in, actor
):
    user = make_user(clinic, role)
    if several:
        Membership.objects.create(user=user, clinic=other_clinic, role="clinician")
        watch(where=other_clinic)
    clinician = user if role == "clinician" else make_user(clinic, "clinician")
    if role == "admin":
        make_user(clinic, "coordinator")
    watch(responsible=clinician)
    promised, snoozed = watch(email=""), watch()
    recording.enrol_patient(
        clinic, by=actor, enrolled_on=date(2026, 1, 10), record_number="N-1", family_name="New", given_name="N"
    )
    Reminder.objects.create(
        clinic=clinic,
        patient=promised,
        cycle_on=date(2026, 1, 1),
        due_on=date(2026, 7, 1),
        step="due",
        send_on=date(2026, 7, 1),
        state="uncertain",
        reason="no answer",
    )
    now = clock(date(2026, 7, 20))
    letter = Reminder.objects.get(state="uncertain")
    for row, way in ((letter, "letter"), (other_reminder(letter), "telephone")):
        Substitute.objects.create(
            reminder=row,
            clinic=clinic,
            patient=promised,
            channel=way,
            why="no address",
            opened_at=now,
            until=date(2026, 12, 1),
            actor="x",
        )
    outcome(promised, user, date(2026, 7, 20), outcome="no_answer", next_on=date(2026, 7, 22))
    outreach.snooze(
        snoozed, until=date(2026, 8, 4), reason="abroad", viewer=access.viewer_for(user), today=date(2026, 7, 20)
    )
    ReviewCase.objects.filter(pk=case.pk).update(assigned_to=clinician, second_opinion_from=clinician)
    CaseNote.objects.create(clinic=clinic, case=case, at=at(date(2026, 10, 19), 14), actor="x", kind="assigned")
    now = clock(date(2026, 10, 20))
    contents = contents_of(user, clinic, now=now)
    assert len(contents.groups) >= 3
    client = sign_in(user)
    for group in contents.groups:
        page = client.get(group.path)
        assert page.status_code == 200, group.path
        assert length_of(html.unescape(page.content.decode())) == group.count, (group.kind, group.path)
        for item in group.items:
            assert client.get(item.path).status_code == 200
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))


def test_computing_takes_the_same_number_of_queries_for_any_number_of_patients(
    watch, clinic, make_user, clock, django_assert_max_num_queries
):
    admin = make_user(clinic, "admin")
    for _ in range(12):
        watch()
    now = clock(date(2026, 10, 20))
    with django_assert_max_num_queries(60):
        contents_of(admin, clinic, now=now)


@pytest.mark.parametrize("language", ["en", "de"])
def test_the_mail_tells_no_patient_and_no_disease(language, watch, case, clinic, make_user, clock, actor):
    user = make_user(clinic, "coordinator", "clinician", "admin", language=language, name="Ada Okoye")
    patient = watch(family_name="Zwetschgenbaum", given_name="Roswitha", record_number="HW-99999")
    now = clock(date(2026, 10, 20))
    mail = compose(user, clinic, contents_of(user, clinic, now=now), now=now)
    shown = re.sub(
        r"https?://\S+", "", mail.body + re.sub(r"<style.*?</style>|<[^>]+>", " ", mail.alternatives[0][0], flags=re.S)
    )
    assert telling_words(shown + mail.subject + str(mail.extra_headers)) == []
    for secret in (patient.family_name, patient.given_name, patient.record_number, patient.email, "Berg", "Marta"):
        assert secret not in mail.body + mail.alternatives[0][0] + mail.subject


def test_a_team_knows_who_answers(clinic, make_user):
    coordinator = make_user(clinic, "coordinator")
    team = teams_of([clinic.pk])[0]
    assert all(team.answering(rung) == {coordinator.pk} for rung in Rung)
    assert team.stands_in(coordinator.pk, Rung.ADMIN)
