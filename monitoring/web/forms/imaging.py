"""Imaging of one hip: radiographs, MRI and CT, each with what is read from it."""

from collections.abc import Sequence
from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from patients.models import Fact, Imaging
from patients.models.choices import CRESCENTS, VOLUME_METHODS
from patients.vocabulary import View

from .section import SectionForm, choice, decimal, yes_no

VIEWS = [
    (View.AP_PELVIS.value, _("AP pelvis")),
    (View.AP_HIP.value, _("AP hip")),
    (View.FROG_LATERAL.value, _("Frog lateral")),
    (View.CROSS_TABLE.value, _("Cross-table lateral")),
]
NOT_READ = _("not read")


def _crescent() -> forms.TypedChoiceField:
    return choice(_("Crescent sign"), CRESCENTS)


def _report() -> forms.CharField:
    return forms.CharField(label=_("Report"), required=False, widget=forms.Textarea(attrs={"rows": 2}))


class RadiographForm(SectionForm):
    key = "radiograph"
    title = _("Radiographs")
    hint = _("An AP and a frog lateral view on one day are what a follow-up needs.")
    units = {"depression_mm": "mm"}

    views = forms.MultipleChoiceField(
        label=pgettext_lazy("of a radiograph", "Views"),
        required=False,
        choices=VIEWS,
        widget=forms.CheckboxSelectMultiple,
    )
    diagnostic = yes_no(_("Good enough to read"), unasked=_("not said"))
    crescent = _crescent()
    depression_mm = decimal(_("Depression of the head"), 0, 50)
    joint_space_narrowed = yes_no(_("Joint space narrowed"), unasked=NOT_READ)
    collapse_suspected = yes_no(_("Collapse suspected"), unasked=NOT_READ)
    report = _report()

    def facts(self, on: date) -> Sequence[Fact]:
        names = ("diagnostic", "crescent", "depression_mm", "joint_space_narrowed", "collapse_suspected", "report")
        return [Imaging(on=on, modality="XR", views=self.cleaned_data["views"], **self.said(*names))]


class MriForm(SectionForm):
    key = "mri"
    title = _("MRI")
    units = {"lesion_volume_percent": "%", "lesion_volume_cm3": "cm³"}

    necrosis = yes_no(_("Necrosis"), unasked=NOT_READ)
    lesion_volume_percent = decimal(_("Lesion, share of the head"), 0, 100)
    lesion_volume_cm3 = decimal(_("Lesion, volume"), 0, 200)
    volume_method = choice(
        _("How it was measured"), VOLUME_METHODS, help_text=_("Only the three MRI methods count as measured.")
    )
    marrow_edema = yes_no(_("Bone marrow oedema"), unasked=NOT_READ)
    effusion_grade = forms.TypedChoiceField(
        label=_("Effusion"),
        required=False,
        choices=[("", ""), ("0", _("0, none")), ("1", _("1, minimal")), ("2", _("2, moderate")), ("3", _("3, large"))],
        coerce=int,
        empty_value=None,
    )
    crescent = _crescent()
    collapse_suspected = yes_no(_("Collapse suspected"), unasked=NOT_READ)
    report = _report()

    def facts(self, on: date) -> Sequence[Fact]:
        return [Imaging(on=on, modality="MR", **self.said(*self.fields))]

    def clean_volume_method(self) -> str | None:
        method: str | None = self.cleaned_data["volume_method"]
        sizes = (self.cleaned_data.get("lesion_volume_percent"), self.cleaned_data.get("lesion_volume_cm3"))
        if method is None and any(size is not None for size in sizes):
            raise forms.ValidationError(_("Say how the lesion was measured."))
        return method


class CtForm(SectionForm):
    key = "ct"
    title = _("CT")
    units = {"depression_mm": "mm"}

    crescent = _crescent()
    depression_mm = decimal(_("Depression of the head"), 0, 50)
    joint_space_narrowed = yes_no(_("Joint space narrowed"), unasked=NOT_READ)
    report = _report()

    def facts(self, on: date) -> Sequence[Fact]:
        return [Imaging(on=on, modality="CT", **self.said(*self.fields))]
