"""Natural history: when an invented hip begins to hurt and when it collapses, by the published cohorts.

Pure and seeded: every draw comes from the `random.Random` that is handed in. Times are years from the start of
observation. The cohorts contradict one another about small lesions, so each is a model of its own, never an average;
docs/simulation.md tells what was fitted to which and how well a cohort that was held out is met.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from random import Random
from types import MappingProxyType
from typing import Final

from patients.vocabulary import JicType

NEVER: Final = math.inf
SHORTEST_LAG: Final = 0.5  # symptoms come at least six months before collapse (Hernigou 2004)


@dataclass(frozen=True, slots=True)
class Course:
    """A hip left to itself: years until it hurts and until the head collapses. Pain before the start is negative."""

    symptoms: float
    collapse: float

    def symptomatic_by(self, years: float) -> bool:
        return self.symptoms <= years

    def collapsed_by(self, years: float) -> bool:
        return self.collapse <= years


@dataclass(frozen=True, slots=True)
class Weibull:
    """Years until an event: S(t) = exp(-(t / scale) ** shape)."""

    shape: float
    scale: float

    def draw(self, rng: Random) -> float:
        return rng.weibullvariate(self.scale, self.shape)

    def by(self, years: float) -> float:
        """The share in whom the event has come."""
        return 1.0 - math.exp(-((years / self.scale) ** self.shape))


# Hernigou 2004: stage I, below 5 cm3 and 10 %, asymptomatic; 88 % symptomatic and 73 % collapsed at 11 years.
HERNIGOU_SYMPTOMS: Final = Weibull(shape=2.5, scale=8.21)
HERNIGOU_MEAN_FURTHER_LAG: Final = 1.3

# Nam 2008: of 21 lesions below 30 % (by area) one became painful; pain came within five years.
NAM_EVER_PAINFUL: Final = 0.05
NAM_PAIN_WITHIN: Final = 5.0

# Kuroda 2019: collapse or arthroplasty at 2 and 5 years by JIC type: A 0/0, B 7.9/7.9, C1 23.2/36.6, C2 57.8/84.8 %.
KURODA_B_EVER: Final = 0.079
KURODA_B_WITHIN: Final = 2.0
KURODA_C1: Final = Weibull(shape=0.60, scale=18.7)
KURODA_C2: Final = Weibull(shape=0.85, scale=2.38)
MEAN_FURTHER_LAG: Final = 0.6  # beyond the shortest; ours
PAIN_WITHOUT_COLLAPSE: Final = Weibull(shape=1.0, scale=25.0)  # ours: some hips hurt and never collapse

# Hernigou 2006, sickle cell disease: 95 % of stage I hips hurt within 3 years, then 11 months on average to collapse.
SICKLE_CELL_SYMPTOMS: Final = Weibull(shape=1.0, scale=3.0 / math.log(20))
SICKLE_CELL_MEAN_FURTHER_LAG: Final = 11 / 12 - SHORTEST_LAG


def _after_pain(symptoms: float, mean_further_lag: float, rng: Random) -> Course:
    return Course(symptoms, symptoms + SHORTEST_LAG + rng.expovariate(1 / mean_further_lag))


def very_small_hernigou(rng: Random) -> Course:
    """A very small lesion as in Hernigou 2004: quiet for years, then most hurt and collapse."""
    return _after_pain(HERNIGOU_SYMPTOMS.draw(rng), HERNIGOU_MEAN_FURTHER_LAG, rng)


def small_nam(rng: Random) -> Course:
    """A lesion below 30 % as in Nam 2008, the optimistic reading: one in twenty ever hurts."""
    if rng.random() >= NAM_EVER_PAINFUL:
        return Course(NEVER, NEVER)
    return _after_pain(rng.uniform(0, NAM_PAIN_WITHIN), HERNIGOU_MEAN_FURTHER_LAG, rng)


def sickle_cell(rng: Random) -> Course:
    """A stage I hip in sickle cell disease (Hernigou 2006)."""
    return _after_pain(SICKLE_CELL_SYMPTOMS.draw(rng), SICKLE_CELL_MEAN_FURTHER_LAG, rng)


def by_jic_type(jic_type: JicType, rng: Random) -> Course:
    """Collapse by location (Kuroda 2019); pain comes before it, and a few hips hurt without collapse."""
    collapse = _collapse_of(jic_type, rng)
    lonely_pain = PAIN_WITHOUT_COLLAPSE.draw(rng)
    if collapse == NEVER:
        return Course(lonely_pain, NEVER)
    lag = SHORTEST_LAG + rng.expovariate(1 / MEAN_FURTHER_LAG)
    return Course(min(collapse - lag, lonely_pain), collapse)


def _collapse_of(jic_type: JicType, rng: Random) -> float:
    if jic_type is JicType.C2:
        return KURODA_C2.draw(rng)
    if jic_type is JicType.C1:
        return KURODA_C1.draw(rng)
    if jic_type is JicType.B and rng.random() < KURODA_B_EVER:
        return rng.uniform(0, KURODA_B_WITHIN)
    return NEVER


def asymptomatic_at_start(draw: Callable[[Random], Course], rng: Random) -> Course:
    """A course of a hip that does not hurt yet: such are the hips that are found beside a painful one."""
    while (course := draw(rng)).symptoms <= 0:
        pass
    return course


class SmallLesions(StrEnum):
    """Which reading of the literature very small or small lesions follow."""

    HERNIGOU = "hernigou"  # lesions below 10 % and 5 cm3 as in 2004, all others by location
    NAM = "nam"  # lesions below 30 % as in 2008, larger ones by location


class Band(StrEnum):
    VERY_SMALL = "VERY_SMALL"
    SMALL = "SMALL"
    MODERATE = "MODERATE"
    LARGE = "LARGE"


@dataclass(frozen=True, slots=True)
class Lesion:
    """Size and place: share of the head, cm3, JIC type and modified Kerboul angle."""

    band: Band
    percent: Decimal
    cm3: Decimal
    jic_type: JicType
    kerboul_degrees: int


@dataclass(frozen=True, slots=True)
class CaseMix:
    """How often each size is met, where lesions of that size lie, and their arc sums in degrees (lowest, highest)."""

    bands: Mapping[Band, float]
    places: Mapping[Band, tuple[float, float, float, float]]  # A, B, C1, C2
    angles: Mapping[Band, tuple[int, int]]


_PERCENT: Final = {
    Band.VERY_SMALL: (2.0, 9.9),
    Band.SMALL: (6.0, 14.9),
    Band.MODERATE: (15.0, 29.9),
    Band.LARGE: (30.0, 62.0),
}
_PLACES: Final = MappingProxyType(
    {
        Band.VERY_SMALL: (0.40, 0.40, 0.18, 0.02),
        Band.SMALL: (0.20, 0.36, 0.34, 0.10),
        Band.MODERATE: (0.04, 0.16, 0.52, 0.28),
        Band.LARGE: (0.0, 0.02, 0.33, 0.65),
    }
)
_ANGLES: Final = MappingProxyType(
    {Band.VERY_SMALL: (80, 180), Band.SMALL: (120, 215), Band.MODERATE: (170, 255), Band.LARGE: (225, 320)}
)
# Ours: a registry of small lesions; surgeons elsewhere see far more C2 (Kuroda 2019: 277 of 505).
SMALL_LESION_REGISTRY: Final = CaseMix(
    MappingProxyType({Band.VERY_SMALL: 0.40, Band.SMALL: 0.30, Band.MODERATE: 0.22, Band.LARGE: 0.08}), _PLACES, _ANGLES
)
# Ours, for Min 2008 (81 hips found without symptoms beside a painful one), whose case mix we could not read.
ASYMPTOMATIC_SERIES: Final = CaseMix(
    MappingProxyType({Band.VERY_SMALL: 0.20, Band.SMALL: 0.25, Band.MODERATE: 0.35, Band.LARGE: 0.20}), _PLACES, _ANGLES
)
HEAD_CM3: Final = (45.0, 74.0)  # spheres of 44 to 52 mm


def draw_lesion(case_mix: CaseMix, rng: Random) -> Lesion:
    band = rng.choices(list(case_mix.bands), list(case_mix.bands.values()))[0]
    jic_type = rng.choices(list(JicType), case_mix.places[band])[0]
    low, high = case_mix.angles[band]
    head = rng.uniform(*HEAD_CM3)
    percent = _percent_of(band, head, rng)
    cm3 = (percent * Decimal(str(round(head, 1))) / 100).quantize(Decimal("0.1"))
    if band is Band.VERY_SMALL:
        cm3 = min(cm3, Decimal("4.9"))
    return Lesion(band, percent, cm3, jic_type, rng.randint(low, high))


def _percent_of(band: Band, head_cm3: float, rng: Random) -> Decimal:
    low, high = _PERCENT[band]
    if band is Band.VERY_SMALL:
        high = min(high, 490 / head_cm3)  # both cuts hold: below 10 % and below 5 cm3
    elif band is Band.SMALL:
        low = max(low, min(10.0, 510 / head_cm3))
    return Decimal(str(round(rng.uniform(low, high), 1)))


def draw_course(lesion: Lesion, *, sickle_cell_disease: bool, small: SmallLesions, rng: Random) -> Course:
    """The course that a lesion's size, place and cause give it."""
    if sickle_cell_disease:
        return sickle_cell(rng)
    if small is SmallLesions.HERNIGOU and lesion.band is Band.VERY_SMALL:
        return very_small_hernigou(rng)
    if small is SmallLesions.NAM and lesion.band is not Band.LARGE:
        return small_nam(rng)
    return by_jic_type(lesion.jic_type, rng)


# Core decompression with marrow (2021 series, 36 months): collapse 0/12 below 200 degrees, 2/16 to 249, 64 % above.
_FAILS_AFTER_DECOMPRESSION: Final = ((200, 0.05), (250, 0.15), (361, 0.64))


def after_decompression(lesion: Lesion, rng: Random) -> Course:
    """Years from the surgery: pain is gone and comes back before a collapse, where there is one."""
    fails = next(share for below, share in _FAILS_AFTER_DECOMPRESSION if lesion.kerboul_degrees < below)
    if rng.random() >= fails:
        return Course(NEVER, NEVER)
    collapse = SHORTEST_LAG + rng.expovariate(1 / 1.2)
    return Course(collapse - SHORTEST_LAG * rng.uniform(0.4, 1.0), collapse)


def min_2008(rng: Random) -> Course:
    """One hip of an asymptomatic series of mixed size and cause; the outcome of Min 2008 was not fitted."""
    lesion = draw_lesion(ASYMPTOMATIC_SERIES, rng)
    return asymptomatic_at_start(lambda chance: by_jic_type(lesion.jic_type, chance), rng)
