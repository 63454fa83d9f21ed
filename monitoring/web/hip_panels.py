"""Hip panels: one hip as the patient's page shows it, from an answer of the guideline and the facts it rests on."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from patients.models import Ending, Imaging, Procedure, Score, Staging, SymptomReport
from patients.record import Staging as StagingReading
from patients.vocabulary import MEASURING_METHODS, REPLACEMENTS, EndReason, Side, StagingSystem
from schedules.guideline.rules import RULES
from schedules.guideline.stages import staging_rank

from ..models import ReviewCase
from ..review import CASE_ACTIONS
from .chart import Chart, fact_url
from .decided import decided_rows
from .fact_words import joined, number, volume_words, words_of
from .finding_words import ACTIONS, GRADES, PATHWAYS, PHASES, RISKS, SIZES, day_words
from .guideline_words import asked_words, because_words

OF_PATHWAY = {
    "deceased": "deceased",
    "ended": "ended",
    "replaced": "replaced",
    "not_affected": "not_affected",
    "contralateral_watch": "not_assessed",
    "not_assessed": "not_assessed",
}
CLOSED = frozenset({"deceased", "replaced", "ended"})
UNAFFECTED = frozenset({"not_affected", "contralateral_watch"})  # or not known to be, beside an affected hip


def hip_panel(
    chart: Chart,
    side: Side,
    answer: dict[str, Any],
    *,
    as_of: date,
    cases: Mapping[tuple[int, str], ReviewCase] | None,
    may_decide: bool = False,
) -> dict[str, Any]:
    """The variables of components/hip_panel.html. `cases`: the open ones by hip and action; None offers no actions."""
    pathway = str(answer.get("pathway", ""))
    watched = pathway == "contralateral_watch"
    clear = _clear_mri(chart, side, as_of) if watched else None
    because = because_words(str(answer["because"])) if "because" in answer else _("Not evaluated yet.")
    return {
        "side": side.value,
        "status": "not_affected" if clear else answer.get("status") or OF_PATHWAY.get(pathway, ""),
        "status_text": _("Watched") if watched else "",
        "summary": summary_of(chart, side, answer, as_of),
        "pathway": str(PATHWAYS[pathway]) if clear else because,
        "decided": [] if pathway in CLOSED else decided_rows(chart, side, as_of),
        "facts": _facts(chart, side, answer, as_of),
        "findings": [
            _finding(chart, found, [] if cases is None else _actions(chart, side, found, cases, may_decide=may_decide))
            for found in answer.get("findings", [])
        ],
    }


def summary_of(chart: Chart, side: Side, answer: dict[str, Any], as_of: date) -> str:
    """What is known of the hip in one line."""
    pathway = str(answer.get("pathway", ""))
    if pathway == "ended" and (ending := _latest(chart, "ending", side, as_of)):
        return _("Follow-up ended on %(day)s: %(why)s") % {"day": day_words(ending.on), "why": words_of(ending)}
    if pathway == "replaced" and (replaced := _replacement(chart, side, as_of)):
        return f"{replaced.get_procedure_display()}, {day_words(replaced.on)}"
    if pathway in UNAFFECTED and (clear := _clear_mri(chart, side, as_of)):
        return _("Clear on MRI of %(day)s") % {"day": day_words(clear.on)}
    symptoms = answer.get("symptomatic")
    stage = highest_stage(chart, side, as_of)
    measured = _measured(chart, side, as_of)
    known = [
        PATHWAYS.get(pathway, pathway),
        "" if symptoms is None or pathway == "symptomatic" else _("symptomatic") if symptoms else _("no symptoms"),
        joined([SIZES.get(str(answer.get("size_band")), "")]) + (f" {_size(measured)}" if measured else ""),
        stage.words if stage else "",
        PHASES.get(str(answer.get("phase")), "") if not stage else "",
    ]
    return joined(known)


def _size(measured: Imaging) -> str:
    percent, cm3 = measured.lesion_volume_percent, measured.lesion_volume_cm3
    sizes = [
        f"{number(percent)}\N{NO-BREAK SPACE}%" if percent is not None else "",
        f"({number(cm3)}\N{NO-BREAK SPACE}cm³)" if cm3 is not None else "",
    ]
    return " ".join(size for size in sizes if size)


def _latest(chart: Chart, kind: str, side: Side, as_of: date) -> Any:
    facts = chart.standing(kind, side, until=as_of)
    return facts[-1] if facts else None


def staging_rank_of(fact: Staging) -> int:
    """The phase that a stored reading shows, so that readings of different systems compare."""
    return staging_rank(StagingReading(fact.key, fact.on, StagingSystem(fact.system), fact.version, fact.code))


def highest_stage(chart: Chart, side: Side, as_of: date) -> Staging | None:
    """The latest of the highest readings: a later, lower one never lowers what was seen."""
    stages: list[Staging] = chart.standing("staging", side, until=as_of)
    return max(reversed(stages), key=staging_rank_of, default=None)


def _replacement(chart: Chart, side: Side, as_of: date) -> Procedure | None:
    done = chart.standing("procedure", side, until=as_of)
    return next((procedure for procedure in done if procedure.procedure in REPLACEMENTS), None)


def _clear_mri(chart: Chart, side: Side, as_of: date) -> Imaging | None:
    """The latest MRI that tells of necrosis, where it shows none."""
    told: list[Imaging] = [
        study
        for study in chart.standing("imaging", side, until=as_of)
        if study.modality == "MR" and study.diagnostic is not False and study.necrosis is not None
    ]
    return told[-1] if told and told[-1].necrosis is False else None


def _measured(chart: Chart, side: Side, as_of: date) -> Imaging | None:
    seen = [
        study
        for study in chart.standing("imaging", side, until=as_of)
        if study.diagnostic is not False
        and study.lesion_volume_percent is not None
        and study.volume_method in MEASURING_METHODS
    ]
    return seen[-1] if seen else None


def _facts(chart: Chart, side: Side, answer: dict[str, Any], as_of: date) -> list[dict[str, Any]]:
    """What a clinician asks first, each with its date and the way to the fact itself."""
    pathway = str(answer.get("pathway", ""))
    rows = _window_facts(answer)
    if pathway in CLOSED:
        return rows
    if pathway not in UNAFFECTED | {"not_assessed"}:
        rows += [_size_fact(chart, side, as_of), _stage_fact(chart, side, as_of), _location_fact(chart, side, as_of)]
        rows += _risk_facts(answer)
    elif clear := _clear_mri(chart, side, as_of):
        rows.append(_row(chart, _("MRI"), clear, words_of(clear)))
    symptom: SymptomReport | None = _latest(chart, "symptom", side, as_of)
    rows.append(_row(chart, _("Symptoms"), symptom, words_of(symptom) if symptom else ""))
    rows += _score_facts(chart, side, as_of)
    return rows


def _row(chart: Chart, term: str, fact: Any, value: str) -> dict[str, Any]:
    if fact is None:
        return {"term": term, "value": ""}
    return {"term": term, "value": value, "note": day_words(fact.on), "url": fact_url(chart.patient.pk, fact.key)}


def _window_facts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    window = answer.get("window")
    if not window:
        return []
    days = {name: day_words(date.fromisoformat(value)) for name, value in window.items() if value}
    last = days.get("anchor_on")
    span = _("opens %(opens)s, overdue from %(overdue)s") % {"opens": days["opens_on"], "overdue": days["overdue_on"]}
    return [
        {"term": _("Next follow-up"), "value": days["due_on"], "note": span},
        {"term": _("Last complete"), "value": last or _("none yet")},
    ]


def _size_fact(chart: Chart, side: Side, as_of: date) -> dict[str, Any]:
    measured = _measured(chart, side, as_of)
    if measured:
        return _row(chart, _("Size"), measured, volume_words(measured))
    guessed = [study for study in chart.standing("imaging", side, until=as_of) if volume_words(study)]
    if guessed:
        return _row(chart, _("Size"), guessed[-1], volume_words(guessed[-1]))
    return {"term": _("Size"), "value": _("not measured")}


def _stage_fact(chart: Chart, side: Side, as_of: date) -> dict[str, Any]:
    stage = highest_stage(chart, side, as_of)
    row = _row(chart, _("Stage"), stage, words_of(stage) if stage else "")
    latest: Staging | None = _latest(chart, "staging", side, as_of)
    if stage and latest and staging_rank_of(latest) < staging_rank_of(stage):
        row["note"] = _("%(day)s; a later reading is lower: %(words)s") % {
            "day": day_words(stage.on),
            "words": words_of(latest),
        }
    return row


def _location_fact(chart: Chart, side: Side, as_of: date) -> dict[str, Any]:
    location = _latest(chart, "location", side, as_of)
    return _row(chart, _("Location"), location, words_of(location) if location else "")


def _risk_facts(answer: dict[str, Any]) -> list[dict[str, Any]]:
    known = joined(RISKS.get(name, name) for name in answer.get("risk_factors", []))
    unknown = joined(RISKS.get(name, name) for name in answer.get("unknown_risk_factors", []))
    row: dict[str, Any] = {"term": _("Risk factors"), "value": known or _("none known")}
    if unknown:
        row["note"] = _("not known: %(factors)s") % {"factors": unknown}
    return [row]


def _score_facts(chart: Chart, side: Side, as_of: date) -> list[dict[str, Any]]:
    latest: dict[str, Score] = {score.instrument: score for score in chart.standing("score", side, until=as_of)}
    return [_row(chart, score.get_instrument_display(), score, number(score.value)) for score in latest.values()]


def _finding(chart: Chart, found: dict[str, Any], actions: list[dict[str, str]]) -> dict[str, Any]:
    rule = RULES[found["rule"]]
    grade = GRADES.get(rule.grade, rule.grade)
    return {
        "title": ACTIONS.get(found["action"], found["action"]),
        "sentence": asked_words(rule.asks),
        "urgency": found["urgency"],
        "since": date.fromisoformat(found["since"]),
        "act_by": date.fromisoformat(found["act_by"]) if found["act_by"] else None,
        "because": because_words(found["because"]),
        "rule": found["rule"],
        "protocol": _("protocol %(name)s") % {"name": chart.evaluation.protocol} if chart.evaluation else "",
        "evidence": [chart.cite(key) for key in found["evidence"]],
        "sources": [{"text": source, "grade": grade} for source in found["sources"]],
        "actions": actions,
    }


def _actions(
    chart: Chart,
    side: Side,
    found: dict[str, Any],
    cases: Mapping[tuple[int, str], ReviewCase],
    *,
    may_decide: bool,
) -> list[dict[str, str]]:
    """The way to answer: the case where a clinician decides, a decision here, or the visit that ends it."""
    action = found["action"]
    case = cases.get((chart.hips[side].pk, action))
    if case is not None and (url := url_if_any("review_case", case.pk)):
        return [{"text": _("Open the case"), "url": url}]
    if may_decide and action not in CASE_ACTIONS and RULES[found["rule"]].decided:
        return [{"text": _("Decide"), "url": reverse("finding_decide", args=[chart.patient.pk, side.value, action])}]
    return []


def url_if_any(name: str, *args: Any) -> str:
    """The address of that name; empty where this installation has no such page."""
    try:
        return reverse(name, args=args)
    except NoReverseMatch:
        return ""


def ended_by(chart: Chart, side: Side) -> Ending | None:
    """The ending that stands for this hip and can be taken back."""
    endings = [ending for ending in chart.standing("ending", side) if ending.reason != EndReason.REOPENED]
    return endings[-1] if endings else None
