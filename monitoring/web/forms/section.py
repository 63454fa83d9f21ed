"""Section: one part of a visit's form. Left empty it records nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, ClassVar

from django import forms
from django.utils.functional import lazy
from django.utils.translation import gettext_lazy as _

from patients.models import Fact

from ..finding_words import Words


@dataclass(frozen=True, slots=True)
class Line:
    """One field as its template shows it: units, and last time's value beside it."""

    field: forms.BoundField
    units: str = ""
    before: str = ""
    row: bool = False


class SectionForm(forms.Form):
    """`facts` gives what was entered as unsaved facts dated `on`; `fact_fields` maps a fact's field to the form's."""

    key: ClassVar[str]
    title: ClassVar[Words]
    hint: ClassVar[Words] = ""
    units: ClassVar[Mapping[str, Words]] = {}
    preset: ClassVar[frozenset[str]] = frozenset()  # fields that have a value from the start
    fact_fields: ClassVar[Mapping[str, str]] = {}

    use_required_attribute = False

    def is_empty(self) -> bool:
        """Whether nothing was entered, by the values as they were sent."""
        return not any(self._was_entered(name) for name in self.fields if name not in self.preset)

    def _was_entered(self, name: str) -> bool:
        bound = self[name]
        return bound.value() not in (None, "", [], ())

    def said(self, *names: str) -> dict[str, Any]:
        """The cleaned values of these fields."""
        return {name: self.cleaned_data.get(name) for name in names}

    def facts(self, on: date) -> Sequence[Fact]:
        raise NotImplementedError

    def field_of(self, fact_field: str) -> str | None:
        """The form's field for a problem with that field of the fact."""
        name = self.fact_fields.get(fact_field, fact_field)
        return name if name in self.fields else None

    def lines(self, before: Mapping[str, str]) -> list[Line]:
        return [
            Line(self[name], str(self.units.get(name, "")), before.get(name, ""), row=is_row(self[name]))
            for name in self.fields
        ]


def is_row(bound: forms.BoundField) -> bool:
    return isinstance(bound.field.widget, forms.RadioSelect | forms.CheckboxSelectMultiple)


def _truth(value: str) -> bool:
    return value == "yes"


NOT_ASKED: Words = _("not asked")


def yes_no(label: Words, *, unasked: Words = NOT_ASKED, help_text: Words = "") -> forms.TypedChoiceField:
    """Yes, no, or nothing is known."""
    return forms.TypedChoiceField(
        label=label,
        help_text=help_text,
        required=False,
        choices=[("yes", _("yes")), ("no", _("no")), ("", unasked)],
        coerce=_truth,
        empty_value=None,
        widget=forms.RadioSelect,
    )


def choice(label: Words, choices: Sequence[tuple[Any, Any]], *, help_text: Words = "") -> forms.TypedChoiceField:
    """One of a list, or nothing."""
    return forms.TypedChoiceField(
        label=label, help_text=help_text, required=False, choices=[("", ""), *choices], coerce=str, empty_value=None
    )


def whole(
    label: Words, low: int, high: int, *, help_text: Words = "", required: bool = False, initial: int | None = None
) -> forms.IntegerField:
    return forms.IntegerField(
        initial=initial,
        label=label,
        help_text=help_text,
        required=required,
        min_value=low,
        max_value=high,
        error_messages=_between(low, high, _("Enter a whole number from %(low)s to %(high)s.")),
    )


def decimal(label: Words, low: int, high: int, *, places: int = 2, help_text: Words = "") -> forms.DecimalField:
    return forms.DecimalField(
        label=label,
        help_text=help_text,
        required=False,
        min_value=low,
        max_value=high,
        decimal_places=places,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
        error_messages=_between(low, high, _("Enter a number from %(low)s to %(high)s.")),
    )


def _range_words(words: Any, low: int, high: int) -> str:
    return str(words) % {"low": low, "high": high}


_ranged = lazy(_range_words, str)


def _between(low: int, high: int, words: Any) -> dict[str, Any]:
    """What each fault of a number is told as: the range that is right."""
    return dict.fromkeys(("invalid", "min_value", "max_value"), _ranged(words, low, high))


class DayInput(forms.DateInput):
    """A day as the browser's own field takes it, 2026-12-01 in every language: it shows nothing of "01.12.2026"."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


def day(label: Words, *, required: bool = False, help_text: Words = "") -> forms.DateField:
    return forms.DateField(label=label, help_text=help_text, required=required, widget=DayInput())


@dataclass
class Problem:
    """A problem in words, with the id of the control that it belongs to."""

    text: str
    id: str = ""


@dataclass
class Problems:
    """What the error summary of a page of several forms lists."""

    found: list[Problem] = field(default_factory=list)

    def of(self, form: forms.Form, about: str = "") -> None:
        for name, texts in form.errors.items():
            for text in texts:
                self.found.append(_problem(form, name, str(text), about))


def _problem(form: forms.Form, name: str, text: str, about: str) -> Problem:
    prefix = f"{about}: " if about else ""
    if name == "__all__":
        return Problem(f"{prefix}{text}")
    bound = form[name]
    target = f"{bound.auto_id}_field" if bound.field.widget.use_fieldset else bound.id_for_label or str(bound.auto_id)
    return Problem(f"{prefix}{bound.label}: {text}", target)
