"""Audit form: what the audit is searched for."""

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from ...audit_search import Question
from .section import DayInput

KINDS = [
    ("", _("Everything")),
    ("changes", _("Changes")),
    ("looks", _("Looks")),
    ("exports", _("Exports")),
    ("mails", _("Mails to patients")),
    ("rights", _("Rights and sign-in")),
]


class AuditForm(forms.Form):
    use_required_attribute = False

    who = forms.CharField(
        label=_("Who"), required=False, max_length=120, help_text=_("A name or an address; “system” for runs.")
    )
    kind = forms.ChoiceField(label=_("What"), choices=KINDS, required=False)
    number = forms.CharField(label=_("Record number"), required=False, max_length=40, help_text=_("Of one patient."))
    since = forms.DateField(label=_("From"), required=False, widget=DayInput())
    until = forms.DateField(label=_("Until"), required=False, widget=DayInput())
    act = forms.CharField(widget=forms.HiddenInput, required=False, max_length=60)
    object = forms.CharField(widget=forms.HiddenInput, required=False, max_length=80)
    patient = forms.IntegerField(widget=forms.HiddenInput, required=False, min_value=1, max_value=2**62)

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        since, until = cleaned.get("since"), cleaned.get("until")
        if isinstance(since, date) and isinstance(until, date) and since > until:
            self.add_error("until", _("This day is before the first."))
        return cleaned

    def question(self) -> Question:
        """What was asked; a field that cannot be read asks nothing."""
        said = self.cleaned_data if self.is_bound else {}
        names = ("who", "kind", "number", "since", "until", "act", "object", "patient")
        return Question(**{name: said[name] for name in names if said.get(name)})
