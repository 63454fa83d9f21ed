"""Form of the letter to the doctor: to whom it goes, and a sentence in one's own words."""

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

MOST_LINES = 7  # what the window of an envelope shows


class DoctorLetterForm(forms.Form):
    """Nothing of it is kept with the patient; the audit of the letter tells to whom it went."""

    to = forms.CharField(
        label=gettext_lazy("Name and address of the doctor"),
        help_text=gettext_lazy("As it is to stand on the envelope, at most seven lines."),
        widget=forms.Textarea(attrs={"rows": 5, "autocomplete": "off"}),
        max_length=400,
    )
    greeting = forms.CharField(
        label=gettext_lazy("Greeting"),
        help_text=gettext_lazy("“Dear colleague” unless you write another."),
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        max_length=80,
        required=False,
    )
    sentence = forms.CharField(
        label=gettext_lazy("In your own words"),
        help_text=gettext_lazy("Stands before the findings."),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=600,
        required=False,
    )

    def clean_to(self) -> str:
        lines = [" ".join(line.split()) for line in self.cleaned_data["to"].splitlines()]
        lines = [line for line in lines if line]
        if len(lines) > MOST_LINES:
            raise ValidationError(_("At most seven lines: an envelope shows no more."))
        return "\n".join(lines)
