"""Standings: what the database keeps of each patient is what follows from the facts, whoever changed them and how."""

from datetime import UTC, date, datetime

import psycopg
import pytest
from django.db import DatabaseError, connection, transaction
from django.db.models import Exists, OuterRef, Q

from monitoring import census, outreach, standing_sql, standings, worklist
from monitoring.models import Flag, HipEvaluation, ReviewCase, Snooze, Standing
from monitoring.worklist import Filters, page_of
from monitoring.worklist_row import INCOMPLETE_ACTIONS
from patients import access, recording
from patients.models import ContactWish, Patient
from schedules.guideline.pathways import Pathway
from schedules.models import Appointment, Substitute
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
