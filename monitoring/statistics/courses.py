"""Courses: from when a hip's size was known to its first pain and to its collapse, read from the facts.

A hip is watched from enrolment, or from its first measured volume if that came later: before that day nobody could
have put it into a band of size. It is censored at the last time somebody asked or looked, and no later than the day on
which it was operated on, the patient died or follow-up ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from django.db import connection

from patients.record import Imaging, Staging
from patients.vocabulary import MEASURING_METHODS, STAGE_CODES, Modality, ProcedureKind
from schedules.guideline.lesion import SizeBand, size_band
from schedules.guideline.protocol import Protocol
from schedules.guideline.stages import Phase, staging_rank

from .scope import Scope
from .survival import Curve, LogRank, Observation, kaplan_meier, log_rank

PAIN, COLLAPSE = "pain", "collapse"
ENDPOINTS: Final = (PAIN, COLLAPSE)
BANDS: Final = tuple(SizeBand)
DAYS_A_MONTH: Final = 365.25 / 12
FEWEST: Final = 5  # hips at risk; where fewer are left no curve is drawn
OPERATIONS: Final = (
    ProcedureKind.CORE_DECOMPRESSION,
    ProcedureKind.THA,
    ProcedureKind.RESURFACING_HEMI,
    ProcedureKind.NONVASC_BONE_GRAFT,
    ProcedureKind.VASCULAR_FIBULAR_GRAFT,
    ProcedureKind.OSTEOTOMY,
    ProcedureKind.TANTALUM_ROD,
)

# A fact stands when it is dated up to the day, not withdrawn, and no other such fact of its hip supersedes it.
_STANDING = """{table} AS (
    SELECT {columns} FROM patients_{table} f
    WHERE f.clinic_id = ANY(%(clinics)s) AND f.on <= %(today)s AND f.withdrawn_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM patients_{table} s
        WHERE s.supersedes_id = f.id AND s.hip_id = f.hip_id AND s.on <= %(today)s AND s.withdrawn_at IS NULL))"""

_COLUMNS: Final = {
    "imaging": (
        'id, hip_id, patient_id, "on", diagnostic, lesion_volume_percent, lesion_volume_cm3, volume_method, crescent,'
        " depression_mm, joint_space_narrowed"
    ),
    "staging": 'hip_id, "on", system, version, code',
    "symptomreport": 'hip_id, "on", symptomatic, pain_nrs, sudden_worsening, night_pain, cannot_bear_weight',
    "procedure": 'hip_id, "on", procedure',
    "ending": 'hip_id, "on", reason',
}
_COURSES = (  # its only parts are the names of our own tables
    "WITH "  # noqa: S608
    + ",\n".join(_STANDING.format(table=table, columns=columns) for table, columns in _COLUMNS.items())
    + """,
volume AS (
    SELECT id, hip_id, patient_id, "on", lesion_volume_percent AS percent, lesion_volume_cm3 AS cm3 FROM imaging
    WHERE diagnostic IS NOT FALSE AND lesion_volume_percent IS NOT NULL AND volume_method = ANY(%(methods)s)),
began AS (
    SELECT v.hip_id, v.patient_id, greatest(p.enrolled_on, min(v."on")) AS day, p.died_on
    FROM volume v JOIN patients_patient p ON p.id = v.patient_id
    WHERE p.enrolled_on <= %(today)s GROUP BY v.hip_id, v.patient_id, p.enrolled_on, p.died_on),
sized AS (
    SELECT DISTINCT ON (v.hip_id) v.hip_id, v.percent, v.cm3 FROM volume v JOIN began b USING (hip_id)
    WHERE v."on" <= b.day ORDER BY v.hip_id, v."on" DESC, v.id DESC),
stopped AS (
    SELECT hip_id, min(day) AS day FROM (
        SELECT hip_id, "on" AS day FROM procedure WHERE procedure = ANY(%(operations)s)
        UNION ALL SELECT hip_id, "on" FROM ending WHERE reason <> 'reopened') x GROUP BY hip_id),
watched AS (
    SELECT b.hip_id, b.patient_id, b.day, least(s.day, b.died_on, %(today)s) AS until
    FROM began b LEFT JOIN stopped s USING (hip_id)),
asked AS (
    SELECT r.hip_id, r."on", (coalesce(r.symptomatic, false) OR coalesce(r.sudden_worsening, false)
        OR coalesce(r.night_pain, false) OR coalesce(r.cannot_bear_weight, false)
        OR coalesce(r.pain_nrs >= %(nrs)s, false)) AS hurts
    FROM symptomreport r
    WHERE r.symptomatic IS NOT NULL OR r.pain_nrs IS NOT NULL
        OR r.sudden_worsening OR r.night_pain OR r.cannot_bear_weight),
looked AS (
    SELECT hip_id, "on", (coalesce(crescent = 'present', false) OR coalesce(depression_mm > 0, false)
        OR coalesce(joint_space_narrowed, false)) AS collapsed
    FROM imaging WHERE diagnostic IS NOT FALSE
    UNION ALL SELECT hip_id, "on", (system || ' ' || version || ' ' || code) = ANY(%(collapsed)s) FROM staging),
pain AS (
    SELECT a.hip_id, min(a."on") FILTER (WHERE a.hurts) AS first, max(a."on") FILTER (WHERE a."on" <= w.until) AS last
    FROM asked a JOIN watched w USING (hip_id) GROUP BY a.hip_id),
collapse AS (
    SELECT l.hip_id, min(l."on") FILTER (WHERE l.collapsed) AS first,
        max(l."on") FILTER (WHERE l."on" <= w.until) AS last
    FROM looked l JOIN watched w USING (hip_id) GROUP BY l.hip_id)
SELECT w.hip_id, w.patient_id, w.day, w.until, z.percent, z.cm3, pain.first, pain.last, collapse.first, collapse.last
FROM watched w JOIN sized z USING (hip_id) LEFT JOIN pain USING (hip_id) LEFT JOIN collapse USING (hip_id)
ORDER BY w.hip_id"""
)


class Course(NamedTuple):
    """One hip: since when its size is known, until when it could be watched, and what was first and last seen."""

    hip_id: int
    patient_id: int
    began_on: date
    until: date  # operated on, died, follow-up ended, or the day itself
    band: SizeBand
    pain_on: date | None
    asked_on: date | None  # the last time anybody said whether it hurts, up to `until`
    collapse_on: date | None
    looked_on: date | None  # the last image or stage reading up to `until`


def collapsed_codes() -> list[str]:
    """Every stage, in every system, that means collapse (ARCO III and above), as `SYSTEM VERSION CODE`."""
    day = date.min
    return [
        f"{system} {version} {code}"
        for (system, version), codes in STAGE_CODES.items()
        for code in codes
        if staging_rank(Staging("", day, system, version, code)) >= Phase.COLLAPSE_EARLY
    ]


def read_courses(scope: Scope, protocol: Protocol) -> list[Course]:
    """Every hip with a measured volume, in one query."""
    asked: dict[str, Any] = {
        "clinics": list(scope.clinic_ids),
        "today": scope.today,
        "methods": [str(method) for method in MEASURING_METHODS],
        "operations": [str(operation) for operation in OPERATIONS],
        "nrs": protocol.symptomatic_nrs_min,
        "collapsed": collapsed_codes(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_COURSES, asked)
        return [_course(row, protocol) for row in cursor.fetchall()]


def _course(row: tuple[Any, ...], protocol: Protocol) -> Course:
    hip_id, patient_id, began_on, until, percent, cm3, *days = row
    return Course(hip_id, patient_id, began_on, until, _band(percent, cm3, protocol), *days)


def _band(percent: Decimal, cm3: Decimal | None, protocol: Protocol) -> SizeBand:
    study = Imaging("", date.min, Modality.MR, lesion_volume_percent=percent, lesion_volume_cm3=cm3)
    return size_band(study, protocol)


class Watched(NamedTuple):
    """One hip on a curve: months from the beginning to the event or to the last look."""

    hip_id: int
    observation: Observation


@dataclass(frozen=True, slots=True)
class Group:
    """The hips of one band of size and their curve."""

    members: tuple[Watched, ...]
    curve: Curve

    @property
    def drawn_until(self) -> float:
        return self.curve.steady_until(FEWEST)

    def with_event(self) -> list[int]:
        return [hip for hip, seen in self.members if seen.event]

    def censored(self) -> list[int]:
        return [hip for hip, seen in self.members if not seen.event]

    def at_risk(self, month: float) -> list[int]:
        return [hip for hip, seen in self.members if seen.time >= month]


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves of one endpoint by band, what was left out and why, and whether the bands differ."""

    endpoint: str
    groups: Mapping[SizeBand, Group]
    already: tuple[int, ...]  # the event, or another that forestalls it, came before the hip could be watched
    unseen: tuple[int, ...]  # nobody asked or looked after the beginning
    both_hips: int  # patients of whom both hips are counted
    test: LogRank | None

    @property
    def size(self) -> int:
        return sum(group.curve.size for group in self.groups.values())

    @property
    def drawn(self) -> dict[SizeBand, Group]:
        return {band: group for band, group in self.groups.items() if group.curve.size >= FEWEST}


def curves_of(courses: list[Course], endpoint: str) -> Curves:
    """The Kaplan-Meier curves to first pain or to collapse. Raises KeyError for another endpoint."""
    place = {PAIN: _to_pain, COLLAPSE: _to_collapse}[endpoint]
    members: dict[SizeBand, list[Watched]] = {band: [] for band in BANDS}
    already, unseen, patients = [], [], []
    for course in courses:
        if not _can_be_watched(course, endpoint):
            already.append(course.hip_id)
        elif (seen := place(course)) is None:
            unseen.append(course.hip_id)
        else:
            members[course.band].append(Watched(course.hip_id, seen))
            patients.append(course.patient_id)
    groups = {band: Group(tuple(hips), kaplan_meier(seen for _hip, seen in hips)) for band, hips in members.items()}
    compared = {
        str(band): list(group.curve.observations) for band, group in groups.items() if group.curve.size >= FEWEST
    }
    both = len(patients) - len(set(patients))
    return Curves(endpoint, groups, tuple(already), tuple(unseen), both, log_rank(compared))


def _can_be_watched(course: Course, endpoint: str) -> bool:
    """Native, not operated on and not collapsed at the beginning; for pain also never painful before."""
    began = course.began_on
    if course.until < began or (course.collapse_on is not None and course.collapse_on <= began):
        return False
    return endpoint != PAIN or course.pain_on is None or course.pain_on > began


def _to_pain(course: Course) -> Observation | None:
    return _observation(course.began_on, course.until, course.pain_on, course.asked_on)


def _to_collapse(course: Course) -> Observation | None:
    return _observation(course.began_on, course.until, course.collapse_on, course.looked_on)


def _observation(began: date, until: date, event_on: date | None, last_on: date | None) -> Observation | None:
    """The event if it came while the hip was watched, else the last look; None when nobody looked again."""
    if event_on is not None and event_on <= until:
        return Observation((event_on - began).days / DAYS_A_MONTH, True)
    if last_on is None or last_on <= began:
        return None
    return Observation((last_on - began).days / DAYS_A_MONTH, False)
