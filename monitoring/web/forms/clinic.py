"""Clinic form: how a clinic is named, reached and spoken for."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic
from patients.models.clinic import LANGUAGES

from ...clinics import PARTICULARS, mark_of


def _zones() -> list[tuple[str, str]]:
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in places)]


class ClinicForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(label=_("Name"), max_length=120, help_text=_("As staff know it."))
    mail_name = forms.CharField(
        label=_("Name in mail"),
        max_length=60,
        help_text=_("How mail to patients names the clinic. It must not tell the disease or the body part."),
    )
    telephone = forms.CharField(label=_("Telephone"), max_length=40, help_text=_("Stands in every mail."))
    address = forms.CharField(
        label=_("Postal address"), required=False, max_length=500, widget=forms.Textarea(attrs={"rows": 3})
    )
    opening_hours = forms.CharField(
        label=_("Opening hours"), required=False, max_length=120, help_text=_("Such as “Mon to Fri 8:00-16:00”.")
    )
    opening_hours_in = forms.CharField(
        label=_("Opening hours in other languages"),
        required=False,
        max_length=500,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("For mail in that language; one a line, such as “de: Mo-Fr 8-16 Uhr” or “fr: lun-ven 8h-16h”."),
    )
    reply_to = forms.EmailField(
        label=_("Answers go to"), required=False, help_text=_("The e-mail address to which patients' answers go.")
    )
    time_zone = forms.ChoiceField(label=_("Time zone"), choices=_zones, help_text=_("Whose day is today."))
    language = forms.ChoiceField(
        label=_("Language"),
        choices=LANGUAGES,
        help_text=_("Of letters, and of new staff; everybody may choose another."),
    )
    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, clinic: Clinic | None = None, **kwargs: Any) -> None:
        if clinic is None:
            known = {"time_zone": "Europe/London", "language": "en"}
        else:
            known = {name: getattr(clinic, name) for name in PARTICULARS} | {"seen": mark_of(clinic)}
        super().__init__(*args, **{"initial": known, **kwargs})

    def particulars(self) -> dict[str, str]:
        """With the line breaks of the record, not those of a browser, which would be a change each time."""
        return {name: "\n".join(self.cleaned_data[name].splitlines()) for name in PARTICULARS}
