"""Correction: a fact as a form of its own fields, the day it is of and the reason."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from django import forms
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from patients.models import Fact
from patients.models.choices import ADJUNCTS, VIEWS
from patients.scores import is_on_hoos_jr
from patients.vocabulary import Instrument

from ..finding_words import Words
from .section import DayInput, day
from .staging import STAGES

FIELDS: Final[dict[str, list[str]]] = {
    "imaging": [
        "views", "diagnostic", "necrosis", "effusion_grade", "marrow_edema", "lesion_volume_percent",
        "lesion_volume_cm3", "volume_method", "crescent", "depression_mm", "joint_space_narrowed",
        "collapse_suspected", "report",
    ],
    "staging": ["reader"],
    "symptom": [
        "source", "symptomatic", "pain_nrs", "pain_site", "sudden_worsening", "night_pain", "cannot_bear_weight",
        "walking_aid",
    ],
    "score": ["value"],
    "procedure": ["procedure", "adjuncts", "intent", "stopped_on", "operator", "complication"],
    "decision": ["outcome", "reason", "consequence", "next_on"],
    "location": ["jic_type", "kerboul_modified_degrees", "kerboul_degrees"],
    "bmi": ["value"],
}  # fmt: skip
LABELS: Final[dict[str, Words]] = {
    "views": pgettext_lazy("of a radiograph", "Views"),
    "diagnostic": _("Good enough to read"),
    "necrosis": _("Necrosis"),
    "effusion_grade": _("Effusion, grade 0 to 3"),
    "marrow_edema": _("Bone marrow oedema"),
    "lesion_volume_percent": _("Lesion, share of the head, %"),
    "lesion_volume_cm3": _("Lesion, cm³"),
    "volume_method": _("How it was measured"),
    "crescent": _("Crescent sign"),
    "depression_mm": _("Depression of the head, mm"),
    "joint_space_narrowed": _("Joint space narrowed"),
    "collapse_suspected": _("Collapse suspected"),
    "report": _("Report"),
    "reader": _("Read by"),
    "source": _("Who says so"),
    "symptomatic": _("Any symptoms"),
    "pain_nrs": _("Worst pain of the last seven days, of 10"),
    "pain_site": _("Where"),
    "sudden_worsening": _("Suddenly worse"),
    "night_pain": _("Pain at night"),
    "cannot_bear_weight": _("Cannot bear weight"),
    "walking_aid": _("Walking aid"),
    "procedure": _("Treatment"),
    "adjuncts": _("Added to a core decompression"),
    "intent": _("Intent"),
    "stopped_on": _("Until"),
    "operator": _("Operator"),
    "complication": _("Complication"),
    "outcome": _("Outcome"),
    "reason": _("Reason of the decision"),
    "consequence": _("What follows"),
    "next_on": _("Next date"),
    "jic_type": _("JIC type"),
    "kerboul_modified_degrees": _("Modified Kerboul angle, °"),
    "kerboul_degrees": _("Kerboul angle, °"),
    "value": _("Value"),
}


if TYPE_CHECKING:
    _FactForm = forms.ModelForm[Fact]
else:
    _FactForm = forms.ModelForm


class CorrectionForm(_FactForm):
    """Base of the form for each kind; made by `correction_form`."""

    use_required_attribute = False

    on = day(_("Date"), required=True)
    correction_reason = forms.CharField(label=_("Why it is corrected"), max_length=200)


def correction_form(model: type[Fact]) -> "type[forms.ModelForm[Any]]":
    """The form that corrects a fact of this model."""
    made: type[forms.ModelForm[Any]] = forms.modelform_factory(
        model,
        form=_FORMS.get(model.kind, CorrectionForm),
        fields=["on", *FIELDS[model.kind], "correction_reason"],
        formfield_callback=_field,
    )
    return made


class StageCorrectionForm(CorrectionForm):
    """A stage keeps system, version and code together."""

    stage = forms.ChoiceField(label=_("Stage"), choices=STAGES)
    field_order = ("on", "stage")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fact: Any = self.instance
        self.initial.setdefault("stage", f"{fact.system}|{fact.version}|{fact.code}")

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if stage := data.get("stage"):
            instance: Any = self.instance
            instance.system, instance.version, instance.code = stage.split("|")
        return data


class ScoreCorrectionForm(CorrectionForm):
    """A new total is one that its instrument has."""

    def clean_value(self) -> Decimal:
        value: Decimal = self.cleaned_data["value"]
        score: Any = self.instance
        if score.instrument == Instrument.HOOS_JR and "value" in self.changed_data and not is_on_hoos_jr(value):
            raise forms.ValidationError(_("HOOS JR has 25 values, from 0 to 100, and this is none of them."))
        return value


_FORMS: Final[dict[str, type[CorrectionForm]]] = {"staging": StageCorrectionForm, "score": ScoreCorrectionForm}


def _field(column: "models.Field[Any, Any]", **kwargs: Any) -> forms.Field | None:
    kwargs["label"] = LABELS.get(column.name, column.verbose_name)
    if column.name == "views":
        return forms.MultipleChoiceField(
            choices=VIEWS, required=False, widget=forms.CheckboxSelectMultiple, label=kwargs["label"]
        )
    if column.name == "adjuncts":
        return forms.MultipleChoiceField(
            choices=ADJUNCTS, required=False, widget=forms.CheckboxSelectMultiple, label=kwargs["label"]
        )
    if isinstance(column, models.BooleanField):
        return forms.NullBooleanField(label=kwargs["label"], required=False, widget=forms.NullBooleanSelect)
    if isinstance(column, models.DateField):
        kwargs["widget"] = DayInput()
    if isinstance(column, models.TextField):
        kwargs["widget"] = forms.Textarea(attrs={"rows": 3})
    return column.formfield(**kwargs)
