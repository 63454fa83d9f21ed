"""The sweep: shared among workers, resumed after a kill, and agreeing with what a fresh evaluation says."""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.db import connection, connections
from django.db.models import F, Q
from django.test.utils import CaptureQueriesContext

from monitoring import evaluating, heartbeats, pipeline
from monitoring.models import (
    EvaluationReceipt,
    EvaluationRun,
    Flag,
    HipEvaluation,
    PatientEvaluation,
    SweepShare,
    Unevaluated,
)
from monitoring.simulation.registry import Order, simulate
from patients import access
from patients.models import Clinic, Patient
from patients.prepared import rows_of, rows_of_each
from patients.reading import read_charts
from patients.rows import change_rows, put_rows
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import Protocol
from schedules.models import Plan, Reminder

AS_OF = date(2026, 3, 5)
NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=400)  # by then every answer has changed


@pytest.fixture
def shares_of_two(monkeypatch):
    monkeypatch.setattr(pipeline, "CHUNK", 2)


@pytest.fixture
def enrol(enrol):
    """Enrols as of NOON."""

    def then(clinic):
        with time_machine.travel(NOON, tick=False):
            return enrol(clinic)

    return then


def lived(clinic, patients):
    """A simulated registry of so many, evaluated as of its last day."""
    Clinic.objects.filter(pk=clinic.pk).update(synthetic=True)
    simulate(Order(clinic.pk, patients, 3.0, 7, AS_OF, first=Patient.objects.count() + 1))
    access.bind_clinics([clinic.pk])


def standing():
    """All that follows from evaluation, but for when it was looked at."""
    return (
        sorted(HipEvaluation.objects.values_list("hip", "pathway", "status", "due_on", "because")),
        sorted(Plan.objects.values_list("hip", "cycle_on", "state", "due_on", "because", "kept_on")),
        sorted(Flag.objects.values_list("hip", "rule", "since", "act_by", "because", "opened_at", "closed_at")),
        sorted(Reminder.objects.values_list("patient", "cycle_on", "due_on", "step", "state", "send_on")),
    )


@pytest.mark.slow
def test_sweeping_day_by_day_agrees_with_evaluating_afresh(clinic):
    lived(clinic, 30)
    last = NOON
    for _day in range(40):
        last += timedelta(days=5)
        pipeline.sweep(last)
    for chart in read_charts(Patient.objects.values_list("pk", flat=True)):
        fresh = evaluate(chart.record, Protocol(), last.date()).to_json()["hips"]
        stored = [HipEvaluation.objects.get(hip=chart.hip_ids[hip["side"]]).answer for hip in fresh]
        assert stored == fresh
    before = standing()
    assert pipeline.sweep(last, everything=True).changed == 0
    assert standing() == before


def test_a_sweep_is_shared_out_and_sums_up(clinic, enrol, shares_of_two):
    for _ in range(5):
        enrol(clinic)
    assert pipeline.plan_sweep(LATER).made == 3
    assert pipeline.plan_sweep(LATER) == pipeline.Shares(made=0, there=True), "one is under way"
    assert pipeline.work_share(LATER).patients == 2
    assert pipeline.finish_sweeps(LATER) == 2
    run = EvaluationRun.objects.get(kind="sweep")
    assert (run.planned, run.patients, run.finished_at) == (5, 2, None)
    assert heartbeats.sweep_heartbeat().behind == 3
    pipeline.sweep(LATER)
    run.refresh_from_db()
    assert (run.patients, run.changed, heartbeats.sweep_heartbeat().behind) == (5, 5, 0)
    assert run.finished_at and not SweepShare.objects.exists()


def test_the_system_page_tells_how_far_a_sweep_is(clinic, enrol, shares_of_two, make_user, sign_in):
    for _ in range(5):
        enrol(clinic)
    admin = make_user(clinic, "admin")
    pipeline.plan_sweep(LATER)
    pipeline.work_share(LATER)
    assert "2 of 5" in sign_in(admin).get("/system/").content.decode()


def test_a_sweep_with_nobody_due_ends_at_once_and_leaves_no_run(clinic, enrol):
    enrol(clinic)
    pipeline.sweep(NOON)
    assert not pipeline.plan_sweep(NOON).there
    assert heartbeats.sweep_heartbeat().finished_at and not EvaluationRun.objects.filter(kind="sweep").exists()


def test_a_worker_that_dies_before_it_sums_up_is_made_up_for(clinic, enrol):
    enrol(clinic)
    pipeline.plan_sweep(LATER)
    pipeline.work_share(LATER)
    pipeline.sweep(LATER)
    assert EvaluationRun.objects.get(kind="sweep").finished_at


def test_workers_side_by_side_evaluate_nobody_twice(committed_database, make_clinic, enrol, shares_of_two):
    with access.system_run("test"):
        clinic = make_clinic("Northside")
        people = [enrol(clinic).pk for _ in range(8)]

    def work():
        pipeline.sweep(LATER)
        connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pipeline.finish_sweeps(LATER)
    with access.system_run("test"):
        swept = EvaluationReceipt.objects.filter(run__kind="sweep").values_list("patient_id", flat=True)
        assert sorted(swept) == people
        assert EvaluationRun.objects.get(kind="sweep").patients == 8


def test_a_share_that_is_done_while_a_sweep_is_summed_up_is_counted(
    committed_database, make_clinic, enrol, shares_of_two
):
    with access.system_run("test"):
        clinic = make_clinic("Northside")
        for _ in range(4):
            enrol(clinic)
    pipeline.plan_sweep(LATER)
    pipeline.work_share(LATER)

    def work():
        pipeline.work_share(LATER)
        connections.close_all()

    def meanwhile(execute, query, *more):
        found = execute(query, *more)
        if "SUM(" in query and SweepShare._meta.db_table in query:
            other = threading.Thread(target=work)
            other.start()
            other.join()
        return found

    with connection.execute_wrapper(meanwhile):
        assert pipeline.finish_sweeps(LATER) == 1
    assert pipeline.finish_sweeps(LATER) == 0
    with access.system_run("test"):
        run = EvaluationRun.objects.get(kind="sweep")
    assert (run.patients, run.finished_at) == (4, LATER)


def test_a_worker_that_dies_leaves_its_share_to_others(committed_database, make_clinic, enrol, monkeypatch):
    with access.system_run("test"):
        clinic = make_clinic("Northside")
        patient = enrol(clinic)
    pipeline.plan_sweep(LATER)

    def killed(*_args, **_more):
        raise SystemExit

    with monkeypatch.context() as patched, pytest.raises(SystemExit):
        patched.setattr(pipeline, "evaluate_patients", killed)
        pipeline.work_share(LATER)
    assert pipeline.sweep(LATER).patients == 1
    with access.system_run("test"):
        assert PatientEvaluation.objects.get(patient=patient).as_of == LATER.date()
        assert EvaluationRun.objects.filter(kind="sweep", finished_at__isnull=False).count() == 1


def test_one_fault_in_a_share_keeps_nobody_else_from_being_evaluated(clinic, enrol, monkeypatch):
    good, bad = enrol(clinic), enrol(clinic)
    store = evaluating._store

    def faulty(outcome, *more):
        store(outcome, *more)
        if bad.pk in outcome.answers:
            raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr(evaluating, "_store", faulty)
        counts = pipeline.sweep(LATER)
    assert (counts.patients, counts.failed) == (2, 1)
    assert PatientEvaluation.objects.get(patient=good).as_of == LATER.date()
    assert PatientEvaluation.objects.get(patient=bad).error
    assert pipeline.count_due([clinic], LATER) == 1


def test_whoever_writes_a_version_the_database_remembers_who_is_not_evaluated(clinic, enrol):
    patient, other = enrol(clinic), enrol(clinic)
    assert not Unevaluated.objects.exists()
    Patient.objects.filter(pk=patient.pk).update(record_version=F("record_version") + 1)
    Patient.objects.filter(pk=other.pk).update(language="de")
    assert [row.patient_id for row in Unevaluated.objects.all()] == [patient.pk]
    assert pipeline.sweep(NOON).patients == 1
    assert not Unevaluated.objects.exists()


def test_who_is_due_by_indexes_is_who_is_due_by_looking_at_everybody(clinic):
    lived(clinic, 20)
    Patient.objects.filter(pk__in=Patient.objects.order_by("pk")[:3]).update(record_version=F("record_version") + 1)
    PatientEvaluation.objects.filter(patient__in=Patient.objects.order_by("-pk")[:2]).update(protocol="another/1")
    for days in (0, 30, 400):
        now = NOON + timedelta(days=days)
        due = Q(evaluation__isnull=True) | Q(evaluation__record_version__lt=F("record_version"))
        due |= Q(evaluation__next_change_on__lte=now.date()) | ~Q(evaluation__protocol=str(Protocol()))
        assert pipeline.count_due([clinic], now) == Patient.objects.filter(due).count() > 0


@pytest.mark.slow
def test_ten_times_the_patients_take_no_more_queries_a_share(clinic):
    asked = []
    for patients in (3, 30):
        lived(clinic, patients - Patient.objects.count())
        pipeline.sweep(NOON, everything=True)
        pipeline.plan_sweep(NOON, everything=True)
        with CaptureQueriesContext(connections["default"]) as queries:
            assert pipeline.work_share(NOON).patients == patients
        asked.append(len(queries))
        pipeline.finish_sweeps(NOON)
    assert asked[0] == asked[1] <= 25


def test_rows_are_written_by_one_statement_that_keeps_quotes_and_nothing(clinic, enrol):
    enrol(clinic)
    plan = Plan.objects.first()
    said = {"because": 'He said "wait", {so} \\ we\tdo: größer ≥ 3 %s', "kept_on": None}
    rows_of_each(change_rows(Plan, [{"id": plan.pk, **said}]))
    plan.refresh_from_db()
    assert (plan.because, plan.kept_on) == (said["because"], None)


def test_a_row_with_a_known_key_is_brought_to_new_values(clinic, enrol):
    patient = enrol(clinic)
    known = PatientEvaluation.objects.filter(patient=patient).values().get()
    rows_of_each(put_rows(PatientEvaluation, [known | {"due_on": date(2030, 1, 1)}], key=("patient_id",)))
    assert PatientEvaluation.objects.get(patient=patient).due_on == date(2030, 1, 1)


def test_a_prepared_statement_sees_the_clinics_of_its_own_transaction(clinic, other_clinic, enrol):
    enrol(clinic), enrol(other_clinic)
    for bound in ([clinic.pk], [other_clinic.pk], []):
        access.bind_clinics(bound)
        found = rows_of("SELECT clinic_id FROM patients_patient WHERE record_version > %s", [0])
        assert [row[0] for row in found] == bound
