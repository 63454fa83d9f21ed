"""Appointment form: when by the clinic's clock, for how long, what for, where and with whom."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from patients.models import Clinic, User
from schedules.appointments import LENGTHS, Wanted, moment_at
from schedules.models import Appointment

from .section import DayInput, whole


class AppointmentForm(forms.Form):
    use_required_attribute = False

    day = forms.DateField(label=_("Day"), widget=DayInput())
    time = forms.TimeField(label=_("Time"), widget=forms.TimeInput(attrs={"type": "time"}, format="%H:%M"))
    minutes = whole(_("Length"), *LENGTHS, required=True, initial=30)
    purpose = forms.ChoiceField(label=_("What for"), choices=Appointment.Purpose.choices)
    clinician = forms.ModelChoiceField(
        label=_("With"), queryset=User.objects.none(), required=False, empty_label=_("nobody in particular")
    )
    place = forms.CharField(
        label=_("Place"),
        max_length=120,
        required=False,
        help_text=_(
            "Mail names it, so it must not tell the disease: “Entrance B, floor 2”. Empty: the clinic's address."
        ),
    )
    note = forms.CharField(
        label=_("Note"), max_length=300, required=False, help_text=_("For staff; the patient does not read it.")
    )

    def __init__(self, *args: Any, clinicians: QuerySet[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["clinician"].queryset = clinicians  # type: ignore[attr-defined]

    def wanted(self, clinic: Clinic) -> Wanted:
        """What was asked for. Raises BookingRefused for a time that the clock leaves out."""
        typed = self.cleaned_data
        return Wanted(
            starts_at=moment_at(clinic, typed["day"], typed["time"]),
            **{name: typed[name] for name in ("minutes", "purpose", "clinician", "place", "note")},
        )


class CancellationForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(
        label=_("Reason"),
        max_length=200,
        help_text=_("For staff; the patient only learns that it does not take place."),
    )
    tell_patient = forms.BooleanField(label=_("Tell the patient by e-mail"), required=False, initial=True)
