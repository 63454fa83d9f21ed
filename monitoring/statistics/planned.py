"""Planned: the patients who are followed, as the forecast reads them, in three queries."""

from collections import defaultdict
from datetime import date
from typing import Any

from django.db.models import Max, Min, QuerySet

from patients.models import Procedure
from patients.vocabulary import ProcedureKind
from schedules import adoption
from schedules.circumstances import INSTEAD_OF_FOLLOW_UP
from schedules.guideline.pathways import Pathway
from schedules.models import Appointment, Plan

from .forecast import ExpectedVisit, FollowedHip, FollowedPatient, expected_visits
from .scope import Scope, standing


def forecast(scope: Scope) -> list[ExpectedVisit]:
    """Every visit expected from the plans and appointments that stand on the day."""
    return expected_visits(followed_patients(scope), scope.today, adoption.protocol_in_force(scope.today))


def followed_patients(scope: Scope) -> list[FollowedPatient]:
    """Everybody with a current plan, with the first appointment to come that stands for the follow-up."""
    hips: dict[int, list[FollowedHip]] = defaultdict(list)
    decompressed = _decompressed(scope)
    plans = Plan.objects.filter(clinic_id__in=scope.clinic_ids, state=Plan.State.CURRENT).order_by()
    for patient_id, hip_id, pathway, due_on, months in plans.values_list(
        "patient_id", "hip_id", "pathway", "due_on", "interval_months"
    ):
        after = decompressed.get(hip_id) if pathway == Pathway.POST_DECOMPRESSION else None
        hips[patient_id].append(FollowedHip(due_on, months, after))
    booked = _booked(scope)
    return [FollowedPatient(patient, tuple(known), booked.get(patient)) for patient, known in hips.items()]


def _decompressed(scope: Scope) -> dict[int, date]:
    done: QuerySet[Procedure, Any] = standing(Procedure, scope).filter(procedure=ProcedureKind.CORE_DECOMPRESSION)
    return dict(done.values_list("hip_id").annotate(Max("on")))


def _booked(scope: Scope) -> dict[int, date]:
    times = Appointment.objects.filter(
        clinic_id__in=scope.clinic_ids,
        state__in=Appointment.STANDING,
        purpose__in=INSTEAD_OF_FOLLOW_UP,
        starts_at__date__gte=scope.today,
    ).order_by()
    return dict(times.values_list("patient_id").annotate(Min("starts_at__date")))
