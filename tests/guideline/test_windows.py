"""Calendar arithmetic, pathways and follow-up windows: due dates at the edges of months, runs and visits."""

from datetime import date

import pytest

from schedules.guideline.hip import RiskFactor
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.windows import Status, add_days, add_months, birthday, due_visit

from .builders import (
    BORN,
    ENROLLED,
    Fact,
    answer_to,
    asked_of,
    clear_mr,
    decided,
    ended,
    fact,
    films,
    left_hip,
    mr,
    operated,
    place,
    record_of,
    replacing,
    seen,
    silent_lesion,
    stage,
    study,
    told,
    visit,
)

SILENT = silent_lesion()


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2025-08-31", 6, "2026-02-28"),
        ("2027-08-31", 6, "2028-02-29"),
        ("2024-02-29", 12, "2025-02-28"),
        ("2025-11-30", 3, "2026-02-28"),
        ("2026-01-31", 1, "2026-02-28"),
        ("2026-03-31", -1, "2026-02-28"),
        ("2026-01-10", -13, "2024-12-10"),
        ("2026-10-31", 2, "2026-12-31"),
        ("9999-10-01", 6, "9999-12-31"),
        ("1900-01-31", 1, "1900-02-28"),
        ("2000-01-31", 1, "2000-02-29"),
    ],
)
def test_months_clamp_to_the_end_of_the_month(start: str, months: int, end: str) -> None:
    assert add_months(day(start), months) == day(end)


def test_the_calendar_ends_with_the_year_9999() -> None:
    assert add_days(day("9999-12-01"), 60) == date.max
    assert add_days(date(1, 1, 5), -14) == date.min
    assert add_months(date(1, 1, 5), -1) == date.min


def test_a_leap_day_birthday_falls_on_the_28th_in_a_common_year() -> None:
    assert birthday(day("1984-02-29"), 41) == day("2025-02-28")


@pytest.mark.parametrize(
    ("anchor", "expected"),
    [
        (None, "2026-03-15"),
        ("2026-02-01", "2026-03-15"),  # on the day of surgery: before it, for the schedule
        ("2026-02-28", "2026-03-15"),
        ("2026-03-01", "2026-05-01"),  # the first day on which the six-week visit had opened
        ("2026-05-01", "2026-08-01"),
        ("2026-08-01", "2027-02-01"),
        ("2027-01-17", "2027-02-01"),
        ("2027-01-18", "2028-02-01"),
        ("2028-01-18", "2029-02-01"),
        ("2031-07-01", "2032-02-01"),
    ],
)
def test_the_visit_due_after_surgery(anchor: str | None, expected: str) -> None:
    visit = due_visit(day("2026-02-01"), day(anchor) if anchor else None, DEFAULT)
    assert visit.on == day(expected)
    assert visit.yearly == (day(expected) > day("2027-02-01"))


def test_yearly_visits_count_from_the_surgery_and_not_from_the_clamped_visit_before() -> None:
    assert due_visit(day("2024-02-29"), day("2026-03-10"), DEFAULT).on == day("2027-02-28")
    assert due_visit(day("2024-02-29"), day("2027-03-10"), DEFAULT).on == day("2028-02-29")


OLD = {"born_on": "1980-01-01"}
PATHWAYS = [
    ("collapse", 3, (*SILENT, stage("2026-02-01", "IIIA"))),
    ("post_decompression", None, (*SILENT, operated("2026-02-01"))),
    ("symptomatic", 3, (*SILENT, seen("2026-02-01", 1))),
    ("large_lesion", 3, (mr(ENROLLED, 30), *visit(ENROLLED))),
    ("work_up", 3, (mr(ENROLLED), *visit(ENROLLED))),
    ("work_up", 3, (stage(ENROLLED, "I"), study("CT", ENROLLED, lesion_volume_percent=9,
        volume_method="MRI_SLICE_SUM"))),
    ("observation", 6, SILENT),
    ("observation", 3, (*SILENT, place("2026-02-01", "C2"))),
    ("observation", 3, (*SILENT, place("2026-02-01", None, 250))),
    ("observation", 6, (*SILENT, place("2026-02-01", "C2"), place("2026-02-02", "C1"))),
    ("observation", 3, (*SILENT, mr("2026-02-01", 12, effusion_grade=2))),
    ("observation", 6, (*SILENT, mr("2026-02-01", 12, effusion_grade=1))),
    ("observation", 3, (*SILENT, mr("2026-02-01", 12, marrow_edema=True))),
    ("not_affected", None, (clear_mr(ENROLLED),)),
    ("not_assessed", 3, (stage(ENROLLED, "0", "STEINBERG", "1995"),)),
    ("not_assessed", 3, (clear_mr(ENROLLED, diagnostic=False),)),
    ("ended", None, (*SILENT, ended("2026-02-01"))),
    ("replaced", None, (*SILENT, fact("procedures", "2026-02-01", kind="RESURFACING_HEMI"))),
]  # fmt: skip


@pytest.mark.parametrize(("pathway", "interval", "facts"), PATHWAYS)
def test_pathway_and_interval(pathway: str, interval: int | None, facts: tuple[Fact, ...]) -> None:
    hip = left_hip(*facts, as_of="2026-03-01")
    assert (hip.pathway.value, hip.interval_months) == (pathway, interval)
    assert (hip.window is None) == (pathway in ("not_affected", "ended", "replaced"))


def test_sickle_cell_disease_shortens_the_interval_without_being_a_risk_factor() -> None:
    hip = left_hip(*SILENT, as_of="2026-03-01", conditions=["sickle_cell", "alcohol"])
    assert (hip.interval_months, hip.risk_factors) == (3, ())


def due(*facts: Fact, on: str, **patient: object) -> str:
    window = left_hip(*facts, as_of=on, **patient).window
    assert window is not None
    return window.due_on.isoformat()


def test_the_41st_birthday_shortens_the_interval_from_its_own_day() -> None:
    born = {"born_on": "1985-05-20"}
    before, after = (left_hip(*SILENT, as_of=d, **born) for d in ("2026-05-19", "2026-05-20"))
    assert (before.interval_months, before.next_change_on) == (6, day("2026-05-20"))
    assert (after.interval_months, after.risk_factors) == (3, (RiskFactor.AGE_OVER_40,))
    assert after.window is not None
    assert after.window.due_on == day("2026-05-20"), "not late for what was not yet asked"
    assert after.status is Status.DUE


def test_the_next_change_has_no_horizon() -> None:
    hip = left_hip(*SILENT, ended("2026-02-01"), as_of="2026-03-01", born_on="2020-02-29")
    assert hip.next_change_on == day("2061-02-28")
    assert left_hip(*SILENT, ended("2026-02-01"), as_of="2026-03-01", born_on=None).next_change_on is None


def test_before_enrolment_the_next_change_is_enrolment() -> None:
    hip = left_hip(mr("2025-12-01", 12), as_of="2025-12-31")
    assert (hip.pathway, hip.next_change_on) == ("not_enrolled", day(ENROLLED))


def test_age_stops_at_death() -> None:
    hip = left_hip(*SILENT, as_of="2030-01-01", born_on="1985-05-20", died_on="2026-05-19")
    assert (hip.risk_factors, hip.next_change_on) == ((), None)
    hip = left_hip(*SILENT, as_of="2030-01-01", born_on="1985-05-20", died_on="2026-05-20")
    assert hip.risk_factors == (RiskFactor.AGE_OVER_40,)


def test_a_new_reason_brings_the_visit_to_its_own_day_at_the_earliest() -> None:
    assert due(*SILENT, seen("2026-03-03", 2), on="2026-03-04") == "2026-04-10"
    assert due(*SILENT, seen("2026-05-20", 2), on="2026-05-21") == "2026-05-20"
    assert due(*SILENT, seen("2026-07-20", 2), on="2026-07-21") == "2026-07-10", "no later than it was"


def test_the_earliest_of_the_reasons_that_hold_counts() -> None:
    obese = {"bmi": [{"on": "2026-02-01", "value": 25}]}
    assert due(*SILENT, seen("2026-05-20", 2), on="2026-05-21", **obese) == "2026-04-10"


def test_a_broken_run_begins_again() -> None:
    bmi = [{"on": "2025-02-01", "value": 25}, {"on": "2026-05-01", "value": 24.0}, {"on": "2026-06-01", "value": 24.1}]
    assert due(*SILENT, on="2026-06-02", bmi=bmi) == "2026-06-01"
    assert due(*SILENT, on="2026-05-02", bmi=bmi) == "2026-07-10"


def test_nobody_is_due_before_28_days_of_follow_up() -> None:
    assert due(mr(ENROLLED, 12), *visit("2025-03-01"), on=ENROLLED) == "2026-02-07"
    reopened = (*SILENT, end := ended("2026-02-01"), replacing(ended("2026-07-01", "reopened"), instead_of=end))
    assert due(*reopened, on="2026-07-02") == "2026-07-29"


def test_an_incomplete_follow_up_moves_nothing() -> None:
    for facts in ((films("2026-04-10"), told("2026-04-10")), (seen("2026-04-10"),), (films("2026-04-10"),)):
        assert due(*SILENT, *facts, on="2026-04-11") == "2026-07-10"


def test_a_report_goes_with_radiographs_up_to_28_days_apart_and_their_day_counts() -> None:
    assert due(*SILENT, films("2026-04-10"), seen("2026-05-08"), on="2026-05-08") == "2026-10-10"
    assert due(*SILENT, films("2026-04-10"), seen("2026-03-13"), on="2026-05-09") == "2026-10-10"
    assert due(*SILENT, films("2026-04-10"), seen("2026-05-09"), on="2026-05-09") == "2026-07-10"


def test_a_correction_takes_effect_at_once() -> None:
    wrong = seen("2026-04-10", 0)
    right = replacing(told("2026-04-11", 0), instead_of=wrong)
    assert due(*SILENT, films("2026-04-10"), wrong, right, on="2026-04-10") == "2026-10-10", "not yet known"
    assert due(*SILENT, films("2026-04-10"), wrong, right, on="2026-04-11") == "2026-07-10"


def test_taking_back_a_correction_does_not_bring_the_older_reading_back() -> None:
    first = stage("2026-02-01", "IIIA")
    second = replacing(stage("2026-02-02", "II"), instead_of=first)
    third = replacing(stage("2026-02-03", "I"), instead_of=second)
    phases = [left_hip(*SILENT, first, second, third, as_of=f"2026-02-0{d}").phase for d in (1, 2, 3)]
    assert [phase.name for phase in phases if phase] == ["COLLAPSE_EARLY", "PRE_XR", "PRE_MRI"]


def test_a_painful_hip_does_not_wait_a_year_after_surgery() -> None:
    kept = (
        *SILENT,
        operated("2026-02-01"),
        *visit("2026-03-16"),
        *visit("2026-05-01"),
        *visit("2026-08-01"),
        *visit("2027-02-01"),
    )
    assert due(*kept, on="2027-03-01") == "2028-02-01"
    hip = left_hip(*kept, seen("2027-04-01", 2), as_of="2027-04-01")
    assert hip.window is not None
    assert (hip.interval_months, hip.window.due_on) == (12, day("2027-08-01"))
    assert due(*kept, seen("2027-09-01", 2), on="2027-09-01") == "2027-09-29", "28 days from the first pain"


def test_a_yearly_visit_has_its_gap_30_days_after_it_was_due() -> None:
    kept = (*SILENT, operated("2026-02-01"), *visit("2027-02-01"))
    window = left_hip(*kept, as_of="2027-03-01").window
    assert window is not None
    assert (window.due_on, window.gap_on) == (day("2028-02-01"), day("2028-03-02"))


def test_a_collapse_after_surgery_is_not_late_for_what_was_not_yet_asked() -> None:
    operated_on = (*SILENT, operated("2026-02-01"), *visit("2026-08-01"))
    assert due(*operated_on, on="2026-12-20") == "2027-02-01"
    assert due(*operated_on, stage("2026-12-20", "IIIA"), on="2026-12-20") == "2026-12-20"
    in_time = (*SILENT, operated("2026-02-01"), *visit("2026-08-01"), stage("2026-08-02", "IIIA"))
    assert due(*in_time, on="2026-08-02") == "2026-11-01"


def test_a_collapse_does_not_put_off_a_visit_that_pain_had_brought_forward() -> None:
    kept = (*SILENT, operated("2026-02-01"), *visit("2027-02-01"), seen("2027-03-01", 2))
    assert due(*kept, on="2027-12-01") == "2027-08-01"
    assert due(*kept, stage("2027-12-01", "IIIA"), on="2027-12-01") == "2027-08-01"


def test_a_second_decompression_starts_the_visits_again() -> None:
    twice = (*SILENT, operated("2026-02-01"), *visit("2026-03-16"), operated("2026-09-01"))
    assert due(*twice, on="2026-09-02") == "2026-10-13"


def test_both_views_taken_before_the_disease_was_known_still_count() -> None:
    assert due(films("2026-03-01"), seen("2026-03-01"), mr("2026-03-05", 12), on="2026-03-06") == "2026-09-01"


def test_the_patient_comes_once_for_both_hips() -> None:
    right = (mr(ENROLLED, 12), *visit("2026-02-10"))
    answer = answer_to(record_of(SILENT, right), "2026-03-01")
    assert [hip.window.due_on.isoformat() for hip in answer.hips if hip.window] == ["2026-07-10", "2026-08-10"]
    assert answer.due_on == day("2026-07-10")


def test_a_large_lesion_is_let_go_only_by_a_decision_on_the_smaller_volume() -> None:
    shrunk = (mr(ENROLLED, 34), *visit(ENROLLED), mr("2026-02-01", 20))
    early, late = decided("2026-01-31", "LARGE_LESION_REVIEW"), decided("2026-02-01", "LARGE_LESION_REVIEW")
    assert left_hip(*shrunk, as_of="2026-03-01").pathway == "large_lesion"
    assert left_hip(*shrunk, early, as_of="2026-03-01").pathway == "large_lesion"
    assert left_hip(*shrunk, late, as_of="2026-03-01").pathway == "observation"


def test_the_answer_speaks_in_sentences_that_stand_still() -> None:
    quiet = [left_hip(*SILENT, as_of=d) for d in ("2026-02-01", "2026-05-01")]
    assert quiet[0].because == quiet[1].because == "6-month interval: no known reason for a shorter one."
    assert left_hip(*SILENT, as_of="2026-02-01", **OLD).because == "3-month interval: age over 40."
    assert asked_of(quiet[0]) == {}
    assert BORN < ENROLLED
