"""Standings: what the database keeps of each patient is what follows from the facts, whoever changed them and how."""

from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from monitoring import census, outreach, standing_sql, standings, worklist
from monitoring.escalation import steps_of
from monitoring.models import ContactAttempt, Flag, HipEvaluation, ReviewCase, Snooze, Standing
from monitoring.worklist import Filters, page_of
from monitoring.worklist_row import INCOMPLETE_ACTIONS
from patients import access, recording
from patients.models import ContactWish, Membership, Patient
from schedules.guideline.pathways import Pathway
from schedules.models import Appointment, Plan, Substitute
from schedules.substitutes import ripe_on
from tests.monitoring.test_worklist import evaluate_all, on_day, pain, viewer, watch  # noqa: F401 - fixtures

DAY = date(2026, 8, 20)
NOON = datetime(2026, 8, 20, 12, tzinfo=UTC)


@pytest.fixture
def people(watch, on_day):  # noqa: F811
    """Three who are late, one of them in pain; each step of a test starts from agreement."""
    on_day(DAY)
    made = [watch(), watch(*pain(date(2026, 8, 13))), watch(email="")]
    yield made
    assert standings.differing([made[0].clinic_id]) == {}


def of(patient):
    return Standing.objects.get(pk=patient.pk)


def test_what_is_enrolled_stands_somewhere_at_once(enrol, clinic, on_day):  # noqa: F811
    on_day(DAY)
    patient = enrol(clinic)
    assert of(patient).clinic_id == clinic.pk and standings.differing([clinic.pk]) == {}


def test_the_order_is_that_of_risk_and_then_of_days(people):
    first, hurting, _silent = (of(one) for one in people)
    assert hurting.rank < first.rank and hurting.review_rank is not None and first.review_rank is None
    assert first.rank % 10_000_000 == (date(2026, 7, 10) - date(1900, 1, 1)).days


def test_a_snooze_and_its_end_are_kept(people, viewer):  # noqa: F811
    outreach.snooze(people[0], until=date(2026, 9, 1), reason="abroad", viewer=viewer, today=DAY)
    assert of(people[0]).snoozed_until == date(2026, 9, 1)
    outreach.end_snooze(people[0], viewer=viewer)
    assert of(people[0]).snoozed_until is None


def test_bounces_and_wishes_are_kept(people, actor):
    Patient.objects.filter(pk=people[0].pk).update(email_bounced_on=DAY)
    assert of(people[0]).no_mail and of(people[2]).no_mail
    ContactWish.objects.filter(patient=people[1]).update(allowed=False)
    assert of(people[1]).no_mail
    ContactWish.objects.filter(patient=people[1]).update(allowed=True)
    assert not of(people[1]).no_mail


def test_a_booked_day_is_kept_until_it_is_cancelled(people, clinic):
    booked = Appointment.objects.create(clinic=clinic, patient=people[0], starts_at=NOON, actor="Ada")
    assert of(people[0]).booked_at == NOON
    Appointment.objects.filter(pk=booked.pk).update(state="cancelled", cancelled_reason="ill")
    assert of(people[0]).booked_at is None


def test_many_rows_in_one_statement_are_all_followed(people, clinic):
    ReviewCase.objects.all().update(urgency="URGENT")
    Flag.objects.all().update(closed_at=NOON)
    HipEvaluation.objects.all().update(status="open", pathway="observation")
    assert Standing.objects.filter(open=True, late=False, incomplete=False).count() == 3
    assert of(people[1]).review_rank < 10_000_000


def test_a_row_that_moves_to_another_patient_is_followed_on_both_sides(people, clinic):
    booked = Appointment.objects.create(clinic=clinic, patient=people[0], starts_at=NOON, actor="Ada")
    Appointment.objects.filter(pk=booked.pk).update(patient=people[1])
    assert (of(people[0]).booked_at, of(people[1]).booked_at) == (None, NOON)


def test_a_record_that_changes_nothing_here_leaves_the_row_alone(people, actor):
    with connection.cursor() as cursor:
        cursor.execute("SELECT xmin::text, ctid::text FROM monitoring_standing WHERE patient_id = %s", [people[0].pk])
        before = cursor.fetchone()
        recording.amend_patient(people[0].pk, by=actor, changes={"given_name": "Greta"})
        cursor.execute("SELECT xmin::text, ctid::text FROM monitoring_standing WHERE patient_id = %s", [people[0].pk])
        assert cursor.fetchone() == before


def test_a_day_of_escalation_that_moves_alone_is_followed(people):
    """As under a protocol that escalates later and changes nothing else."""
    evaluate_all(DAY)
    late = HipEvaluation.objects.get(patient=people[0], status="gap")
    late.answer["window"]["escalate_on"] = "2026-08-19"
    late.save(update_fields=["answer"])
    assert of(people[0]).clinician_from == date(2026, 8, 19)


def old_definition(tab, today):
    """The tabs as they were said of the facts themselves, before anything was kept: an oracle for what is."""

    def having(model, **conditions):
        return Q(Exists(model.objects.filter(patient=OuterRef("pk"), **conditions)))

    late = having(HipEvaluation, status__in=("overdue", "gap"))
    here = ~having(Snooze, ended_at__isnull=True, until__gt=today)
    booked = having(
        Appointment,
        state__in=Appointment.STANDING,
        purpose__in=["visit", "radiographs", "mri", "ct"],
        starts_at__date__gte=today,
    )
    wished = having(ContactWish, channel="email", allowed=True)
    unwritten = Q(email="") | Q(email_bounced_on__isnull=False) | ~wished
    ripe = Substitute.objects.filter(patient=OuterRef("pk"), state="open", channel="telephone")
    return {
        "reviews": having(ReviewCase, state="open"),
        "overdue": late & here,
        "due": having(HipEvaluation, status__in=("open", "due")) & ~late & here & ~booked,
        "never_started": having(HipEvaluation, status__isnull=False, anchor_on__isnull=True) & here,
        "incomplete": having(Flag, closed_at__isnull=True, action__in=INCOMPLETE_ACTIONS) & here,
        "calls": Q(Exists(ripe.filter(ripe_on(today)))),
        "unreachable": unwritten & having(HipEvaluation, status__isnull=False) & here,
        "snoozed": ~here,
        "all": Q(),
    }[tab]


@pytest.mark.parametrize("day", [date(2026, 6, 30), DAY, date(2027, 6, 1)])
def test_every_tab_holds_whom_the_facts_put_there(day, people, enrol, clinic, viewer):  # noqa: F811
    enrol(clinic)
    outreach.snooze(people[2], until=date(2026, 9, 1), reason="abroad", viewer=viewer, today=DAY)
    Appointment.objects.create(clinic=clinic, patient=people[0], starts_at=NOON, actor="Ada")
    evaluate_all(day)
    for tab in worklist.TABS:
        listed = {patient.pk for patient in worklist.patients_in(tab, viewer, Filters(), day)}
        assert listed == set(Patient.objects.filter(old_definition(tab, day)).values_list("pk", flat=True)), tab


def old_filters(narrowed, today):
    """The filters as they were said of the facts themselves, before anything was kept: by name, who is meant."""

    def having(model, **conditions):
        return Q(Exists(model.objects.filter(patient=OuterRef("pk"), **conditions)))

    late, me = ("overdue", "gap"), narrowed["owner"]
    attempts = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True)
    latest = attempts.order_by("-at", "-id").annotate(whose=Coalesce("owner", "by"))
    of_latest = {name: Subquery(latest.values(name)[:1]) for name in ("whose", "outcome", "next_on")}
    asked_for = having(HipEvaluation, status__in=(*late, "open", "due"))
    since = ContactAttempt.objects.filter(
        patient=OuterRef("patient"), undone_at__isnull=True, at__date__gte=OuterRef("until")
    )
    unkept = Snooze.objects.filter(
        ~Exists(since), patient=OuterRef("pk"), ended_at__isnull=True, until__lte=today, owner=me
    )
    kept_open = (~Q(outcome="booked") & Q(next_on__lte=today)) | (Q(outcome="booked", next_on__lt=today) & asked_for)
    agreed = Q(whose=me) & kept_open & having(HipEvaluation, status__isnull=False)
    colleagues = list(Membership.objects.filter(role="clinician").exclude(user=me).values_list("user_id", flat=True))
    plans = Plan.objects.filter(patient=OuterRef("pk"), state="current", hip__evaluation__status__in=late)
    meant = {
        "clinician": Q(responsible=narrowed["clinician"]),
        "language": Q(language=narrowed["language"]),
        "pathway": having(HipEvaluation, pathway=narrowed["pathway"]),
        "late": having(HipEvaluation, status__isnull=False, due_on__lte=today - timedelta(days=narrowed["late"])),
        "owner": Q(left_to=me)
        | having(ReviewCase, state="open", assigned_to=me)
        | having(Snooze, ended_at__isnull=True, until__gt=today, owner=me),
        "overdue_from": having(HipEvaluation, status__in=late, overdue_on__gte=narrowed["overdue_from"]),
        "promised_by": agreed | (Q(Exists(unkept)) & asked_for),
        "escalated_to": Q(Exists(plans.filter(escalate_on__lte=today)))
        & (Q(responsible__isnull=True) | ~Q(responsible__in=colleagues)),
    }
    patients = Patient.objects.alias(left_to=Subquery(latest.values("owner")[:1]), **of_latest)
    return {name: set(patients.filter(one).values_list("pk", flat=True)) for name, one in meant.items()}


@pytest.mark.parametrize("day", [date(2026, 7, 5), DAY, date(2026, 9, 15), date(2027, 6, 1)])
def test_every_filter_holds_whom_the_facts_put_there(day, people, watch, enrol, clinic, make_user, on_day):  # noqa: F811
    surgeon, former = make_user(clinic, "clinician"), make_user(clinic, "coordinator")
    other, _admin = make_user(clinic, "clinician"), make_user(clinic, "admin")
    mine, theirs = access.viewer_for(surgeon), access.viewer_for(other)
    enrol(clinic)
    watched = [*people, *(watch(on=date(2026, 1, 10) + timedelta(days=3 * n)) for n in range(8))]
    for patient, whose in zip(watched[:4], (surgeon, other, former, None), strict=True):
        Patient.objects.filter(pk=patient.pk).update(responsible=whose)
    Patient.objects.filter(pk=watched[4].pk).update(language="de")
    ReviewCase.objects.filter(patient=watched[1]).update(assigned_to=surgeon)
    for patient, outcome, owner, back in (
        (watched[3], "no_answer", None, 0),
        (watched[4], "booked", surgeon, 9),
        (watched[5], "reached", surgeon, None),
        (watched[6], "no_answer", other, 3),
        (watched[7], "message_left", surgeon, 1),
    ):
        next_on = DAY + timedelta(days=back) if back is not None else None
        outreach.record_outcome(patient, outcome=outcome, viewer=mine, today=DAY, next_on=next_on, owner=owner)
    taken_back = outreach.record_outcome(watched[6], outcome="no_answer", viewer=theirs, today=DAY, owner=surgeon)
    outreach.undo_outcome(taken_back, viewer=theirs)
    outreach.record_outcome(watched[7], outcome="no_answer", viewer=theirs, today=DAY, next_on=DAY)
    for patient in (watched[8], watched[9]):
        outreach.snooze(patient, until=DAY + timedelta(days=12), reason="abroad", viewer=mine, today=DAY)
    on_day(DAY + timedelta(days=13))
    outreach.record_outcome(watched[9], outcome="reached", viewer=theirs, today=DAY + timedelta(days=13))
    evaluate_all(day)
    narrowed = {
        "clinician": surgeon.pk,
        "language": "de",
        "pathway": "symptomatic",
        "late": 30,
        "owner": surgeon.pk,
        "overdue_from": date(2026, 8, 1),
        "promised_by": surgeon.pk,
        "escalated_to": surgeon.pk,
    }
    found = {
        name: {patient.pk for patient in worklist.patients_in("all", mine, Filters(**{name: value}), day)}
        for name, value in narrowed.items()
    }
    assert found == old_filters(narrowed, day)
    assert day < DAY or all(found.values()), "a filter that holds nobody shows nothing"


def test_an_overdue_follow_up_is_an_administrators_from_the_day_its_row_says(people, clinic, make_user):
    admin = access.viewer_for(make_user(clinic, "admin"))
    make_user(clinic, "clinician")
    had = []
    for day in (date(2026, 8, 8), date(2026, 8, 9), DAY, date(2026, 10, 8), date(2027, 6, 1)):
        evaluate_all(day)
        rows = worklist.rows_of(admin, [patient.pk for patient in people], day)
        said = {row.patient.pk for row in rows if any(step.rung == "admin" for step in steps_of(row.late_hips(), day))}
        found = worklist.patients_in("all", admin, Filters(escalated_to=admin.actor.user_id), day)
        assert {patient.pk for patient in found} == said, day
        had.append(len(said))
    assert had[0] == 0 and had[-1] == 3 and sorted(had) == had


def test_what_is_said_in_sql_is_what_python_says():
    assert tuple(str(action) for action in INCOMPLETE_ACTIONS) == standing_sql.INCOMPLETE
    assert set(standing_sql.RISK) <= {str(pathway) for pathway in Pathway}


def test_the_application_cannot_write_what_triggers_keep(people):
    for statement in ("UPDATE monitoring_standing SET late = false", "DELETE FROM monitoring_standing"):
        with (
            pytest.raises(DatabaseError, match="permission denied"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)


def test_neither_table_nor_view_shows_another_clinics_patients(people, other_clinic):
    access.bind_clinics([other_clinic.pk])
    with connection.cursor() as cursor:
        for name in ("monitoring_standing", "monitoring_standing_now"):
            cursor.execute(f"SELECT count(*) FROM {name}")
            assert cursor.fetchone() == (0,)
    access.bind_clinics([people[0].clinic_id, other_clinic.pk])


def test_a_standing_gone_wrong_is_found_at_night_told_and_mended(committed_database, services, make_clinic, enrol):
    with transaction.atomic():
        clinic = make_clinic("Northside Hip Clinic")
        enrol(clinic)
    with psycopg.connect(services.admin_url_of(committed_database)) as admin:
        admin.execute("UPDATE monitoring_standing SET late = NOT late")
    with access.system_run("test"):
        taken = census.take_census(clinic, datetime.now(UTC))
        assert not taken.adds_up and {item["lists"] for item in taken.disagreements} == {"kept otherwise, now mended"}
        assert len(taken.disagreements) == 2 and census.take_census(clinic, datetime.now(UTC)).adds_up


@pytest.mark.parametrize("size", [1, 2, 50])
def test_of_several_clinics_pages_follow_each_other_in_one_order(size, watch, clinic, other_clinic, make_user, on_day):  # noqa: F811
    on_day(DAY)
    for number in range(5):
        watch(where=(clinic, other_clinic)[number % 2], on=date(2026, 1, 1 + number // 2))
    user = make_user(clinic, "coordinator")
    user.memberships.create(clinic=other_clinic, role="coordinator")
    viewer = access.viewer_for(user)  # noqa: F811
    found, after = [], ""
    while True:
        page = page_of("overdue", viewer, Filters(), DAY, after=after, size=size)
        found += [row.patient.pk for row in page.rows]
        if not (after := page.after):
            break
    assert found == [patient.pk for patient in worklist.patients_in("overdue", viewer, Filters(), DAY)]
    assert len(found) == len(set(found)) == 5
