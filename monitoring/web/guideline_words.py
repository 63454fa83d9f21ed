"""Guideline words: the sentences of the rules in the language of the page; rule ids and sources stay as they are.

The guideline composes its sentences in English, with days and numbers in them, and they are stored so: an answer is
evidence. Shown, a sentence is taken apart into a form and what stands in it, the form is looked up among those below,
and days are written as this language writes them. A sentence of no known form is shown in English.
"""

import re
from datetime import date
from decimal import Decimal
from functools import lru_cache
from typing import Final

from django.utils.formats import number_format
from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from patients.models.choices import END_REASONS

from .finding_words import day_words, with_dates
from .phrases import language

ASKED: Final = (
    _("No day is known with an anteroposterior and a frog lateral radiograph, and the first follow-up is due."),
    _("No MR of the hip is known; it confirms, sizes and stages the lesion."),
    _("An MR exists, but the lesion's volume was not measured by an MRI method."),
    _("The other hip is affected and this one is unknown, or was clear on MR long ago."),
    _("A hip not known to be diseased hurts, and no MR since the pain began says what it is."),
    _("A measured volume of 30 % or more before collapse: observation alone is not enough."),
    _("A volume so near the cut of 30 % that a second reading could change the plan."),
    _("Symptoms in a diseased hip before collapse: core decompression may still save the head."),
    _("More pain than when it was last decided, or an outcome score well below the best of twelve months."),
    _("Sudden worsening, night pain or no weight bearing: fracture, collapse or infection is possible."),
    _("Early collapse: a crescent or a depression of at most 2 mm, or a stage that says so."),
    _("Collapse is suspected, or an alarm is unexplained by its radiograph, and no CT has judged it."),
    _("Marrow oedema on MR without a fracture on radiographs: CT may show one."),
    _("Late collapse or osteoarthritis: replacement is the question."),
    _("A stage reading above every earlier one, still before collapse."),
    _("A stage reading below an earlier one. Stages do not heal: one of the two is wrong."),
    _("A radiograph since the last follow-up is unreadable or lacks a view."),
    _("The follow-up has not been completed in its window."),
    _("So long without a complete follow-up that the whole warning time may have passed unseen."),
    _("Weight bearing is protected after a core decompression, against fracture."),
    _("After a core decompression: a higher phase, the first crescent, or the pain from before."),
    _("A review has waited too long for its decision."),
    _("A lesion below 30 % in a place that often collapses: JIC type C2, or a high modified Kerboul angle."),
    _("Percent and cm3 of one study imply a femoral head no adult has."),
    _("Something was recorded here after the hip was transferred, declined or discharged."),
    _("Radiographs in both views that only lack a clinician's report to complete the follow-up."),
)
# Days are day, day2...; numbers are number, number2..., in the order of the English sentence.
SAID: Final = (
    _("No radiographs in both views are known; the first were due on %(day)s."),
    _("No MR of this hip is known; asked since %(day)s."),
    _("An MR is known, but no volume measured on it (%(day)s)."),
    _("The other hip is affected and nothing is known about this one; asked since %(day)s."),
    _("The latest MR without necrosis is of %(day)s; it is to be looked at again from %(day2)s."),
    _("Symptoms, and no MR since they began says whether there is necrosis (%(day)s)."),
    _("A volume of %(number)s %% or more (%(day)s)."),
    _("The volume of %(number)s %% (%(day)s) is close to the cut of %(number2)s %%."),
    _("Symptoms since %(day)s in a diseased hip before collapse."),
    _("Pain or a score is worse than before (%(day)s)."),
    _("An alarm sign reported on %(day)s has not been explained or denied."),
    _("Early collapse, or a change in a hip with it (%(day)s)."),
    _("Collapse is suspected, or an alarm is not explained by the radiograph (%(day)s)."),
    _("Bone marrow oedema on MR and no CT since (%(day)s)."),
    _("Late collapse or osteoarthritis, or a change in a hip with it (%(day)s)."),
    _("The stage has risen above every earlier reading (%(day)s)."),
    _("A stage reading is lower than the highest one before it (%(day)s)."),
    _("The radiograph of %(day)s is unreadable or lacks a view."),
    _("No complete follow-up is known; the first was due on %(day)s and is overdue from %(day2)s."),
    _("The last complete follow-up is of %(day)s; the next was due on %(day2)s, overdue %(day3)s."),
    _(
        "The last complete follow-up is of %(day)s: from %(day2)s the silence is long enough to miss the pain that"
        " comes before collapse."
    ),
    _(
        "No complete follow-up is known: from %(day)s the silence is long enough to miss the pain that comes before"
        " collapse."
    ),
    _("Core decompression on %(day)s: protected for %(number)s days."),
    _("A higher phase, a first crescent or the old pain after the core decompression (%(day)s)."),
    _("Asked since %(day)s and not decided in %(number)s days."),
    _("A lesion below %(number)s %% in a place that often collapses (%(day)s)."),
    _("Percent and cm3 of the lesion do not fit each other (%(day)s)."),
    _("Something was recorded after the end of follow-up (%(day)s)."),
    _("The radiographs of %(day)s need a clinician's report within %(number)s days."),
    _("Visit %(number)s weeks after the core decompression of %(day)s."),
    _("Visit %(number)s months after the core decompression of %(day)s."),
    _("First follow-up due %(number)s days after %(day)s."),
    _("Collapse since %(day)s."),
    _("Died on %(day)s."),
    _("Not enrolled before %(day)s."),
    _("Replaced on %(day)s."),
    _("The other hip is affected; this one is not known to be."),
    _("The MR of %(day)s shows no necrosis."),
    _("The MR shows no necrosis."),
)
ENDED: Final = _("Follow-up has ended: %(ends)s.")
ENDED_BY: Final = _("%(reason)s on %(day)s")
INTERVAL: Final = _("%(number)s-month interval: %(reasons)s.")
REASONS: Final = (
    _("collapse"),
    _("symptoms"),
    _("large lesion"),
    _("no MR"),
    _("no measured volume"),
    _("increased joint effusion"),
    _("bone marrow oedema"),
    _("age over %(number)s"),
    _("BMI over %(number)s"),
    _("sickle cell disease"),
    _("JIC type C2"),
    _("high Kerboul angle"),
    _("nothing is known about this hip"),
    _("no known reason for a shorter one"),
)
_IN_IT: Final = re.compile(r"(?<![\w-])(\d{4}-\d\d-\d\d)(?!\w)|(?<!\w)(\d+(?:\.\d+)?)(?!\w)|(%)")
_INTERVAL: Final = re.compile(r"(\d+)-month interval: (.*)\.")
_ENDED: Final = re.compile(r"Follow-up has ended: (.*)\.")
_ENDED_BY: Final = re.compile(r"(.+) on (\d{4}-\d\d-\d\d)")
_ENDS: Final = {code.replace("_", " "): words for code, words in END_REASONS}
_BETWEEN: Final = re.compile(r"(?<=\.) (?=[A-Z])")


def asked_words(sentence: str) -> str:
    """What a rule asks."""
    return gettext(sentence)


def because_words(sentence: str) -> str:
    """Why, as the guideline has said it."""
    return _because(sentence, language())


@lru_cache(maxsize=8192)
def _because(sentence: str, language: str | None) -> str:
    """`language` is part of what is remembered."""
    return " ".join(_told(part) or with_dates(part) for part in _BETWEEN.split(sentence))


def known(sentence: str) -> bool:
    """Whether all of it is of a form that can be said in other languages."""
    return all(_told(part) for part in _BETWEEN.split(sentence))


def _told(part: str) -> str:
    return _interval(part) or _ended(part) or _said(part)


def _interval(sentence: str) -> str:
    found = _INTERVAL.fullmatch(sentence)
    if not found:
        return ""
    reasons = [_said(reason, REASONS) for reason in found[2].split(", ")]
    return gettext(INTERVAL) % {"number": found[1], "reasons": ", ".join(reasons)} if all(reasons) else ""


def _ended(sentence: str) -> str:
    found = _ENDED.fullmatch(sentence)
    ends = [_ENDED_BY.fullmatch(end) for end in found[1].split(", ")] if found else []
    told = [
        gettext(ENDED_BY) % {"reason": _ENDS[end[1]], "day": _day(end[2])} for end in ends if end and end[1] in _ENDS
    ]
    return gettext(ENDED) % {"ends": ", ".join(told)} if ends and len(told) == len(ends) else ""


def _said(sentence: str, known: tuple[str, ...] = SAID) -> str:
    """The sentence in this language; empty where its form is not known."""
    values: dict[str, str] = {}
    form = _IN_IT.sub(lambda found: _placed(found, values), sentence)
    return gettext(form) % values if form in known else ""


def _placed(found: re.Match[str], values: dict[str, str]) -> str:
    if found[3]:
        return "%%"
    kind, words = ("day", _day(found[1])) if found[1] else ("number", number_format(Decimal(found[2])))
    earlier = sum(1 for name in values if name.startswith(kind))
    name = f"{kind}{earlier + 1 if earlier else ''}"
    values[name] = words
    return f"%({name})s"


def _day(written: str) -> str:
    return day_words(date.fromisoformat(written))
