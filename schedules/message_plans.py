"""Message plans: each clinic's own ladder, hours of mail and volume stop; without its own, as delivered."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import QuerySet

from patients.models import Clinic
from patients.prepared import Ask, Rows

from .eligibility import MAIL_FROM, MAIL_UNTIL
from .ladder import LADDER, Choice, Rung, chosen
from .models import MessagePlan


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a clinic chose. `choices` by step; a step that is not named is as delivered."""

    choices: Mapping[str, Choice] = field(default_factory=dict)
    mail_from: int = MAIL_FROM.hour
    mail_until: int = MAIL_UNTIL.hour
    volume_multiple: int = 5
    held: bool = False  # an unusual number of mails waits for a person

    @property
    def ladder(self) -> tuple[Rung, ...]:
        return chosen(self.choices)

    @property
    def hours(self) -> tuple[time, time]:
        return time(self.mail_from), time(self.mail_until)


AS_DELIVERED = Wishes()


def wishes_of(clinic_ids: Collection[int]) -> dict[int, Wishes]:
    """What each of these clinics chose, in one query."""
    rows = {row.pk: _wishes(row) for row in MessagePlan.objects.filter(clinic__in=list(clinic_ids))}
    return {clinic: rows.get(clinic, AS_DELIVERED) for clinic in clinic_ids}


_LADDERS = (
    "SELECT c.id, c.time_zone, p.steps::json FROM patients_clinic c"
    " LEFT JOIN schedules_messageplan p ON p.clinic_id = c.id WHERE c.id = ANY(%s::bigint[])"
)


Ladders = Mapping[int, tuple[date, tuple[Rung, ...]]]  # by clinic: what day it is there, and the steps that it sends


def asking_ladders(clinic_ids: Collection[int]) -> Ask:
    return _LADDERS, [list(clinic_ids)]


def ladders_from(rows: Rows, now: datetime) -> Ladders:
    """The ladder of each clinic asked for."""
    return {
        clinic: (now.astimezone(ZoneInfo(zone)).date(), chosen(_choices(steps or {}))) for clinic, zone, steps in rows
    }


def clinics_with_wishes(clinics: QuerySet[Clinic]) -> list[tuple[Clinic, Wishes]]:
    """These clinics, each with what it chose, in one query."""
    rows = clinics.select_related("message_plan")
    return [(row, _wishes(row.message_plan) if hasattr(row, "message_plan") else AS_DELIVERED) for row in rows]


def _choices(steps: Mapping[str, Mapping[str, Any]]) -> dict[str, Choice]:
    known = {rung.step.value for rung in LADDER}
    return {step: Choice(**said) for step, said in steps.items() if step in known}


def _wishes(row: MessagePlan) -> Wishes:
    return Wishes(_choices(row.steps), row.mail_from, row.mail_until, row.volume_multiple, row.held_at is not None)
