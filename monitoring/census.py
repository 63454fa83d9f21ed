"""Census: every enrolled hip in exactly one bucket, counted in SQL from raw facts.

Independent of the code that sets statuses: who has died, ended, been replaced or is diseased is read from the facts
once more, and a followed hip's bucket from the dates of its plan and today. A hip that should be followed and has no
plan is in the bucket `lost`. The buckets must sum to the enrolled hips and each hip must stand in the same bucket in
the lists; if not, administrators are told.
"""

from collections import Counter
from collections.abc import Iterable
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

# A fact stands when it is dated up to the day, not withdrawn, and no other such fact of its list supersedes it.
_STANDING = """{table} AS (
    SELECT f.* FROM patients_{table} f
    WHERE f.clinic_id = %(clinic)s AND f.on <= %(today)s AND f.withdrawn_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM patients_{table} s
        WHERE s.supersedes_id = f.id AND s.hip_id = f.hip_id AND s.on <= %(today)s AND s.withdrawn_at IS NULL))"""

_CENSUS = (  # its only parts are the names of our own tables
    "WITH "  # noqa: S608
    + ",\n".join(_STANDING.format(table=table) for table in ("imaging", "staging", "procedure", "ending"))
    + """,
diseased AS (
    SELECT hip_id FROM imaging WHERE diagnostic IS NOT FALSE
        AND (necrosis OR crescent = 'present' OR depression_mm > 0 OR joint_space_narrowed)
    UNION SELECT hip_id FROM staging WHERE NOT (system = 'STEINBERG' AND code = '0')
    UNION SELECT hip_id FROM procedure WHERE procedure = 'CORE_DECOMPRESSION'),
replaced AS (SELECT DISTINCT hip_id FROM procedure WHERE procedure IN ('THA', 'RESURFACING_HEMI')),
ended AS (
    SELECT DISTINCT ON (hip_id) hip_id, reason FROM ending
    WHERE reason <> 'reopened' ORDER BY hip_id, "on" DESC, id DESC),
mistaken AS (SELECT DISTINCT hip_id FROM ending WHERE reason = 'entered_in_error'),
latest_mr AS (
    SELECT DISTINCT ON (hip_id) hip_id, necrosis FROM imaging
    WHERE modality = 'MR' AND diagnostic IS NOT FALSE AND necrosis IS NOT NULL ORDER BY hip_id, "on" DESC, id DESC),
hip AS (
    SELECT h.id, h.patient_id, p.died_on, p.enrolled_on, p.merged_into_id, e.reason,
        d.hip_id IS NOT NULL AS diseased, r.hip_id IS NOT NULL AS replaced,
        (d.hip_id IS NOT NULL OR r.hip_id IS NOT NULL) AND x.hip_id IS NULL AS affected,
        m.necrosis IS FALSE AS clear
    FROM patients_hip h JOIN patients_patient p ON p.id = h.patient_id
    LEFT JOIN diseased d ON d.hip_id = h.id LEFT JOIN replaced r ON r.hip_id = h.id LEFT JOIN ended e ON e.hip_id = h.id
    LEFT JOIN mistaken x ON x.hip_id = h.id LEFT JOIN latest_mr m ON m.hip_id = h.id
    WHERE h.clinic_id = %(clinic)s)
SELECT hip.id, CASE
        WHEN hip.died_on <= %(today)s THEN 'deceased'
        WHEN hip.enrolled_on > %(today)s THEN 'not_enrolled'
        WHEN hip.merged_into_id IS NOT NULL THEN 'ended: merged'
        WHEN hip.reason IS NOT NULL THEN 'ended: ' || hip.reason
        WHEN hip.replaced THEN 'replaced'
        WHEN NOT hip.diseased AND other.affected THEN 'contralateral_watch'
        WHEN NOT hip.diseased AND hip.clear THEN 'not_affected'
        WHEN plan.id IS NULL THEN 'lost'
        WHEN %(today)s >= plan.gap_on THEN 'gap'
        WHEN %(today)s >= plan.overdue_on THEN 'overdue'
        WHEN %(today)s >= plan.due_on THEN 'due'
        WHEN %(today)s >= plan.opens_on THEN 'open'
        ELSE 'upcoming' END AS bucket,
    coalesce(listed.status, listed.pathway) AS listed
FROM hip
LEFT JOIN hip other ON other.patient_id = hip.patient_id AND other.id <> hip.id
LEFT JOIN schedules_plan plan ON plan.hip_id = hip.id AND plan.state = 'current'
LEFT JOIN monitoring_hipevaluation listed ON listed.hip_id = hip.id"""
)


def count_hips(clinic: Clinic, today: date) -> tuple[Counter[str], list[dict[str, Any]]]:
    """Hips by bucket, and those that the lists put elsewhere."""
    buckets: Counter[str] = Counter()
    disagreements: list[dict[str, Any]] = []
    with connection.cursor() as cursor:
        cursor.execute(_CENSUS, {"clinic": clinic.pk, "today": today})
        for hip_id, bucket, listed in cursor:
            buckets[bucket] += 1
            if listed != bucket.split(":")[0]:
                disagreements.append({"hip": hip_id, "census": bucket, "lists": listed})
    return buckets, disagreements


def take_census(clinic: Clinic, now: datetime) -> Census:
    """Count this clinic's hips as of its today and store the result. The caller's transaction sees the clinic."""
    today = today_at(clinic, now)
    buckets, disagreements = count_hips(clinic, today)
    disagreements += _listed_wrongly(clinic)
    enrolled = Hip.objects.filter(clinic=clinic).count()
    return Census.objects.create(
        clinic=clinic,
        on=today,
        at=now,
        enrolled_hips=enrolled,
        buckets=dict(sorted(buckets.items())),
        disagreements=disagreements[:SHOWN],
        adds_up=sum(buckets.values()) == enrolled and not disagreements,
    )


def _listed_wrongly(clinic: Clinic) -> list[dict[str, Any]]:
    """The hips of patients whose kept standing was not what follows from the facts. It is mended at once, and told."""
    astray = standings.differing(clinic.pk)
    if not astray:
        return []
    standings.refresh(astray)
    hips = Hip.objects.filter(clinic=clinic, patient__in=astray).order_by("id").values_list("id", flat=True)
    return [{"hip": pk, "census": "as the facts say", "lists": "kept otherwise, now mended"} for pk in hips]


def take_census_where_due(now: datetime) -> int:
    """Count every clinic that has no census of its today yet, from 02:00 on. Returns how many."""
    taken = 0
    with access.system_run("census") as viewer:
        clinics = list(access.clinics_for(viewer).order_by("id"))
    for clinic in clinics:
        local = now.astimezone(clinic.zone)
        with access.system_run("census", [clinic.pk]):
            if local.hour < 2 or Census.objects.filter(clinic=clinic, on=local.date()).exists():
                continue
            take_census(clinic, now)
            taken += 1
    with access.system_run("census") as viewer:
        wrong = len(clinics_that_do_not_add_up(viewer.clinic_ids))
        heartbeats.finished("census", timezone.now(), behind=wrong)
    return taken


def latest_census(clinic: Clinic) -> Census | None:
    return Census.objects.filter(clinic=clinic).order_by("-id").first()


def latest_of(clinic_ids: Iterable[int]) -> QuerySet[Census]:
    """The latest census of each of these clinics."""
    latest = Census.objects.filter(clinic__in=clinic_ids).order_by("clinic_id", "-id").distinct("clinic_id")
    return latest.select_related("clinic")


def clinics_that_do_not_add_up(clinic_ids: tuple[int, ...]) -> list[Census]:
    """The latest census of each of these clinics where it does not add up."""
    return [census for census in latest_of(clinic_ids) if not census.adds_up]
