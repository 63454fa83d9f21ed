"""Symptoms of one hip as they are asked at a visit."""

from collections.abc import Sequence
from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.models import Fact, SymptomReport
from patients.models.choices import SYMPTOM_SOURCES

from .section import SectionForm, whole, yes_no


class SymptomForm(SectionForm):
    key = "symptom"
    title = _("Symptoms")
    hint = _("A clinician's report close to the radiographs completes the follow-up.")
    units = {"pain_nrs": _("of 10")}
    preset = frozenset({"source"})

    symptomatic = yes_no(_("Any symptoms in this hip"))
    pain_nrs = whole(_("Worst pain of the last seven days"), 0, 10, help_text=_("0 is none, 10 the worst imaginable"))
    pain_site = forms.CharField(label=_("Where"), required=False, max_length=60)
    sudden_worsening = yes_no(_("Suddenly worse"))
    night_pain = yes_no(_("Pain at night"))
    cannot_bear_weight = yes_no(_("Cannot bear weight"))
    source = forms.ChoiceField(label=_("Who says so"), choices=SYMPTOM_SOURCES, initial="clinician", required=False)

    def facts(self, on: date) -> Sequence[Fact]:
        said = self.said("symptomatic", "pain_nrs", "pain_site", "sudden_worsening", "night_pain", "cannot_bear_weight")
        return [SymptomReport(on=on, source=self.cleaned_data.get("source") or "clinician", **said)]
