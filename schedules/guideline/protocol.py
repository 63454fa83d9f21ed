"""Protocol: every number the guideline uses, with its bounds, as one frozen value.

A number that is a clinic's policy may be changed within its bounds; one that comes from a paper is fixed.
`onfh-small-lesion/1` is the default. A protocol is saved only when `problems()` is empty.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, Final, Literal, Self

from patients.vocabulary import Instrument

JsonObject = dict[str, Any]
Unit = Literal["weeks", "months"]
_NAME: Final = re.compile(r"[a-z0-9-]+\Z")
_NOMINAL_DAYS: Final[dict[str, int]] = {"weeks": 7, "months": 30}


class ProtocolRefused(ValueError):
    """A protocol outside its bounds; `problems` lists every one in words."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Fault:
    """What is out of bounds: the parameters by name, and a wording of WORDINGS with what fills it in."""

    paths: tuple[str, ...]
    wording: str
    values: Mapping[str, str]

    def __str__(self) -> str:
        return f"{', '.join(self.paths)} {self.wording % self.values}"


# Every wording of a fault; the name of the parameter goes before it. Pages show them in other languages.
LOWER_CASE: Final = "must be lower-case letters, digits and hyphens"
NOT_NEGATIVE: Final = "must not be negative"
AT_LEAST: Final = "must be at least %(low)s, not %(value)s"
WITHIN: Final = "must be %(low)s to %(high)s, not %(value)s"
IS_FIXED: Final = "is fixed at %(value)s"
NOT_ABOVE: Final = "must not exceed %(other)s"
BELOW: Final = "must be below %(other)s"
INCREASE: Final = "must increase"
ABOVE_ZERO: Final = "must be above 0"
AT_LEAST_ONE: Final = "must name at least one visit"
LAST_IN_MONTHS: Final = "must end with a visit in months, as the yearly visits are counted from it"
WITHIN_YEARS: Final = "must lie within ten years of the surgery"
WORDINGS: Final = (
    LOWER_CASE, NOT_NEGATIVE, AT_LEAST, WITHIN, IS_FIXED, NOT_ABOVE, BELOW, INCREASE, ABOVE_ZERO, AT_LEAST_ONE,
    LAST_IN_MONTHS, WITHIN_YEARS,
)  # fmt: skip
MOST_VISIT_DAYS: Final = 3653


@dataclass(frozen=True, slots=True)
class Visit:
    """A scheduled visit, counted from the core decompression."""

    unit: Unit
    count: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """The guideline's parameters. Days and months are whole; sizes and scores are exact decimals."""

    name: str = "onfh-small-lesion"
    version: int = 1
    standard_interval_months: int = 6
    short_interval_months: int = 3
    opens_days_before: int = 14
    overdue_after_days: int = 14
    escalate_after_days: int = 30
    trace_after_days: int = 90
    gap_grace_days: int = 30
    pairing_days: int = 28
    baseline_days: int = 28
    large_lesion_percent: Decimal = Decimal(30)
    borderline_low_percent: Decimal = Decimal(27)
    borderline_high_percent: Decimal = Decimal(33)
    very_small_percent: Decimal = Decimal(10)
    very_small_cm3: Decimal = Decimal(5)
    clear_recheck_months: int = 12
    age_over_years: int = 40
    bmi_over: Decimal = Decimal(24)
    effusion_increased_grade: int = 2
    symptomatic_nrs_min: int = 1
    worsening_nrs: int = 2
    hhs_fall: Decimal = Decimal(10)
    hoos_jr_fall: Decimal = Decimal("8.5")
    ohs_fall: Decimal = Decimal(5)
    late_depression_mm: Decimal = Decimal("2.0")
    depression_growth_mm: Decimal = Decimal("0.5")
    volume_growth_points: Decimal = Decimal(5)
    urgent_days: int = 7
    soon_days: int = 14
    review_days: int = 28
    decision_overdue_days: int = 28
    decompression_visits: tuple[Visit, ...] = (
        Visit("weeks", 6),
        Visit("months", 3),
        Visit("months", 6),
        Visit("months", 12),
    )
    decompression_then_every_months: int = 12
    protected_weight_bearing_days: int = 42
    kerboul_high_degrees: Decimal = Decimal(250)

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"

    def score_fall(self, instrument: Instrument) -> Decimal:
        """The fall in points that counts as worsening."""
        return {Instrument.HHS: self.hhs_fall, Instrument.HOOS_JR: self.hoos_jr_fall, Instrument.OHS: self.ohs_fall}[
            instrument
        ]

    def faults(self) -> list[Fault]:
        """Everything that is out of bounds; empty when the protocol may be saved."""
        return [
            *self._name_faults(),
            *(fault for name, low, high in BOUNDS if (fault := self._out_of(name, low, high))),
            *(
                Fault((name,), IS_FIXED, {"value": plain(value)})
                for name, value in FIXED.items()
                if getattr(self, name) != value
            ),
            *(fault for fault, holds in self._orders() if not holds),
            *self._visit_faults(),
        ]

    def problems(self) -> list[str]:
        """The faults in words."""
        return [str(fault) for fault in self.faults()]

    def checked(self) -> Self:
        """This protocol. Raises ProtocolRefused with every problem."""
        if problems := self.problems():
            raise ProtocolRefused(problems)
        return self

    def to_json(self) -> JsonObject:
        """Plain JSON values under the parameters' names; `from_json` gives the same protocol back."""
        values: JsonObject = {field.name: getattr(self, field.name) for field in fields(self)}
        values = {name: _number(value) if isinstance(value, Decimal) else value for name, value in values.items()}
        values["score_fall"] = {i.value: values.pop(name) for i, name in _FALLS.items()}
        values["decompression_visits"] = [[visit.unit, visit.count] for visit in self.decompression_visits]
        return values

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read a protocol; what is not named keeps its default. Raises ProtocolRefused with every problem."""
        values, problems = _read(data)
        if problems:
            raise ProtocolRefused(problems)
        return cls(**values).checked()

    def digest(self) -> str:
        """SHA-256 of the parameters, equal for equal protocols however their numbers were written."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def _name_faults(self) -> list[Fault]:
        return [
            *([Fault(("name",), LOWER_CASE, {})] if not _NAME.match(self.name) else []),
            *([Fault(("version",), NOT_NEGATIVE, {})] if self.version < 0 else []),
        ]

    def _out_of(self, name: str, low: float, high: float | None) -> Fault | None:
        value = getattr(self, name)
        if low <= value and (high is None or value <= high):
            return None
        said = {"low": str(low), "value": plain(value)}
        return Fault((name,), AT_LEAST, said) if high is None else Fault((name,), WITHIN, said | {"high": str(high)})

    def _orders(self) -> list[tuple[Fault, bool]]:
        late = (self.overdue_after_days, self.escalate_after_days, self.trace_after_days)
        urgency = (self.urgent_days, self.soon_days, self.review_days)
        above_zero = ("hhs_fall", "hoos_jr_fall", "ohs_fall", "depression_growth_mm", "volume_growth_points")
        return [
            (
                Fault(("short_interval_months",), NOT_ABOVE, {"other": "standard_interval_months"}),
                self.short_interval_months <= self.standard_interval_months,
            ),
            (
                Fault(("overdue_after_days", "escalate_after_days", "trace_after_days"), INCREASE, {}),
                late[0] < late[1] < late[2],
            ),
            (
                Fault(("borderline_low_percent",), BELOW, {"other": "borderline_high_percent"}),
                self.borderline_low_percent < self.borderline_high_percent,
            ),
            (Fault(("urgent_days", "soon_days", "review_days"), INCREASE, {}), urgency[0] < urgency[1] < urgency[2]),
            *((Fault((name,), ABOVE_ZERO, {}), getattr(self, name) > 0) for name in above_zero),
        ]

    def _visit_faults(self) -> list[Fault]:
        visits, named = self.decompression_visits, ("decompression_visits",)
        if not visits:
            return [Fault(named, AT_LEAST_ONE, {})]
        days = [_NOMINAL_DAYS[visit.unit] * visit.count for visit in visits]
        found = []
        if days[0] <= 0 or any(later <= earlier for earlier, later in pairwise(days)):
            found.append(Fault(named, INCREASE, {}))
        if visits[-1].unit != "months":
            found.append(Fault(named, LAST_IN_MONTHS, {}))
        if max(days) > MOST_VISIT_DAYS:
            found.append(Fault(named, WITHIN_YEARS, {}))
        return found


# (name, lowest, highest); None: no highest.
BOUNDS: Final[tuple[tuple[str, int, int | None], ...]] = (
    ("standard_interval_months", 3, 6),
    ("short_interval_months", 3, 6),
    ("opens_days_before", 0, 30),
    ("overdue_after_days", 0, 30),
    ("trace_after_days", 0, 180),
    ("gap_grace_days", 0, 60),
    ("pairing_days", 0, 60),
    ("baseline_days", 1, 90),
    ("borderline_low_percent", 0, 100),
    ("borderline_high_percent", 0, 100),
    ("clear_recheck_months", 6, 36),
    ("effusion_increased_grade", 1, 3),
    ("symptomatic_nrs_min", 1, 3),
    ("worsening_nrs", 1, 5),
    ("urgent_days", 1, None),
    ("review_days", 1, 365),
    ("decision_overdue_days", 7, 60),
    ("decompression_then_every_months", 3, 12),
    ("protected_weight_bearing_days", 28, 120),
)
FIXED: Final[dict[str, Decimal | int]] = {
    "large_lesion_percent": Decimal(30),
    "very_small_percent": Decimal(10),
    "very_small_cm3": Decimal(5),
    "age_over_years": 40,
    "bmi_over": Decimal(24),
    "late_depression_mm": Decimal("2.0"),
    "kerboul_high_degrees": Decimal(250),
}
_FALLS: Final[dict[Instrument, str]] = {
    Instrument.HHS: "hhs_fall",
    Instrument.HOOS_JR: "hoos_jr_fall",
    Instrument.OHS: "ohs_fall",
}


def plain(value: object) -> str:
    """A parameter's value as it was written."""
    return format(value, "f") if isinstance(value, Decimal) else str(value)


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _read(data: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    kinds = {field.name: field.type for field in fields(Protocol)}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, raw in _flat(data, problems).items():
        kind = kinds.get(name)
        try:
            if kind is None:
                problems.append(f"{name} is not a parameter")
            elif name == "decompression_visits":
                values[name] = tuple(_visit(item) for item in raw)
            else:
                values[name] = _READERS[kind](raw)
        except (TypeError, ValueError, OverflowError, InvalidOperation):
            problems.append(f"{name} cannot be read: {raw!r}")
    return values, problems


def _flat(data: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
    flat = {name: raw for name, raw in data.items() if name != "score_fall"}
    falls = data.get("score_fall", {})
    if not isinstance(falls, Mapping):
        problems.append("score_fall must name a fall for each instrument")
        return flat
    for instrument, raw in falls.items():
        if instrument in _FALLS:
            flat[_FALLS[instrument]] = raw
        else:
            problems.append(f"score_fall: {instrument} is not an instrument")
    return flat


def _whole(raw: object) -> int:
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal) or raw != int(raw):
        raise ValueError
    return int(raw)


def _decimal(raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, int | float | Decimal):
        raise TypeError
    value = Decimal(repr(raw)) if isinstance(raw, float) else Decimal(raw)
    if not value.is_finite():
        raise ValueError
    return value


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise TypeError
    return raw


def _visit(raw: object) -> Visit:
    if not isinstance(raw, list | tuple) or len(raw) != 2 or raw[0] not in ("weeks", "months"):
        raise ValueError
    return Visit(raw[0], _whole(raw[1]))


_READERS: Final[dict[Any, Any]] = {int: _whole, Decimal: _decimal, str: _text}

DEFAULT: Final = Protocol()
