"""Examination: what clinicians, radiographs and MR would find of an invented hip on a day."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from patients import record as facts
from patients.scores import (
    Deformity,
    HarrisDomain,
    HarrisItems,
    HarrisVariant,
    HoosJrItem,
    Motion,
    harris_hip_score,
    hoos_jr,
)
from patients.vocabulary import Crescent, Instrument, Modality, Side, StagingSystem, SymptomSource, VolumeMethod

from .attendance import Films
from .natural_history import NEVER, Course, Lesion

_YEAR: Final = 365.25
_LAST: Final = date(9999, 12, 31)


@dataclass
class Hip:
    """What is true of a hip, known or not. `lesion` None: no necrosis. Dates of `_LAST` never come."""

    side: Side
    lesion: Lesion | None
    hurts_on: date = _LAST
    collapses_on: date = _LAST
    sinks_on: date = _LAST  # depression beyond 2 mm
    wears_on: date = _LAST  # joint space narrows
    sclerotic_on: date = _LAST
    staged_in: tuple[StagingSystem, str] = (StagingSystem.ARCO, "2019")

    def follow(self, course: Course, start: date, rng: Random) -> None:
        """From `start` the hip takes this course."""
        self.hurts_on = _after(start, course.symptoms)
        self.collapses_on = _after(start, course.collapse)
        self.sinks_on = self.wears_on = _LAST
        if course.collapse != NEVER:
            self.sinks_on = _after(self.collapses_on, 0.15 + rng.expovariate(1 / 1.1))
            self.wears_on = _after(self.sinks_on, 0.5 + rng.expovariate(1 / 3.0))

    def hurts(self, day: date) -> bool:
        return self.lesion is not None and day >= min(self.hurts_on, self.collapses_on)

    def collapsed(self, day: date) -> bool:
        return day >= self.collapses_on

    def phase(self, day: date) -> int:
        """0 stage I, 1 stage II, 2 early collapse, 3 late collapse, 4 osteoarthritis."""
        dates = (self.sclerotic_on, self.collapses_on, self.sinks_on, self.wears_on)
        return max((rank for rank, on in enumerate(dates, start=1) if day >= on), default=0)


def _after(start: date, years: float) -> date:
    return _LAST if years > 200 or start.year > 9000 else start + timedelta(days=round(years * _YEAR))


STAGES: Final[dict[tuple[StagingSystem, str], tuple[str, ...]]] = {
    (StagingSystem.ARCO, "2019"): ("I", "II", "IIIA", "IIIB", "IV"),
    (StagingSystem.FICAT, "1985"): ("I", "II", "TRANSITION", "III", "IV"),
    (StagingSystem.JIC_STAGE, "2001"): ("1", "2", "3A", "3B", "4"),
}


def pain(hip: Hip, day: date, rng: Random) -> int:
    """Numerical rating, 0 to 9: rises over the months, more so after collapse."""
    if not hip.hurts(day):
        return 0
    years = (day - min(hip.hurts_on, hip.collapses_on)).days / _YEAR
    worse = 2.0 if hip.collapsed(day) else 0.0
    return min(9, max(1, round(2.4 + min(years, 3.0) * 0.6 + worse + rng.gauss(0, 0.5))))


def clinicians_report(key: str, hip: Hip, day: date, rng: Random) -> facts.Symptom:
    level = pain(hip, day, rng)
    just_collapsed = hip.collapsed(day) and (day - hip.collapses_on).days < 120
    return facts.Symptom(
        key,
        day,
        SymptomSource.CLINICIAN,
        symptomatic=level > 0,
        pain_nrs=level,
        sudden_worsening=just_collapsed and rng.random() < 0.25,
        night_pain=level > 2 and rng.random() < 0.03,
        cannot_bear_weight=level > 4 and rng.random() < 0.03,
    )


def patients_report(key: str, hip: Hip, day: date, rng: Random) -> facts.Symptom:
    level = pain(hip, day, rng)
    return facts.Symptom(
        key,
        day,
        SymptomSource.PATIENT,
        symptomatic=level > 0,
        pain_nrs=level,
        night_pain=level > 2 and rng.random() < 0.05,
    )


def radiograph(key: str, hip: Hip, day: date, films: Films, rng: Random) -> facts.Imaging:
    """The film of a hip; early collapse is overlooked now and then."""
    if not films.readable:
        return facts.Imaging(key, day, Modality.XR, views=films.views, diagnostic=False)
    phase = hip.phase(day) if hip.lesion else 0
    seen = phase > 2 or (phase == 2 and rng.random() < 0.9)
    return facts.Imaging(
        key,
        day,
        Modality.XR,
        views=films.views,
        diagnostic=True,
        crescent=Crescent.PRESENT if seen else Crescent.ABSENT,
        depression_mm=_depression(hip, day) if seen else Decimal("0.0"),
        joint_space_narrowed=phase == 4,
        collapse_suspected=True if phase == 2 and not seen and rng.random() < 0.5 else None,
    )


def _depression(hip: Hip, day: date) -> Decimal:
    if day < hip.sinks_on:
        share = (day - hip.collapses_on).days / max(1, (hip.sinks_on - hip.collapses_on).days)
        return Decimal(str(round(0.4 + 1.5 * min(1.0, share), 1)))
    return Decimal(str(round(2.2 + min(3.0, (day - hip.sinks_on).days / _YEAR), 1)))


def magnetic_resonance(key: str, hip: Hip, day: date, rng: Random, *, measured: bool = True) -> facts.Imaging:
    """MR without contrast: necrosis, effusion, oedema and, where radiology measured it, the volume."""
    if hip.lesion is None:
        grade = 1 if rng.random() < 0.2 else 0
        return facts.Imaging(
            key, day, Modality.MR, diagnostic=True, necrosis=False, effusion_grade=grade, marrow_edema=False
        )
    hurting = hip.hurts(day)
    weights = (10, 30, 45, 15) if hurting else (45, 43, 11, 1)
    return facts.Imaging(
        key,
        day,
        Modality.MR,
        diagnostic=True,
        necrosis=True,
        effusion_grade=rng.choices((0, 1, 2, 3), weights)[0],
        marrow_edema=rng.random() < (0.5 if hurting else 0.03),
        lesion_volume_percent=hip.lesion.percent if measured else None,
        lesion_volume_cm3=hip.lesion.cm3 if measured else None,
        volume_method=VolumeMethod.MRI_3D_SEGMENTATION if measured else None,
    )


def computed_tomography(key: str, hip: Hip, day: date) -> facts.Imaging:
    """CT settles whether there is a subchondral fracture."""
    broken = hip.lesion is not None and hip.collapsed(day)
    return facts.Imaging(
        key,
        day,
        Modality.CT,
        diagnostic=True,
        crescent=Crescent.PRESENT if broken else Crescent.ABSENT,
        depression_mm=_depression(hip, day) if broken else Decimal("0.0"),
    )


def staging(key: str, hip: Hip, day: date, *, lower: int = 0) -> facts.Staging:
    """A reading of the stage; `lower` by so many ranks when it is misread."""
    system, version = hip.staged_in
    return facts.Staging(key, day, system, version, STAGES[system, version][max(0, hip.phase(day) - lower)])


def location(key: str, lesion: Lesion, day: date, *, with_angle: bool) -> facts.Location:
    return facts.Location(key, day, lesion.jic_type, Decimal(lesion.kerboul_degrees) if with_angle else None)


_BY_PAIN: Final[tuple[tuple[int, dict[HarrisDomain, str]], ...]] = (
    (0, {HarrisDomain.PAIN: "none", HarrisDomain.LIMP: "none", HarrisDomain.DISTANCE: "unlimited"}),
    (2, {HarrisDomain.PAIN: "slight", HarrisDomain.LIMP: "none", HarrisDomain.DISTANCE: "unlimited"}),
    (4, {HarrisDomain.PAIN: "mild", HarrisDomain.LIMP: "slight", HarrisDomain.DISTANCE: "six_blocks"}),
    (6, {HarrisDomain.PAIN: "moderate", HarrisDomain.LIMP: "slight", HarrisDomain.DISTANCE: "two_three_blocks"}),
    (10, {HarrisDomain.PAIN: "marked", HarrisDomain.LIMP: "moderate", HarrisDomain.DISTANCE: "two_three_blocks"}),
)
Scored = tuple[facts.Score, dict[str, Any]]


def harris(key: str, day: date, level: int, rng: Random) -> Scored:
    """A Harris hip score whose items fit the pain, with its variant and items as they are stored."""
    bad = level > 4
    options: dict[HarrisDomain, str | None] = {
        **next(options for up_to, options in _BY_PAIN if level <= up_to),
        HarrisDomain.SUPPORT: "cane_long_walks" if bad else "none",
        HarrisDomain.STAIRS: "rail" if level > 2 else "no_rail",
        HarrisDomain.SHOES_SOCKS: "difficulty" if bad or rng.random() < 0.1 else "ease",
        HarrisDomain.SITTING: "ordinary_chair_hour",
        HarrisDomain.TRANSPORT: "able",
    }
    stiff = 4 * level
    motion = Motion(
        flexion=rng.randint(112, 130) - stiff,
        abduction=rng.randint(32, 42) - level,
        external_rotation=rng.randint(28, 40) - level,
        adduction=rng.randint(20, 30),
        internal_rotation=max(5, rng.randint(22, 35) - 2 * level),
    )
    items = HarrisItems(options, Deformity(0, 0, 0, Decimal(0)), motion)
    total = harris_hip_score(items, HarrisVariant.ARC_TABLE)
    if total is None:
        raise AssertionError("every item was given")
    details = {"variant": HarrisVariant.ARC_TABLE.value, "items": items.to_json()}
    return facts.Score(key, day, Instrument.HHS, total), details


def hoos(key: str, day: date, level: int, rng: Random) -> Scored:
    answers = dict.fromkeys(HoosJrItem, min(4, round(level / 2.5)))
    if answers[HoosJrItem.STAIRS] < 4 and level and rng.random() < 0.3:
        answers[HoosJrItem.STAIRS] += 1  # one point is less than what counts as worsening
    total = hoos_jr(answers)
    if total is None:
        raise AssertionError("every item was given")
    return facts.Score(key, day, Instrument.HOOS_JR, total), {"items": {item.value: n for item, n in answers.items()}}


def body_mass_index(key: str, day: date, level: float) -> facts.Bmi:
    return facts.Bmi(day, Decimal(str(round(level, 1))), key)
