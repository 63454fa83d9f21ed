"""Webhook form: which system is told, where, and of what."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic

from ...models import WebhookEndpoint


class WebhookForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(label=_("System"), max_length=80)
    clinic = forms.ModelChoiceField(label=_("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    url = forms.CharField(
        label=_("Its address"),
        max_length=500,
        widget=forms.URLInput(attrs={"autocomplete": "off"}),
        help_text=_("Begins with https:// and lies outside of private networks."),
    )
    events = forms.MultipleChoiceField(
        label=_("It is told when"),
        choices=WebhookEndpoint.Event.choices,
        widget=forms.CheckboxSelectMultiple,
        initial=WebhookEndpoint.Event.values,
    )

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        if isinstance(clinic, forms.ModelChoiceField):
            clinic.queryset = clinics
