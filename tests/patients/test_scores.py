"""Scores: worked examples by hand."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import pytest

from patients.scores import (
    HARRIS_MOST,
    HARRIS_POINTS,
    HOOS_JR_INTERVAL,
    Deformity,
    HarrisDomain,
    HarrisItems,
    HarrisVariant,
    HoosJrItem,
    ImpossibleScore,
    Motion,
    harris_grade,
    harris_hip_score,
    hoos_jr,
    impossible_items,
    is_on_hoos_jr,
    oxford_total,
)

STRAIGHT = Deformity(0, 0, 0, Decimal(0))
BEST = HarrisItems(
    options={domain: max(points, key=points.__getitem__) for domain, points in HARRIS_POINTS.items()},
    deformity=STRAIGHT,
    motion=Motion(140, 40, 40, 40, 40),
)


def with_option(domain: HarrisDomain, option: str | None) -> HarrisItems:
    return replace(BEST, options={**BEST.options, domain: option})


@pytest.mark.parametrize("variant", HarrisVariant)
def test_a_perfect_hip_scores_100(variant):
    assert harris_hip_score(BEST, variant) == 100


@pytest.mark.parametrize("variant", HarrisVariant)
def test_the_worst_hip_scores_0(variant):
    worst = {domain: min(points, key=points.__getitem__) for domain, points in HARRIS_POINTS.items()}
    items = HarrisItems(worst, Deformity(30, 0, 0, Decimal(0)), Motion(0, 0, 0, 0, 0))
    assert harris_hip_score(items, variant) == 0


@pytest.mark.parametrize(
    ("domain", "option", "lost"),
    [
        (HarrisDomain.PAIN, "slight", 4),
        (HarrisDomain.PAIN, "mild", 14),
        (HarrisDomain.PAIN, "moderate", 24),
        (HarrisDomain.PAIN, "marked", 34),
        (HarrisDomain.PAIN, "disabled", 44),
        (HarrisDomain.LIMP, "slight", 3),
        (HarrisDomain.LIMP, "cannot_walk", 11),
        (HarrisDomain.SUPPORT, "cane_long_walks", 4),
        (HarrisDomain.SUPPORT, "cane_mostly", 6),
        (HarrisDomain.SUPPORT, "one_crutch", 8),
        (HarrisDomain.SUPPORT, "two_canes", 9),
        (HarrisDomain.DISTANCE, "two_three_blocks", 6),
        (HarrisDomain.STAIRS, "any_manner", 3),
        (HarrisDomain.SHOES_SOCKS, "difficulty", 2),
        (HarrisDomain.SITTING, "high_chair_half_hour", 2),
        (HarrisDomain.TRANSPORT, "unable", 1),
    ],
)
def test_each_option_costs_its_points(domain, option, lost):
    assert harris_hip_score(with_option(domain, option), HarrisVariant.ARC_TABLE) == 100 - lost


@pytest.mark.parametrize(
    ("motion", "harris_1969", "arc_table"),
    [
        (Motion(flexion=110, abduction=20, external_rotation=15, adduction=15, internal_rotation=0), "5", 3),
        (Motion(flexion=140, abduction=40, external_rotation=40, adduction=40, internal_rotation=40), "5", 5),
        (Motion(flexion=90, abduction=15, external_rotation=15, adduction=15, internal_rotation=0), "4.65", 3),
        (Motion(flexion=60, abduction=10, external_rotation=5, adduction=5, internal_rotation=0), "3.25", 2),
    ],
)
def test_the_two_ways_to_score_motion_disagree(motion, harris_1969, arc_table):
    assert motion.points(HarrisVariant.HARRIS_1969) == Decimal(harris_1969)
    assert motion.points(HarrisVariant.ARC_TABLE) == arc_table


@pytest.mark.parametrize(
    ("arc", "points"),
    [(0, 0), (30, 0), (31, 1), (60, 1), (61, 2), (100, 2), (101, 3), (160, 3), (161, 4), (210, 4), (211, 5)],
)
def test_the_arc_table_at_its_edges(arc, points):
    flexion = min(arc, 140)
    assert Motion(flexion, arc - flexion, 0, 0, 0).points(HarrisVariant.ARC_TABLE) == points


@pytest.mark.parametrize(
    ("deformity", "points"),
    [
        (Deformity(29, 9, 9, Decimal("3.1")), 4),
        (Deformity(30, 0, 0, Decimal(0)), 0),
        (Deformity(0, 10, 0, Decimal(0)), 0),
        (Deformity(0, 0, 10, Decimal(0)), 0),
        (Deformity(0, 0, 0, Decimal("3.2")), 0),
    ],
)
def test_one_deformity_costs_all_four_points(deformity, points):
    assert deformity.points == points


@pytest.mark.parametrize("domain", HarrisDomain)
def test_a_missing_option_gives_no_total(domain):
    items = with_option(domain, None)
    assert items.missing == (domain.value,)
    assert harris_hip_score(items, HarrisVariant.ARC_TABLE) is None


def test_missing_measurements_give_no_total():
    items = replace(BEST, deformity=None, motion=None)
    assert items.missing == ("deformity", "motion")
    assert harris_hip_score(items, HarrisVariant.HARRIS_1969) is None


def test_an_option_of_another_domain_is_refused():
    with pytest.raises(ImpossibleScore, match="limp has no option"):
        harris_hip_score(with_option(HarrisDomain.LIMP, "unlimited"), HarrisVariant.ARC_TABLE)


@pytest.mark.parametrize("variant", HarrisVariant)
@pytest.mark.parametrize(("item", "most"), HARRIS_MOST.items())
def test_what_no_hip_has_gives_no_total(item, most, variant):
    def total(value):
        part = "motion" if hasattr(BEST.motion, item) else "deformity"
        return harris_hip_score(replace(BEST, **{part: replace(getattr(BEST, part), **{item: value})}), variant)

    assert total(0) is not None and total(most) is not None
    for beyond in (-1, most + 1, 400):
        with pytest.raises(ImpossibleScore, match=f"No hip has this: {item}"):
            total(beyond)


@pytest.mark.parametrize(
    ("items", "wrong"),
    [
        ({"pain": 40, "limp": 11.5}, []),
        (BEST.to_json(), []),
        ({"motion": {"flexion": 400, "abduction": -1}, "deformity": None}, ["flexion", "abduction"]),
        ({"flexion": "400"}, ["flexion"]),
        ({"flexion": "as before", "abduction": None, "adduction": True, "motion": [1]}, []),
        ({"flexion": float("nan"), "adduction": float("inf")}, ["adduction"]),
        ({"deformity": {"leg_length_difference_cm": "30.5"}}, ["leg_length_difference_cm"]),
    ],
)
def test_items_from_elsewhere_are_judged_where_they_are_numbers(items, wrong):
    assert impossible_items(items) == wrong


@pytest.mark.parametrize(
    ("total", "grade"),
    [("100", "excellent"), ("90", "excellent"), ("89.65", "good"), ("80", "good"), ("79", "fair"), ("69.95", "poor")],
)
def test_grades(total, grade):
    assert harris_grade(Decimal(total)) == grade


def test_items_are_kept_as_plain_values():
    stored = BEST.to_json()
    assert stored["pain"] == "none"
    assert stored["motion"]["flexion"] == 140
    assert stored["deformity"]["leg_length_difference_cm"] == "0"


def test_the_interval_table_falls_from_100_to_0_in_25_values():
    assert len(HOOS_JR_INTERVAL) == 25
    assert (HOOS_JR_INTERVAL[0], HOOS_JR_INTERVAL[-1]) == (100, 0)
    assert all(before > after for before, after in pairwise(HOOS_JR_INTERVAL))


@pytest.mark.parametrize(("answer", "score"), [(0, "100"), (1, "70.426"), (2, "52.965"), (3, "32.735"), (4, "0")])
def test_hoos_jr_of_equal_answers(answer, score):
    assert hoos_jr(dict.fromkeys(HoosJrItem, answer)) == Decimal(score)


def test_hoos_jr_goes_by_the_sum():
    assert hoos_jr(dict.fromkeys(HoosJrItem, 0) | {HoosJrItem.LYING: 3}) == Decimal("80.550")


@pytest.mark.parametrize(
    ("total", "is_one"),
    [("55.985", True), ("55.98", True), ("55.99", True), ("56", True), ("0", True), ("55.5", False), ("60", False)],
)
def test_a_total_of_hoos_jr_is_one_of_the_table_also_rounded(total, is_one):
    assert is_on_hoos_jr(Decimal(total)) is is_one


def test_hoos_jr_without_an_item_is_none():
    assert hoos_jr(dict.fromkeys(HoosJrItem, 1) | {HoosJrItem.STAIRS: None}) is None
    assert hoos_jr({HoosJrItem.STAIRS: 1}) is None


def test_hoos_jr_refuses_an_answer_of_5():
    with pytest.raises(ImpossibleScore):
        hoos_jr(dict.fromkeys(HoosJrItem, 0) | {HoosJrItem.LYING: 5})


@pytest.mark.parametrize("total", [-1, 49, 60])
def test_an_oxford_score_of_the_older_scale_is_refused(total):
    with pytest.raises(ImpossibleScore):
        oxford_total(total)


def test_an_oxford_score_is_taken_as_it_was_added_up():
    assert (oxford_total(0), oxford_total(48)) == (0, 48)
