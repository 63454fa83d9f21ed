"""Parameter words: each parameter of the protocol as people read it: label, unit, bounds, what it rests on."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.utils.formats import number_format
from django.utils.translation import gettext, gettext_noop, ngettext
from django.utils.translation import gettext_lazy as _

from schedules.guideline.protocol import BOUNDS, FIXED, Fault, Protocol, Visit

from .finding_words import Words


@dataclass(frozen=True)
class Parameter:
    """One parameter. `rests_on` is empty where it is the clinic's policy alone."""

    name: str
    label: Words
    unit: Words = ""
    rests_on: Words = ""

    @property
    def fixed(self) -> bool:
        return self.name in FIXED


MONTHS, DAYS, PERCENT = _("months"), _("days"), "%"
POINTS: Final = _("points")
SERIES: Final = _("Published series: the cut in size above which most hips collapse")
THREE_TO_SIX: Final = _("Praxis: core decompression techniques 2025; Hernigou 2004: every 3 to 6 months")
SOURCE_GUIDELINE: Final = _("Dr.Oracle guideline topic overview 2025")

GROUPS: Final[tuple[tuple[Words, tuple[Parameter, ...]], ...]] = (
    (
        _("How often a hip is seen"),
        (
            Parameter("standard_interval_months", _("Standard interval"), MONTHS, THREE_TO_SIX),
            Parameter("short_interval_months", _("Short interval"), MONTHS, THREE_TO_SIX),
            Parameter("baseline_days", _("First follow-up due after enrolment"), DAYS),
            Parameter("clear_recheck_months", _("A clear hip beside an affected one is looked at again after"), MONTHS),
        ),
    ),
    (
        _("The window"),
        (
            Parameter("opens_days_before", _("The window opens before the due date"), DAYS),
            Parameter("overdue_after_days", _("Overdue after the due date"), DAYS),
            Parameter("escalate_after_days", _("Escalated after the due date"), DAYS),
            Parameter("trace_after_days", _("Traced after the due date"), DAYS),
            Parameter("gap_grace_days", _("Grace before a silence is a gap"), DAYS),
            Parameter("pairing_days", _("A clinician's report counts with radiographs within"), DAYS),
        ),
    ),
    (
        _("How soon somebody acts"),
        (
            Parameter("urgent_days", _("Urgent"), DAYS),
            Parameter("soon_days", _("Soon"), DAYS),
            Parameter("review_days", _("Review"), DAYS),
            Parameter("decision_overdue_days", _("A decision is overdue after"), DAYS),
        ),
    ),
    (
        _("The lesion"),
        (
            Parameter("large_lesion_percent", _("A large lesion, from"), PERCENT, SERIES),
            Parameter("borderline_low_percent", _("A second reading is asked for from"), PERCENT),
            Parameter("borderline_high_percent", _("A second reading is asked for below"), PERCENT),
            Parameter("very_small_percent", _("A very small lesion, below"), PERCENT, "Hernigou 2004"),
            Parameter("very_small_cm3", _("A very small lesion, volume below"), "cm³", "Hernigou 2004"),
            Parameter("volume_growth_points", _("Growth that asks anew"), _("percentage points")),
        ),
    ),
    (
        _("Risk factors"),
        (
            Parameter("age_over_years", _("Age over"), _("years"), SOURCE_GUIDELINE),
            Parameter("bmi_over", _("BMI over"), "kg/m²", SOURCE_GUIDELINE),
            Parameter("effusion_increased_grade", _("Effusion counts from grade")),
            Parameter("kerboul_high_degrees", _("Modified Kerboul angle, high from"), _("degrees"), "Ha 2006"),
        ),
    ),
    (
        _("Pain and scores"),
        (
            Parameter("symptomatic_nrs_min", _("Pain counts as a symptom from"), _("of 10")),
            Parameter("worsening_nrs", _("Pain has worsened by"), _("of 10"), "Farrar 2001"),
            Parameter("hhs_fall", _("Harris hip score has fallen by"), POINTS),
            Parameter("hoos_jr_fall", _("HOOS JR has fallen by"), POINTS),
            Parameter("ohs_fall", _("Oxford hip score has fallen by"), POINTS),
        ),
    ),
    (
        _("Collapse"),
        (
            Parameter("late_depression_mm", _("Late collapse, depression above"), "mm", "ARCO 2019"),
            Parameter("depression_growth_mm", _("A deeper depression asks anew from"), "mm"),
        ),
    ),
    (
        _("After core decompression"),
        (
            Parameter("decompression_visits", _("Visits after the surgery")),
            Parameter("decompression_then_every_months", _("Then every"), MONTHS),
            Parameter("protected_weight_bearing_days", _("Protected weight bearing"), DAYS),
        ),
    ),
)
PARAMETERS: Final = {parameter.name: parameter for _title, group in GROUPS for parameter in group}
POLICY: Final = _("the clinic's policy")
FAULTS: Final = (
    gettext_noop("must be lower-case letters, digits and hyphens"),
    gettext_noop("must not be negative"),
    gettext_noop("must be at least %(low)s, not %(value)s"),
    gettext_noop("must be %(low)s to %(high)s, not %(value)s"),
    gettext_noop("is fixed at %(value)s"),
    gettext_noop("must not exceed %(other)s"),
    gettext_noop("must be below %(other)s"),
    gettext_noop("must increase"),
    gettext_noop("must be above 0"),
    gettext_noop("must name at least one visit"),
    gettext_noop("must end with a visit in months, as the yearly visits are counted from it"),
    gettext_noop("must lie within ten years of the surgery"),
)
_LIMITS: Final = {name: (low, high) for name, low, high in BOUNDS}
_ABOVE_ZERO: Final = ("hhs_fall", "hoos_jr_fall", "ohs_fall", "depression_growth_mm", "volume_growth_points")


def value_words(name: str, value: Any) -> str:
    """A parameter's value with its unit: `6 months`, `6 weeks, 3 months`."""
    if name == "decompression_visits":
        return visits_words(value)
    unit = PARAMETERS[name].unit
    return f"{number_format(value)} {unit}".rstrip()


def visits_words(visits: Iterable[Visit]) -> str:
    """Visits as they are written: `6 weeks, 3 months`; `visits_of` reads them back."""
    return ", ".join(
        (ngettext("%(n)s week", "%(n)s weeks", visit.count) if visit.unit == "weeks" else _months(visit.count))
        % {"n": visit.count}
        for visit in visits
    )


def _months(count: int) -> str:
    return ngettext("%(n)s month", "%(n)s months", count)


def visits_of(text: str) -> tuple[Visit, ...]:
    """Visits as people write them, in English or in the language of the page. Raises ValueError for anything else."""
    weeks = {"week", "weeks", "w", *_unit_words("%(n)s week", "%(n)s weeks")}
    months = {"month", "months", "m", *_unit_words("%(n)s month", "%(n)s months")}
    found = []
    for part in filter(None, map(str.strip, text.split(","))):
        read = re.fullmatch(r"([0-9]{1,4})\s*(\w+)", part)
        unit = read[2].casefold() if read else ""
        if read is None or unit not in weeks | months:
            raise ValueError(part)
        found.append(Visit("weeks" if unit in weeks else "months", int(read[1])))
    return tuple(found)


def _unit_words(one: str, several: str) -> set[str]:
    return {(ngettext(one, several, n) % {"n": ""}).strip().casefold() for n in (1, 2)}


def bounds_words(name: str) -> str:
    """Within which bounds the parameter may be set."""
    if name in FIXED:
        return gettext("fixed")
    if name in _LIMITS:
        low, high = _LIMITS[name]
        filled = {"low": low, "high": high}
        return gettext("from %(low)s") % filled if high is None else gettext("%(low)s to %(high)s") % filled
    if name in _ABOVE_ZERO:
        return gettext("above 0")
    return gettext("each later than the one before")


def fault_words(fault: Fault) -> str:
    """What is wrong with a parameter, without its name, in the language of the page."""
    values = dict(fault.values)
    if "other" in values:
        values["other"] = gettext("“%(name)s”") % {"name": PARAMETERS[values["other"]].label}
    words = gettext(fault.wording) % values
    if len(fault.paths) > 1:
        names = ", ".join(str(PARAMETERS[path].label) for path in fault.paths)
        words = f"{words} ({names})"
    return words


def parameter_groups(protocol: Protocol, other: Protocol | None = None) -> list[dict[str, Any]]:
    """Every parameter with its value; with `other`, also that one's where the two differ."""
    return [{"title": title, "rows": [_row(one, protocol, other) for one in group]} for title, group in GROUPS]


def changed_rows(before: Protocol, after: Protocol) -> list[dict[str, Any]]:
    """The parameters that `after` sets otherwise: label, both values."""
    return [
        {
            "name": one.name,
            "label": one.label,
            "before": value_words(one.name, getattr(before, one.name)),
            "after": value_words(one.name, getattr(after, one.name)),
        }
        for one in PARAMETERS.values()
        if getattr(before, one.name) != getattr(after, one.name)
    ]


def _row(one: Parameter, protocol: Protocol, other: Protocol | None) -> dict[str, Any]:
    value = getattr(protocol, one.name)
    differs = other is not None and getattr(other, one.name) != value
    return {
        "name": one.name,
        "label": one.label,
        "value": value_words(one.name, value),
        "other": value_words(one.name, getattr(other, one.name)) if differs else "",
        "bounds": bounds_words(one.name),
        "rests_on": one.rests_on or POLICY,
    }
