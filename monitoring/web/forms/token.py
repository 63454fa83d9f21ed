"""Token form: which system, which clinic, what it may do, how long."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic

SCOPES = [
    ("read", _("read: see patients, hips, facts, plans, findings, reviews and reminders")),
    ("record", _("record: enrol, change details, record and withdraw facts, deaths and contact wishes")),
    ("work", _("work: comment on reviews")),
    ("decide", _("decide: answer reviews, discharge and take up again")),
    ("restricted", _("restricted: all this of restricted records too, for which a system can give no reason")),
]
LIVES = [("30", _("30 days")), ("90", _("90 days")), ("180", _("180 days")), ("365", _("a year"))]


def _days(text: str) -> int:
    return int(text)


class TokenForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(
        label=_("System"), max_length=80, help_text=_("Which system will use it, such as “laboratory interface”.")
    )
    clinic = forms.ModelChoiceField(label=_("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    scopes = forms.MultipleChoiceField(
        label=_("It may"),
        choices=SCOPES,
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
        help_text=_("“read” is always part of it: what is written is answered with the record."),
    )
    days = forms.TypedChoiceField(label=_("For"), choices=LIVES, coerce=_days, initial="90")

    def __init__(self, *args: Any, clinics: QuerySet[Clinic], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinic = self.fields["clinic"]
        if isinstance(clinic, forms.ModelChoiceField):
            clinic.queryset = clinics

    def clean_scopes(self) -> list[str]:
        chosen = self.cleaned_data["scopes"]
        return [name for name, _words in SCOPES if name == "read" or name in chosen]
