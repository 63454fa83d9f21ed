"""Raising facts: for each rule about what was recorded, the facts that ask for a decision while its condition holds.

An empty list means that the condition does not hold. A rule function may rely on the hip being in care and, for a
rule of diseased or followed hips, on it being one (`rules.py` says which). Rules about dates alone are in `timed.py`.
"""

from datetime import date
from decimal import Decimal
from typing import Final

from patients.vocabulary import Action, Crescent, EndReason, JicType

from .case import Case
from .facts import MR, US, XR, Mark
from .lesion import EXACT, implausible_volumes, large_volumes
from .stages import Phase, conflicts, staging_rises
from .symptoms import fallen_scores, last_denial_on, read_alarms, says, worse_reports
from .windows import add_months

Marks = list[Mark]
REVIEWS_OF_SYMPTOMS: Final = (
    Action.CORE_DECOMPRESSION_REVIEW,
    Action.COLLAPSE_REVIEW,
    Action.ARTHROPLASTY_REVIEW,
    Action.DECOMPRESSION_FAILURE_REVIEW,
    Action.WORSENING_REVIEW,
)
_REVIEWABLE_ENDS: Final = (EndReason.TRANSFERRED, EndReason.DECLINED_IN_WRITING, EndReason.DISCHARGED)
_FAILURE_AFTER_MONTHS: Final = 3


def no_mr(case: Case) -> Marks:
    if case.hip.facts.mrs or not case.hip.stages.before_collapse:
        return []
    return [Mark(case.plan.followed_since)]


def unmeasured_mrs(case: Case) -> Marks:
    if case.hip.lesion.measured or not case.hip.stages.before_collapse:
        return []
    return [Mark(mr.on, mr.id) for mr in case.hip.facts.mrs]


def unassessed_beside_affected(case: Case) -> Marks:
    """Nothing known about this hip beside an affected one; or clear so long ago that it is to be looked at again."""
    affected_by = case.other.affected_by
    if case.hip.unknown:
        return [affected_by] if affected_by else []
    clear_by = case.hip.clear_by
    if clear_by is None or not (affected_by or case.patient.sickle_cell):
        return []
    return [Mark(add_months(clear_by.on, case.protocol.clear_recheck_months), clear_by.id)]


def painful_unimaged(case: Case) -> Marks:
    episode, clear_by = case.hip.course.episode, case.hip.clear_by
    if case.hip.diseased or episode is None or (clear_by is not None and clear_by.on >= episode.on):
        return []
    return [episode]


def large_lesion(case: Case) -> Marks:
    if not case.hip.lesion.large_since or not case.hip.stages.before_collapse:
        return []
    return large_volumes(case.hip.lesion.measured, case.protocol)


def borderline_volume(case: Case) -> Marks:
    latest, percent, protocol = case.hip.lesion.latest, case.hip.lesion.percent, case.protocol
    if latest is None or percent is None or not case.hip.stages.before_collapse:
        return []
    borderline = protocol.borderline_low_percent <= percent < protocol.borderline_high_percent
    return [Mark(latest.on, latest.id)] if borderline else []


def new_symptoms(case: Case) -> Marks:
    episode, operated_on = case.hip.course.episode, case.hip.decompressed_on
    if episode is None or not case.hip.stages.before_collapse or (operated_on and episode.on <= operated_on):
        return []
    return [episode]


def worsening(case: Case) -> Marks:
    """More pain than at the decision that let the hip be, or a fallen score. Later improvement takes nothing back."""
    facts, episode = case.hip.facts, case.hip.course.episode
    marks = fallen_scores(facts.scores, case.protocol) if facts.scores else []
    decisions = [facts.decided[action] for action in REVIEWS_OF_SYMPTOMS if action in facts.decided]
    if episode and decisions and (decided_on := max(decisions)) >= episode.on:
        marks += worse_reports(facts.symptoms, decided_on, case.protocol)
    return marks


def open_alarms(case: Case) -> Marks:
    return [Mark(alarm.on, alarm.id) for alarm in read_alarms(case.hip.facts) if alarm.open]


def early_collapse(case: Case) -> Marks:
    if case.hip.stages.phase is not Phase.COLLAPSE_EARLY:
        return []
    first = case.hip.stages.first_at_least(Phase.COLLAPSE_EARLY)
    if first is None:
        return []
    return [first, *_later(first.on, [*_first_crescent(case), *_grown_depressions(case), *_episode(case)])]


def late_collapse(case: Case) -> Marks:
    first = case.hip.stages.first_at_least(Phase.COLLAPSE_LATE)
    if first is None:
        return []
    higher = [Mark(rise.on, rise.id) for rise in case.hip.stages.rises]
    return [first, *_later(first.on, [*higher, *_grown_depressions(case), *_episode(case)])]


def _later(day: date, marks: Marks) -> Marks:
    return [mark for mark in marks if mark.on > day]


def _episode(case: Case) -> Marks:
    return [case.hip.course.episode] if case.hip.course.episode else []


def _first_crescent(case: Case) -> Marks:
    shown = (Mark(study.on, study.id) for study in case.hip.facts.readable if study.crescent is Crescent.PRESENT)
    first = next(shown, None)
    return [first] if first else []


def _grown_depressions(case: Case) -> Marks:
    """Each depression that is deeper than every earlier one by the growth that counts; none before is 0.0 mm."""
    marks: Marks = []
    deepest = Decimal(0)
    for study in case.hip.facts.readable:
        depth = study.depression_mm
        if depth is None:
            continue
        if depth >= EXACT.add(deepest, case.protocol.depression_growth_mm):
            marks.append(Mark(study.on, study.id))
        deepest = max(deepest, depth)
    return marks


def suspected_collapse(case: Case) -> Marks:
    """A suspected collapse, or an alarm whose film showed none, until a CT has judged the crescent."""
    facts = case.hip.facts
    if not case.hip.stages.before_collapse:
        return []
    marks = [Mark(s.on, s.id) for s in facts.readable if s.collapse_suspected and s.modality in (XR, MR, US)]
    marks += _unexplained_films(case)
    judged = [ct.on for ct in facts.cts if ct.crescent in (Crescent.PRESENT, Crescent.ABSENT)]
    return [mark for mark in marks if not judged or mark.on > judged[-1]]


def _unexplained_films(case: Case) -> Marks:
    """The films by which an alarm ended without a sign of collapse, with no film and no denial after them."""
    facts = case.hip.facts
    if not facts.films:
        return []
    last_on = facts.films[-1].on
    denied_on = last_denial_on(facts)
    if denied_on is not None and denied_on > last_on:
        return []
    if not any(alarm.ended_by_film and alarm.film_on == last_on for alarm in read_alarms(facts)):
        return []
    return [Mark(film.on, film.id) for film in facts.films if film.on == last_on]


def oedema_without_ct(case: Case) -> Marks:
    """The MRs of the present run with oedema that no CT followed. Before collapse no film shows one either."""
    if not case.hip.stages.before_collapse:
        return []
    run: Marks = []
    for mr in case.hip.facts.mrs:
        if mr.marrow_edema:
            run.append(Mark(mr.on, mr.id))
        elif mr.marrow_edema is False:
            run = []
    cts = case.hip.facts.cts
    return [mark for mark in run if not cts or mark.on > cts[-1].on]


def stage_progression(case: Case) -> Marks:
    if not case.hip.stages.before_collapse:
        return []
    return [Mark(rise.on, rise.id) for rise in staging_rises(case.hip.facts.stagings) if rise.above >= 0]


def stage_conflict(case: Case) -> Marks:
    return conflicts(case.hip.facts.stagings)


def decompression_failure(case: Case) -> Marks:
    """A higher phase, the first crescent, or the old pain back, after the latest core decompression."""
    operated_on = case.hip.decompressed_on
    if operated_on is None:
        return []
    higher = [Mark(rise.on, rise.id) for rise in case.hip.stages.rises if rise.above >= Phase.PRE_MRI]
    return [*_later(operated_on, [*higher, *_first_crescent(case)]), *_pain_is_back(case, operated_on)]


def _pain_is_back(case: Case, operated_on: date) -> Marks:
    rated = [(r.on, r.pain_nrs, r.id) for r in case.hip.facts.symptoms if r.pain_nrs is not None]
    before = [nrs for on, nrs, _ in rated if on < operated_on]
    if not before or before[-1] < 1:
        return []
    from_on = add_months(operated_on, _FAILURE_AFTER_MONTHS)
    return [Mark(on, id) for on, nrs, id in rated if on >= from_on and nrs >= before[-1]]


def high_risk_location(case: Case) -> Marks:
    """Lesions that collapse by their place: each such reading, from the day on which a volume is known as well."""
    lesion, protocol = case.hip.lesion, case.protocol
    if lesion.percent is None or lesion.percent >= protocol.large_lesion_percent:
        return []
    if not case.hip.stages.before_collapse or not (lesion.type_c2.holds or lesion.kerboul_high.holds):
        return []
    measured_on = lesion.measured[0].on
    return [
        Mark(max(at.on, measured_on), at.id)
        for at in case.hip.facts.locations
        if at.jic_type is JicType.C2
        or (at.kerboul_modified_degrees is not None and at.kerboul_modified_degrees >= protocol.kerboul_high_degrees)
    ]


def inconsistent_volume(case: Case) -> Marks:
    return implausible_volumes(case.hip.lesion.measured)


def recorded_after_end(case: Case) -> Marks:
    """Of a hip that somebody else was to follow: what was recorded here after its end."""
    facts = case.hip.facts
    if not all(ending.reason in _REVIEWABLE_ENDS for ending in facts.endings):
        return []
    ended_on = facts.endings[-1].on
    return [
        *(Mark(study.on, study.id) for study in facts.imaging if study.on > ended_on),
        *(Mark(staging.on, staging.id) for staging in facts.stagings if staging.on > ended_on),
        *(
            Mark(report.on, report.id)
            for report in facts.symptoms
            if report.on > ended_on and says(report, case.protocol.symptomatic_nrs_min)
        ),
    ]
