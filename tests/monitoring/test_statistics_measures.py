"""Measures of the dashboard: what is counted, what is left out, and from which facts."""

from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine

from monitoring.models import Census, HipEvaluation, ReviewCase
from monitoring.simulation.registry import Order, simulate
from monitoring.statistics import answers, courses, history, planned, rates
from monitoring.statistics.forecast import ExpectedVisit, FollowedHip, FollowedPatient, expected_visits, weeks_ahead
from monitoring.statistics.scope import Scope, standing
from patients import access, recording
from patients.models import Decision, Hip, Imaging, Patient, Procedure, Staging, SymptomReport
from patients.reading import read_records
from patients.vocabulary import EndReason, Side
from schedules.guideline.facts import hip_facts
from schedules.guideline.lesion import read_lesion, size_band
from schedules.guideline.protocol import Protocol
from schedules.guideline.stages import Phase, read_stages
from schedules.guideline.symptoms import says
from schedules.models import Plan

TODAY = date(2026, 11, 18)  # a Wednesday
NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
PROTOCOL = Protocol()


def ago(days):
    return TODAY - timedelta(days)


@pytest.fixture
def scope(clinic):
    with time_machine.travel(NOON, tick=False):
        yield Scope((clinic.pk,), TODAY)


@pytest.fixture
def hip(clinic, enrol, scope):
    """A hip whose own plan is put out of the way, so that a test can lay down its windows."""

    def new(**details):
        patient = enrol(clinic, **{"enrolled_on": ago(900), **details})
        Plan.objects.filter(patient=patient).update(state="closed")
        return patient.hips.get(side="left")

    return new


def window(hip, due_on, *, kept_on=None, state=None, **details):
    """A window around a due date, as the guideline lays it."""
    days = {"opens_on": -14, "due_on": 0, "overdue_on": 14, "escalate_on": 30, "trace_on": 90, "gap_on": 120}
    return Plan.objects.create(
        clinic_id=hip.clinic_id,
        patient_id=hip.patient_id,
        hip=hip,
        cycle_on=due_on - timedelta(180),
        state=state or ("kept" if kept_on else "current"),
        kept_on=kept_on,
        pathway="observation",
        interval_months=6,
        because="6-month interval.",
        protocol="onfh-small-lesion/1",
        **{name: due_on + timedelta(offset) for name, offset in days.items()},
        **details,
    )


# ---- Windows


@pytest.mark.parametrize(
    ("kept_after_due", "outcome"),
    [(-15, "early"), (-14, "in_window"), (13, "in_window"), (14, "late"), (73, "late"), (74, "very_late")],
)
def test_what_came_of_a_window(hip, scope, kept_after_due, outcome):
    due_on = ago(200)
    window(hip(), due_on, kept_on=due_on + timedelta(kept_after_due))
    assert [plan.outcome for plan in rates.ended_windows(scope)] == [outcome]


def test_a_window_counts_from_the_day_it_is_overdue(hip, scope):
    window(hip(), ago(14))
    window(hip(), ago(13))
    assert [plan.outcome for plan in rates.ended_windows(scope)] == ["missed"]


def test_tracking_waits_sixty_days_more(hip, scope):
    window(hip(), ago(74))
    window(hip(), ago(73))
    assert rates.ended_windows(scope, grace=rates.GRACE).count() == 1


def test_one_pass_counts_what_ended_and_of_it_what_ended_long_ago(hip, scope):
    for days, kept in ((74, None), (73, None), (200, 10), (200, None), (100, -20)):
        window(hip(), ago(days), kept_on=None if kept is None else ago(days - kept))
    found = rates.windows_by_month(scope, 12)
    for months, grace in ((found.ended, timedelta(0)), (found.tracked, rates.GRACE)):
        rows = rates.ended_windows(scope, grace=grace)
        by_outcome = {outcome: rows.filter(outcome=outcome).count() for outcome in rates.OUTCOMES}
        assert rates.together(months).outcomes == by_outcome
    assert (rates.together(found.ended).counted, rates.together(found.tracked).counted) == (4, 3)


def test_an_early_follow_up_is_in_neither_part_of_the_rate(hip, scope):
    due_on = ago(60)
    window(hip(), due_on, kept_on=due_on)
    window(hip(), due_on, kept_on=due_on - timedelta(30))
    window(hip(), due_on)
    whole = rates.together(rates.windows_by_month(scope, 12).ended)
    assert (whole.counted, whole.in_window, whole.failed) == (2, 0.5, 1)


def test_who_left_after_missing_a_window_counts_as_missed(hip, scope, actor):
    gone = hip()
    window(gone, ago(60), state="closed")
    assert rates.ended_windows(scope).filter(hip=gone).count() == 0, "a plan drawn up anew is no missed window"
    reason = EndReason.DECLINED_IN_WRITING
    recording.end_follow_up(gone, by=actor, on=ago(20), reason=reason, evidence="letter")
    assert [plan.outcome for plan in rates.ended_windows(scope).filter(hip=gone)] == ["missed"]


def test_who_left_before_the_window_ended_is_not_counted(hip, scope, actor):
    gone = hip()
    window(gone, ago(60), state="closed")
    recording.end_follow_up(gone, by=actor, on=ago(50), reason=EndReason.DISCHARGED, evidence="letter")
    assert rates.ended_windows(scope).filter(hip=gone).count() == 0


def test_a_death_that_ended_a_missed_window_does_not_hide_it(hip, scope, actor):
    gone = hip()
    window(gone, ago(60), state="closed")
    recording.record_death(gone.patient_id, by=actor, died_on=ago(10), source="register")
    assert rates.ended_windows(scope).filter(hip=gone).count() == 1


def test_months_without_windows_have_no_rate(scope):
    months = rates.windows_by_month(scope, 12).ended
    assert [month.first for month in months][::12] == [date(2025, 11, 1), date(2026, 11, 1)]
    assert all(month.in_window is None and month.failure is None for month in months)


def test_overdue_hips_by_how_late_they_are(hip, scope):
    for days in (13, 14, 29, 30, 89, 90, 179, 180, 364, 365, 2000):
        window(hip(), ago(days))
    assert rates.overdue_by_band(scope) == {"29": 2, "89": 2, "179": 2, "364": 2, "more": 2}
    assert rates.overdue_hips(scope).count() == 10


def test_other_clinics_do_not_count(hip, scope, other_clinic, enrol):
    window(hip(), ago(60))
    stranger = enrol(other_clinic, enrolled_on=ago(900))
    assert Plan.objects.filter(patient=stranger).exists()
    assert rates.overdue_hips(scope).count() == 1


# ---- Symptoms and decisions


def case_of(hip, since, **details):
    return ReviewCase.objects.create(
        clinic_id=hip.clinic_id,
        patient_id=hip.patient_id,
        hip=hip,
        action="CORE_DECOMPRESSION_REVIEW",
        rule="R11",
        urgency="SOON",
        since=since,
        act_by=since + timedelta(14),
        because="It hurts.",
        **details,
    )


def decided(hip, since, on, actor):
    recorded = recording.record_decision(
        hip, by=actor, on=on, action="CORE_DECOMPRESSION_REVIEW", outcome="observe", reason="Mild."
    )
    decision = recorded if isinstance(recorded, Decision) else Decision.objects.latest("id")
    return case_of(hip, since, state="decided", decision=decision, closed_at=NOON)


def test_the_wait_from_the_report_of_pain_to_the_decision(hip, scope, actor):
    painful = hip()
    report = SymptomReport(on=ago(36), source="clinician", symptomatic=True)
    earlier = SymptomReport(on=ago(40), source="patient", symptomatic=True)
    recording.record_facts(painful.patient_id, [(Side.LEFT, earlier), (Side.LEFT, report)], by=actor)
    decided(painful, ago(40), ago(30), actor)
    waits = answers.waits_of(answers.read_answers(scope, 24), TODAY)
    assert (waits.to_seen.median(), waits.to_decision.median(), waits.whole.median()) == (4, 6, 10)


def test_open_reviews_wait_until_today_and_pull_the_median(hip, scope, actor):
    decided(hip(), ago(40), ago(38), actor)
    case_of(hip(), ago(50))
    case_of(hip(), ago(60), state="lapsed", closed_at=NOON - timedelta(20))
    found = answers.read_answers(scope, 24)
    assert [(answer.state, answer.days(TODAY)) for answer in found] == [("lapsed", 40), ("open", 50), ("decided", 2)]
    assert answers.waits_of(found, TODAY).whole.median() is None


def test_a_decision_without_a_report_counts_as_seen(hip, scope, actor):
    decided(hip(), ago(40), ago(30), actor)
    waits = answers.waits_of(answers.read_answers(scope, 24), TODAY)
    assert (waits.to_seen.median(), waits.to_decision.median()) == (10, 0)


def test_symptoms_of_an_earlier_period_are_left_out(hip, scope):
    case_of(hip(), date(2024, 10, 31))
    case_of(hip(), date(2024, 11, 1))
    assert len(answers.read_answers(scope, 24)) == 1


# ---- Courses


VOLUME = {"modality": "MR", "necrosis": True, "lesion_volume_percent": 8, "volume_method": "MRI_SLICE_SUM"}


def course_after(scope, actor, hip, *facts, began=400):
    recording.record_facts(
        hip.patient_id, [(Side.LEFT, Imaging(on=ago(began), **VOLUME)), *((Side.LEFT, f) for f in facts)], by=actor
    )
    (course,) = courses.read_courses(scope, PROTOCOL)
    return course


def report(days, **said):
    return SymptomReport(on=ago(days), source="clinician", **said)


def seen(course, endpoint):
    """(months, event) of the one hip, or why it is not on the curve."""
    curves = courses.curves_of([course], endpoint)
    if curves.already or curves.unseen:
        return "already" if curves.already else "unseen"
    (group,) = (group for group in curves.groups.values() if group.members)
    return round(group.members[0].observation.time, 1), group.members[0].observation.event


def test_a_hip_is_watched_from_its_first_volume_to_its_first_pain(hip, scope, actor):
    course = course_after(
        scope, actor, hip(), report(300, symptomatic=False), report(200, pain_nrs=3), report(100, pain_nrs=0)
    )
    assert course.band == "VERY_SMALL"
    assert seen(course, "pain") == (6.6, True)


def test_a_volume_from_before_enrolment_is_watched_from_enrolment(hip, scope, actor):
    course = course_after(scope, actor, hip(enrolled_on=ago(365)), report(0, symptomatic=False), began=800)
    assert (course.began_on, seen(course, "pain")) == (ago(365), (12.0, False))


@pytest.mark.parametrize(
    "said", [{"symptomatic": True}, {"pain_nrs": 1}, {"night_pain": True}, {"sudden_worsening": True}]
)
def test_what_counts_as_pain(hip, scope, actor, said):
    assert seen(course_after(scope, actor, hip(), report(35, **said)), "pain") == (12.0, True)


def test_a_hip_that_hurt_before_is_watched_for_collapse_only(hip, scope, actor):
    film = Imaging(on=ago(35), modality="XR", crescent="absent")
    course = course_after(scope, actor, hip(), report(450, symptomatic=True), film)
    assert (seen(course, "pain"), seen(course, "collapse")) == ("already", (12.0, False))


@pytest.mark.parametrize(
    "sign",
    [
        Imaging(modality="XR", crescent="present"),
        Imaging(modality="CT", depression_mm=1),
        Imaging(modality="XR", joint_space_narrowed=True),
        Staging(system="ARCO", version="2019", code="IIIA"),
        Staging(system="FICAT", version="1985", code="TRANSITION"),
        Staging(system="STEINBERG", version="1995", code="IVB"),
        Staging(system="JIC_STAGE", version="2001", code="3A"),
    ],
    ids=lambda sign: str(getattr(sign, "code", sign.__class__.__name__)),
)
def test_what_counts_as_collapse(hip, scope, actor, sign):
    sign.pk, sign.on = None, ago(35)
    assert seen(course_after(scope, actor, hip(), sign), "collapse") == (12.0, True)


@pytest.mark.parametrize(
    "sign",
    [
        Imaging(modality="XR", crescent="present", diagnostic=False),
        Staging(system="ARCO", version="2019", code="II"),
    ],
    ids=["not readable", "stage II"],
)
def test_what_does_not(hip, scope, actor, sign):
    sign.pk, sign.on = None, ago(35)
    assert seen(course_after(scope, actor, hip(), sign), "collapse") != (12.0, True)


def test_an_operation_ends_the_watch_at_the_last_look_before_it(hip, scope, actor):
    facts = [
        Imaging(on=ago(300), modality="XR", crescent="absent"),
        Procedure(on=ago(200), procedure="CORE_DECOMPRESSION"),
        Imaging(on=ago(100), modality="XR", crescent="present"),
    ]
    assert seen(course_after(scope, actor, hip(), *facts), "collapse") == (3.3, False)


def test_a_withdrawn_volume_puts_nobody_on_a_curve(hip, scope, actor):
    one = hip()
    course_after(scope, actor, one)
    recording.withdraw_fact(one.imagings.get(), by=actor, reason="another patient's")
    assert courses.read_courses(scope, PROTOCOL) == []


def test_the_band_is_that_of_the_day_on_which_the_watch_begins(hip, scope, actor):
    grown = Imaging(on=ago(100), **VOLUME | {"lesion_volume_percent": 35})
    assert course_after(scope, actor, hip(), grown).band == "VERY_SMALL"


def test_superseded_facts_do_not_stand(hip, scope, actor):
    one = hip()
    course_after(scope, actor, one, report(200, symptomatic=True))
    wrong = one.symptomreports.get()
    right = SymptomReport(
        on=ago(200), source="clinician", symptomatic=False, supersedes=wrong, correction_reason="the other hip"
    )
    recording.record_facts(one.patient_id, [(Side.LEFT, right)], by=actor)
    assert [fact.pk for fact in standing(SymptomReport, scope)] != [wrong.pk]
    (course,) = courses.read_courses(scope, PROTOCOL)
    assert seen(course, "pain") == (6.6, False)


# ---- Forecast


def patient(number, *hips, booked_on=None):
    return FollowedPatient(number, hips, booked_on)


def expected(*patients, today=TODAY):
    return [(visit.week, visit.patient_id, visit.kind) for visit in expected_visits(patients, today, PROTOCOL)]


def test_a_patient_comes_when_due_and_again_after_the_shorter_interval():
    hips = FollowedHip(date(2026, 12, 2), 3, None), FollowedHip(date(2027, 1, 20), 6, None)
    assert expected(patient(7, *hips)) == [
        (date(2026, 11, 30), 7, "first"),
        (date(2027, 3, 1), 7, "repeat"),
    ]


def test_a_booked_patient_comes_on_the_day_booked():
    late = FollowedHip(ago(200), 6, None)
    assert expected(patient(7, late, booked_on=date(2026, 12, 9)))[0] == (date(2026, 12, 7), 7, "first")


def test_those_already_late_come_evenly_over_four_weeks():
    late = [patient(number, FollowedHip(ago(100 - number), 12, None)) for number in range(8)]
    weeks = weeks_ahead(TODAY)
    assert [(visit[0], visit[2]) for visit in expected(*late)] == [
        (week, "backlog") for week in weeks[:4] for _twice in range(2)
    ]


def test_on_a_weekend_the_next_week_is_the_first():
    saturday = date(2026, 11, 21)
    assert weeks_ahead(saturday)[0] == date(2026, 11, 23)
    due = patient(7, FollowedHip(saturday, 12, None))
    assert expected(due, today=saturday) == [(date(2026, 11, 23), 7, "backlog")]


def test_visits_after_core_decompression_follow_its_schedule():
    hip = FollowedHip(date(2026, 12, 14), None, date(2026, 11, 2))  # six weeks after it
    assert [week for week, _patient, _kind in expected(patient(7, hip))] == [
        date(2026, 12, 14), date(2027, 2, 1), date(2027, 4, 26),
    ]  # fmt: skip


def test_nothing_is_expected_beyond_twenty_six_weeks():
    assert expected(patient(7, FollowedHip(TODAY + timedelta(26 * 7), 6, None))) == []
    assert len(weeks_ahead(TODAY)) == 26


def test_plans_become_expected_visits(hip, scope):
    one = hip()
    window(one, date(2026, 12, 2))
    assert planned.forecast(scope) == [ExpectedVisit(date(2026, 11, 30), one.patient_id, "first")]


# ---- Census


def night(clinic, on, **buckets):
    Census.objects.create(clinic=clinic, on=on, enrolled_hips=sum(buckets.values()), buckets=buckets, adds_up=True)


def test_nights_are_summed_over_clinics_and_incomplete_ones_left_out(clinic, other_clinic):
    both = Scope((clinic.pk, other_clinic.pk), TODAY)
    night(clinic, ago(3), upcoming=4)
    night(clinic, ago(2), upcoming=3, overdue=1)
    night(other_clinic, ago(2), upcoming=10, gap=2)
    night(clinic, ago(1), upcoming=4)
    found = history.census_nights(both, 366)
    assert [(one.on, one.of(history.FOLLOWED), one.of(history.LATE)) for one in found] == [
        (ago(3), 4, 0),
        (ago(2), 16, 3),
    ]


def test_the_last_census_of_a_night_counts(clinic):
    night(clinic, ago(1), upcoming=4)
    night(clinic, ago(1), upcoming=5)
    assert [one.enrolled for one in history.census_nights(Scope((clinic.pk,), TODAY), 366)] == [5]


def test_buckets_sum_to_all_hips(clinic, enrol, scope):
    enrol(clinic, enrolled_on=ago(10))
    enrol(clinic, enrolled_on=ago(100))
    assert sum(history.buckets_now(scope).values()) == 4


def test_each_bucket_is_as_long_as_its_list_and_hips_nobody_evaluated_have_their_own(clinic, enrol, scope):
    enrol(clinic, enrolled_on=ago(10))
    HipEvaluation.objects.filter(patient=enrol(clinic, enrolled_on=ago(5))).delete()
    found = history.buckets_now(scope)
    listed = Counter(hip.bucket for hip in history.hips_by_bucket(scope))
    assert found == dict(listed) and found[history.NOT_EVALUATED] == 2


# ---- Against the guideline's own reading of the same records


def read_by_the_guideline(patient, record, hip_record):
    """(first day watched, band, first pain, first collapse) as the guideline's code finds them; None: no volume."""
    facts = hip_facts(hip_record, TODAY)
    measured = read_lesion(facts, PROTOCOL).measured
    if not measured:
        return None
    began = max(patient.enrolled_on, measured[0].on)
    known = [study for study in measured if study.on <= began]
    collapse = read_stages(facts, PROTOCOL).first_at_least(Phase.COLLAPSE_EARLY)
    pain = next((report.on for report in facts.symptoms if says(report, PROTOCOL.symptomatic_nrs_min)), None)
    return began, size_band(known[-1], PROTOCOL), pain, collapse.on if collapse else None


@pytest.mark.slow
def test_courses_agree_with_the_guideline_on_a_simulated_registry(clinic, scope):
    clinic.synthetic = True
    clinic.save()
    simulate(Order(clinic.pk, 40, 4.0, 3, TODAY))
    access.bind_clinics([clinic.pk])
    patients = {patient.pk: patient for patient in Patient.objects.all()}
    records = read_records(patients)
    expected_courses = {}
    for hip in Hip.objects.all():
        record = records[hip.patient_id]
        found = read_by_the_guideline(patients[hip.patient_id], record, getattr(record, hip.side))
        if found is not None:
            expected_courses[hip.pk] = found
    found = courses.read_courses(scope, PROTOCOL)
    assert len(found) > 30
    assert {one.hip_id: (one.began_on, one.band, one.pain_on, one.collapse_on) for one in found} == expected_courses
    replaced_or_left = {one.hip_id for one in found if one.until < TODAY}
    assert replaced_or_left, "some were operated on, died or left"


@pytest.mark.slow
def test_windows_agree_with_a_plain_count_on_a_simulated_registry(clinic, scope):
    clinic.synthetic = True
    clinic.save()
    simulate(Order(clinic.pk, 40, 4.0, 3, TODAY))
    access.bind_clinics([clinic.pk])
    kept_in_time = ended = 0
    for plan in Plan.objects.exclude(state="closed").filter(due_on__gte=date(2025, 11, 1)):
        early = plan.kept_on is not None and plan.kept_on < plan.opens_on
        if plan.overdue_on <= TODAY and not early:
            ended += 1
            kept_in_time += plan.kept_on is not None and plan.kept_on < plan.overdue_on
    closed = rates.ended_windows(scope).filter(state="closed", due_on__gte=date(2025, 11, 1)).count()
    whole = rates.together(rates.windows_by_month(scope, 12).ended)
    assert (whole.outcomes["in_window"], whole.counted - closed) == (kept_in_time, ended)
