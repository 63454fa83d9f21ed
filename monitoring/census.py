"""Census: every enrolled hip in exactly one bucket, counted in SQL from raw facts.

Independent of the code that sets statuses: who has died, ended, been replaced or is diseased is read from the facts
once more, and a followed hip's bucket from the dates of its plan and today. A hip that should be followed and has no
plan is in the bucket `lost`. The buckets must sum to the enrolled hips and each hip must stand in the same bucket in
the lists; if not, administrators are told.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from django.db import connection
from django.db.models import QuerySet
from django.utils import timezone

from patients import access
from patients.models import Clinic, Hip
from patients.recording import today_at

from . import heartbeats, standings
from .models import Census

SHOWN = 100
TOGETHER = 50  # clinics that are counted at once
MEMORY = "64MB"  # for each sorting and hashing of one night's count

# A fact stands when it is dated up to the clinic's day, not withdrawn, and no such fact of its list supersedes it;
# that few facts supersede one is said for the planner.
_STANDING = """{table} AS (
    SELECT f.* FROM asked a JOIN patients_{table} f ON f.clinic_id = a.clinic_id
    WHERE f.on <= a.today AND f.withdrawn_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM patients_{table} s
        WHERE s.supersedes_id IS NOT NULL AND s.supersedes_id = f.id AND s.hip_id = f.hip_id AND s.on <= a.today
            AND s.withdrawn_at IS NULL))"""

_CENSUS = (  # its only parts are the names of our own tables
    "WITH asked AS MATERIALIZED ("  # noqa: S608
    "SELECT * FROM unnest(%(clinics)s::bigint[], %(todays)s::date[]) AS a (clinic_id, today)),\n"
    + ",\n".join(_STANDING.format(table=table) for table in ("imaging", "staging", "procedure", "ending"))
    + """,
seen AS (
    SELECT hip_id, bool_or(diagnostic IS NOT FALSE
            AND (necrosis OR crescent = 'present' OR depression_mm > 0 OR joint_space_narrowed)) AS diseased,
        (array_agg(necrosis ORDER BY "on" DESC, id DESC) FILTER (
            WHERE modality = 'MR' AND diagnostic IS NOT FALSE AND necrosis IS NOT NULL))[1] AS latest_necrosis
    FROM imaging GROUP BY hip_id),
diseased AS (
    SELECT hip_id FROM seen WHERE diseased
    UNION SELECT hip_id FROM staging WHERE NOT (system = 'STEINBERG' AND code = '0')
    UNION SELECT hip_id FROM procedure WHERE procedure = 'CORE_DECOMPRESSION'),
replaced AS (SELECT DISTINCT hip_id FROM procedure WHERE procedure IN ('THA', 'RESURFACING_HEMI')),
ended AS (
    SELECT DISTINCT ON (hip_id) hip_id, reason FROM ending
    WHERE reason <> 'reopened' ORDER BY hip_id, "on" DESC, id DESC),
mistaken AS (SELECT DISTINCT hip_id FROM ending WHERE reason = 'entered_in_error'),
hip AS (
    SELECT h.id, h.patient_id, h.clinic_id, a.today, p.died_on, p.enrolled_on, p.merged_into_id, e.reason,
        d.hip_id IS NOT NULL AS diseased, r.hip_id IS NOT NULL AS replaced,
        (d.hip_id IS NOT NULL OR r.hip_id IS NOT NULL) AND x.hip_id IS NULL AS affected,
        i.latest_necrosis IS FALSE AS clear
    FROM asked a JOIN patients_hip h ON h.clinic_id = a.clinic_id JOIN patients_patient p ON p.id = h.patient_id
    LEFT JOIN diseased d ON d.hip_id = h.id LEFT JOIN replaced r ON r.hip_id = h.id LEFT JOIN ended e ON e.hip_id = h.id
    LEFT JOIN mistaken x ON x.hip_id = h.id LEFT JOIN seen i ON i.hip_id = h.id),
placed AS (
    SELECT hip.id, hip.clinic_id, CASE
            WHEN hip.died_on <= hip.today THEN 'deceased'
            WHEN hip.enrolled_on > hip.today THEN 'not_enrolled'
            WHEN hip.merged_into_id IS NOT NULL THEN 'ended: merged'
            WHEN hip.reason IS NOT NULL THEN 'ended: ' || hip.reason
            WHEN hip.replaced THEN 'replaced'
            WHEN NOT hip.diseased AND other.affected THEN 'contralateral_watch'
            WHEN NOT hip.diseased AND hip.clear THEN 'not_affected'
            WHEN plan.id IS NULL THEN 'lost'
            WHEN hip.today >= plan.gap_on THEN 'gap'
            WHEN hip.today >= plan.overdue_on THEN 'overdue'
            WHEN hip.today >= plan.due_on THEN 'due'
            WHEN hip.today >= plan.opens_on THEN 'open'
            ELSE 'upcoming' END AS bucket,
        coalesce(listed.status, listed.pathway) AS listed
    FROM hip
    LEFT JOIN hip other ON other.patient_id = hip.patient_id AND other.id <> hip.id
    LEFT JOIN schedules_plan plan ON plan.hip_id = hip.id AND plan.state = 'current'
    LEFT JOIN monitoring_hipevaluation listed ON listed.hip_id = hip.id)
SELECT clinic_id, bucket, listed, count(*),
    (array_agg(id ORDER BY id) FILTER (WHERE listed IS DISTINCT FROM split_part(bucket, ':', 1)))[:%(shown)s]
FROM placed GROUP BY clinic_id, bucket, listed
UNION ALL SELECT clinic_id, NULL, NULL, count(*), NULL FROM patients_hip
    WHERE clinic_id = ANY(%(clinics)s) GROUP BY clinic_id
ORDER BY 1, 2, 3"""
)


@dataclass
class Counted:
    """A clinic's enrolled hips, the same by bucket as of one moment, and some of those that the lists put elsewhere."""

    enrolled: int = 0
    buckets: Counter[str] = field(default_factory=Counter)
    disagreements: list[dict[str, Any]] = field(default_factory=list)


def count_together(todays: Mapping[int, date]) -> dict[int, Counted]:
    """The hips of these clinics, each as of its day: one statement, since one clinic's facts cost half of everybody's.

    The caller's transaction sees the clinics.
    """
    counted = {clinic: Counted() for clinic in todays}
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('work_mem', %s, true)", [MEMORY])
        asked: dict[str, Any] = {"clinics": list(todays), "todays": list(todays.values()), "shown": SHOWN}
        cursor.execute(_CENSUS, asked)
        for clinic, bucket, listed, hips, elsewhere in cursor:
            if bucket is None:
                counted[clinic].enrolled = hips
                continue
            counted[clinic].buckets[bucket] += hips
            counted[clinic].disagreements += [
                {"hip": hip, "census": bucket, "lists": listed} for hip in elsewhere or ()
            ]
        cursor.execute("SET LOCAL work_mem TO DEFAULT")
    return counted


def count_hips(clinic: Clinic, today: date) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Hips by bucket, and some of those that the lists put elsewhere."""
    counted = count_together({clinic.pk: today})[clinic.pk]
    return counted.buckets, counted.disagreements


def take_census(clinic: Clinic, now: datetime) -> Census:
    """Count this clinic's hips as of its today and store the result. The caller's transaction sees the clinic."""
    today = today_at(clinic, now)
    return _keep(clinic, today, now, _count({clinic.pk: today})[clinic.pk])


def _count(todays: Mapping[int, date]) -> dict[int, Counted]:
    """The same with the patients whose kept standing was not what follows from the facts: mended at once, and told."""
    counted = count_together(todays)
    for clinic, astray in standings.differing(list(todays)).items():
        standings.refresh(astray)
        hips = Hip.objects.filter(clinic=clinic, patient__in=astray).order_by("id").values_list("id", flat=True)
        counted[clinic].disagreements += [
            {"hip": pk, "census": "as the facts say", "lists": "kept otherwise, now mended"} for pk in hips
        ]
    return counted


def _keep(clinic: Clinic, today: date, now: datetime, counted: Counted) -> Census:
    enrolled, buckets, disagreements = counted.enrolled, counted.buckets, counted.disagreements
    return Census.objects.create(
        clinic=clinic,
        on=today,
        at=now,
        enrolled_hips=enrolled,
        buckets=dict(sorted(buckets.items())),
        disagreements=disagreements[:SHOWN],
        adds_up=sum(buckets.values()) == enrolled and not disagreements,
    )


def take_census_where_due(now: datetime) -> int:
    """Count every clinic that has no census of its today yet, from 02:00 on. Returns how many."""
    with access.system_run("census") as viewer:
        clinics = list(access.clinics_for(viewer).order_by("id"))
        local = {clinic.pk: now.astimezone(clinic.zone) for clinic in clinics}
        days = {at.date() for at in local.values()}
        taken = set(Census.objects.filter(clinic__in=clinics, on__in=days).values_list("clinic_id", "on"))
    due = [one for one in clinics if local[one.pk].hour >= 2 and (one.pk, local[one.pk].date()) not in taken]
    for start in range(0, len(due), TOGETHER):
        some = due[start : start + TOGETHER]
        with access.system_run("census", [clinic.pk for clinic in some]):
            counted = _count({clinic.pk: local[clinic.pk].date() for clinic in some})
            for clinic in some:
                _keep(clinic, local[clinic.pk].date(), now, counted[clinic.pk])
    with access.system_run("census") as viewer:
        wrong = len(clinics_that_do_not_add_up(viewer.clinic_ids))
        heartbeats.finished("census", timezone.now(), behind=wrong)
    return len(due)


def latest_census(clinic: Clinic) -> Census | None:
    return Census.objects.filter(clinic=clinic).order_by("-id").first()


def latest_of(clinic_ids: Iterable[int]) -> QuerySet[Census]:
    """The latest census of each of these clinics."""
    latest = Census.objects.filter(clinic__in=clinic_ids).order_by("clinic_id", "-id").distinct("clinic_id")
    return latest.select_related("clinic")


def clinics_that_do_not_add_up(clinic_ids: tuple[int, ...]) -> list[Census]:
    """The latest census of each of these clinics where it does not add up."""
    return [census for census in latest_of(clinic_ids) if not census.adds_up]
