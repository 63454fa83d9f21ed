"""The answer to a finding that has no case of its own."""

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.models.choices import OUTCOMES

from .section import day


class AnswerForm(forms.Form):
    use_required_attribute = False

    outcome = forms.ChoiceField(label=_("Outcome"), choices=OUTCOMES, widget=forms.RadioSelect)
    reason = forms.CharField(label=_("Reason"), widget=forms.Textarea(attrs={"rows": 3}))
    on = day(_("Decided on"), required=True)
    consequence = forms.CharField(label=_("What follows"), max_length=200, required=False)
    next_on = day(_("Next date"))
