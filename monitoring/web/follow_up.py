"""Follow-up: what is still missing to complete it, and what a recording has moved."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from django.utils.translation import gettext as _

from patients.models import Imaging
from patients.vocabulary import AP_VIEWS, Side, View
from schedules.guideline.windows import add_days

from ..models import HipEvaluation
from .chart import ON_SCREEN, Chart
from .finding_words import ACTIONS, day_words
from .forms.visit import hip_words

LATELY: Final = 28  # days in which radiographs and a clinician's report belong to one follow-up


@dataclass(frozen=True, slots=True)
class Needed:
    """What a hip still lacks: `parts` of the follow-up as (code, words), and what else its findings ask for."""

    followed: bool
    begun_on: date | None
    parts: tuple[tuple[str, str], ...]
    also: tuple[str, ...]


def needed(chart: Chart, side: Side, on: date, *, within: int = LATELY) -> Needed:
    """What would complete the follow-up of this hip on a day, by what was recorded up to it."""
    answer = chart.answer(side)
    window = answer.get("window")
    also = tuple(
        str(ACTIONS.get(f["action"], f["action"])) for f in answer.get("findings", []) if f["rule"] in _DATA_RULES
    )
    if not window:
        return Needed(False, None, (), also)
    anchor = date.fromisoformat(window["anchor_on"]) if window["anchor_on"] else None
    begun = _begun(chart, side, on, anchor, within)
    if begun is None:
        return Needed(True, None, tuple(_parts().items()), also)
    day, views = begun
    lacking = {
        "ap": AP_VIEWS.isdisjoint(views),
        "lateral": View.FROG_LATERAL not in views,
        "symptoms": not _has_report(chart, side, day, on, within),
    }
    parts = [(code, words) for code, words in _parts().items() if lacking[code]]
    return Needed(True, day, tuple(parts), also)


def _parts() -> dict[str, str]:
    return {
        "ap": _("an AP view"),
        "lateral": _("a frog lateral view"),
        "symptoms": _("symptoms asked by a clinician"),
    }


_DATA_RULES: Final = frozenset({"R01", "R02", "R03", "R04", "R05", "R13", "R15", "R20", "R36", "R42"})


def _begun(chart: Chart, side: Side, on: date, anchor: date | None, within: int) -> tuple[date, set[View]] | None:
    """The latest day with readable radiographs since the last complete follow-up, and the views taken on it."""
    since = add_days(on, -within)
    films: list[Imaging] = [
        study
        for study in chart.standing("imaging", side, until=on)
        if study.modality == "XR"
        and study.diagnostic is not False
        and study.on >= since
        and (anchor is None or study.on > anchor)
    ]
    if not films:
        return None
    day = films[-1].on
    return day, {View(view) for film in films if film.on == day for view in film.views}


def _has_report(chart: Chart, side: Side, day: date, on: date, within: int) -> bool:
    reports = chart.standing("symptom", side, until=on)
    return any(report.source == "clinician" and abs((report.on - day).days) <= within for report in reports)


def moved_since(chart: Chart, touched: set[Side]) -> list[str]:
    """Sentences on what was moved since the chart was read, from the evaluation that stands now."""
    answers = dict(HipEvaluation.objects.filter(patient=chart.patient).values_list("hip_id", "answer"))
    after = {side: answers.get(hip.pk, {}) for side, hip in chart.hips.items()}
    return moved({side: chart.answer(side) for side in Side}, after, touched)


def moved(
    before: Mapping[Side, Mapping[str, Any]], after: Mapping[Side, Mapping[str, Any]], touched: set[Side]
) -> list[str]:
    """Sentences on what a recording changed: follow-up complete or not, the next date, new and settled findings."""
    sentences = []
    for side in ON_SCREEN:
        said = [*_completed(before[side], after[side], touched=side in touched), *_found(before[side], after[side])]
        if said:
            sentences.append(f"{hip_words(side)}: {' '.join(said)}")
    return sentences


def _completed(before: Mapping[str, Any], after: Mapping[str, Any], *, touched: bool) -> list[str]:
    old, new = before.get("window") or {}, after.get("window") or {}
    if not new:
        return [_("No follow-up is asked for any more.")] if old else []
    due = day_words(date.fromisoformat(new["due_on"]))
    said = []
    if new["anchor_on"] and new["anchor_on"] != old.get("anchor_on"):
        said.append(_("Follow-up complete."))
    elif touched:
        said.append(_("Follow-up not complete yet."))
    if not old:
        said.append(_("Next due %(day)s.") % {"day": due})
    elif new["due_on"] != old["due_on"]:
        was = day_words(date.fromisoformat(old["due_on"]))
        said.append(_("Next due %(day)s (was %(was)s).") % {"day": due, "was": was})
    elif touched:
        said.append(_("Still due %(day)s.") % {"day": due})
    return said


def _found(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old = {(found["rule"], found["since"]) for found in before.get("findings", [])}
    now = {(found["rule"], found["since"]) for found in after.get("findings", [])}
    said = []
    for found in after.get("findings", []):
        if (found["rule"], found["since"]) in old:
            continue
        action = ACTIONS.get(found["action"], found["action"])
        if found["act_by"]:
            by = day_words(date.fromisoformat(found["act_by"]))
            said.append(_("New: %(action)s, act by %(day)s.") % {"action": action, "day": by})
        else:
            said.append(_("New: %(action)s.") % {"action": action})
    settled = [
        f
        for f in before.get("findings", [])
        if (f["rule"], f["since"]) not in now and f["rule"] not in {n[0] for n in now}
    ]
    said += [_("Settled: %(action)s.") % {"action": ACTIONS.get(f["action"], f["action"])} for f in settled]
    return said
