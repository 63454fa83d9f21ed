"""Outcome scores: Harris hip score and HOOS JR from their items, the Oxford hip score as its total.

The words of the options are our own short ones; an item left out gives no total, for nothing is imputed.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients import scores
from patients.models import Fact, Score
from patients.scores import HARRIS_MOST, HARRIS_POINTS, HarrisDomain, HarrisVariant, HoosJrItem

from .section import SectionForm, choice, decimal, whole

DOMAINS = {
    HarrisDomain.PAIN: _("Pain"),
    HarrisDomain.LIMP: _("Limp"),
    HarrisDomain.SUPPORT: _("Support"),
    HarrisDomain.DISTANCE: _("Distance walked"),
    HarrisDomain.STAIRS: _("Stairs"),
    HarrisDomain.SHOES_SOCKS: _("Shoes and socks"),
    HarrisDomain.SITTING: _("Sitting"),
    HarrisDomain.TRANSPORT: _("Public transport"),
}
OPTIONS = {
    "none": _("none"),
    "slight": _("slight"),
    "mild": _("mild"),
    "moderate": _("moderate"),
    "marked": _("marked"),
    "severe": _("severe"),
    "disabled": _("disabled, pain in bed"),
    "cannot_walk": _("cannot walk"),
    "cane_long_walks": _("cane for long walks"),
    "cane_mostly": _("cane most of the time"),
    "one_crutch": _("one crutch"),
    "two_canes": _("two canes"),
    "two_crutches": _("two crutches"),
    "unlimited": _("unlimited"),
    "six_blocks": _("about 600 metres, six blocks"),
    "two_three_blocks": _("about 250 metres, two or three blocks"),
    "indoors": _("indoors only"),
    "bed_chair": _("bed and chair only"),
    "no_rail": _("without a rail"),
    "rail": _("with a rail"),
    "any_manner": _("in any manner"),
    "unable": _("unable"),
    "ease": _("with ease"),
    "difficulty": _("with difficulty"),
    "ordinary_chair_hour": _("an ordinary chair for an hour"),
    "high_chair_half_hour": _("a high chair for half an hour"),
    "able": _("able"),
}
DEFORMITY = ("fixed_flexion", "fixed_adduction", "fixed_internal_rotation", "leg_length_difference_cm")
MOTION = ("flexion", "abduction", "external_rotation", "adduction", "internal_rotation")
VARIANTS = [
    (HarrisVariant.ARC_TABLE.value, _("Sum of the arcs, by table")),
    (HarrisVariant.HARRIS_1969.value, _("Weighted arcs, Harris 1969")),
]


def _domain(domain: HarrisDomain) -> forms.TypedChoiceField:
    options = [(code, _scored(OPTIONS[code], points)) for code, points in HARRIS_POINTS[domain].items()]
    return choice(DOMAINS[domain], options)


def _scored(words: Any, points: int) -> Any:
    return format_lazy("{words} ({points})", words=words, points=points)


class HarrisForm(SectionForm):
    key = "harris"
    title = _("Harris hip score")
    hint = _("All items are needed for a total; nothing is filled in for a missing one.")
    units = {
        **dict.fromkeys(("fixed_flexion", "fixed_adduction", "fixed_internal_rotation", *MOTION), "°"),
        "leg_length_difference_cm": "cm",
    }
    preset = frozenset({"variant"})
    fact_fields = {"value": "pain"}

    pain = _domain(HarrisDomain.PAIN)
    limp = _domain(HarrisDomain.LIMP)
    support = _domain(HarrisDomain.SUPPORT)
    distance = _domain(HarrisDomain.DISTANCE)
    stairs = _domain(HarrisDomain.STAIRS)
    shoes_socks = _domain(HarrisDomain.SHOES_SOCKS)
    sitting = _domain(HarrisDomain.SITTING)
    transport = _domain(HarrisDomain.TRANSPORT)
    fixed_flexion = whole(_("Fixed flexion"), 0, HARRIS_MOST["fixed_flexion"])
    fixed_adduction = whole(_("Fixed adduction"), 0, HARRIS_MOST["fixed_adduction"])
    fixed_internal_rotation = whole(_("Fixed internal rotation"), 0, HARRIS_MOST["fixed_internal_rotation"])
    leg_length_difference_cm = decimal(_("Leg length difference"), 0, HARRIS_MOST["leg_length_difference_cm"], places=1)
    flexion = whole(_("Flexion"), 0, HARRIS_MOST["flexion"])
    abduction = whole(_("Abduction"), 0, HARRIS_MOST["abduction"])
    external_rotation = whole(_("External rotation"), 0, HARRIS_MOST["external_rotation"])
    adduction = whole(_("Adduction"), 0, HARRIS_MOST["adduction"])
    internal_rotation = whole(_("Internal rotation"), 0, HARRIS_MOST["internal_rotation"])
    variant = forms.ChoiceField(label=_("Points for motion"), choices=VARIANTS, initial="ARC_TABLE", required=False)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.is_empty():
            _ask_for_missing(self, [name for name in self.fields if name != "variant"])
        return data

    def facts(self, on: date) -> Sequence[Fact]:
        variant = HarrisVariant(self.cleaned_data.get("variant") or HarrisVariant.ARC_TABLE)
        items = scores.HarrisItems(
            options={domain: self.cleaned_data[domain.value] for domain in HarrisDomain},
            deformity=scores.Deformity(*(self.cleaned_data[name] for name in DEFORMITY)),
            motion=scores.Motion(*(self.cleaned_data[name] for name in MOTION)),
        )
        value = scores.harris_hip_score(items, variant)
        if value is None:
            return []
        return [Score(on=on, instrument="HHS", value=value, variant=variant.value, items=items.to_json())]


def _ask_for_missing(form: SectionForm, names: Sequence[str]) -> None:
    for name in names:
        if name not in form.errors and form.cleaned_data.get(name) is None:
            form.add_error(name, gettext("Without this there is no total."))


HOOS = {
    HoosJrItem.STAIRS: _("Pain going up or down stairs"),
    HoosJrItem.UNEVEN_SURFACE: _("Pain walking on uneven ground"),
    HoosJrItem.RISING: _("Difficulty rising from sitting"),
    HoosJrItem.BENDING: _("Difficulty bending to the floor"),
    HoosJrItem.LYING: _("Difficulty lying in bed"),
    HoosJrItem.SITTING: _("Difficulty sitting"),
}
_ANSWERS = [
    ("0", _("0, none")),
    ("1", _("1, mild")),
    ("2", _("2, moderate")),
    ("3", _("3, severe")),
    ("4", _("4, extreme")),
]


def _item(item: HoosJrItem) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=HOOS[item], required=False, choices=[("", ""), *_ANSWERS], coerce=int, empty_value=None
    )


class HoosJrForm(SectionForm):
    key = "hoos"
    title = "HOOS JR"
    hint = _("All six items are needed.")
    fact_fields = {"value": "stairs"}

    stairs = _item(HoosJrItem.STAIRS)
    uneven_surface = _item(HoosJrItem.UNEVEN_SURFACE)
    rising = _item(HoosJrItem.RISING)
    bending = _item(HoosJrItem.BENDING)
    lying = _item(HoosJrItem.LYING)
    sitting = _item(HoosJrItem.SITTING)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not self.is_empty():
            _ask_for_missing(self, list(self.fields))
        return data

    def facts(self, on: date) -> Sequence[Fact]:
        items = {item: self.cleaned_data[item.value] for item in HoosJrItem}
        said = {item.value: answer for item, answer in items.items()}
        value = scores.hoos_jr(items)
        return [] if value is None else [Score(on=on, instrument="HOOS_JR", value=value, items=said)]


class OxfordForm(SectionForm):
    key = "oxford"
    title = _("Oxford hip score")
    fact_fields = {"value": "total"}

    total = whole(_("Total"), *scores.OXFORD_RANGE, help_text=_("0 to 48, higher is better; added up on its own form"))

    def facts(self, on: date) -> Sequence[Fact]:
        return [Score(on=on, instrument="OHS", value=scores.oxford_total(self.cleaned_data["total"]))]
