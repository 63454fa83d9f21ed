"""Booking doubts: what looks like a slip in an appointment, asked about once; who means it books it all the same."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import Final

from django.http import HttpRequest
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from patients.access import Viewer
from patients.models import Clinic, Patient
from schedules import appointments
from schedules.appointments import Wanted
from schedules.models import Appointment

from .finding_words import day_words

BY_DAY: Final = range(6, 22)  # hours of the clinic's clock at which nobody wonders about an appointment
SATURDAY: Final = 5


def doubts_about(
    patient: Patient, wanted: Wanted, *, viewer: Viewer, now: datetime, but: Appointment | None = None
) -> list[str]:
    """What speaks against this time, in sentences. Raises BookingRefused where it cannot be booked at all."""
    appointments.refuse_impossible(patient, wanted, now, but=but)
    there = wanted.starts_at.astimezone(patient.clinic.zone)
    doubts = doubts_about_day(patient.clinic, there.date())
    if there.hour not in BY_DAY:
        doubts.append(_("%(time)s is at night.") % {"time": date_format(there, "H:i")})
    doubts += [
        _("The patient has an appointment on this day already: %(what)s, %(times)s.")
        % {"what": row.get_purpose_display(), "times": _times(row, patient.clinic)}
        for row in appointments.beside(patient, wanted, but=but)
    ]
    taken = appointments.with_clinician(patient, wanted, clinics=viewer.clinic_ids)
    if any(row.starts_at < wanted.ends_at and row.ends_at > wanted.starts_at for row in taken):
        times = ", ".join(_times(row, patient.clinic) for row in taken)
        said = {"who": wanted.clinician, "times": times}
        doubts.append(_("%(who)s has another patient then. Taken on this day: %(times)s.") % said)
    return doubts


def doubts_about_day(clinic: Clinic, day: date) -> list[str]:
    """A day on which clinics are closed. When this one is open is known in words only, which are said."""
    if day.weekday() < SATURDAY:
        return []
    said = {"day": day_words(day), "weekday": date_format(day, "l"), "hours": clinic.opening_hours}
    if clinic.opening_hours:
        return [_("%(day)s is a %(weekday)s; the clinic's hours are: %(hours)s.") % said]
    return [_("%(day)s is a %(weekday)s.") % said]


def digest(doubts: Sequence[str]) -> str:
    """Names the doubts that were shown, so that going on counts for these and no others; nothing for none."""
    return hashlib.sha256("\n".join(doubts).encode()).hexdigest()[:16] if doubts else ""


def is_meant(request: HttpRequest, doubts: Sequence[str]) -> bool:
    """Whether there is no doubt, or exactly these were shown before and it is to be booked all the same."""
    return request.POST.get("sure", "") == digest(doubts) or not doubts


def _times(row: Appointment, clinic: Clinic) -> str:
    """From when to when by the clinic's clock."""
    return "\N{EN DASH}".join(
        date_format(moment.astimezone(clinic.zone), "H:i") for moment in (row.starts_at, row.ends_at)
    )
