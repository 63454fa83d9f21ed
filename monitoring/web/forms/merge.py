"""Merging: which two records, which details stay, why; and whose the facts are when a merge is undone."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from patients.merging import Compared


class TwoRecordsForm(forms.Form):
    """Two record numbers of one clinic."""

    use_required_attribute = False

    survivor = forms.CharField(label=_("Record number that stays"), max_length=32)
    merged = forms.CharField(label=_("Record number that becomes part of it"), max_length=32)


class MergeForm(forms.Form):
    """Details to take over, of those in which the two differ, and the reason."""

    use_required_attribute = False

    taken = forms.MultipleChoiceField(
        label=_("Take these over from the other record"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("What is not ticked stays as it is. What is empty is filled in any case."),
    )
    reason = forms.CharField(
        label=_("How is it known that this is one person?"),
        max_length=200,
        help_text=_("Such as “both showed the same passport”."),
    )

    def __init__(self, *args: Any, details: Iterable[tuple[Compared, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["taken"]
        if isinstance(choice, forms.MultipleChoiceField):
            choice.choices = [(one.name, words) for one, words in details if one.differs and not one.is_filled]
            if not choice.choices:
                del self.fields["taken"]


class NotOnePersonForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(
        label=_("How is it known that these are two people?"), max_length=200, help_text=_("Such as “twins”.")
    )


class UndoMergeForm(forms.Form):
    """Which of the facts recorded since belong to the record that comes back."""

    use_required_attribute = False

    of_the_other = forms.MultipleChoiceField(
        label=_("These belong to the record that comes back"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("They were recorded after the merge. What is not ticked stays."),
    )
    reason = forms.CharField(label=_("Why is the merge undone?"), max_length=200)

    def __init__(self, *args: Any, since: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["of_the_other"]
        if isinstance(choice, forms.MultipleChoiceField):
            choice.choices = since
            if not since:
                del self.fields["of_the_other"]
