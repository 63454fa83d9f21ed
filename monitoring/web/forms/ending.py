"""The end of follow-up, its taking back, and death: each with how it is known."""

from datetime import date
from typing import Any

from django import forms
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from patients.models.choices import END_REASONS
from patients.vocabulary import EndReason

from ..finding_words import day_words
from .section import day

# Death and replacement end follow-up by themselves once they are recorded as what they are.
CHOSEN = [EndReason.TRANSFERRED, EndReason.DECLINED_IN_WRITING, EndReason.DISCHARGED, EndReason.ENTERED_IN_ERROR]


class _Sure(forms.Form):
    """A day that does not go with the record is asked about once; ticked, it stands."""

    use_required_attribute = False

    sure = forms.BooleanField(label=_("The day is right all the same"), required=False, widget=forms.HiddenInput)

    def doubt(self, field: str, message: str) -> None:
        self.fields["sure"].widget = forms.CheckboxInput()  # once ticked too, so that nobody sends the tick unseen
        if not self.cleaned_data.get("sure"):
            self.add_error(field, message)


class EndingForm(_Sure):
    """Why this hip is no longer followed. Lateness, age and returned mail are no reasons."""

    field_order = ("reason", "on", "receiving_clinic", "evidence", "sure")

    reason = forms.ChoiceField(label=_("Reason"), widget=forms.RadioSelect)
    on = day(_("From"), required=True)
    receiving_clinic = forms.CharField(
        label=_("Clinic that takes over"), max_length=160, required=False, help_text=_("Needed for a transfer.")
    )
    evidence = forms.CharField(
        label=_("How it is known"), max_length=300, help_text=_("Such as “letter of 3 Nov 2026”; for a discharge, why.")
    )

    def __init__(self, *args: Any, may_discharge: bool, enrolled_on: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.enrolled_on = enrolled_on
        words = dict(END_REASONS)
        reasons = [reason for reason in CHOSEN if may_discharge or reason is not EndReason.DISCHARGED]
        choice = self.fields["reason"]
        if isinstance(choice, forms.ChoiceField):
            choice.choices = [(reason.value, words[reason.value]) for reason in reasons]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("reason") == EndReason.TRANSFERRED and not data.get("receiving_clinic"):
            self.add_error("receiving_clinic", gettext("Name the clinic that takes over."))
        if data.get("on") and data["on"] < self.enrolled_on:
            text = gettext("The patient has been followed here since %(day)s, after this day.")
            self.doubt("on", text % {"day": day_words(self.enrolled_on)})
        return data


class ReopenForm(forms.Form):
    use_required_attribute = False

    on = day(_("Followed again from"), required=True)
    reason = forms.CharField(label=_("Reason"), max_length=200)


class DeathForm(_Sure):
    """`seen_on`: the last day on which the record has the person alive."""

    field_order = ("died_on", "death_source", "sure")

    died_on = day(_("Died on"), required=True)
    death_source = forms.CharField(
        label=_("How it is known"), max_length=120, help_text=_("Such as “letter of the family doctor, 3 Nov 2026”.")
    )

    def __init__(self, *args: Any, seen_on: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.seen_on = seen_on

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("died_on") and data["died_on"] < self.seen_on:
            text = gettext("The record has this person alive on %(day)s, after this day.")
            self.doubt("died_on", text % {"day": day_words(self.seen_on)})
        return data


class ReasonForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(label=_("Reason"), max_length=200)
