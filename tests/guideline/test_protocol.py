"""The protocol: its default passes, every bound holds, and it comes back from JSON as it went."""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from schedules.guideline.protocol import DEFAULT, Protocol, ProtocolRefused, Visit

from .builders import left_hip, mr, seen, silent_lesion, visit

BEYOND: list[tuple[dict[str, Any], str]] = [
    ({"standard_interval_months": 7}, "standard_interval_months"),
    ({"standard_interval_months": 4, "short_interval_months": 5}, "short_interval_months"),
    ({"short_interval_months": 2}, "short_interval_months"),
    ({"opens_days_before": 31}, "opens_days_before"),
    ({"overdue_after_days": -1}, "overdue_after_days"),
    ({"overdue_after_days": 30}, "must increase"),
    ({"trace_after_days": 181}, "trace_after_days"),
    ({"gap_grace_days": 61}, "gap_grace_days"),
    ({"pairing_days": 61}, "pairing_days"),
    ({"baseline_days": 0}, "baseline_days"),
    ({"large_lesion_percent": Decimal(31)}, "fixed at 30"),
    ({"borderline_low_percent": Decimal(33)}, "borderline_low_percent"),
    ({"very_small_percent": Decimal(9)}, "fixed at 10"),
    ({"very_small_cm3": Decimal(6)}, "fixed at 5"),
    ({"clear_recheck_months": 5}, "clear_recheck_months"),
    ({"age_over_years": 45}, "fixed at 40"),
    ({"bmi_over": Decimal(25)}, "fixed at 24"),
    ({"effusion_increased_grade": 0}, "effusion_increased_grade"),
    ({"symptomatic_nrs_min": 4}, "symptomatic_nrs_min"),
    ({"worsening_nrs": 6}, "worsening_nrs"),
    ({"hhs_fall": Decimal(0)}, "hhs_fall"),
    ({"late_depression_mm": Decimal("2.5")}, "fixed at 2.0"),
    ({"depression_growth_mm": Decimal(0)}, "depression_growth_mm"),
    ({"soon_days": 7}, "must increase"),
    ({"decision_overdue_days": 61}, "decision_overdue_days"),
    ({"decompression_visits": ()}, "decompression_visits"),
    ({"decompression_visits": (Visit("months", 6), Visit("months", 3))}, "decompression_visits must increase"),
    ({"decompression_visits": (Visit("weeks", 6),)}, "in months"),
    ({"protected_weight_bearing_days": 27}, "protected_weight_bearing_days"),
    ({"kerboul_high_degrees": Decimal(240)}, "fixed at 250"),
    ({"name": "Small lesion"}, "name"),
]


def test_the_default_is_within_its_bounds() -> None:
    assert DEFAULT.checked() is DEFAULT
    assert str(DEFAULT) == "onfh-small-lesion/1"


@pytest.mark.parametrize(("change", "named"), BEYOND)
def test_a_protocol_beyond_a_bound_is_refused(change: dict[str, Any], named: str) -> None:
    problems = replace(DEFAULT, **change).problems()
    assert any(named in problem for problem in problems), problems
    with pytest.raises(ProtocolRefused):
        Protocol.from_json(replace(DEFAULT, **change).to_json())


def test_every_problem_is_told_at_once() -> None:
    with pytest.raises(ProtocolRefused) as refused:
        replace(DEFAULT, baseline_days=0, worsening_nrs=9, version=-1).checked()
    assert len(refused.value.problems) == 3


def test_it_comes_back_from_json_as_it_went() -> None:
    other = replace(DEFAULT, version=2, hoos_jr_fall=Decimal("7.25"), decompression_visits=(Visit("months", 2),))
    for protocol in (DEFAULT, other):
        assert Protocol.from_json(json.loads(json.dumps(protocol.to_json()))) == protocol
    assert DEFAULT.to_json()["score_fall"] == {"HHS": 10, "HOOS_JR": 8.5, "OHS": 5}
    assert DEFAULT.to_json()["decompression_visits"] == [["weeks", 6], ["months", 3], ["months", 6], ["months", 12]]


@pytest.mark.parametrize(
    "data",
    [
        {"baseline_days": "28"}, {"baseline_days": True}, {"baseline_days": 28.5}, {"unknown": 1},
        {"score_fall": {"UCLA": 1}},
        {"score_fall": 3}, {"decompression_visits": [["days", 6]]}, {"decompression_visits": 6}, {"bmi_over": None},
        {"hhs_fall": float("nan")}, {"name": 3}, {"baseline_days": float("inf")},
    ],
    ids=repr,
)  # fmt: skip
def test_what_cannot_be_read_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(ProtocolRefused):
        Protocol.from_json(data)


def test_the_digest_is_of_the_values_and_not_of_their_spelling() -> None:
    assert replace(DEFAULT, bmi_over=Decimal("24.0")).digest() == DEFAULT.digest()
    assert replace(DEFAULT, baseline_days=29).digest() != DEFAULT.digest()


def test_a_clinic_may_choose_its_intervals() -> None:
    strict = replace(DEFAULT, version=2, standard_interval_months=4, opens_days_before=7).checked()
    hip = left_hip(*silent_lesion(), as_of="2026-03-01", protocol=strict)
    assert hip.window is not None
    assert (hip.interval_months, str(hip.window.due_on), str(hip.window.opens_on)) == (4, "2026-05-10", "2026-05-03")


def test_a_clinic_may_choose_what_counts_as_pain() -> None:
    lenient = replace(DEFAULT, version=3, symptomatic_nrs_min=3).checked()
    facts = (mr("2026-01-10", 12), *visit("2026-01-10"), seen("2026-02-01", 2))
    assert left_hip(*facts, as_of="2026-03-01").symptomatic is True
    assert left_hip(*facts, as_of="2026-03-01", protocol=lenient).symptomatic is False
