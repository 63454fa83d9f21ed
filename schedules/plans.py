"""Plans: reconcile the stored follow-up windows with what the evaluation says now."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

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


def reconcile_plans(wanted: Mapping[int, HipPlan | None]) -> int:
    """Make the current plan of each hip (by id) what is wanted; None: the hip has no window. Returns rows written.

    A later cycle keeps the earlier plan as kept; a cycle derived anew from corrected facts closes it.
    """
    stored: dict[int, list[Plan]] = {hip_id: [] for hip_id in wanted}
    for plan in Plan.objects.filter(hip__in=list(wanted)).order_by("hip", "cycle_on"):
        stored[plan.hip_id].append(plan)
    new: list[Plan] = []
    left: list[Plan] = []  # written first: a hip has one current plan at a time
    changed: list[Plan] = []
    for hip_id, want in wanted.items():
        for plan in stored[hip_id]:
            is_wanted = want is not None and plan.cycle_on == want.cycle_on
            if plan.state == Plan.State.CURRENT and not is_wanted:
                _leave(plan, want)
                left.append(plan)
            elif is_wanted and want is not None and _follow(plan, want):
                changed.append(plan)
        if want is not None and all(plan.cycle_on != want.cycle_on for plan in stored[hip_id]):
            new.append(_new(want))
    if left:
        Plan.objects.bulk_update(left, ["state", "kept_on"])
    if changed:
        Plan.objects.bulk_update(changed, ["state", "kept_on", *PLAN_FIELDS])
    if new:
        Plan.objects.bulk_create(new)
    return len(left) + len(changed) + len(new)


def _leave(plan: Plan, want: HipPlan | None) -> None:
    if want is not None and want.cycle_on > plan.cycle_on:
        plan.state, plan.kept_on = Plan.State.KEPT, want.cycle_on
    else:
        plan.state, plan.kept_on = Plan.State.CLOSED, None


def _follow(plan: Plan, want: HipPlan) -> bool:
    """Bring a stored plan to what is wanted; False when it was so already."""
    if plan.state == Plan.State.CURRENT and all(getattr(plan, name) == want.fields[name] for name in PLAN_FIELDS):
        return False
    plan.state, plan.kept_on = Plan.State.CURRENT, None
    for name in PLAN_FIELDS:
        setattr(plan, name, want.fields[name])
    return True


def _new(want: HipPlan) -> Plan:
    return Plan(
        clinic_id=want.clinic_id,
        patient_id=want.patient_id,
        hip_id=want.hip_id,
        cycle_on=want.cycle_on,
        state=Plan.State.CURRENT,
        **want.fields,
    )
