"""Plans: reconcile the stored follow-up windows with what the evaluation says now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from django.utils import timezone

from patients.prepared import Steps
from patients.rows import change_rows, put_rows

from .models import Plan

WINDOW_FIELDS = ("opens_on", "due_on", "overdue_on", "escalate_on", "trace_on", "gap_on")
PLAN_FIELDS = ("pathway", "interval_months", *WINDOW_FIELDS, "because", "protocol")


@dataclass(frozen=True, slots=True)
class HipPlan:
    """What one hip is asked for now; `cycle_on` is the last complete follow-up, or the first day of follow-up."""

    clinic_id: int
    patient_id: int
    hip_id: int
    cycle_on: date
    fields: Mapping[str, Any]  # PLAN_FIELDS


@dataclass(frozen=True, slots=True)
class PatientWindow:
    """The window of the hip that is due first: the patient is asked to come once."""

    patient_id: int
    clinic_id: int
    cycle_on: date
    opens_on: date
    due_on: date
    overdue_on: date


_CURRENT = (  # its only parts are the names of our own columns
    f"SELECT hip_id, id, cycle_on, {', '.join(PLAN_FIELDS)} FROM schedules_plan"  # noqa: S608
    " WHERE hip_id = ANY(%s::bigint[]) AND state = 'current'"
)


def reconciling_plans(wanted: Mapping[int, HipPlan | None]) -> Steps:
    """Make the current plan of each hip (by id) what is wanted; None: the hip has no window.

    A later cycle keeps the earlier plan as kept; a cycle derived anew from corrected facts closes it; one that is
    wanted again becomes current again.
    """
    (rows,) = yield [(_CURRENT, [list(wanted)])]
    current = {hip_id: stored for hip_id, *stored in rows}
    left: list[dict[str, Any]] = []  # written first: a hip has one current plan at a time
    put: list[dict[str, Any]] = []
    now = timezone.now()
    for hip_id, want in wanted.items():
        stored = current.get(hip_id)
        if stored is not None:
            pk, cycle_on, *fields = stored
            if want is not None and want.cycle_on == cycle_on:
                if fields == [want.fields[name] for name in PLAN_FIELDS]:
                    continue
            else:
                left.append({"id": pk, **_left(cycle_on, want)})
        if want is not None:
            put.append(_current(want) | {"updated_at": now})
    yield [*change_rows(Plan, left), *put_rows(Plan, put, key=("hip_id", "cycle_on"))]


def _left(cycle_on: date, want: HipPlan | None) -> dict[str, Any]:
    if want is not None and want.cycle_on > cycle_on:
        return {"state": Plan.State.KEPT, "kept_on": want.cycle_on}
    return {"state": Plan.State.CLOSED, "kept_on": None}


def _current(want: HipPlan) -> dict[str, Any]:
    return {
        "clinic_id": want.clinic_id,
        "patient_id": want.patient_id,
        "hip_id": want.hip_id,
        "cycle_on": want.cycle_on,
        "state": Plan.State.CURRENT,
        "kept_on": None,
        **want.fields,
    }
