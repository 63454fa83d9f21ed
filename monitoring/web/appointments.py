"""Appointment pages: book, move, cancel, and say whether the patient came."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Patient
from patients.recording import today_at
from schedules import appointments
from schedules.appointments import AppointmentChanged, BookingRefused, Fit
from schedules.models import Appointment, Plan

from .. import audit, bookings
from ..review import clinicians_of
from .booking_doubts import digest, doubts_about, is_meant
from .entry import signed_in
from .finding_words import day_words
from .forms.appointment import AppointmentForm, CancellationForm
from .patient import frame_of
from .worklist_rows import suggested_next


def time_words(appointment: Appointment) -> str:
    """Tuesday 24 November 2026, 09:30 by the clinic's clock."""
    there = appointment.starts_at.astimezone(appointment.patient.clinic.zone)
    return f"{date_format(there, 'D')} {day_words(there.date())}, {date_format(there, 'H:i')}"


def window_words(window: Plan | None, day: date | None = None) -> str:
    """The follow-up window in words; with a day, where that lies in it."""
    if window is None:
        return _("No follow-up is asked for now.")
    days = {
        "opens": day_words(window.opens_on),
        "due": day_words(window.due_on),
        "last": day_words(window.overdue_on - timedelta(days=1)),
    }
    asked = _("The follow-up is asked for from %(opens)s to %(last)s, due %(due)s.") % days
    if day is None:
        return asked
    where = {
        Fit.EARLY: _("This day lies before it: a visit then may not count as this follow-up."),
        Fit.WITHIN: _("This day lies within it."),
        Fit.LATE: _("This day lies after it: the follow-up will be overdue."),
    }
    return f"{asked} {where[appointments.fit(day, window)]}"


def _appointment(viewer: Viewer, pk: int) -> Appointment:
    rows = Appointment.objects.filter(clinic__in=viewer.clinic_ids).select_related("patient__clinic", "clinician")
    found = rows.filter(pk=pk).first()
    if found is None:
        raise Http404("No such appointment.")
    viewer.check(Permission.WORK, found.clinic_id)
    access.check_gate(viewer, found.patient_id)
    return found


def _back(request: HttpRequest, patient: Patient) -> str:
    """The page of this site from which one came, or the patient's."""
    wanted = request.POST.get("back") or request.GET.get("back") or ""
    if url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}):
        return wanted
    return reverse("patient", args=[patient.pk])


def _form_page(
    request: HttpRequest, patient: Patient, form: forms.Form, template: str, *, status: int = 200, **more: Any
) -> HttpResponse:
    audit.looked(access.viewer_of(request).actor, [(patient.clinic_id, patient.pk)], "form about the patient")
    today = today_at(patient.clinic, timezone.now())
    context = frame_of(request, patient, today, heading=False) | {"form": form, "back": _back(request, patient)} | more
    return render(request, template, context, status=status)


@signed_in
def book(request: HttpRequest, pk: int) -> HttpResponse:
    """A new appointment of a patient."""
    viewer = access.viewer_of(request)
    patient = access.patient_for(viewer, pk, Permission.WORK)
    window = appointments.window_of(patient.pk)
    initial = {"day": _suggested(request, patient, window), "time": "09:00", "clinician": patient.responsible_id}
    form = AppointmentForm(request.POST or None, clinicians=clinicians_of(patient.clinic_id), initial=initial)
    doubts: list[str] = []
    if form.is_valid():
        try:
            wanted = form.wanted(patient.clinic)
            doubts = doubts_about(patient, wanted, viewer=viewer, now=timezone.now())
            if is_meant(request, doubts):
                row = appointments.book(patient.pk, wanted, by=viewer.actor)
                _told(request, row, patient, window, _("%(name)s is booked: %(what)s, %(when)s."))
                return redirect(_back(request, patient))
        except BookingRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
    return _appointment_page(request, patient, form, window, doubts)


@signed_in
def move(request: HttpRequest, pk: int) -> HttpResponse:
    """Another time, place or purpose for an appointment that stands."""
    viewer = access.viewer_of(request)
    row = _appointment(viewer, pk)
    patient = row.patient
    window = appointments.window_of(patient.pk)
    there = row.starts_at.astimezone(patient.clinic.zone)
    same = {name: getattr(row, name) for name in ("minutes", "purpose", "place", "note")}
    initial = same | {"day": there.date(), "time": there.strftime("%H:%M"), "clinician": row.clinician_id}
    form = AppointmentForm(request.POST or None, clinicians=clinicians_of(row.clinic_id), initial=initial)
    if not row.is_standing:
        return _changed(request, patient, str(row.get_state_display()))
    doubts: list[str] = []
    if form.is_valid():
        try:
            wanted = form.wanted(patient.clinic)
            doubts = doubts_about(patient, wanted, viewer=viewer, now=timezone.now(), but=row)
            if is_meant(request, doubts):
                row = appointments.move(row.pk, wanted, by=viewer.actor, sequence=_sequence(request))
                _told(request, row, patient, window, _("%(name)s has another time: %(what)s, %(when)s."))
                return redirect(_back(request, patient))
        except BookingRefused as refused:
            form.add_error(refused.field if refused.field in form.fields else None, str(refused))
        except AppointmentChanged as changed:
            return _changed(request, patient, changed.state)
    return _appointment_page(request, patient, form, window, doubts, appointment=row, when=time_words(row))


@signed_in
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    """An appointment does not take place."""
    viewer = access.viewer_of(request)
    row = _appointment(viewer, pk)
    patient = row.patient
    form = CancellationForm(request.POST or None)
    if not row.is_standing:
        return _changed(request, patient, str(row.get_state_display()))
    if form.is_valid():
        said, tell = form.cleaned_data["reason"], form.cleaned_data["tell_patient"]
        try:
            appointments.cancel(row.pk, by=viewer.actor, reason=said, tell_patient=tell, sequence=_sequence(request))
        except AppointmentChanged as changed:
            return _changed(request, patient, changed.state)
        messages.success(request, _("The appointment of %(name)s is cancelled.") % {"name": patient.display_name})
        return redirect(_back(request, patient))
    more = {"appointment": row, "when": time_words(row)}
    status = 422 if form.is_bound else 200
    return _form_page(request, patient, form, "monitoring/calendar/cancel.html", status=status, **more)


@signed_in
@require_POST
def settle(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether the patient came."""
    viewer = access.viewer_of(request)
    row = _appointment(viewer, pk)
    name = {"name": row.patient.display_name}
    try:
        if request.POST.get("came") == "yes":
            appointments.attended(row.pk, by=viewer.actor)
            messages.success(request, _("%(name)s came. What was found is recorded as a visit.") % name)
        else:
            bookings.did_not_attend(row, viewer=viewer)
            messages.success(request, _("%(name)s did not come and is back on the worklist.") % name)
    except BookingRefused as refused:
        messages.error(request, str(refused))
    except AppointmentChanged as changed:
        return _changed(request, row.patient, changed.state)
    return redirect(f"{_back(request, row.patient)}#appointment-{row.pk}")


def _suggested(request: HttpRequest, patient: Patient, window: Plan | None) -> date:
    """The day asked for, else the day due, else a week on; never in the past or at a weekend."""
    today = today_at(patient.clinic, timezone.now())
    try:
        asked = parse_date(request.GET.get("on", ""))
    except ValueError:
        asked = None
    if asked:
        return asked
    due = window.due_on if window and window.due_on > today else suggested_next(today)
    return due + timedelta(days=(7 - due.weekday()) % 7 if due.weekday() > 4 else 0)


def _appointment_page(
    request: HttpRequest,
    patient: Patient,
    form: AppointmentForm,
    window: Plan | None,
    doubts: Sequence[str],
    **more: Any,
) -> HttpResponse:
    status = 422 if form.is_bound else 200
    more |= {"window": window_words(window), "zone": patient.clinic.time_zone}
    more |= {"doubts": doubts, "digest": digest(doubts)}
    return _form_page(request, patient, form, "monitoring/calendar/appointment.html", status=status, **more)


def _told(request: HttpRequest, row: Appointment, patient: Patient, window: Plan | None, words: str) -> None:
    """Say what was done, and where the day lies in the follow-up window."""
    row.patient = patient
    there = row.starts_at.astimezone(patient.clinic.zone)
    said = [words % {"name": patient.display_name, "what": row.get_purpose_display(), "when": time_words(row)}]
    if appointments.fit(there.date(), window) in (Fit.EARLY, Fit.LATE):
        said.append(window_words(window, there.date()))
    (messages.warning if len(said) > 1 else messages.success)(request, " ".join(said))


def _changed(request: HttpRequest, patient: Patient, state: str) -> HttpResponse:
    messages.error(request, _("The appointment has changed meanwhile: %(state)s.") % {"state": state})
    return redirect(_back(request, patient))


def _sequence(request: HttpRequest) -> int | None:
    typed = request.POST.get("sequence", "")
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) < 6 else None
