"""Simulation: seeded, plausible, true to its cohorts, and with something on every list."""

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from statistics import mean

import phonenumbers
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from monitoring import census, pipeline, worklist
from monitoring.models import AuditEntry, EvaluationReceipt, EvaluationRun, Flag, ReviewCase
from monitoring.simulation import demonstration, diary, natural_history
from monitoring.simulation.lived import LISTS, LivedPatient
from monitoring.simulation.lives import Setting, live
from monitoring.simulation.natural_history import Band, Course, SmallLesions, draw_lesion
from monitoring.simulation.people import draw_person
from monitoring.simulation.registry import Order, RealPatientsHere, simulate
from patients import access
from patients.models import HIP_FACTS, BmiReading, Clinic, Patient, User
from patients.reading import read_records
from patients.vocabulary import Condition, JicType, Modality, ProcedureKind, Side
from schedules.guideline.evaluation import evaluate
from schedules.guideline.protocol import Protocol
from schedules.models import Appointment, Plan, Reminder

AS_OF = date(2026, 10, 14)
SETTING = Setting(seed=5, as_of=AS_OF, years=4.0, language="en", protocol=Protocol())


# ---- Natural history against the cohorts


def central_95(draw: Callable[[Random], Course], *, hips: int, happened: Callable[[Course], bool]) -> tuple[int, int]:
    """The counts between which the central 95 % of repeats of a cohort of this size lie."""
    rng, repeats = Random(1), 400
    counts = sorted(sum(happened(draw(rng)) for _ in range(hips)) for _ in range(repeats))
    return counts[repeats * 25 // 1000], counts[repeats * 975 // 1000 - 1]


@pytest.mark.parametrize(
    ("published", "event"),
    [(35, lambda course: course.symptomatic_by(11)), (29, lambda course: course.collapsed_by(11))],
    ids=["symptoms", "collapse"],
)
def test_very_small_lesions_do_as_in_hernigou_2004(published, event):
    low, high = central_95(natural_history.very_small_hernigou, hips=40, happened=event)
    assert low <= published <= high


def test_small_lesions_in_the_optimistic_model_do_as_in_nam_2008():
    low, high = central_95(natural_history.small_nam, hips=21, happened=lambda course: course.symptomatic_by(8))
    assert low <= 1 <= high


def test_collapse_in_an_asymptomatic_series_is_that_of_min_2008_which_was_not_fitted():
    low, high = central_95(natural_history.min_2008, hips=81, happened=lambda course: course.collapsed_by(8.3))
    assert low <= 26 <= high


@pytest.mark.parametrize(
    ("jic_type", "two_years", "five_years"),
    [(JicType.A, 0, 0), (JicType.B, 7.9, 7.9), (JicType.C1, 23.2, 36.6), (JicType.C2, 57.8, 84.8)],
)
def test_collapse_by_location_is_that_of_kuroda_2019(jic_type, two_years, five_years):
    rng = Random(2)
    courses = [natural_history.by_jic_type(jic_type, rng) for _ in range(6000)]
    assert 100 * mean(c.collapsed_by(2) for c in courses) == pytest.approx(two_years, abs=2)
    assert 100 * mean(c.collapsed_by(5) for c in courses) == pytest.approx(five_years, abs=2)


def test_sickle_cell_disease_hurts_soon_and_leaves_eleven_months():
    rng = Random(3)
    courses = [natural_history.sickle_cell(rng) for _ in range(6000)]
    assert 100 * mean(c.symptomatic_by(3) for c in courses) == pytest.approx(95, abs=1.5)
    assert 12 * mean(c.collapse - c.symptoms for c in courses) == pytest.approx(11, abs=0.5)


@pytest.mark.parametrize(
    "draw",
    [
        natural_history.very_small_hernigou,
        natural_history.small_nam,
        natural_history.sickle_cell,
        *(lambda rng, kind=kind: natural_history.by_jic_type(kind, rng) for kind in JicType),
    ],
)
def test_pain_comes_at_least_six_months_before_collapse(draw):
    rng = Random(4)
    courses = [draw(rng) for _ in range(500)]
    assert all(c.collapse - c.symptoms >= 0.5 - 1e-9 for c in courses if c.collapse < natural_history.NEVER)


def test_a_lesions_size_and_volume_agree():
    rng = Random(5)
    for _ in range(500):
        lesion = draw_lesion(natural_history.SMALL_LESION_REGISTRY, rng)
        small = lesion.percent < 10 and lesion.cm3 < 5
        assert small == (lesion.band is Band.VERY_SMALL)
        assert 30 * lesion.percent <= 100 * lesion.cm3 <= 90 * lesion.percent


# ---- People who do not exist


@pytest.mark.parametrize("language", ["en", "de"])
def test_people_can_be_reached_by_nobody(language):
    rng = Random(6)
    people = [draw_person(number, language=language, day=AS_OF, rng=rng) for number in range(300)]
    assert all(person.email.isascii() and person.email.endswith(".example") for person in people)
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(person.telephone)) for person in people)
    assert {person.language for person in people} == {"en", "de"}
    assert all(18 <= (AS_OF - person.born_on).days / 365.25 <= 83 for person in people)


# ---- Lives


def lives(count: int, setting: Setting = SETTING) -> list[LivedPatient]:
    return [live(setting, number) for number in range(1, count + 1)]


def test_the_same_seed_gives_the_same_lives():
    assert [life.told for life in lives(25)] == [life.told for life in lives(25)]


def test_another_seed_gives_other_lives():
    assert lives(5)[0].told != lives(5, replace(SETTING, seed=6))[0].told


def test_a_life_does_not_depend_on_the_others():
    assert live(SETTING, 17).told == lives(20)[16].told


def test_nothing_happens_on_the_last_day_or_after_death():
    for life in lives(150):
        end = life.died_on or AS_OF - timedelta(days=1)
        assert all(told.fact.on <= told.recorded_on <= end for told in life.told)


def test_visits_follow_the_guideline():
    """Half of all visits of a hip that is watched every three or six months come within a month of the due date."""
    late = [
        (kept.kept_on - kept.hip.window.due_on).days
        for life in lives(150)
        for kept in life.kept
        if kept.kept_on and kept.hip.window
    ]
    assert mean(abs(days) <= 30 for days in late) > 0.5
    assert any(days > 30 for days in late)


@pytest.mark.slow
def test_lives_meet_what_the_guideline_is_for():
    """Pain, collapse, surgery, arthroplasty, CT and endings all happen in a few hundred lives."""
    told = [told.fact for life in lives(300) for told in life.told]
    kinds = {fact.kind for fact in told if LISTS.get(type(fact)) == "procedures"}
    assert kinds == {ProcedureKind.CORE_DECOMPRESSION, ProcedureKind.THA}
    assert {fact.modality for fact in told if LISTS.get(type(fact)) == "imaging"} == {
        Modality.XR,
        Modality.MR,
        Modality.CT,
    }
    assert {LISTS.get(type(fact)) for fact in told} >= set(LISTS.values())
    causes = {cause for life in lives(300) for cause in life.person.causes}
    assert {Condition.SICKLE_CELL, Condition.GLUCOCORTICOID, Condition.ALCOHOL} <= causes


@pytest.mark.slow
def test_the_optimistic_model_hurts_fewer_hips():
    def painful(small: SmallLesions) -> int:
        found = lives(150, replace(SETTING, small=small))
        return sum(any(s.symptomatic for s in life.record.hip(side).symptoms) for life in found for side in Side)

    assert painful(SmallLesions.NAM) < painful(SmallLesions.HERNIGOU)


# ---- In the registry


@pytest.fixture
def simulated(clinic, make_user) -> Clinic:
    """A synthetic clinic with staff and 120 patients."""
    clinic.synthetic = True
    clinic.save()
    make_user(clinic, "coordinator")
    make_user(clinic, "clinician")
    assert simulate(Order(clinic.pk, 120, 4.0, 2, AS_OF)) == 120
    return clinic


@pytest.mark.slow
def test_every_list_has_something_on_it_and_the_census_agrees(simulated):
    with access.system_run("test") as viewer:
        counts = worklist.counts(viewer, worklist.Filters(), AS_OF)
        buckets, disagreements = census.count_hips(simulated, AS_OF)
    of_lives = {tab: count for tab, count in counts.items() if tab != "calls"}  # delivery opens those
    assert min(of_lives.values()) > 0, counts
    assert counts["all"] == 120
    assert sum(buckets.values()) == 240
    assert buckets["lost"] == 0
    assert disagreements == []
    states = set(Reminder.objects.values_list("state", flat=True))
    assert {"planned", "sent", "refused"} <= states
    assert {"open", "decided"} <= set(ReviewCase.objects.values_list("state", flat=True))
    assert {"current", "kept"} <= set(Plan.objects.values_list("state", flat=True))


@pytest.mark.slow
def test_everything_is_marked_as_simulated(simulated):
    assert not Patient.objects.filter(synthetic=False).exists()
    assert not any(model.objects.exclude(origin="simulation").exists() for model in (*HIP_FACTS, BmiReading))
    assert all(
        email.endswith(".example") for email in Patient.objects.exclude(email="").values_list("email", flat=True)
    )
    assert Patient.objects.get(record_number="HW-00007").synthetic
    assert AuditEntry.objects.filter(act="simulate").count() == 120


@pytest.mark.slow
def test_what_was_written_reads_back_as_it_was_lived(simulated):
    """The answer by the stored rows is the answer of the life."""
    setting = Setting(2, AS_OF, 4.0, "en", Protocol())
    patients = {p.record_number: p.pk for p in Patient.objects.all()}
    records = read_records(patients.values())
    for number in range(1, 121):
        life = live(setting, number)
        stored = evaluate(records[patients[f"HW-{number:05d}"]], Protocol(), AS_OF)
        assert comparable(stored.to_json()) == comparable(life.answer.to_json())


def comparable(answer: dict) -> dict:
    """Without what names rows by id, and without sentences: a stored 27.3 is 27.30."""
    for hip in answer["hips"]:
        hip.pop("because")
        for finding in hip["findings"]:
            finding.pop("because")
            finding["evidence"] = len(finding["evidence"])
    return answer


@pytest.mark.slow
def test_evaluating_again_changes_nothing(simulated):
    def standing() -> tuple:
        return (
            sorted(Flag.objects.values_list("hip", "rule", "since", "closed_at", "opened_at")),
            sorted(ReviewCase.objects.values_list("hip", "action", "state", "opened_at")),
            sorted(Reminder.objects.values_list("patient", "cycle_on", "due_on", "step", "state")),
            EvaluationReceipt.objects.count(),
        )

    before = standing()
    now = datetime.combine(AS_OF, datetime.min.time(), tzinfo=simulated.zone) + timedelta(hours=12)
    run = EvaluationRun.objects.create(kind="sweep", actor="test", started_at=now)
    counts = pipeline.evaluate_patients(Patient.objects.values_list("id", flat=True), run=run, now=now)
    assert (counts.changed, counts.failed) == (0, 0)
    assert standing() == before


@pytest.mark.slow
def test_cases_were_opened_when_the_question_arose(simulated):
    decided = ReviewCase.objects.filter(state="decided").select_related("decision")
    assert decided
    assert all(case.opened_at <= case.closed_at and case.decision.on >= case.since for case in decided)


def test_a_clinic_of_real_people_is_refused(clinic):
    with pytest.raises(RealPatientsHere):
        simulate(Order(clinic.pk, 1, 1.0, 1, AS_OF))
    assert not Patient.objects.exists()


def test_the_command_continues_the_record_numbers(db):
    for _ in range(2):
        call_command("simulate_registry", patients=4, years=1.0, seed=3, clinics=2)
    with access.system_run("test"):
        numbers = list(
            Patient.objects.filter(clinic__name="Synthetic Clinic 1")
            .order_by("id")
            .values_list("record_number", flat=True)
        )
    assert numbers == ["HW-00001", "HW-00002", "HW-00003", "HW-00004"]


def test_the_command_refuses_a_day_to_come(db):
    with pytest.raises(CommandError, match="future"):
        call_command("simulate_registry", patients=1, as_of=timezone.now().date() + timedelta(days=3))


# ---- The demonstration


@pytest.fixture
def small_demo(db, settings, tmp_path, monkeypatch) -> None:
    """The demonstration with fewer patients, in a folder of its own."""
    settings.DATA_DIR = tmp_path
    monkeypatch.delenv("DEMO_PASSWORD", raising=False)
    fewer = tuple(replace(clinic, patients=count) for clinic, count in zip(demonstration.CLINICS, (9, 4), strict=True))
    monkeypatch.setattr(demonstration, "CLINICS", fewer)


def last_json(capsys) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_the_demonstration_is_set_up_once_with_a_diary_and_people_who_can_sign_in(small_demo, capsys, tmp_path):
    call_command("setup_demo")
    first = last_json(capsys)
    call_command("setup_demo")
    assert last_json(capsys) == first
    assert first["patients"] == 13
    assert {person["role"] for person in first["sign_ins"]} >= {"coordinator", "clinician", "admin"}
    with access.system_run("test"):
        assert Patient.objects.count() == 13
    assert Clinic.objects.filter(synthetic=True).count() == 2
    assert len(access.viewer_for(User.objects.get(email="both@demo.example")).clinic_ids) == 2
    kept = tmp_path / "demo-password"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    person = first["sign_ins"][0]
    assert person["password"] == kept.read_text().strip()
    assert User.objects.get(email=person["email"]).check_password(person["password"])
    the_diary_is_of_working_days_and_filled_once()
    call_command("registry_summary", "--json")
    found = last_json(capsys)
    assert found["hips_evaluated"] == 26
    assert {"overdue_patients", "reviews_open", "reminders_sent", "reminders_due", "last_sweep"} < set(found)
    assert len(found["sign_ins"]) == len(demonstration.STAFF)


def the_diary_is_of_working_days_and_filled_once():
    with access.system_run("test"):
        rows = list(Appointment.objects.select_related("patient__clinic", "clinician"))
        again = diary.fill(Clinic.objects.get(name=demonstration.CLINICS[0].name), 1, timezone.now())
        assert again == sum(row.clinic.name == demonstration.CLINICS[0].name for row in rows)
        assert Appointment.objects.count() == len(rows)
    assert rows
    now = timezone.now()
    for row in rows:
        assert row.starts_at.astimezone(row.clinic.zone).weekday() < 5
        assert row.clinician is not None
        assert row.starts_at > now or row.state == Appointment.State.DID_NOT_ATTEND
    taken = [(row.clinician_id, row.starts_at) for row in rows]
    assert len(taken) == len(set(taken))


def test_the_password_can_be_given(small_demo, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DEMO_PASSWORD", "a long enough password")
    call_command("setup_demo")
    assert {person["password"] for person in last_json(capsys)["sign_ins"]} == {"a long enough password"}
    assert not (tmp_path / "demo-password").exists()


def test_the_demonstration_stays_away_from_other_clinics(small_demo, clinic):
    with pytest.raises(CommandError, match="clinics already"):
        call_command("setup_demo")


def test_the_demonstration_refuses_production(small_demo, settings):
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="production"):
        call_command("setup_demo")
