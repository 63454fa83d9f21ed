"""Census: counts every enrolled hip into exactly one bucket from raw facts, and compares with what the lists say.

It does not read the stored plans, flags or statuses to count: facts are read and the guideline is asked freshly, hip by
hip, and only then compared with what the lists say. The buckets must sum to the enrolled hips and each hip must stand
in the same bucket in the lists; if not, administrators are told.
"""

from collections import Counter
from datetime import datetime

from django.utils import timezone

from patients import access
from patients.models import Clinic, Hip
from patients.reading import read_records
from patients.recording import today_at
from schedules import adoption
from schedules.guideline.evaluation import evaluate

from . import heartbeats
from .models import Census, HipEvaluation

CHUNK = 500
SHOWN = 100


def take_census(clinic: Clinic, now: datetime) -> Census:
    """Count this clinic's hips as of its today and store the result. The caller's transaction sees the clinic."""
    today = today_at(clinic, now)
    protocol = adoption.protocol_in_force(today)
    buckets: Counter[str] = Counter()
    disagreements: list[dict[str, object]] = []
    last = 0
    while ids := _next_patients(clinic, last):
        last = ids[-1]
        listed = _listed(ids)
        sides = {(p, s): pk for pk, p, s in Hip.objects.filter(patient__in=ids).values_list("id", "patient_id", "side")}
        for patient_id, record in read_records(ids).items():
            answer = evaluate(record, protocol, today)
            for hip in answer.hips:
                hip_id = sides.get((patient_id, hip.side.value))
                bucket = hip.status.value if hip.status else hip.pathway.value
                buckets[bucket] += 1
                if hip_id is None or listed.get(hip_id) != bucket:
                    disagreements.append({"hip": hip_id, "census": bucket, "lists": listed.get(hip_id or 0)})
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


def _next_patients(clinic: Clinic, last: int) -> list[int]:
    hips = Hip.objects.filter(clinic=clinic, patient_id__gt=last, side="left").order_by("patient_id")
    return list(hips.values_list("patient_id", flat=True)[:CHUNK])


def _listed(patient_ids: list[int]) -> dict[int, str]:
    rows = HipEvaluation.objects.filter(patient__in=patient_ids).values_list("hip_id", "status", "pathway")
    return {hip_id: status or pathway for hip_id, status, pathway in rows}


def take_census_where_due(now: datetime) -> int:
    """Count every clinic that has no census of its today yet and where the night has begun (from 02:00). Returns how many."""
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
    with access.system_run("census"):
        wrong = sum(1 for clinic in clinics if (latest := latest_census(clinic)) and not latest.adds_up)
        heartbeats.finished("census", timezone.now(), behind=wrong)
    return taken


def latest_census(clinic: Clinic) -> Census | None:
    return Census.objects.filter(clinic=clinic).order_by("-id").first()


def clinics_that_do_not_add_up(clinic_ids: tuple[int, ...]) -> list[Census]:
    """The latest census of each of these clinics where it does not add up."""
    latest = Census.objects.filter(clinic__in=clinic_ids).order_by("clinic", "-id").distinct("clinic")
    return [census for census in latest.select_related("clinic") if not census.adds_up]


