"""Calendar files: an appointment as iCalendar (RFC 5545, 5546), for the patient's mail and for a clinician's feed.

Times carry their zone, with its rules, so that they hold across a change of the clocks. Nothing tells what the
appointment is for: a patient's calendar is seen by others.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from icalendar import Calendar, Event, vCalAddress, vText

from patients.models import Clinic, Patient

from .models import Appointment

PRODUCT = "-//Hipwatch//Appointments//EN"


def attach(message: EmailMultiAlternatives, appointment: Appointment, *, patient: Patient, clinic: Clinic) -> None:
    """Add the appointment to a mail, as a part that calendars act on and as a file for those that do not."""
    content = invitation(appointment, patient=patient, clinic=clinic).decode()
    message.attach_alternative(content, f"text/calendar; method={method_of(appointment)}")
    message.attach("appointment.ics", content.encode(), "application/ics")


def method_of(appointment: Appointment) -> str:
    return "CANCEL" if appointment.state == Appointment.State.CANCELLED else "REQUEST"


def invitation(appointment: Appointment, *, patient: Patient, clinic: Clinic) -> bytes:
    """The appointment for the patient's calendar: the clinic's mail name, the time and the place."""
    calendar = _calendar(method_of(appointment))
    event = _event(appointment, clinic)
    event.add("summary", " ".join(clinic.mail_name.split()))
    event.add("location", appointment.place or ", ".join(line.strip() for line in clinic.address.splitlines()))
    event.add("status", "CANCELLED" if method_of(appointment) == "CANCEL" else "CONFIRMED")
    event.add("class", "PRIVATE")
    event.add("organizer", _organizer(clinic))
    attendee = vCalAddress(f"mailto:{patient.email}")
    attendee.params["partstat"] = vText("ACCEPTED")
    attendee.params["rsvp"] = vText("FALSE")
    event.add("attendee", attendee, encode=False)
    calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def feed(appointments: Iterable[Appointment], *, name: str) -> bytes:
    """A clinician's calendar: when, what for and where; nobody's name or number. The clinic must be loaded."""
    calendar = _calendar("PUBLISH")
    calendar.add("x-wr-calname", name)
    calendar.add("refresh-interval", timedelta(hours=1), parameters={"value": "DURATION"})
    for appointment in appointments:
        event = _event(appointment, appointment.clinic)
        event.add("summary", appointment.get_purpose_display())
        event.add("location", appointment.place or appointment.clinic.name)
        event.add("status", "CONFIRMED")
        calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _calendar(method: str) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", PRODUCT)
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", method)
    return calendar


def _event(appointment: Appointment, clinic: Clinic) -> Event:
    """What both have. The end is reckoned in time that passes, not by the clock on the wall."""
    event = Event()
    event.add("uid", f"{appointment.uid}@{_domain()}")
    event.add("sequence", appointment.sequence)
    event.add("dtstamp", appointment.changed_at)
    event.add("dtstart", _there(appointment.starts_at, clinic))
    event.add("dtend", _there(appointment.starts_at + timedelta(minutes=appointment.minutes), clinic))
    return event


def _there(at: datetime, clinic: Clinic) -> datetime:
    return at.astimezone(clinic.zone)


def _organizer(clinic: Clinic) -> vCalAddress:
    organizer = vCalAddress(f"mailto:{clinic.reply_to or parseaddr(settings.DEFAULT_FROM_EMAIL)[1]}")
    organizer.params["cn"] = vText(" ".join(clinic.mail_name.split()))
    return organizer


def _domain() -> str:
    return parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2] or "localhost"
