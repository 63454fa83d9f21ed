"""Mail settings form: which messages a clinic sends, on which day, at which hours, and when a person is asked first."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from schedules import choosing
from schedules.ladder import LADDER, Choice, Rung
from schedules.message_plans import Wishes
from schedules.models import Reminder
from schedules.models.message_plan import EARLIEST_HOUR, LATEST_HOUR

from .section import whole

EXPLAINED = {
    Reminder.Step.BOOKING_PROMPT: gettext_lazy(
        "Asks to arrange a time. It is left out where it would come within two weeks of the last follow-up."
    ),
    Reminder.Step.DUE: gettext_lazy("Says that the visit is due."),
    Reminder.Step.MISSED: gettext_lazy("Says that the visit has not taken place."),
    Reminder.Step.SECOND_MISSED: gettext_lazy("The last message before a person takes over."),
}
ANCHORS = {
    ("due_on", True): gettext_lazy("days before the due date"),
    ("due_on", False): gettext_lazy("days after the due date"),
    ("overdue_on", False): gettext_lazy("days after the visit is overdue"),
}


def is_before(rung: Rung) -> bool:
    return rung.bounds[0] < 0


class MailSettingsForm(forms.Form):
    """One clinic's choices. Days before a date are written as positive numbers, as people say them."""

    use_required_attribute = False

    mail_from = whole(gettext_lazy("From"), EARLIEST_HOUR, LATEST_HOUR, required=True)
    mail_until = whole(
        gettext_lazy("Until"),
        EARLIEST_HOUR,
        LATEST_HOUR,
        required=True,
        help_text=gettext_lazy("Full hours of the clinic's clock, from 6 to 21, at least four apart."),
    )
    volume_multiple = whole(
        gettext_lazy("Times the usual day"),
        *choosing.MULTIPLES,
        required=True,
        help_text=gettext_lazy("From 2 to 20. The usual day is the middle one of the last 28 with mail, at least 20."),
    )

    def __init__(self, *args: Any, wishes: Wishes, **kwargs: Any) -> None:
        known = {"mail_from": wishes.mail_from, "mail_until": wishes.mail_until}
        known["volume_multiple"] = wishes.volume_multiple
        for rung in LADDER:
            choice = wishes.choices.get(rung.step, Choice(True, rung.days))
            known |= {f"on_{rung.step.value}": choice.on, f"days_{rung.step.value}": abs(choice.days)}
        super().__init__(*args, **{"initial": known, **kwargs})
        for rung in LADDER:
            self._add(rung)
        self.order_fields([name for name in self.fields if name not in self.base_fields])  # as on the page

    def _add(self, rung: Rung) -> None:
        name, (least, most) = rung.step.value, sorted(abs(day) for day in rung.bounds)
        self.fields[f"on_{name}"] = forms.BooleanField(
            label=_("Send “%(step)s”") % {"step": rung.step.label},
            required=False,
            help_text=str(EXPLAINED.get(rung.step, "")),
        )
        if least != most:
            self.fields[f"days_{name}"] = whole(
                _("On which day: %(step)s") % {"step": rung.step.label},
                least,
                most,
                required=True,
                help_text=_("From %(least)s to %(most)s; usually %(days)s.")
                % {"least": least, "most": most, "days": abs(rung.days)},
            )

    def steps(self) -> Iterator[dict[str, Any]]:
        """Each step's fields with the words for its days."""
        for rung in LADDER:
            days = f"days_{rung.step.value}"
            yield {
                "name": rung.step.label,
                "on": self[f"on_{rung.step.value}"],
                "days": self[days] if days in self.fields else None,
                "units": ANCHORS.get((rung.anchor, is_before(rung)), ""),
            }

    def clean(self) -> dict[str, Any]:
        cleaned = self.cleaned_data
        if not self.errors:
            try:
                choosing.check(self.wishes())
            except ValidationError as refused:
                for name, faults in refused.message_dict.items():
                    self.add_error(name if name in self.fields else f"days_{name}", faults)
        return cleaned

    def wishes(self) -> Wishes:
        said = self.cleaned_data
        choices = {}
        for rung in LADDER:
            days = said.get(f"days_{rung.step.value}", abs(rung.days))
            choices[rung.step.value] = Choice(said[f"on_{rung.step.value}"], -days if is_before(rung) else days)
        return Wishes(choices, said["mail_from"], said["mail_until"], said["volume_multiple"])
