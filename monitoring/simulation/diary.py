"""Diary: appointments for the patients of a synthetic clinic, so that its calendar has a believable fortnight."""

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Final

from patients import access
from patients.changes import Actor
from patients.models import Clinic, Membership, Role, User
from patients.recording import today_at
from schedules import appointments
from schedules.appointments import Wanted
from schedules.models import Appointment, Plan

from .registry import RUN

AHEAD: Final = timedelta(days=28)
BEHIND: Final = timedelta(days=120)  # how long overdue somebody may be and still be booked in
BOOKS: Final = 0.6  # of the patients whose window is open
DAYS_NOTICE: Final = 9  # between booking and the day
LONGEST: Final = 300  # appointments: a diary, not a benchmark
STAYED_AWAY: Final = 5  # at most, of those whose day has passed
SLOTS: Final = tuple(time(hour, minute) for hour in (9, 10, 11, 14, 15) for minute in (0, 30))
REASON: Final = "The patient asked for another day"


def fill(clinic: Clinic, seed: int, now: datetime) -> int:
    """Book most of whom the plans ask for in the next weeks; some moved, some cancelled, a few stayed away.

    Returns how many appointments there are afterwards; a clinic that has any is left as it is. One transaction.
    """
    by = Actor.system(RUN)
    with access.system_run(RUN, [clinic.pk]):
        if there := Appointment.objects.filter(clinic=clinic).count():
            return there
        today, dice = today_at(clinic, now), random.Random(seed)  # invented lives, not secrets
        slots = _slots(clinic, today)
        booked: list[Appointment] = []
        for patient, due_on in _expected(clinic, today):
            if dice.random() > BOOKS or len(booked) >= LONGEST:
                continue
            # Whoever came in time has been recorded: only who is still overdue can have had a day that passed.
            slot = next(
                (slot for slot in slots if slot[0] > now or (due_on < today and len(booked) < STAYED_AWAY)), None
            )
            if slot is None:
                break
            starts_at, clinician = slot
            purpose = Appointment.Purpose.VISIT if dice.random() < 0.8 else Appointment.Purpose.RADIOGRAPHS
            wanted = Wanted(starts_at, 30, purpose, clinician=clinician)
            asked_at = min(now, starts_at - timedelta(days=DAYS_NOTICE))
            booked.append(appointments.book(patient, wanted, by=by, now=asked_at))
            if starts_at < now:
                appointments.did_not_attend(booked[-1].pk, by=by, now=now)
        for row in booked[::9]:
            if row.starts_at > now:
                appointments.cancel(row.pk, by=by, reason=REASON, now=now)
        return len(booked)


def _expected(clinic: Clinic, today: date) -> list[tuple[int, date]]:
    """Patients with a window that is open or opens soon and the day it is due; the most overdue first."""
    plans = Plan.objects.filter(clinic=clinic, state=Plan.State.CURRENT, patient__died_on__isnull=True)
    near = plans.filter(due_on__gte=today - BEHIND, opens_on__lte=today + timedelta(days=14), due_on__lte=today + AHEAD)
    first: dict[int, date] = {}
    for patient, due_on in near.order_by("due_on", "patient").values_list("patient_id", "due_on"):
        first.setdefault(patient, due_on)
    return list(first.items())


def _slots(clinic: Clinic, today: date) -> Iterator[tuple[datetime, User]]:
    """Free half hours of each clinician in turn on the weekdays from last week on, two or three a day."""
    members = Membership.objects.filter(clinic=clinic, role=Role.CLINICIAN, user__is_active=True)
    clinicians = list(User.objects.filter(pk__in=members.values("user")).order_by("pk"))
    days = (today + timedelta(days=offset) for offset in chain(range(-3, 0), range(1, AHEAD.days)))
    for place, day in enumerate(day for day in days if day.weekday() < 5):
        for turn, clinician in enumerate(clinicians):
            for slot in SLOTS[(place + turn) % 3 :: 4]:
                yield datetime.combine(day, slot, tzinfo=clinic.zone), clinician
