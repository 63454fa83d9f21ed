"""Symptom clock: the months between the first pain and collapse, as days used."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _

WARNING_DAYS: Final = 183  # symptoms precede collapse by at least six months (docs/guideline.md, section 9)
# The questions about pain in a hip before collapse that are asked from the first day of pain, and the others about it.
FROM_FIRST_PAIN: Final = frozenset({"R05", "R11"})
OF_PAIN: Final = FROM_FIRST_PAIN | {"R12", "R13"}


@dataclass(frozen=True)
class SymptomClock:
    """The variables of components/clock.html."""

    used: int
    total: int
    words: str
    tone: str

    @property
    def is_over(self) -> bool:
        return self.tone == "bad"


def symptom_clock(since: date, today: date) -> SymptomClock:
    """How much of the warning time has passed since symptoms began, or since when all of it has."""
    used = (today - since).days
    words = _("6-month window: %(used)d of %(total)d days used") % {"used": used, "total": WARNING_DAYS}
    tone = "warn" if used > WARNING_DAYS / 2 else ""
    if used > WARNING_DAYS:
        last = date_format(since + timedelta(days=WARNING_DAYS), "DATE_FORMAT")
        words, tone = _("6-month window over since %(day)s") % {"day": last}, "bad"
    return SymptomClock(min(used, WARNING_DAYS), WARNING_DAYS, words, tone)
