"""Survival statistics: a trial that textbooks work by hand, real cohorts where they are at hand, and properties."""

import csv
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitoring.statistics.survival import Observation, chi_squared_tail, kaplan_meier, log_rank
from tests.conftest import SHARED

COHORTS = SHARED / "data" / "survival"
# Freireich 1963: weeks in remission of acute leukaemia; a plus is a patient still in remission when last seen.
MERCAPTOPURINE = "6 6 6 6+ 7 9+ 10 10+ 11+ 13 16 17+ 19+ 20+ 22 23 25+ 32+ 32+ 34+ 35+"
PLACEBO = "1 1 2 2 3 4 4 5 5 8 8 8 8 11 11 12 12 15 17 22 23"


def written(weeks):
    return [Observation(float(week.rstrip("+")), not week.endswith("+")) for week in weeks.split()]


# ---- The trial that textbooks work through by hand


def test_the_curve_of_the_leukaemia_trial():
    steps = kaplan_meier(written(MERCAPTOPURINE)).steps
    assert [(s.time, s.at_risk, s.events) for s in steps] == [
        (6, 21, 3), (7, 17, 1), (10, 15, 1), (13, 12, 1), (16, 11, 1), (22, 7, 1), (23, 6, 1),
    ]  # fmt: skip
    assert [round(s.share, 3) for s in steps] == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert [round(s.error, 4) for s in steps] == [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]


def test_the_band_stays_between_nothing_and_everything():
    first, *_others, last = kaplan_meier(written(MERCAPTOPURINE)).steps
    assert (round(first.low, 3), round(first.high, 3)) == (0.620, 0.952)
    assert (round(last.low, 3), round(last.high, 3)) == (0.188, 0.680)


def test_the_medians_of_the_leukaemia_trial():
    assert kaplan_meier(written(MERCAPTOPURINE)).median() == 23
    assert kaplan_meier(written(PLACEBO)).median() == 8


def test_the_log_rank_test_of_the_leukaemia_trial():
    test = log_rank({"drug": written(MERCAPTOPURINE), "placebo": written(PLACEBO)})
    assert test.observed == {"drug": 9, "placebo": 21}
    assert {name: round(number, 2) for name, number in test.expected.items()} == {"drug": 19.25, "placebo": 10.75}
    assert (round(test.chi_squared, 2), test.degrees) == (16.79, 1)
    assert test.p == pytest.approx(4.17e-5, rel=1e-3)


def test_when_all_have_the_event_the_curve_is_the_share_left():
    steps = kaplan_meier(written("1 2 3 4")).steps
    assert [step.share for step in steps] == pytest.approx([0.75, 0.5, 0.25, 0])
    assert (steps[-1].error, steps[-1].low, steps[-1].high) == (0, 0, 0)


# ---- Corners


def test_who_is_censored_at_the_time_of_an_event_was_at_risk():
    (step,) = kaplan_meier(written("5 5+ 5+ 5+")).steps
    assert (step.at_risk, step.share) == (4, 0.75)


def test_numbers_at_risk_are_those_just_before():
    curve = kaplan_meier(written("3 5 5+ 8+"))
    assert [curve.at_risk(time) for time in (0, 3, 3.1, 5, 8, 8.1)] == [4, 4, 3, 3, 1, 0]


def test_a_curve_is_steady_while_enough_are_at_risk():
    curve = kaplan_meier(written("1 2+ 3 4+ 5 6+"))
    assert [curve.steady_until(fewest) for fewest in (1, 3, 6, 7)] == [6, 4, 1, 0]
    assert curve.at_risk(curve.steady_until(3)) == 3


def test_without_events_the_curve_stays_at_one():
    curve = kaplan_meier(written("3+ 5+"))
    assert (curve.steps, curve.at(4), curve.median(), curve.last) == ((), None, None, 5)


def test_nobody_gives_an_empty_curve():
    curve = kaplan_meier([])
    assert (curve.size, curve.last, curve.at_risk(0)) == (0, 0, 0)


def test_negative_times_are_refused():
    with pytest.raises(ValueError, match="negative"):
        kaplan_meier([Observation(-1, True)])


@pytest.mark.parametrize(
    "groups",
    [{}, {"a": "1 2"}, {"a": "1 2", "b": ""}, {"a": "1+ 2+", "b": "3+"}, {"a": "1+ 2+", "b": "8 9"}],
    ids=["nobody", "one group", "one of two", "no event", "never at risk together"],
)
def test_no_test_where_nothing_can_be_compared(groups):
    assert log_rank({name: written(weeks) for name, weeks in groups.items()}) is None


def test_a_group_that_is_never_at_risk_with_others_costs_no_degree_of_freedom():
    two = log_rank({"a": written("3 5 8"), "b": written("4 6 9+")})
    three = log_rank({"a": written("3 5 8"), "b": written("4 6 9+"), "c": written("1+ 2+")})
    assert (three.degrees, three.chi_squared) == (1, pytest.approx(two.chi_squared))


@pytest.mark.parametrize(
    ("value", "degrees"), [(3.8415, 1), (5.9915, 2), (7.8147, 3), (9.4877, 4), (11.0705, 5), (16.919, 9)]
)
def test_the_five_percent_points_of_chi_squared(value, degrees):
    assert chi_squared_tail(value, degrees) == pytest.approx(0.05, abs=1e-5)


def test_no_difference_has_a_probability_of_one():
    assert chi_squared_tail(0, 3) == 1
    same = log_rank({"a": written(PLACEBO), "b": written(PLACEBO)})
    assert (same.chi_squared, same.p) == (pytest.approx(0, abs=1e-12), pytest.approx(1, abs=1e-5))


OBSERVATIONS = st.lists(st.builds(Observation, st.integers(0, 30).map(float), st.booleans()), max_size=40)


@given(OBSERVATIONS)
def test_the_curve_only_falls_and_lies_in_its_band(observations):
    curve = kaplan_meier(observations)
    shares = [1.0, *(step.share for step in curve.steps)]
    assert shares == sorted(shares, reverse=True)
    assert all(0 <= step.low <= step.share <= step.high <= 1 for step in curve.steps)
    assert curve.events + len(curve.censored()) == len(observations)


@given(OBSERVATIONS, OBSERVATIONS, OBSERVATIONS)
def test_observed_and_expected_events_have_the_same_sum(first, second, third):
    test = log_rank({"a": first, "b": second, "c": third})
    if test is not None:
        assert math.fsum(test.expected.values()) == pytest.approx(sum(test.observed.values()))
        assert test.chi_squared >= 0
        assert 0 <= test.p <= 1


# ---- Real cohorts. An independent implementation (lifelines 0.30.3) gives the same numbers to twelve digits, and every
# step of every curve and band to fourteen.


def cohort(name, time, event, group):
    path = COHORTS / f"{name}.csv"
    if not path.exists():
        pytest.skip(f"needs the public cohort {name}.csv beside the project")
    groups = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            if (key := group(row)) is not None:
                groups.setdefault(key, []).append(Observation(float(row[time]), event(row)))
    return groups


REAL = {
    "veteran by cell type": (
        ("veteran", "time", lambda r: r["status"] == "1", lambda r: r["celltype"]),
        (25.403700345785, 3, 1.2712459390e-05),
        {"squamous": 118, "smallcell": 51, "adeno": 51, "large": 156},
    ),
    "veteran by treatment": (
        ("veteran", "time", lambda r: r["status"] == "1", lambda r: r["trt"]),
        (0.008227343202, 1, 0.9277272333),
        {"1": 103, "2": 52},
    ),
    "retinopathy, two eyes of each": (
        ("retinopathy", "futime", lambda r: r["status"] == "1", lambda r: r["trt"]),
        (22.245694662285, 1, 2.3989608226e-06),
        {"0": 43.7, "1": None},
    ),
    "colon, deaths": (
        ("colon", "time", lambda r: r["status"] == "1", lambda r: r["rx"] if r["etype"] == "2" else None),
        (11.683092710639, 2, 0.0029043479976),
        {"Obs": 2083, "Lev": 2152, "Lev+5FU": None},
    ),
    "mgus, deaths by sex": (
        ("mgus2", "futime", lambda r: r["death"] == "1", lambda r: r["sex"]),
        (9.665467333456, 1, 0.0018776399199),
        {"F": 108, "M": 88},
    ),
    "pbc, deaths": (
        ("pbc", "time", lambda r: r["status"] == "2", lambda r: r["trt"] or None),
        (0.101705474005, 1, 0.7497925189),
        {"1.0": 3282, "2.0": 3428},
    ),
}


@pytest.mark.parametrize("name", REAL)
def test_real_cohorts(name):
    source, (chi_squared, degrees, p), medians = REAL[name]
    groups = cohort(*source)
    test = log_rank(groups)
    assert (test.chi_squared, test.degrees, test.p) == (
        pytest.approx(chi_squared, rel=1e-10), degrees, pytest.approx(p, rel=1e-8),
    )  # fmt: skip
    assert {group: kaplan_meier(seen).median() for group, seen in groups.items()} == medians


def test_half_of_the_veterans_lived_eighty_days():
    groups = cohort("veteran", "time", lambda r: r["status"] == "1", lambda r: "all")
    curve = kaplan_meier(groups["all"])
    assert (curve.size, curve.events, curve.median()) == (137, 128, 80)
