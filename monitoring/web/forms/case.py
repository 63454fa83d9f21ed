"""Case forms: a clinician's answer to a review, an assignment, a second opinion, a comment."""

from collections.abc import Iterable
from datetime import date
from typing import Any

from django import forms
from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from patients.models import User
from patients.models.choices import OUTCOMES

from ...review import Verdict
from .section import DayInput

LONGEST_COMMENT = 3000  # what was typed into a whole DecisionForm can be sent as a comment


def _day(label: Any, *, required: bool) -> forms.DateField:
    widget = DayInput()
    return forms.DateField(label=label, required=required, widget=widget)


class DecisionForm(forms.Form):
    outcome = forms.ChoiceField(
        label=_("What is decided"), choices=OUTCOMES, widget=forms.RadioSelect(attrs={"data-key": "d"})
    )
    reason = forms.CharField(
        label=_("Why"),
        widget=forms.Textarea(attrs={"rows": 3}),
        max_length=2000,
        help_text=_("What speaks for it in this patient; it is shown with the decision for ever."),
    )
    consequence = forms.CharField(
        label=_("What follows"),
        max_length=200,
        required=False,
        help_text=_("Such as “theatre list of Dr Berg” or “radiograph and visit”."),
    )
    next_on = _day(_("On or by"), required=False)
    on = _day(_("Decided on"), required=True)

    def verdict(self) -> Verdict:
        """The answer as typed; call it on a valid form."""
        data: dict[str, Any] = self.cleaned_data
        return Verdict(
            outcome=str(data["outcome"]),
            reason=data["reason"],
            on=data["on"],
            consequence=data["consequence"],
            next_on=data["next_on"],
        )

    def typed(self) -> list[str]:
        """What was sent, a line for each field that was filled in; call it on a bound form, valid or not."""
        lines = []
        for field in self:
            said = self.cleaned_data.get(field.name) or field.value()
            words = date_format(said, "DATE_FORMAT") if isinstance(said, date) else dict(OUTCOMES).get(said, said)
            if words:
                lines.append(f"{field.label}: {words}")
        return lines


class AssignForm(forms.Form):
    """`who`: whom to make answerable, or to ask, among the clinicians given by id."""

    required = False
    key = "a"  # the single key that leads to `who`

    def __init__(self, *args: Any, clinicians: Iterable[int], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        who = forms.ModelChoiceField(
            label=_("Clinician"),
            queryset=User.objects.filter(pk__in=list(clinicians)).order_by("name"),
            empty_label=_("nobody"),
            required=self.required,
            widget=forms.Select(attrs={"data-key": self.key} if self.key else None),
        )
        self.fields = {"who": who, **self.fields}


class OpinionForm(AssignForm):
    required = True
    key = ""
    text = forms.CharField(
        label=_("Question"), max_length=1000, required=False, widget=forms.Textarea(attrs={"rows": 2})
    )


class CommentForm(forms.Form):
    text = forms.CharField(label=_("Comment"), max_length=LONGEST_COMMENT, widget=forms.Textarea(attrs={"rows": 2}))
