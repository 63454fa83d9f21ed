"""Protocol forms: what a draft is for, its parameters within their bounds, and the steps of its review."""

from collections.abc import Iterator
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, NamedTuple, Self

from django import forms
from django.core import signing
from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from schedules.guideline.protocol import Protocol, ProtocolRefused, Visit
from schedules.models import ProtocolVersion

from ..parameter_words import (
    GROUPS,
    PARAMETERS,
    Parameter,
    bounds_words,
    fault_words,
    value_words,
    visits_of,
    visits_words,
)
from .section import DayInput

NOTE = gettext_lazy("What changes and why")
KINDS = {field.name: field.type for field in fields(Protocol)}


def _note_field() -> forms.CharField:
    return forms.CharField(
        label=NOTE,
        max_length=4000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("Whoever reviews it reads this first."),
    )


class NewDraftForm(forms.Form):
    """On which version a draft is based and what it is for."""

    use_required_attribute = False

    based_on = forms.ModelChoiceField(
        label=gettext_lazy("Based on"), queryset=ProtocolVersion.objects.none(), empty_label=None
    )

    def __init__(self, *args: Any, versions: QuerySet[ProtocolVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        base = self.fields["based_on"]
        if isinstance(base, forms.ModelChoiceField):
            base.queryset = versions
        if not versions.exists():  # the first draft is based on what was built in
            del self.fields["based_on"]
        self.fields["note"] = _note_field()


class VisitsField(forms.CharField):
    """Visits after the surgery, as `6 weeks, 3 months`."""

    def to_python(self, value: Any) -> Any:
        try:
            return visits_of(super().to_python(value) or "")
        except ValueError as unreadable:
            said = {"part": str(unreadable)}
            words = _("“%(part)s” is not a number of weeks or months: write them as 6 weeks, 3 months.") % said
            raise forms.ValidationError(words) from unreadable

    def prepare_value(self, value: Any) -> Any:
        return visits_words(value) if isinstance(value, tuple) else value

    def validate(self, value: tuple[Visit, ...]) -> None:
        """How many and in which order is for the guideline to say."""

    def run_validators(self, value: Any) -> None:
        """As above."""


def _field_of(parameter: Parameter, in_force: Protocol) -> forms.Field:
    standing = value_words(parameter.name, getattr(in_force, parameter.name))
    said = {"bounds": bounds_words(parameter.name), "value": standing}
    common: dict[str, Any] = {
        "label": parameter.label,
        "help_text": _("%(bounds)s; in force: %(value)s") % said,
    }
    if parameter.name == "decompression_visits":
        return VisitsField(**common)
    if KINDS[parameter.name] is int:
        return forms.IntegerField(**common)
    return forms.DecimalField(**common, max_digits=7, decimal_places=2)


class Shown(NamedTuple):
    """What a form showed when it was opened."""

    note: str
    protocol: Protocol


class DraftForm(forms.Form):
    """The parameters that may be chosen. The guideline's own bounds judge them, each at its field."""

    use_required_attribute = False

    seen = forms.CharField(widget=forms.HiddenInput)  # what is edited, sealed

    def __init__(self, *args: Any, protocol: Protocol, note: str, in_force: Protocol, **kwargs: Any) -> None:
        known = {name: getattr(protocol, name) for name in PARAMETERS}
        sealed = signing.dumps([note, protocol.to_json()])
        super().__init__(*args, **{"initial": {"seen": sealed, "note": note, **known}, **kwargs})
        self.protocol = protocol
        self.in_force = in_force
        self.fields["note"] = _note_field()
        for name, parameter in PARAMETERS.items():
            if not parameter.fixed:
                self.fields[name] = _field_of(parameter, in_force)

    def groups(self) -> Iterator[dict[str, Any]]:
        """The fields beneath their headings, with their units."""
        for title, group in GROUPS:
            rows = [{"field": self[one.name], "unit": one.unit} for one in group if one.name in self.fields]
            if rows:
                yield {"title": title, "rows": rows}

    def clean_seen(self) -> Shown:
        try:
            note, parameters = signing.loads(self.cleaned_data["seen"])
            return Shown(note, Protocol.from_json(parameters))
        except (signing.BadSignature, ProtocolRefused) as unreadable:
            words = _("It is not known what this form showed. Open the page again.")
            raise forms.ValidationError(words) from unreadable

    def new_note(self) -> str:
        """The note as it was typed; empty where it was left as it was shown."""
        said, seen = self.cleaned_data.get("note", ""), self.cleaned_data.get("seen")
        return "" if seen and said.splitlines() == seen.note.splitlines() else said

    def beside(self, standing: Protocol, note: str) -> Self:
        """The same form upon what stands by now: what was typed stays; what was left as it was shown is what stands."""
        anew = type(self)(protocol=standing, note=note, in_force=self.in_force)
        sent = QueryDict(mutable=True)
        sent.update(self.data)
        seen = self.cleaned_data["seen"].protocol
        left = [name for name in PARAMETERS if name in self.fields and self.cleaned_data[name] == getattr(seen, name)]
        for name in ("seen", *left, *([] if self.new_note() else ["note"])):
            sent[name] = str(anew[name].value())
        return type(self)(sent, protocol=standing, note=note, in_force=self.in_force)

    def clean(self) -> dict[str, Any]:
        chosen = {name: self.cleaned_data[name] for name in PARAMETERS if name in self.cleaned_data}
        chosen = {name: _plain(value) for name, value in chosen.items()}
        self.protocol = replace(self.protocol, **chosen)
        for fault in self.protocol.faults():
            self.add_error(fault.paths[0] if fault.paths[0] in self.fields else None, fault_words(fault))
        return self.cleaned_data


def _plain(value: Any) -> Any:
    """A decimal without zeros at its end, as it is stored."""
    return Decimal(format(value.normalize(), "f")) if isinstance(value, Decimal) else value


class ApproveForm(forms.Form):
    use_required_attribute = False

    in_force_from = forms.DateField(
        label=gettext_lazy("In force from"),
        widget=DayInput(),
        help_text=gettext_lazy("Tomorrow at the earliest. From the start of that day every hip is evaluated by it."),
    )


class ReasonForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=2000, widget=forms.Textarea(attrs={"rows": 2}))


class CompareForm(forms.Form):
    """Which two versions are laid beside each other."""

    use_required_attribute = False

    before = forms.ModelChoiceField(
        label=gettext_lazy("Compare"), queryset=ProtocolVersion.objects.order_by("-id"), empty_label=None
    )
    after = forms.ModelChoiceField(
        label=gettext_lazy("with"), queryset=ProtocolVersion.objects.order_by("-id"), empty_label=None
    )
