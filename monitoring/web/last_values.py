"""Last values: what was known of each field last time, shown beside it and never copied."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _

from patients.models import Fact
from patients.vocabulary import Side

from .chart import Chart
from .fact_words import number, site_words, views_words
from .finding_words import day_words
from .forms.score import DOMAINS, OPTIONS

Show = Callable[[Any], str]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return number(value) if not isinstance(value, str) else value


def _display(name: str) -> Show:
    return lambda fact: str(getattr(fact, f"get_{name}_display")())


def _plain(name: str) -> Show:
    return lambda fact: _shown(getattr(fact, name))


def _of_modality(code: str) -> Callable[[Any], bool]:
    return lambda fact: fact.modality == code


def _of_instrument(code: str) -> Callable[[Any], bool]:
    return lambda fact: fact.instrument == code


def _every(_fact: Any) -> bool:
    return True


_SYMPTOM = ("symptomatic", "pain_nrs", "pain_site", "sudden_worsening", "night_pain", "cannot_bear_weight")
_XR = ("diagnostic", "depression_mm", "joint_space_narrowed", "collapse_suspected")
_MR = ("necrosis", "lesion_volume_percent", "lesion_volume_cm3", "marrow_edema", "effusion_grade", "collapse_suspected")

# Section of the form -> kind of fact, which of them, and how each field reads.
_SECTIONS: Final[dict[str, tuple[str, Callable[[Any], bool], dict[str, tuple[str, Show]]]]] = {
    "symptom": (
        "symptom",
        _every,
        {
            **{name: (name, _plain(name)) for name in _SYMPTOM},
            "pain_site": ("pain_site", lambda fact: site_words(fact.pain_site)),
        },
    ),
    "radiograph": (
        "imaging",
        _of_modality("XR"),
        {
            **{name: (name, _plain(name)) for name in _XR},
            "views": ("views", lambda fact: views_words(fact.views)),
            "crescent": ("crescent", _display("crescent")),
        },
    ),
    "mri": (
        "imaging",
        _of_modality("MR"),
        {
            **{name: (name, _plain(name)) for name in _MR},
            "volume_method": ("volume_method", _display("volume_method")),
            "crescent": ("crescent", _display("crescent")),
        },
    ),
    "ct": (
        "imaging",
        _of_modality("CT"),
        {
            "crescent": ("crescent", _display("crescent")),
            "depression_mm": ("depression_mm", _plain("depression_mm")),
            "joint_space_narrowed": ("joint_space_narrowed", _plain("joint_space_narrowed")),
        },
    ),
    "staging": ("staging", _every, {"stage": ("code", lambda fact: f"{fact.words} ({fact.version})")}),
    "location": (
        "location",
        _every,
        {name: (name, _plain(name)) for name in ("jic_type", "kerboul_modified_degrees", "kerboul_degrees")},
    ),
    "oxford": ("score", _of_instrument("OHS"), {"total": ("value", _plain("value"))}),
    "procedure": ("procedure", _every, {"procedure": ("procedure", _display("procedure"))}),
}


def last_values(chart: Chart, section: str, side: Side | None, on: date) -> Mapping[str, str]:
    """Field of the section -> the last known value with its date, dated up to `on`."""
    if section == "bmi":
        return _latest(chart.standing("bmi", until=on), "value", "value", _plain("value"))
    if section == "harris":
        return _harris(chart, side, on)
    if section not in _SECTIONS:
        return {}
    kind, wanted, fields = _SECTIONS[section]
    facts = [fact for fact in chart.standing(kind, side, until=on) if wanted(fact)]
    found: dict[str, str] = {}
    for name, (column, show) in fields.items():
        found |= _latest(facts, name, column, show)
    return found


def _latest(facts: list[Any], name: str, column: str, show: Show) -> dict[str, str]:
    fact: Fact | None = next((fact for fact in reversed(facts) if getattr(fact, column) not in (None, "", [])), None)
    return {} if fact is None else {name: _("%(value)s on %(day)s") % {"value": show(fact), "day": day_words(fact.on)}}


def _harris(chart: Chart, side: Side | None, on: date) -> dict[str, str]:
    known = [score for score in chart.standing("score", side, until=on) if score.instrument == "HHS"]
    if not known:
        return {}
    items = known[-1].items or {}
    day = day_words(known[-1].on)
    return {
        domain.value: _("%(value)s on %(day)s")
        % {"value": OPTIONS.get(items[domain.value], items[domain.value]), "day": day}
        for domain in DOMAINS
        if items.get(domain.value)
    }


def last_total(chart: Chart, instrument: str, side: Side, on: date) -> str:
    """The last total of a score with its date."""
    known = [score for score in chart.standing("score", side, until=on) if score.instrument == instrument]
    if not known:
        return ""
    return _("%(value)s on %(day)s") % {"value": number(known[-1].value), "day": day_words(known[-1].on)}
