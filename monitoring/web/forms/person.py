"""The person: enrolment, changes of details, and contact wishes with how each was said."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from phonenumber_field.formfields import PhoneNumberField

from patients.models import Clinic, Consent, ContactWish, Patient, User
from patients.models.choices import CONDITIONS
from patients.models.clinic import PATIENT_LANGUAGES
from patients.models.patient import Channel, Purpose, Sex

from ..detail_words import how_words
from .section import day

ID_KINDS = [("", pgettext_lazy("national number", "none")), ("nhs", _("NHS number")), ("other", _("Other"))]
WISHES = [("yes", _("yes")), ("no", _("no")), ("", _("not asked"))]


class PersonForm(forms.Form):
    """What enrolment and later changes share."""

    use_required_attribute = False

    family_name = forms.CharField(label=_("Family name"), max_length=80)
    given_name = forms.CharField(label=_("Given name"), max_length=80, required=False)
    born_on = day(_("Date of birth"))
    sex = forms.ChoiceField(label=_("Sex"), choices=Sex.choices, initial=Sex.UNKNOWN, required=False)
    record_number = forms.CharField(label=_("Record number"), max_length=32)
    national_id = forms.CharField(label=_("National number"), max_length=32, required=False)
    national_id_kind = forms.ChoiceField(label=_("Kind of national number"), choices=ID_KINDS, required=False)
    email = forms.EmailField(label=_("E-mail"), required=False)
    telephone = PhoneNumberField(label=_("Telephone"), required=False)
    address = forms.CharField(label=_("Postal address"), required=False, widget=forms.Textarea(attrs={"rows": 3}))
    language = forms.ChoiceField(label=_("Language of mail"), choices=PATIENT_LANGUAGES)
    responsible = forms.ModelChoiceField(
        label=_("Responsible clinician"), queryset=User.objects.none(), required=False, empty_label=_("nobody")
    )
    next_of_kin = forms.CharField(label=_("Next of kin"), max_length=200, required=False)
    enrolled_on = day(_("Followed since"), required=True)

    def __init__(self, *args: Any, clinicians: "QuerySet[User]", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        responsible = self.fields["responsible"]
        if isinstance(responsible, forms.ModelChoiceField):
            responsible.queryset = clinicians

    def clean_address(self) -> str:
        """With the line breaks of the record, not those of a browser, which would be a change each time."""
        return "\n".join(str(self.cleaned_data["address"]).splitlines())

    def details(self) -> dict[str, Any]:
        """The person's details as recording takes them, without those that could not be read."""
        said = {name: self.cleaned_data[name] for name in PersonForm.base_fields if name in self.cleaned_data}
        unsaid = {"sex": Sex.UNKNOWN, "telephone": ""}
        return said | {name: said[name] or value for name, value in unsaid.items() if name in said}


class EnrolForm(PersonForm):
    """A new patient: details, clinic, wishes, conditions, and a look at who may be the same person."""

    clinic = forms.ModelChoiceField(label=_("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    conditions = forms.MultipleChoiceField(
        label=_("Conditions and exposures"), choices=CONDITIONS, required=False, widget=forms.CheckboxSelectMultiple
    )
    email_wish = forms.ChoiceField(label=_("Wants e-mail"), choices=WISHES, required=False, widget=forms.RadioSelect)
    telephone_wish = forms.ChoiceField(
        label=_("Wants to be telephoned"), choices=WISHES, required=False, widget=forms.RadioSelect
    )
    letter_wish = forms.ChoiceField(label=_("Wants letters"), choices=WISHES, required=False, widget=forms.RadioSelect)
    how = forms.CharField(
        label=_("How the patient said so"),
        max_length=120,
        required=False,
        help_text=_("Such as “on paper, 3 Nov 2026”."),
    )

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        if isinstance(clinic, forms.ModelChoiceField):
            clinic.queryset = clinics

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if not data.get("how") and any(data.get(f"{channel}_wish") for channel in Channel.values):
            self.add_error("how", gettext("Say how the patient told you."))
        return data

    def wishes(self) -> dict[str, tuple[bool, str]]:
        """Channel -> (allowed, how it was said), for the channels that were asked about."""
        said = {channel: self.cleaned_data[f"{channel}_wish"] for channel in Channel.values}
        return {channel: (wish == "yes", self.cleaned_data["how"]) for channel, wish in said.items() if wish}


class EditForm(PersonForm):
    """Changed details, with the reason where the change is a correction, and the version they were read at."""

    reason = forms.CharField(label=_("Reason for the change"), max_length=200, required=False)
    record_version = forms.IntegerField(widget=forms.HiddenInput)


class WishForm(forms.Form):
    """One contact wish, or one consent: `channel` is either."""

    use_required_attribute = False

    channel = forms.ChoiceField(
        label=_("What was asked about"),
        choices=[(_("Ways to reach the patient"), Channel.choices), (_("Purposes"), Purpose.choices)],
    )
    allowed = forms.ChoiceField(
        label=_("The patient wants it"),
        choices=[("yes", _("yes")), ("no", _("no"))],
        widget=forms.RadioSelect,
    )
    how = forms.CharField(
        label=_("How the patient said so"), max_length=120, help_text=_("Such as “on paper, 3 Nov 2026”.")
    )


def initial_of(patient: Patient) -> dict[str, Any]:
    names = [name for name in PersonForm.base_fields if name != "responsible"]
    return {name: getattr(patient, name) for name in names} | {"responsible": patient.responsible_id}


def wish_rows(patient: Patient) -> list[dict[str, Any]]:
    """Every channel and purpose with what is known of the patient's wish."""
    known: dict[str, ContactWish | Consent] = {
        **{wish.channel: wish for wish in ContactWish.objects.filter(patient=patient)},
        **{said.purpose: said for said in Consent.objects.filter(patient=patient)},
    }
    asked = [*Channel.choices, *Purpose.choices]
    return [
        {"channel": name, "words": words, "wish": wish, "how": how_words(wish.how) if wish else ""}
        for name, words in asked
        for wish in (known.get(name),)
    ]
