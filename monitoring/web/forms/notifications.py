"""Notifications form: what a person wants to be told by mail, and in which language."""

from django import forms
from django.utils.translation import gettext_lazy

from patients.models.clinic import LANGUAGES

from ...models import NoticeChoice


class NotificationsForm(forms.Form):
    use_required_attribute = False

    wanted = forms.ChoiceField(
        label=gettext_lazy("What you are told"),
        choices=NoticeChoice.Wanted.choices,
        widget=forms.RadioSelect,
        help_text=gettext_lazy("One mail for each clinic on weekdays from 7:00; none when there is nothing to say."),
    )
    language = forms.ChoiceField(label=gettext_lazy("Language of the mail"), choices=LANGUAGES)
