"""Attendance: who comes when asked, how late, with which views, and how an invented patient can be reached."""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from patients.vocabulary import View

# Attendance in published trials runs from 60 % without reminders (Youssef 2014) to 96 % with two (a trial of 2018).
RELIABLE: Final = (0.60, 0.96)
LOST_SHARE: Final = 0.008  # of those who miss: do not come by themselves again
VERY_LATE_SHARE: Final = 0.03
NEVER_STARTS: Final = 0.01
STARTS_LATER: Final = 0.035  # enrolled by a referral, first seen when asked
ONE_VIEW_MISSING: Final = 0.035
NOT_READABLE: Final = 0.008
NO_REPORT_OF_THE_DAY: Final = 0.02  # radiographs taken, the clinician's report comes days later

BOTH_VIEWS: Final = frozenset({View.AP_PELVIS, View.FROG_LATERAL})


class Start(StrEnum):
    AT_ENROLMENT = "at enrolment"
    LATER = "later"
    NEVER = "never"


class Reach(StrEnum):
    """How the clinic can reach a patient."""

    WELL = "well"
    NO_ADDRESS = "no address"
    BOUNCED = "bounced"
    DECLINED_MAIL = "declined mail"
    NEVER_ASKED = "never asked"
    NOT_AT_ALL = "not at all"


_REACH: Final = {
    Reach.WELL: 0.92,
    Reach.NO_ADDRESS: 0.022,
    Reach.BOUNCED: 0.02,
    Reach.DECLINED_MAIL: 0.015,
    Reach.NEVER_ASKED: 0.01,
    Reach.NOT_AT_ALL: 0.013,
}


@dataclass(frozen=True, slots=True)
class Habits:
    """How one patient keeps appointments: the share kept within two weeks of the due date, and how they began."""

    keeps: float
    start: Start
    reach: Reach
    reports_pain: bool  # writes or calls when it begins to hurt


def draw_habits(rng: Random) -> Habits:
    chance = rng.random()
    start = (
        Start.NEVER
        if chance < NEVER_STARTS
        else Start.LATER
        if chance < NEVER_STARTS + STARTS_LATER
        else Start.AT_ENROLMENT
    )
    return Habits(
        keeps=rng.uniform(*RELIABLE),
        start=start,
        reach=rng.choices(list(_REACH), list(_REACH.values()))[0],
        reports_pain=rng.random() < 0.55,
    )


def day_of_visit(due_on: date, habits: Habits, rng: Random) -> date | None:
    """When the patient comes for a follow-up that is due; None: not by themselves."""
    if habits.start is Start.NEVER:
        return None
    if rng.random() < habits.keeps:
        return due_on + timedelta(days=round(min(max(rng.gauss(0, 5), -13), 13)))
    chance = rng.random()
    if chance < LOST_SHARE:
        return None
    if chance < LOST_SHARE + VERY_LATE_SHARE:
        return due_on + timedelta(days=rng.randint(56, 130))
    return due_on + timedelta(days=round(rng.triangular(14, 62, 26)))


@dataclass(frozen=True, slots=True)
class Films:
    """What a radiograph turned out to be."""

    views: frozenset[View]
    readable: bool


def draw_films(rng: Random) -> Films:
    chance = rng.random()
    if chance < NOT_READABLE:
        return Films(BOTH_VIEWS, readable=False)
    if chance < NOT_READABLE + ONE_VIEW_MISSING:
        view = View.FROG_LATERAL if rng.random() < 0.25 else View.AP_PELVIS
        return Films(frozenset({view}), readable=True)
    return Films(BOTH_VIEWS, readable=True)
