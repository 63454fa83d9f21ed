"""Choosing: an administrator changes what a clinic mails, within bounds, and what is planned follows at once."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from patients.changes import Actor, Change, announce
from patients.models import Clinic

from .ladder import LADDER, Choice, rung_of
from .message_plans import Wishes, wishes_of
from .models import MessagePlan, Plan
from .models.message_plan import EARLIEST_HOUR, LATEST_HOUR
from .plans import PatientWindow
from .reminders import reconcile_reminders

CHUNK = 500
SHORTEST_DAY = 4  # hours in which mail goes out
MULTIPLES = (2, 20)


def check(wishes: Wishes) -> None:
    """Raise ValidationError, by field, for what is out of bounds."""
    faults: dict[str, str] = {}
    for step, choice in wishes.choices.items():
        least, most = rung_of(step).bounds
        if not least <= choice.days <= most:
            faults[step] = _("Between %(least)s and %(most)s days.") % {"least": least, "most": most}
    hours = {"mail_from": wishes.mail_from, "mail_until": wishes.mail_until}
    outside = [name for name, hour in hours.items() if not EARLIEST_HOUR <= hour <= LATEST_HOUR]
    for name in outside:
        faults[name] = _("Between %(least)s and %(most)s o'clock.") % {"least": EARLIEST_HOUR, "most": LATEST_HOUR}
    if not outside and wishes.mail_until <= wishes.mail_from:
        faults["mail_until"] = _("This is not after %(hour)s o'clock, when mail begins.") % {"hour": wishes.mail_from}
    elif not outside and wishes.mail_until - wishes.mail_from < SHORTEST_DAY:
        faults["mail_until"] = _("Leave at least %(hours)s hours.") % {"hours": SHORTEST_DAY}
    if not MULTIPLES[0] <= wishes.volume_multiple <= MULTIPLES[1]:
        faults["volume_multiple"] = _("Between %(least)s and %(most)s.") % {"least": MULTIPLES[0], "most": MULTIPLES[1]}
    if faults:
        raise ValidationError(faults)


@transaction.atomic
def choose(clinic: Clinic, wishes: Wishes, *, by: Actor, now: datetime) -> bool:
    """Keep what the clinic chose and plan its mail anew; True when something changed. Raises ValidationError."""
    check(wishes)
    Clinic.objects.select_for_update(no_key=True).get(pk=clinic.pk)
    before = wishes_of([clinic.pk])[clinic.pk]
    if _plain(before) == _plain(wishes):
        return False
    MessagePlan.objects.update_or_create(
        clinic=clinic,
        defaults={
            "steps": {step: asdict(choice) for step, choice in wishes.choices.items()},
            "mail_from": wishes.mail_from,
            "mail_until": wishes.mail_until,
            "volume_multiple": wishes.volume_multiple,
        },
    )
    for windows in _chunks(_windows_of(clinic)):
        reconcile_reminders({window.patient_id: window for window in windows}, actor=by, now=now)
    announce(
        Change(
            act="change_message_plan",
            by=by,
            clinic_id=clinic.pk,
            patient_id=None,
            before=_plain(before),
            after=_plain(wishes),
            clinical=False,
        )
    )
    return True


def _plain(wishes: Wishes) -> dict[str, Any]:
    steps = {rung.step.value: asdict(wishes.choices.get(rung.step, Choice(True, rung.days))) for rung in LADDER}
    return {
        "steps": steps,
        "mail_from": wishes.mail_from,
        "mail_until": wishes.mail_until,
        "volume_multiple": wishes.volume_multiple,
    }


def _windows_of(clinic: Clinic) -> list[PatientWindow]:
    """The window of each patient of the clinic that is due first."""
    plans = Plan.objects.filter(clinic=clinic, state=Plan.State.CURRENT)
    first = plans.order_by("patient_id", "due_on", "cycle_on", "id").distinct("patient_id")
    return [
        PatientWindow(plan.patient_id, plan.clinic_id, plan.cycle_on, plan.opens_on, plan.due_on, plan.overdue_on)
        for plan in first
    ]


def _chunks(windows: list[PatientWindow]) -> Iterator[Iterable[PatientWindow]]:
    for start in range(0, len(windows), CHUNK):
        yield windows[start : start + CHUNK]
