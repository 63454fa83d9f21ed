"""Symptom clock: the months between the first pain and collapse, as days used."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from django.utils.translation import gettext as _

WARNING_DAYS: Final = 183  # symptoms precede collapse by at least six months (docs/guideline.md, section 9)


@dataclass(frozen=True)
class SymptomClock:
    """The variables of components/clock.html."""

    used: int
    total: int
    words: str
    tone: str


def symptom_clock(since: date, today: date) -> SymptomClock:
    """How much of the warning time has passed since symptoms began."""
    used = (today - since).days
    words = _("6-month window: %(used)d of %(total)d days used") % {"used": used, "total": WARNING_DAYS}
    tone = "bad" if used > WARNING_DAYS else "warn" if used > WARNING_DAYS / 2 else ""
    return SymptomClock(min(used, WARNING_DAYS), WARNING_DAYS, words, tone)
