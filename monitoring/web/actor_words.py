"""Actor words: who did something, as people read it. Records keep the English names of patients and of runs."""

from typing import Final

from django import template
from django.utils.translation import gettext_lazy as _

from .finding_words import Words

register = template.Library()
_RUN: Final = "system: "  # as patients.changes.Actor names it
_NAMES: Final[dict[str, Words]] = {
    "patient, by link": _("patient, by link"),
    "digest": _("digest"),
    "mail": _("mail"),
    "mail feedback": _("news of mail"),
    "simulation": _("simulation"),
    "sweep": _("sweep"),
    "webhooks": _("webhooks"),
}


@register.filter
def who(actor: str) -> str:
    """Who it was; the name of a person, and of a system that uses the API, stays as it is."""
    if actor.startswith(_RUN):
        run = actor.removeprefix(_RUN)
        return str(_("System: %(run)s")) % {"run": _NAMES.get(run, run)}
    return str(_NAMES["patient, by link"]) if actor == "patient, by link" else actor
