"""Emergency forms: which record of which clinic and why, what the clinic thinks of it, why a record is opened."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic

from .section import DayInput


class EmergencyForm(forms.Form):
    use_required_attribute = False

    clinic = forms.ModelChoiceField(label=_("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    record_number = forms.CharField(label=_("Record number"), max_length=40)
    born_on = forms.DateField(label=_("Date of birth"), widget=DayInput())
    reason = forms.CharField(
        label=_("Reason"),
        max_length=300,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Why it cannot wait for the clinic to answer. The clinic reads it."),
    )

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        if isinstance(clinic, forms.ModelChoiceField):
            clinic.queryset = clinics


class JudgementForm(forms.Form):
    use_required_attribute = False

    justified = forms.TypedChoiceField(
        label=_("Was it justified?"),
        choices=[("", _("Choose")), ("yes", _("Yes")), ("no", _("No"))],  # neither answer is given by not looking
        coerce=lambda given: given == "yes",
    )
    note = forms.CharField(label=_("Note"), max_length=300)


class RestrictedForm(forms.Form):
    """As the papers or the patient say it: the number alone would tell whose record is restricted."""

    use_required_attribute = False

    record_number = forms.CharField(label=_("Record number"), max_length=40)
    born_on = forms.DateField(label=_("Date of birth"), widget=DayInput())
    reason = forms.CharField(label=_("Reason"), max_length=300, help_text=_("Stands in the audit and is reviewed."))


class GateForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(label=_("Reason"), max_length=300, help_text=_("Stands in the audit and is reviewed."))
