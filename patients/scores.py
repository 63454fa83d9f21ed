"""Scores: the Harris hip score and HOOS JR computed from their items, grades, and the range of the Oxford score.

Pure. Higher is better in all of them. A missing item gives no total: nothing is imputed. The options have our own
short codes; the forms' full wording belongs to their owners and is not kept here.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class ImpossibleScore(ValueError):
    """An item or a total outside its instrument's range, or an option that the instrument does not have."""


class HarrisVariant(StrEnum):
    """How range of motion earns its 0-5 points. The two disagree, so a total names the one that was used."""

    ARC_TABLE = "ARC_TABLE"  # sum of the five arcs, by table
    HARRIS_1969 = "HARRIS_1969"  # each arc weighted by what it is worth, as in the original paper


class HarrisDomain(StrEnum):
    """The eight domains with fixed options; deformity and motion are measured."""

    PAIN = "pain"
    LIMP = "limp"
    SUPPORT = "support"
    DISTANCE = "distance"
    STAIRS = "stairs"
    SHOES_SOCKS = "shoes_socks"
    SITTING = "sitting"
    TRANSPORT = "transport"


# Source: Harris WH, J Bone Joint Surg Am 1969;51:737-55; option points as in the Danish national FHIR guide
# (HarrisHipScore code systems) and in public scoring libraries. 44 + 11 + 11 + 11 + 4 + 4 + 5 + 1 + 4 + 5 = 100.
HARRIS_POINTS: Final[Mapping[HarrisDomain, Mapping[str, int]]] = MappingProxyType(
    {
        HarrisDomain.PAIN: {"none": 44, "slight": 40, "mild": 30, "moderate": 20, "marked": 10, "disabled": 0},
        HarrisDomain.LIMP: {"none": 11, "slight": 8, "moderate": 5, "severe": 0, "cannot_walk": 0},
        HarrisDomain.SUPPORT: {
            "none": 11,
            "cane_long_walks": 7,
            "cane_mostly": 5,
            "one_crutch": 3,
            "two_canes": 2,
            "two_crutches": 0,
            "cannot_walk": 0,
        },
        HarrisDomain.DISTANCE: {
            "unlimited": 11,
            "six_blocks": 8,
            "two_three_blocks": 5,
            "indoors": 2,
            "bed_chair": 0,
        },
        HarrisDomain.STAIRS: {"no_rail": 4, "rail": 2, "any_manner": 1, "unable": 0},
        HarrisDomain.SHOES_SOCKS: {"ease": 4, "difficulty": 2, "unable": 0},
        HarrisDomain.SITTING: {"ordinary_chair_hour": 5, "high_chair_half_hour": 3, "unable": 0},
        HarrisDomain.TRANSPORT: {"able": 1, "unable": 0},
    }
)
NO_DEFORMITY_POINTS: Final = 4
MOTION_POINTS: Final = 5

# The most that a measured item can be, in degrees, and in cm for the legs; none is below 0. The bounds are ours and
# leave room for lax hips, so that only slips are refused. What is usual: flexion to 120, abduction to 50, adduction to
# 30, rotations to 60 (Wilson JJ, Furukawa M, Am Fam Physician 2014;89:27-34). A contracture ends where motion does.
HARRIS_MOST: Final[Mapping[str, int]] = MappingProxyType(
    {
        "flexion": 160,
        "abduction": 90,
        "external_rotation": 90,
        "adduction": 60,
        "internal_rotation": 90,
        "fixed_flexion": 160,
        "fixed_adduction": 60,
        "fixed_internal_rotation": 90,
        "leg_length_difference_cm": 30,
    }
)


def impossible_items(items: Mapping[str, object]) -> list[str]:
    """The measured items that no hip has (`HARRIS_MOST`), by name, whether they stand by themselves or as `to_json`
    writes them. What is no number is not judged."""
    said = dict(items)
    for part in (items.get("deformity"), items.get("motion")):
        said |= part if isinstance(part, Mapping) else {}
    return [name for name, most in HARRIS_MOST.items() if not 0 <= _number(said.get(name)) <= most]


def _number(value: object) -> Decimal:
    """0 for what is none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return Decimal(0)
    return Decimal(0) if number.is_nan() else number


def _refuse_impossible(items: Mapping[str, object]) -> None:
    if wrong := impossible_items(items):
        raise ImpossibleScore(f"No hip has this: {', '.join(wrong)}.")


@dataclass(frozen=True, slots=True)
class Deformity:
    """Fixed contractures in degrees, and the difference in leg length in cm."""

    fixed_flexion: int
    fixed_adduction: int
    fixed_internal_rotation: int
    leg_length_difference_cm: Decimal

    @property
    def points(self) -> int:
        """4 only where all four hold: flexion < 30, adduction < 10, internal rotation < 10, difference < 3.2 cm.

        Raises ImpossibleScore for what no hip has.
        """
        _refuse_impossible(asdict(self))
        absent = (
            self.fixed_flexion < 30
            and self.fixed_adduction < 10
            and self.fixed_internal_rotation < 10
            and self.leg_length_difference_cm < Decimal("3.2")
        )
        return NO_DEFORMITY_POINTS if absent else 0


@dataclass(frozen=True, slots=True)
class Motion:
    """Range of motion in whole degrees; rotations are measured in extension."""

    flexion: int
    abduction: int
    external_rotation: int
    adduction: int
    internal_rotation: int

    @property
    def total_arc(self) -> int:
        return self.flexion + self.abduction + self.external_rotation + self.adduction + self.internal_rotation

    def points(self, variant: HarrisVariant) -> Decimal:
        """0 to 5 points. Raises ImpossibleScore for a range that no hip has."""
        _refuse_impossible(asdict(self))
        return _by_table(self.total_arc) if variant is HarrisVariant.ARC_TABLE else self._weighted()

    def _weighted(self) -> Decimal:
        """A twentieth of the weighted degrees, at most 5: flexion to 110, abduction to 20, external rotation and
        adduction to 15; internal rotation earns nothing (Harris 1969).
        """
        index = (
            Decimal("1.0") * _between(self.flexion, 0, 45)
            + Decimal("0.6") * _between(self.flexion, 45, 90)
            + Decimal("0.3") * _between(self.flexion, 90, 110)
            + Decimal("0.8") * _between(self.abduction, 0, 15)
            + Decimal("0.3") * _between(self.abduction, 15, 20)
            + Decimal("0.4") * _between(self.external_rotation, 0, 15)
            + Decimal("0.2") * _between(self.adduction, 0, 15)
        )
        return min(Decimal(MOTION_POINTS), index * Decimal("0.05"))


def _between(degrees: int, low: int, high: int) -> int:
    """How many of the degrees lie between `low` and `high`."""
    return max(0, min(degrees, high) - low)


def _by_table(arc: int) -> Decimal:
    """211 degrees and more: 5; 161-210: 4; 101-160: 3; 61-100: 2; 31-60: 1; up to 30: 0."""
    return Decimal(sum(arc > cut for cut in (30, 60, 100, 160, 210)))


@dataclass(frozen=True, slots=True)
class HarrisItems:
    """What was asked and measured for one Harris hip score; None is not known."""

    options: Mapping[HarrisDomain, str | None]
    deformity: Deformity | None
    motion: Motion | None

    @property
    def missing(self) -> tuple[str, ...]:
        """The items without which there is no total."""
        absent = [domain.value for domain in HarrisDomain if self.options.get(domain) is None]
        absent += ["deformity"] if self.deformity is None else []
        absent += ["motion"] if self.motion is None else []
        return tuple(absent)

    def to_json(self) -> dict[str, object]:
        """Plain JSON values, as they are kept beside the total."""
        deformity = None if self.deformity is None else asdict(self.deformity)
        if deformity is not None:
            deformity["leg_length_difference_cm"] = str(deformity["leg_length_difference_cm"])
        return {
            **{domain.value: self.options.get(domain) for domain in HarrisDomain},
            "deformity": deformity,
            "motion": None if self.motion is None else asdict(self.motion),
        }


def harris_hip_score(items: HarrisItems, variant: HarrisVariant) -> Decimal | None:
    """The total, 0 to 100 points, or None where an item is missing. Raises ImpossibleScore for an unknown option or a
    measure that no hip has."""
    answered = [(domain, option) for domain, option in items.options.items() if option is not None]
    points = [_harris_points(domain, option) for domain, option in answered]
    if items.missing or items.deformity is None or items.motion is None:
        return None
    return Decimal(sum(points) + items.deformity.points) + items.motion.points(variant)


def _harris_points(domain: HarrisDomain, option: str) -> int:
    try:
        return HARRIS_POINTS[domain][option]
    except KeyError:
        raise ImpossibleScore(f"{domain} has no option {option!r}.") from None


class HarrisGrade(StrEnum):
    EXCELLENT = "excellent"
    GOOD = "good"
    FAIR = "fair"
    POOR = "poor"


def harris_grade(total: Decimal) -> HarrisGrade:
    """90 and more excellent, 80 good, 70 fair, below poor. Raises ImpossibleScore outside 0-100."""
    if not 0 <= total <= 100:
        raise ImpossibleScore("The Harris hip score goes from 0 to 100.")
    if total >= 90:
        return HarrisGrade.EXCELLENT
    if total >= 80:
        return HarrisGrade.GOOD
    return HarrisGrade.FAIR if total >= 70 else HarrisGrade.POOR


class HoosJrItem(StrEnum):
    """The six items, each answered none 0, mild 1, moderate 2, severe 3, extreme 4."""

    STAIRS = "stairs"
    UNEVEN_SURFACE = "uneven_surface"
    RISING = "rising"
    BENDING = "bending"
    LYING = "lying"
    SITTING = "sitting"


# Raw sum 0..24 to interval score. Source: the table published with HOOS, JR. by the Hospital for Special Surgery
# (Lyman S et al., Clin Orthop Relat Res 2016;474:1472-82), free to use unaltered.
HOOS_JR_INTERVAL: Final[tuple[Decimal, ...]] = tuple(
    map(
        Decimal,
        [
            "100", "92.340", "85.257", "80.550", "76.776", "73.472", "70.426", "67.516", "64.664", "61.815",
            "58.930", "55.985", "52.965", "49.858", "46.652", "43.335", "39.902", "36.363", "32.735", "29.009",
            "25.103", "20.805", "15.633", "8.104", "0",
        ],
    )
)  # fmt: skip


def hoos_jr(items: Mapping[HoosJrItem, int | None]) -> Decimal | None:
    """The interval score, 0 to 100, or None where an item is missing. Raises ImpossibleScore outside 0-4."""
    answers = [items.get(item) for item in HoosJrItem]
    known = [answer for answer in answers if answer is not None]
    if any(not 0 <= answer <= 4 for answer in known):
        raise ImpossibleScore("Each item of HOOS JR is answered with 0 to 4.")
    return HOOS_JR_INTERVAL[sum(known)] if len(known) == len(answers) else None


def is_on_hoos_jr(total: Decimal) -> bool:
    """Whether a total is one of the interval scores, also one rounded to fewer decimals."""
    written = total.normalize()
    half_a_place = Decimal("0.5").scaleb(min(0, int(written.as_tuple().exponent)))
    return any(abs(step - written) <= half_a_place for step in HOOS_JR_INTERVAL)


OXFORD_RANGE: Final = (0, 48)


def oxford_total(total: int) -> Decimal:
    """An Oxford hip score that was added up elsewhere (its items need a licence), 0 to 48, higher is better.

    Raises ImpossibleScore otherwise: a total above 48 comes from the older scale of 12 to 60, where lower is better.
    """
    low, high = OXFORD_RANGE
    if not low <= total <= high:
        raise ImpossibleScore("The Oxford hip score goes from 0 to 48.")
    return Decimal(total)
