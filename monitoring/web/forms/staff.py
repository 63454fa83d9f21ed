"""Staff forms: whom to take into a clinic with which roles, and why somebody's rights change."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, Role

ROLE_WORDS = {
    Role.COORDINATOR: _("Coordinator: keeps the registry, records, sends and imports"),
    Role.CLINICIAN: _("Clinician: records, and decides reviews"),
    Role.ADMIN: _("Administrator: staff, clinic, tokens, protocol, mail switch and audit"),
    Role.AUDITOR: _("Auditor: reads everything, the audit too, and changes nothing"),
    Role.RESEARCH: _("Research export: takes out records that name nobody, and sees no patient"),
}


def _role(name: str) -> Role:
    return Role(name)


class StaffForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(label=_("Name"), max_length=120)
    email = forms.EmailField(
        label=_("E-mail address"), help_text=_("With it the person signs in. Who has an account keeps it.")
    )
    clinic = forms.ModelChoiceField(label=_("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    roles = forms.TypedMultipleChoiceField(
        label=_("Roles"), choices=list(ROLE_WORDS.items()), coerce=_role, widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        if isinstance(clinic, forms.ModelChoiceField):
            clinic.queryset = clinics


class RolesForm(forms.Form):
    """The roles of one person in one clinic. None at all: they no longer work there."""

    use_required_attribute = False

    roles = forms.TypedMultipleChoiceField(
        label=_("Roles"),
        choices=list(ROLE_WORDS.items()),
        coerce=_role,
        widget=forms.CheckboxSelectMultiple,
        required=False,
        help_text=_("Without any role the person no longer sees this clinic."),
    )
    reason = forms.CharField(label=_("Reason"), max_length=300, help_text=_("Stands in the audit."))
    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, held: list[Role], **kwargs: Any) -> None:
        known = {"roles": [role.value for role in held], "seen": ",".join(role.value for role in held)}
        super().__init__(*args, **{"initial": known, **kwargs})

    def clean_seen(self) -> list[Role]:
        named = self.cleaned_data["seen"].split(",")
        return [role for role in Role if role.value in named]


class ReasonForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(label=_("Reason"), max_length=300, help_text=_("Stands in the audit."))
