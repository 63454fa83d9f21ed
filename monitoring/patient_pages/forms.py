"""Forms of patients' pages: the free words of the symptom check, and contact wishes with the language."""

from typing import Any

from django import forms
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from patients.models import Patient
from patients.models.clinic import PATIENT_LANGUAGES
from patients.models.patient import Channel, Purpose

NOTE_LENGTH = 1000


class NoteForm(forms.Form):
    note = forms.CharField(
        label=_("Is there anything else you want to tell us?"),
        help_text=_("You may leave this empty."),
        required=False,
        max_length=NOTE_LENGTH,
        widget=forms.Textarea(attrs={"rows": 4, "autocomplete": "off"}),
    )


def _yes_or_no(label: Any) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=label,
        choices=[("yes", _("Yes")), ("no", _("No"))],
        coerce=lambda said: said == "yes",
        empty_value=None,
        required=False,
        widget=forms.RadioSelect,
    )


class WishesForm(forms.Form):
    """Channels and purposes that were never asked about stay so while nothing is chosen."""

    email = _yes_or_no(_("May we write you e-mails?"))
    telephone = _yes_or_no(_("May we telephone you?"))
    letter = _yes_or_no(_("May we send you letters?"))
    symptom_check = _yes_or_no(_("May we ask you between your visits how you are?"))
    research = _yes_or_no(_("May researchers use what we know about your health, without your name?"))
    language = forms.ChoiceField(label=_("In which language shall we write to you?"))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        codes = [code for code, _name in PATIENT_LANGUAGES]
        self.fields["language"].choices = [(code, get_language_info(code)["name_local"]) for code in codes]  # type: ignore[attr-defined]


def wishes_of(patient: Patient) -> dict[str, bool]:
    """Channel or purpose -> whether it is wanted, for those that the patient was asked about."""
    said = {consent.purpose: consent.allowed for consent in patient.consents.all()}
    return said | {wish.channel: wish.allowed for wish in patient.contact_wishes.all()}


def initial_wishes(patient: Patient) -> dict[str, str]:
    said = {channel: "yes" if allowed else "no" for channel, allowed in wishes_of(patient).items()}
    return {**said, "language": patient.language}


CHANNELS = tuple(channel.value for channel in Channel)
PURPOSES = tuple(purpose.value for purpose in Purpose)
