"""Symptoms: whether the hip hurts, since when, which alarms are open, and what has become worse."""

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

from patients.record import Score, Symptom
from patients.vocabulary import Instrument, SymptomSource

from .facts import HipFacts, Mark
from .lesion import EXACT
from .protocol import Protocol
from .windows import add_months

CLINICIAN: Final = SymptomSource.CLINICIAN
_BEST_OF_MONTHS: Final = 12


@dataclass(frozen=True, slots=True)
class Course:
    """Symptomatic or not (None: no report counts), and the first report of the present episode."""

    symptomatic: bool | None
    episode: Mark | None


class Alarm(NamedTuple):
    """A report with an alarm sign, the film and the denial by which it ended; open while it has neither."""

    on: date
    id: str
    film_on: date | None
    denial_on: date | None

    @property
    def open(self) -> bool:
        return self.film_on is None and self.denial_on is None

    @property
    def ended_by_film(self) -> bool:
        """Of a film and a denial on one day the film comes first."""
        return self.film_on is not None and (self.denial_on is None or self.film_on <= self.denial_on)


def says(report: Symptom, nrs_min: int) -> bool | None:
    """Whether one report speaks of symptoms; None when it says nothing either way and so does not count."""
    if report.symptomatic or report.sudden_worsening or report.night_pain or report.cannot_bear_weight:
        return True
    if report.pain_nrs is None:
        return report.symptomatic
    return report.pain_nrs >= nrs_min


def read_course(facts: HipFacts, protocol: Protocol) -> Course:
    """The state by the latest report that counts. A patient's own "none" does not end an episode."""
    symptomatic: bool | None = None
    episode: Mark | None = None
    for report in facts.symptoms:
        positive = says(report, protocol.symptomatic_nrs_min)
        if positive:
            if not symptomatic:
                episode = Mark(report.on, report.id)
            symptomatic = True
        elif positive is False and not (symptomatic and report.source is not CLINICIAN):
            symptomatic, episode = False, None
    return Course(symptomatic, episode)


def _signs(report: Symptom, value: bool) -> int:
    """The alarm signs that a report answers with yes (or no), as bits."""
    return (
        (report.sudden_worsening is value) + 2 * (report.night_pain is value) + 4 * (report.cannot_bear_weight is value)
    )


def read_alarms(facts: HipFacts) -> list[Alarm]:
    """Every alarm with what ended it.

    A clinician's later report ends it when it denies every sign the alarm reported and has none itself; a readable
    radiograph when it is dated after it, or on its day if a clinician saw the patient that day.
    """
    reports = facts.symptoms
    if not any(r.sudden_worsening or r.night_pain or r.cannot_bear_weight for r in reports):
        return []
    film_days = [film.on for film in facts.films]
    seen_days = {report.on for report in reports if report.source is CLINICIAN}
    same_day = seen_days.intersection(film_days)
    denied_on: list[date | None] = [None] * 8
    alarms: list[Alarm] = []
    for report in reversed(reports):
        if reported := _signs(report, True):
            later = bisect_right(film_days, report.on)
            film_on = report.on if report.on in same_day else film_days[later] if later < len(film_days) else None
            alarms.append(Alarm(report.on, report.id, film_on, denied_on[reported]))
        elif report.source is CLINICIAN and (denied := _signs(report, False)):
            for signs in range(1, 8):
                if signs & denied == signs:
                    denied_on[signs] = report.on
    alarms.reverse()
    return alarms


def last_denial_on(facts: HipFacts) -> date | None:
    """The latest clinician's report in which some alarm sign is known and none is present."""
    for report in reversed(facts.symptoms):
        if report.source is CLINICIAN and not _signs(report, True) and _signs(report, False):
            return report.on
    return None


def worse_reports(reports: list[Symptom], decided_on: date, protocol: Protocol) -> list[Mark]:
    """Reports after a decision whose NRS has risen above the lowest since the last one it could go by."""
    rated = [(report.on, report.pain_nrs, report.id) for report in reports if report.pain_nrs is not None]
    base = max((i for i, (on, _, _) in enumerate(rated) if on <= decided_on), default=None)
    if base is None:
        return []
    lowest = rated[base][1]
    counted = base
    marks: list[Mark] = []
    for on, nrs, id in rated[base + 1 :]:
        while rated[counted][0] < on:
            lowest = min(lowest, rated[counted][1])
            counted += 1
        if nrs >= lowest + protocol.worsening_nrs:
            marks.append(Mark(on, id))
    return marks


def fallen_scores(scores: list[Score], protocol: Protocol) -> list[Mark]:
    """Scores that fell from the best of their instrument in the twelve months up to the day before."""
    marks: list[Mark] = []
    for instrument in {score.instrument for score in scores}:
        marks += _fallen([score for score in scores if score.instrument is instrument], instrument, protocol)
    return sorted(marks)


def _fallen(series: list[Score], instrument: Instrument, protocol: Protocol) -> list[Mark]:
    fall = protocol.score_fall(instrument)
    best: deque[Score] = deque()  # falling values of the last twelve months, so that the best is always first
    entered = 0
    marks: list[Mark] = []
    for score in series:
        while series[entered].on < score.on:
            while best and best[-1].value <= series[entered].value:
                best.pop()
            best.append(series[entered])
            entered += 1
        first_day = add_months(score.on, -_BEST_OF_MONTHS)
        while best and best[0].on < first_day:
            best.popleft()
        if best and EXACT.subtract(best[0].value, score.value) >= fall:
            marks.append(Mark(score.on, score.id))
    return marks
