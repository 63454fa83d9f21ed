"""Dashboard words: how each number is counted, in words that a clinician can check. See docs/dashboard.md."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..statistics import history, rates
from ..statistics.courses import COLLAPSE, PAIN
from .finding_words import PATHWAYS

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Words: TypeAlias = "str | _StrPromise"


@dataclass(frozen=True, slots=True)
class Definition:
    """What is counted, of what, and what is left out; `limits` says what the number cannot tell."""

    counts: Words
    of: Words
    without: Words
    limits: Words


_TWO_HIPS: Final = _("Hips are counted, not patients. The two hips of one patient are not independent of each other.")
_CURVE_OF: Final = _(
    "Hips with a measured volume, from enrolment or from their first measured volume if that came later, in the band"
    " of size known on that day."
)
_CENSORED: Final = _(
    "Too late to watch: hips that on that day were operated on, collapsed, no longer followed, or, for pain, had hurt"
    " before. Not seen again: hips that nobody asked about or looked at after it. A hip is watched to the day of an"
    " operation, death or the end of follow-up at most, and censored at the last time somebody asked or looked by then."
)
_CURVE_LIMITS: Final = _(
    "An operation ends the watch as if chance had ended it, so what would have come without operations is only guessed"
    " at, and the share with the event is overstated as a forecast. The day of an event is the day on which it was"
    " reported or seen. Both hips of a patient are counted as if they were two people: the bands are too narrow and p"
    " is too small. Nothing here is a risk for one patient."
)
DEFINITIONS: Final[Mapping[str, Definition]] = {
    "overdue": Definition(
        _("Hips whose current window is overdue or a gap today, by days since the due date."),
        _("All hips with a current window."),
        _("Nobody: hips of snoozed and of booked patients are counted too, though the worklist shows them elsewhere."),
        _TWO_HIPS,
    ),
    "windows": Definition(
        _("Windows answered by a complete follow-up from the day they opened to the day before overdue."),
        _("Windows that have ended, by the month in which they were due."),
        _(
            "Windows answered before they opened, and plans drawn up anew because facts were corrected. A window missed"
            " by a patient who died, left or was operated on after its end counts as missed."
        ),
        _("Due dates are those that stood when the window was answered. Follow-up before enrolment has no window."),
    ),
    "tracking": Definition(
        _("Windows without a complete follow-up within 60 days of their last day, whether it came later or never."),
        _("Windows that ended at least 60 days ago, by the month in which they were due."),
        _("As for the windows kept in time."),
        _(
            "The dashed lines are 74 % before and 10 % after a tracking registry for lung nodules in two hospitals of"
            " the Veterans Affairs (Shelver 2017, J Am Coll Radiol 14:773): another disease, counted in patients."
        ),
    ),
    "waits": Definition(
        _(
            "Days from the first report of pain to the decision on core decompression; until a clinician has reported"
            " on the hip, and from then to the decision."
        ),
        _("Core decompression reviews by the month in which the pain was first reported."),
        _("Pain in collapsed hips, in hips not known to be diseased, and pain again after a decision."),
        _(
            "Medians are of Kaplan-Meier: reviews still open wait until today, and those that lapsed until they did."
            " The clock starts with the report, not with the pain."
        ),
    ),
    PAIN: Definition(
        _("Hips without any report of pain so far: symptomatic, pain of 1 or more, or an alarm sign ends it."),
        _CURVE_OF,
        _CENSORED,
        _CURVE_LIMITS,
    ),
    COLLAPSE: Definition(
        _(
            "Hips without collapse so far: ARCO III or above in any staging system, a crescent, a depression or a"
            " narrowed joint space ends it."
        ),
        _CURVE_OF,
        _CENSORED,
        _CURVE_LIMITS,
    ),
    "forecast": Definition(
        _("Patients expected for radiographs in each week; both hips are filmed in one visit."),
        _("Patients with a current window: on the day booked, else on the due date of the hip that is due first."),
        _("New patients, symptoms, operations, deaths and patients who stay away."),
        _(
            "Assumed: everybody comes in the week they are due; those already past their due date and not booked come"
            " evenly over the first four weeks; the next visit follows after the shorter interval of the two hips,"
            " after core decompression by its schedule."
        ),
    ),
    "hips": Definition(
        _("Hips by the status of their window today, or by why they have none."),
        _("Both hips of every patient, also of those who died or left."),
        _("Nobody."),
        _TWO_HIPS,
    ),
    "census": Definition(
        _("Hips by bucket on each night, counted from the facts alone, apart from the code that fills the lists."),
        _("Both hips of every patient in the registry that night."),
        _("Nights on which not every clinic was counted."),
        _("Past nights are numbers only: who stood where that night is not kept."),
    ),
}
LATE_WORDS: Final[Mapping[str, Words]] = {
    "29": _("up to 29 days"),
    "89": _("30 to 89 days"),
    "179": _("90 to 179 days"),
    "364": _("180 to 364 days"),
    "more": _("a year or more"),
}
OUTCOME_WORDS: Final[Mapping[str, Words]] = {
    rates.IN_WINDOW: _("Kept in time"),
    rates.LATE: _("Up to 60 days late"),
    rates.VERY_LATE: _("More than 60 days late"),
    rates.MISSED: _("Not kept so far"),
    rates.EARLY: _("Before it opened"),
}
BUCKET_WORDS: Final[Mapping[str, Words]] = {
    **PATHWAYS,
    "upcoming": pgettext_lazy("window", "Upcoming"),
    "open": pgettext_lazy("window", "Open"),
    "due": pgettext_lazy("window", "Due"),
    "overdue": pgettext_lazy("window", "Overdue"),
    "gap": pgettext_lazy("window", "Gap"),
    history.NOT_EVALUATED: _("Not evaluated yet"),
}
WAIT_WORDS: Final[Mapping[str, Words]] = {
    "open": pgettext_lazy("review", "Open"),
    "decided": pgettext_lazy("review", "Decided"),
    "lapsed": pgettext_lazy("review", "No longer asked"),
}
VISIT_WORDS: Final[Mapping[str, Words]] = {
    "backlog": _("Already late"),
    "first": _("Due or booked"),
    "repeat": _("The visit after that"),
}
SECTION_WORDS: Final[Mapping[str, Words]] = {
    "": _("Follow-up"),
    "symptoms": _("Symptoms and decisions"),
    "course": _("Course of the disease"),
    "forecast": _("Forecast"),
    "census": _("Census"),
}
