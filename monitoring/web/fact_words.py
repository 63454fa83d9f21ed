"""Fact words: each recorded fact as a short sentence, and the tab of the patient's page on which it stands."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import singledispatch
from typing import Any, Final

from django.utils.formats import get_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from patients.models import (
    BmiReading,
    Decision,
    Ending,
    Fact,
    Imaging,
    LesionLocation,
    Procedure,
    Score,
    Staging,
    SymptomReport,
)
from patients.models.choices import ADJUNCTS, VIEWS

from .finding_words import ACTIONS, Words, day_words

TAB_OF_KIND: Final = {
    "imaging": "imaging",
    "staging": "imaging",
    "location": "imaging",
    "symptom": "symptoms",
    "score": "symptoms",
    "bmi": "symptoms",
    "procedure": "treatments",
    "decision": "decisions",
    "ending": "decisions",
}
_VIEW_WORDS: Final = dict(VIEWS)
_ADJUNCT_WORDS: Final = dict(ADJUNCTS)

# Sites of pain that are written down in English by imports and the demonstration; others stay as they were typed.
SITES: Final[dict[str, Words]] = {
    "groin": gettext_lazy("groin"),
    "hip": gettext_lazy("hip"),
    "side of the hip": gettext_lazy("side of the hip"),
    "buttock": gettext_lazy("buttock"),
    "thigh": gettext_lazy("thigh"),
    "knee": gettext_lazy("knee"),
}


def site_words(site: str) -> str:
    return str(SITES.get(site.strip().lower(), site))


def number(value: Decimal | float | int) -> str:
    """Without trailing zeros, with the reader's decimal mark: 12, 12.5."""
    text = f"{value:f}".rstrip("0").rstrip(".") if isinstance(value, Decimal) and "." in f"{value:f}" else f"{value}"
    return text.replace(".", str(get_format("DECIMAL_SEPARATOR")))


def joined(parts: Iterable[Any]) -> str:
    return ", ".join(str(part) for part in parts if part)


def whether(value: bool | None, yes: str, no: str) -> str:
    return "" if value is None else yes if value else no


def titled(fact: Fact) -> str:
    """What it is, with its date and what was found, as evidence is cited."""
    return f"{name_of(fact)}, {day_words(fact.on)}: {words_of(fact)}"


def name_of(fact: Fact) -> str:
    return _NAMES[fact.kind](fact)


def views_words(views: Iterable[str]) -> str:
    return joined(_VIEW_WORDS.get(view, view) for view in views)


@singledispatch
def words_of(fact: Any) -> str:
    """What the fact says, without its date."""
    return str(fact)


@words_of.register
def _imaging(fact: Imaging) -> str:
    if fact.diagnostic is False:
        return joined([views_words(fact.views), _("could not be read")])
    signs = [
        views_words(fact.views),
        whether(fact.necrosis, _("necrosis"), _("no necrosis")),
        volume_words(fact),
        whether(fact.marrow_edema, _("bone marrow oedema"), _("no oedema")),
        _("effusion grade %(grade)s") % {"grade": fact.effusion_grade} if fact.effusion_grade is not None else "",
        _("crescent %(sign)s") % {"sign": fact.get_crescent_display()} if fact.crescent else "",
        _("depression %(mm)s mm") % {"mm": number(fact.depression_mm)} if fact.depression_mm is not None else "",
        whether(fact.joint_space_narrowed, _("joint space narrowed"), _("joint space kept")),
        whether(fact.collapse_suspected, _("collapse suspected"), ""),
    ]
    return joined(signs) or _("nothing read")


def volume_words(fact: Imaging) -> str:
    """12 % (5.9 cm³), by which method."""
    sizes = []
    if fact.lesion_volume_percent is not None:
        sizes.append(f"{number(fact.lesion_volume_percent)}\N{NO-BREAK SPACE}%")
    if fact.lesion_volume_cm3 is not None:
        sizes.append(f"{number(fact.lesion_volume_cm3)}\N{NO-BREAK SPACE}cm³")
    if not sizes:
        return ""
    size = sizes[0] + (f" ({sizes[1]})" if len(sizes) > 1 else "")
    return f"{size}, {fact.get_volume_method_display()}" if fact.volume_method else size


@words_of.register
def _staging(fact: Staging) -> str:
    return f"{fact.get_system_display()} {fact.code} ({fact.version})"


@words_of.register
def _symptom(fact: SymptomReport) -> str:
    return joined(
        [
            whether(fact.symptomatic, _("symptoms"), _("no symptoms")),
            _("pain %(nrs)s of 10") % {"nrs": fact.pain_nrs} if fact.pain_nrs is not None else "",
            site_words(fact.pain_site),
            whether(fact.sudden_worsening, _("suddenly worse"), ""),
            whether(fact.night_pain, _("pain at night"), ""),
            whether(fact.cannot_bear_weight, _("cannot bear weight"), ""),
            fact.walking_aid,
            _("as the patient says") if fact.source == "patient" else "",
        ]
    )


@words_of.register
def _score(fact: Score) -> str:
    return _("%(value)s points") % {"value": number(fact.value)}


@words_of.register
def _procedure(fact: Procedure) -> str:
    return joined(
        [
            fact.get_procedure_display(),
            *(_ADJUNCT_WORDS.get(adjunct, adjunct) for adjunct in fact.adjuncts),
            fact.get_intent_display() if fact.intent else "",
            fact.operator,
            _("until %(day)s") % {"day": day_words(fact.stopped_on)} if fact.stopped_on else "",
            fact.complication,
        ]
    )


@words_of.register
def _decision(fact: Decision) -> str:
    return f"{decided_words(fact)}: {fact.reason}"


def decided_words(decision: Decision) -> str:
    """What was decided, what follows from it and by when: Operate; theatre list; by 20 Dec 2026."""
    until = _("by %(day)s") % {"day": day_words(decision.next_on)} if decision.next_on else ""
    return "; ".join(part for part in (str(decision.get_outcome_display()), decision.consequence, until) if part)


@words_of.register
def _location(fact: LesionLocation) -> str:
    return joined(
        [
            _("JIC type %(type)s") % {"type": fact.jic_type} if fact.jic_type else "",
            _degrees(_("modified Kerboul angle"), fact.kerboul_modified_degrees),
            _degrees(_("Kerboul angle"), fact.kerboul_degrees),
        ]
    )


def _degrees(name: str, value: Decimal | None) -> str:
    return "" if value is None else f"{name} {number(value)}°"


@words_of.register
def _ending(fact: Ending) -> str:
    return joined([fact.get_reason_display(), fact.receiving_clinic, fact.evidence])


@words_of.register
def _bmi(fact: BmiReading) -> str:
    return f"{number(fact.value)}\N{NO-BREAK SPACE}kg/m²"


_NAMES: Final[dict[str, Callable[[Any], str]]] = {
    "imaging": lambda fact: str(fact.get_modality_display()),
    "staging": lambda _fact: _("Stage"),
    "symptom": lambda _fact: _("Symptom report"),
    "score": lambda fact: str(fact.get_instrument_display()),
    "procedure": lambda _fact: _("Treatment"),
    "decision": lambda fact: str(ACTIONS.get(fact.action, fact.action)),
    "location": lambda _fact: _("Location"),
    "ending": lambda _fact: _("End of follow-up"),
    "bmi": lambda _fact: _("Body mass index"),
}
