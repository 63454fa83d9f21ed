"""Treatment of one hip, done or begun."""

from collections.abc import Sequence
from datetime import date

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.models import Fact, Procedure
from patients.models.choices import ADJUNCTS, PROCEDURES

from .section import SectionForm, choice, day


class ProcedureForm(SectionForm):
    key = "procedure"
    title = _("Treatment")
    fact_fields = {"on": "done_on"}

    procedure = choice(_("Treatment"), PROCEDURES)
    done_on = day(_("Done or begun on"), help_text=_("Left empty: the day of the visit"))
    adjuncts = forms.MultipleChoiceField(
        label=_("Added to a core decompression"), required=False, choices=ADJUNCTS, widget=forms.CheckboxSelectMultiple
    )
    intent = choice(_("Intent"), Procedure.Intent.choices)
    operator = forms.CharField(label=_("Operator"), required=False, max_length=120)
    complication = forms.CharField(label=_("Complication"), required=False, max_length=200)

    def clean_procedure(self) -> str | None:
        kind: str | None = self.cleaned_data["procedure"]
        if kind is None and not self.is_empty():
            raise forms.ValidationError(_("Say which treatment."))
        return kind

    def facts(self, on: date) -> Sequence[Fact]:
        said = self.said("procedure", "adjuncts", "operator", "complication")
        return [Procedure(on=self.cleaned_data["done_on"] or on, intent=self.cleaned_data["intent"] or "", **said)]
