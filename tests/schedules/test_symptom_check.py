"""The invitation to a symptom check: midway between two visits, and only where nobody knows how the patient is."""

from datetime import date, timedelta
from itertools import pairwise

import pytest
from django.test import Client

from monitoring.models import HipEvaluation
from patients import access
from patients.models import Clinic, SymptomReport
from schedules.eligibility import Reason
from schedules.ladder import LADDER, Choice, chosen, steps_of
from schedules.models import Plan, Reminder
from schedules.plans import PatientWindow
from tests.schedules.conftest import DUE_ON, NOON

pytestmark = pytest.mark.usefixtures("planned_by_hand")
CYCLE_ON = date(2026, 9, 27)  # of `follow`
MIDWAY = DUE_ON - timedelta(days=91)
AT_MIDWAY = NOON - timedelta(days=91)


def window(days: int) -> PatientWindow:
    due_on = CYCLE_ON + timedelta(days=days)
    return PatientWindow(1, 1, CYCLE_ON, due_on - timedelta(days=14), due_on, due_on + timedelta(days=14))


def check_of(window, ladder=LADDER):
    return next(((send, until) for rung, send, until in steps_of(window, ladder) if rung.step == "symptom_check"), None)


@pytest.mark.parametrize(
    ("interval", "sends_after", "useful_for"),
    [(365, 182, 28), (182, 91, 28), (91, 45, 4), (84, 42, None), (60, 30, 28), (55, None, None), (0, None, None)],
)
def test_it_goes_out_midway_while_there_is_room_before_the_next_step(interval, sends_after, useful_for):
    """A step that another one follows on the same day has no room; short intervals have none at all."""
    found = check_of(window(interval))
    if sends_after is None or useful_for is None:
        assert found is None or found[0] == CYCLE_ON + timedelta(days=sends_after)
        return
    assert found[0] == CYCLE_ON + timedelta(days=sends_after)
    assert (found[1] - found[0]).days + 1 <= useful_for


def test_steps_follow_one_another_by_their_days_whatever_a_clinic_chose():
    ladder = chosen({"booking_prompt": Choice(True, -70), "symptom_check": Choice(True, 14)})
    for days in range(400):
        steps = list(steps_of(window(days), ladder))
        assert [send for _rung, send, _until in steps] == sorted(send for _rung, send, _until in steps)
        for (_rung, send, until), (_next, later, _last) in pairwise(steps):
            assert send <= until < later


@pytest.mark.parametrize(("days", "states"), [(-30, ["planned"]), (0, ["planned"]), (27, ["planned"]), (28, [])])
def test_it_is_planned_ahead_and_never_listed_as_missed(patient, follow, days, states):
    follow(patient, now=AT_MIDWAY + timedelta(days=days))
    found = Reminder.objects.filter(step="symptom_check", send_on=MIDWAY)
    assert list(found.values_list("state", flat=True)) == states


@pytest.fixture
def due(patient, follow):
    follow(patient, now=AT_MIDWAY)
    return Reminder.objects.get(step="symptom_check")


def report(patient, days_ago, hip=None, **said):
    hip = hip or patient.hips.order_by("side").first()
    on = AT_MIDWAY.date() - timedelta(days=days_ago)
    details = {"source": "clinician", "symptomatic": False, "actor": "Ada Okoye", "recorded_at": NOON, **said}
    return SymptomReport.objects.create(clinic=patient.clinic, patient=patient, hip=hip, on=on, **details)


def evaluated(patient, hip, symptomatic):
    HipEvaluation.objects.filter(hip=hip).delete()
    HipEvaluation.objects.create(
        hip=hip, patient=patient, clinic=patient.clinic, pathway="observation", status="upcoming", phase="",
        because="-", symptomatic=symptomatic, answer={},
    )  # fmt: skip


def test_it_asks_when_nobody_knows(due, drain, sink):
    report(due.patient, days_ago=28)
    drain(at=AT_MIDWAY)
    (message,) = sink.arrived
    assert "How are you?" in message["Subject"]


@pytest.mark.parametrize("source", ["clinician", "patient"])
def test_a_report_of_the_last_28_days_is_answer_enough(due, drain, sink, source):
    report(due.patient, days_ago=27, source=source)
    drain(at=AT_MIDWAY)
    due.refresh_from_db()
    assert not sink.arrived
    assert (due.state, due.reason) == ("refused", Reason.SYMPTOMS_KNOWN)


def test_a_report_that_was_withdrawn_does_not_count(due, drain, sink):
    row = report(due.patient, days_ago=3)
    SymptomReport.objects.filter(pk=row.pk).update(
        withdrawn_at=NOON, withdrawn_actor="Ada Okoye", withdrawn_reason="other patient"
    )
    drain(at=AT_MIDWAY)
    assert len(sink.arrived) == 1


@pytest.mark.parametrize(("symptomatic", "state"), [(True, "refused"), (False, "sent"), (None, "sent")])
def test_who_has_symptoms_already_is_not_asked(due, drain, symptomatic, state):
    evaluated(due.patient, due.patient.hips.order_by("side").first(), symptomatic)
    drain(at=AT_MIDWAY)
    due.refresh_from_db()
    assert due.state == state


def test_the_other_hip_is_asked_about_where_one_is_known(due, drain, sink):
    first, second = due.patient.hips.order_by("side")
    plan = Plan.objects.get(hip=first)
    plan.pk, plan.hip = None, second
    plan.save(force_insert=True)
    report(due.patient, days_ago=3, hip=first)
    drain(at=AT_MIDWAY)
    assert len(sink.arrived) == 1


def test_other_mails_do_not_ask_who_has_symptoms(patient, follow, drain, sink):
    follow(patient)
    report(patient, days_ago=-80)  # eleven days before the mail
    drain()
    assert len(sink.arrived) == 1


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_its_button_opens_the_questions(due, drain, sink, language, time_machine):
    time_machine.move_to(AT_MIDWAY)
    type(due.patient).objects.update(language=language)
    drain(at=AT_MIDWAY)
    (message,) = sink.arrived
    text = message.get_body(("plain",)).get_content()
    link = next(word for word in text.split() if "/p/questions/" in word)
    assert link in message.get_body(("html",)).get_content()
    reply = Client().get("/p/" + link.split("/p/")[1])
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))
    assert reply.status_code == 200 and f'lang="{language}"' in reply.content.decode()
