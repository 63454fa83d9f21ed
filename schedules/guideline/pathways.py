"""Pathways: which of the thirteen a hip is on, how often it is seen on it, and its follow-up window."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from .hip import Hip, Patient
from .protocol import Protocol
from .stages import Phase
from .windows import DueVisit, Window, add_days, add_months, due_visit, window_from


class Pathway(StrEnum):
    """In order of precedence: the first that fits."""

    DECEASED = "deceased"
    NOT_ENROLLED = "not_enrolled"
    ENDED = "ended"
    REPLACED = "replaced"
    COLLAPSE = "collapse"
    POST_DECOMPRESSION = "post_decompression"
    SYMPTOMATIC = "symptomatic"
    LARGE_LESION = "large_lesion"
    WORK_UP = "work_up"
    OBSERVATION = "observation"
    CONTRALATERAL_WATCH = "contralateral_watch"
    NOT_ASSESSED = "not_assessed"
    NOT_AFFECTED = "not_affected"


OUT_OF_CARE: Final = frozenset({Pathway.DECEASED, Pathway.NOT_ENROLLED, Pathway.ENDED, Pathway.REPLACED})
NOT_FOLLOWED: Final = OUT_OF_CARE | {Pathway.CONTRALATERAL_WATCH, Pathway.NOT_AFFECTED}


@dataclass(frozen=True, slots=True)
class Plan:
    """The follow-up of one hip. `visit` is the scheduled one that is due after a core decompression."""

    pathway: Pathway
    interval_months: int | None
    followed_since: date
    reasons: tuple[str, ...]
    visit: DueVisit | None
    window: Window | None


def plan_for(hip: Hip, other: Hip, patient: Patient, protocol: Protocol) -> Plan:
    pathway = pathway_of(hip, other, patient)
    since = followed_since(hip, patient)
    if pathway in NOT_FOLLOWED:
        return Plan(pathway, None, since, (), None, None)
    if pathway is Pathway.POST_DECOMPRESSION:
        return _plan_after_decompression(hip, since, protocol)
    reasons = _short_reasons(hip, patient, since)
    short = pathway is not Pathway.OBSERVATION or bool(reasons)
    interval = protocol.short_interval_months if short else protocol.standard_interval_months
    short_since = None
    if short:
        short_since = since if pathway is Pathway.NOT_ASSESSED else min(on for on, _ in reasons)
    due_on = _due_on(hip, interval, short_since, since, protocol)
    if pathway is Pathway.COLLAPSE:
        due_on = _not_before_it_was_asked(hip, due_on, since, protocol)
    window = window_from(due_on, anchor_on=hip.anchor_on, followed_since=since, yearly=False, protocol=protocol)
    return Plan(pathway, interval, since, tuple(text for _, text in reasons), None, window)


def pathway_of(hip: Hip, other: Hip, patient: Patient) -> Pathway:
    if patient.died_on is not None:
        return Pathway.DECEASED
    if patient.as_of < patient.enrolled_on:
        return Pathway.NOT_ENROLLED
    if hip.facts.endings:
        return Pathway.ENDED
    if hip.facts.replacements:
        return Pathway.REPLACED
    if hip.diseased:
        return _diseased_pathway(hip, patient)
    if other.affected_by:
        return Pathway.CONTRALATERAL_WATCH
    return Pathway.NOT_ASSESSED if hip.unknown else Pathway.NOT_AFFECTED


def _diseased_pathway(hip: Hip, patient: Patient) -> Pathway:
    if not hip.stages.before_collapse:
        return Pathway.COLLAPSE
    if hip.facts.decompressions:
        return Pathway.POST_DECOMPRESSION
    if hip.course.symptomatic:
        return Pathway.SYMPTOMATIC
    if hip.lesion.large_since:
        return Pathway.LARGE_LESION
    return Pathway.OBSERVATION if hip.facts.mrs and hip.lesion.measured else Pathway.WORK_UP


def followed_since(hip: Hip, patient: Patient) -> date:
    """The latest of enrolment, the latest reopening, and the first fact by which the hip is diseased."""
    starts = (patient.enrolled_on, hip.facts.reopened_on, hip.diseased_by.on if hip.diseased_by else None)
    return max(start for start in starts if start is not None)


def _short_reasons(hip: Hip, patient: Patient, since: date) -> list[tuple[date, str]]:
    """Every reason for the short interval that holds today, with the first day of its unbroken run."""
    if hip.diseased_by is None:
        return []
    reasons: list[tuple[date | None, str]] = []
    if collapsed := hip.stages.first_at_least(Phase.COLLAPSE_EARLY):
        reasons.append((collapsed.on, "collapse"))
    if hip.course.episode:
        reasons.append((hip.course.episode.on, "symptoms"))
    if hip.lesion.large_since:
        reasons.append((hip.lesion.large_since.on, "large lesion"))
    if not hip.facts.mrs:
        reasons.append((hip.diseased_by.on, "no MR"))
    if not hip.lesion.measured:
        reasons.append((hip.diseased_by.on, "no measured volume"))
    reasons += [(run.since, text) for run, text in zip(hip.risks, RISK_WORDS, strict=True) if run.holds]
    if patient.sickle_cell:
        reasons.append((since, "sickle cell disease"))
    if hip.lesion.type_c2.holds:
        reasons.append((hip.lesion.type_c2.since, "JIC type C2"))
    if hip.lesion.kerboul_high.holds:
        reasons.append((hip.lesion.kerboul_high.since, "high Kerboul angle"))
    return [(on, text) for on, text in reasons if on is not None]


RISK_WORDS: Final = ("increased joint effusion", "bone marrow oedema", "age over 40", "BMI over 24")


def _due_on(hip: Hip, interval: int, short_since: date | None, since: date, protocol: Protocol) -> date:
    """The next follow-up: an interval after the last, and not before the patient can have been asked.

    A reason for a shorter interval brings the date forward only to the day it began, so that nobody is late for
    something that was not yet asked.
    """
    first_due_on = add_days(since, protocol.baseline_days)
    if hip.anchor_on is None:
        return first_due_on
    due_on = max(add_months(hip.anchor_on, interval), first_due_on)
    if short_since is None:
        return due_on
    return max(due_on, min(short_since, add_months(hip.anchor_on, protocol.standard_interval_months)))


def _plan_after_decompression(hip: Hip, since: date, protocol: Protocol) -> Plan:
    operated_on = hip.facts.decompressions[-1].on
    visit = due_visit(operated_on, hip.anchor_on, protocol)
    window = window_from(
        _visit_due_on(hip, visit, since, protocol),
        anchor_on=hip.anchor_on,
        followed_since=since,
        yearly=visit.yearly,
        protocol=protocol,
    )
    interval = protocol.decompression_then_every_months if visit.yearly else None
    return Plan(Pathway.POST_DECOMPRESSION, interval, since, (), visit, window)


def _visit_due_on(hip: Hip, visit: DueVisit, since: date, protocol: Protocol) -> date:
    """The visit's date; a hip that hurts does not wait a year for it."""
    first_due_on = add_days(since, protocol.baseline_days)
    due_on = max(visit.on, first_due_on)
    if not visit.yearly or hip.anchor_on is None or hip.course.episode is None:
        return due_on
    in_pain = max(
        add_months(hip.anchor_on, protocol.standard_interval_months),
        add_days(hip.course.episode.on, protocol.baseline_days),
        first_due_on,
    )
    return min(due_on, in_pain)


def _not_before_it_was_asked(hip: Hip, due_on: date, since: date, protocol: Protocol) -> date:
    """A collapse found after a decompression: not due before the earlier of its first sign and the scheduled visit.

    The scheduled visit is the date that stood before the collapse was known, with its advance for a hip that hurts:
    finding a collapse never puts a date off that had already been asked for.
    """
    collapsed = hip.stages.first_at_least(Phase.COLLAPSE_EARLY)
    if hip.decompressed_on is None or hip.anchor_on is None or collapsed is None:
        return due_on
    visit = due_visit(hip.decompressed_on, hip.anchor_on, protocol)
    return max(due_on, min(collapsed.on, _visit_due_on(hip, visit, since, protocol)))
