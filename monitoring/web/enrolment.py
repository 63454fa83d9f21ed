"""Enrolment: into the registry and out of it, and what is known of the person in between."""

from collections.abc import Mapping, Sequence
from copy import copy
from datetime import date
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Max
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _

from patients import access, recording
from patients.access import Permission
from patients.duplicates import Candidate, find_candidates
from patients.models import Clinic, Hip, Imaging, Membership, Patient, Purpose, Role, SymptomReport, User, Visit
from patients.recording import RecordingRefused, StaleRecord, today_at
from patients.vocabulary import EndReason, Side

from .. import audit
from ..models import AuditEntry
from .chart import read_chart, sides_of
from .entry import signed_in
from .forms.ending import DeathForm, EndingForm, ReasonForm, ReopenForm
from .forms.person import EditForm, EnrolForm, PersonForm, WishForm, initial_of, wish_rows
from .hip_panels import ended_by
from .history import NO_CHANGE, history_rows
from .patient import frame_of


def refuse(form: forms.Form, problems: Mapping[str, Sequence[str]]) -> None:
    """Put what recording refused at the form's fields; what has no field stands above the form."""
    for name, texts in problems.items():
        field = name.rpartition(".")[2]
        form.add_error(field if field in form.fields else None, list(texts))


def _refuse_the_rest(form: PersonForm, patient: Patient) -> None:
    """Beside what the form itself cannot take, what recording would refuse of the rest: all is told at once."""
    for name, value in form.details().items():
        setattr(patient, name, value)
    problems = recording.detail_problems(patient, now=timezone.now())
    refuse(form, {name: texts for name, texts in problems.items() if name not in form.errors})


def _clinicians(clinic_ids: Sequence[int]) -> Any:
    members = Membership.objects.filter(clinic__in=clinic_ids, role=Role.CLINICIAN).values("user")
    return User.objects.filter(id__in=members, is_active=True).order_by("name", "id")


@signed_in
def patient_enrol(request: HttpRequest) -> HttpResponse:
    """A new patient, once who may be the same person was looked at."""
    viewer = access.viewer_of(request)
    where = viewer.clinics_where(Permission.RECORD)
    if not where:
        raise PermissionDenied(_("Your role does not allow you to enrol patients."))
    clinics = Clinic.objects.filter(id__in=where).order_by("name", "id")
    first = clinics[0]
    initial = {"enrolled_on": today_at(first, timezone.now()), "clinic": first.pk, "language": first.language}
    form = EnrolForm(request.POST or None, clinics=clinics, clinicians=_clinicians(where), initial=initial)
    candidates: list[Candidate] = []
    if form.is_valid():
        candidates = _candidates(viewer, form)
        known = {str(candidate.patient.pk) for candidate in candidates}
        if known <= set(request.POST.getlist("not_the_same")):
            try:
                return redirect("patient", pk=_enrol(request, form).pk)
            except RecordingRefused as refused:
                refuse(form, refused.problems)
        else:
            seen = [(candidate.patient.clinic_id, candidate.patient.pk) for candidate in candidates]
            audit.looked(viewer.actor, seen, "possible duplicate")
    elif form.is_bound:
        clinic = form.cleaned_data.get("clinic", first)
        _refuse_the_rest(form, Patient(clinic=clinic, enrolled_on=today_at(clinic, timezone.now())))
    status = 422 if form.is_bound else 200
    return render(request, "monitoring/enrol/enrol.html", {"form": form, "candidates": candidates}, status=status)


def _candidates(viewer: access.Viewer, form: EnrolForm) -> list[Candidate]:
    names = ("family_name", "given_name", "born_on", "record_number", "national_id", "email")
    said = {name: form.cleaned_data[name] for name in names}
    found = find_candidates(viewer.clinic_ids, **said, telephone=str(form.cleaned_data.get("telephone") or ""))
    # Who types a name here is not told that a restricted record has it; the search of the night finds the pair.
    return [one for one in found if one.patient.pk not in viewer.shut]


def _enrol(request: HttpRequest, form: EnrolForm) -> Patient:
    clinic = form.cleaned_data["clinic"]
    details = form.details()
    if not clinic.memberships.filter(user=details["responsible"]).exists():
        details["responsible"] = None
    enrolled = recording.enrol_patient(
        clinic,
        by=access.viewer_of(request).actor,
        contact_wishes=form.wishes(),
        conditions=form.cleaned_data["conditions"],
        synthetic=clinic.synthetic,
        **details,
    )
    messages.success(request, _("%(name)s is enrolled.") % {"name": enrolled.display_name})
    return enrolled


@signed_in
def patient_edit(request: HttpRequest, pk: int) -> HttpResponse:
    """Changed details of the person; somebody else's change meanwhile is shown first."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    initial = initial_of(person) | {"record_version": person.record_version}
    form = EditForm(request.POST or None, clinicians=_clinicians([person.clinic_id]), initial=initial)
    meanwhile, status = None, 422 if form.is_bound else 200
    if form.is_valid():
        try:
            recording.amend_patient(
                person.pk,
                by=viewer.actor,
                changes=form.details(),
                expected_version=form.cleaned_data["record_version"],
                reason=form.cleaned_data["reason"],
            )
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        except StaleRecord as stale:
            typed = request.POST.copy()
            typed["record_version"] = str(stale.current)
            form = EditForm(typed, clinicians=_clinicians([person.clinic_id]))
            entries = AuditEntry.objects.filter(patient_id=person.pk).exclude(act__in=NO_CHANGE).order_by("-id")[:5]
            sides = sides_of(read_chart(person, ()))
            meanwhile, status = history_rows(entries, sides), 409
        else:
            messages.success(request, _("The changes are saved."))
            return redirect("patient", pk=person.pk)
    elif form.is_bound:
        _refuse_the_rest(form, copy(person))
    return form_page(request, person, form, "monitoring/enrol/edit.html", status=status, meanwhile=meanwhile)


@signed_in
def patient_contact(request: HttpRequest, pk: int) -> HttpResponse:
    """What the patient wants of each channel, and how they said so."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    form = WishForm(request.POST or None)
    if form.is_valid():
        said = form.cleaned_data
        try:
            _record_wish(person, said["channel"], said["allowed"] == "yes", said["how"], viewer)
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            messages.success(request, _("The wish is recorded."))
            return redirect("patient_contact", pk=person.pk)
    return form_page(request, person, form, "monitoring/enrol/contact.html", wishes=wish_rows(person))


def _record_wish(person: Patient, asked: str, allowed: bool, how: str, viewer: access.Viewer) -> None:
    on = today_at(person.clinic, timezone.now())
    if asked in Purpose.values:
        recording.set_consent(person.pk, by=viewer.actor, purpose=asked, allowed=allowed, how=how, on=on)
    else:
        recording.set_contact_wish(person.pk, by=viewer.actor, channel=asked, allowed=allowed, how=how, on=on)


def form_page(
    request: HttpRequest, person: Patient, form: forms.Form, template: str, *, status: int | None = None, **more: Any
) -> HttpResponse:
    if request.method == "GET":
        audit.looked(access.viewer_of(request).actor, [(person.clinic_id, person.pk)], "form about the patient")
    today = today_at(person.clinic, timezone.now())
    context = frame_of(request, person, today, heading=False) | {"form": form, "actions": []} | more
    if status is None:
        status = 422 if form.is_bound else 200
    return render(request, template, context, status=status)


def _hip(person: Patient, side: str) -> Hip:
    if side not in set(Side):
        raise Http404(side)
    return Hip.objects.get(patient=person, side=side)


def _today(person: Patient) -> dict[str, Any]:
    return {"on": today_at(person.clinic, timezone.now())}


@signed_in
def hip_end(request: HttpRequest, pk: int, side: str) -> HttpResponse:
    """End the follow-up of one hip by the closed list of reasons; a discharge needs a clinician."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    hip = _hip(person, side)
    may_discharge = viewer.may(Permission.DECIDE, person.clinic_id)
    form = EndingForm(
        request.POST or None, may_discharge=may_discharge, enrolled_on=person.enrolled_on, initial=_today(person)
    )
    if form.is_valid():
        said = form.cleaned_data
        try:
            recording.end_follow_up(
                hip,
                by=viewer.actor,
                on=said["on"],
                reason=EndReason(said["reason"]),
                evidence=said["evidence"],
                receiving_clinic=said["receiving_clinic"],
            )
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            messages.success(request, _("The follow-up of this hip has ended. It can be taken up again at any time."))
            return redirect("patient", pk=person.pk)
    return form_page(request, person, form, "monitoring/enrol/end.html", side=side, may_discharge=may_discharge)


@signed_in
def hip_reopen(request: HttpRequest, pk: int, side: str) -> HttpResponse:
    """Take an ending back: the hip is asked for again."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.DECIDE)
    _hip(person, side)
    ending = ended_by(read_chart(person, ("ending",)), Side(side))
    if ending is None:
        messages.info(request, _("The follow-up of this hip has not ended."))
        return redirect("patient", pk=person.pk)
    form = ReopenForm(request.POST or None, initial=_today(person))
    if form.is_valid():
        said = form.cleaned_data
        try:
            recording.reopen_follow_up(ending, by=viewer.actor, on=said["on"], reason=said["reason"])
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            messages.success(request, _("The hip is followed again."))
            return redirect("patient", pk=person.pk)
    return form_page(request, person, form, "monitoring/enrol/reopen.html", side=side, ending=ending)


@signed_in
def patient_death(request: HttpRequest, pk: int) -> HttpResponse:
    """Record the death, or take its record back."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.RECORD)
    was_dead = person.died_on is not None
    form: DeathForm | ReasonForm = (
        ReasonForm(request.POST or None)
        if person.died_on
        else DeathForm(request.POST or None, seen_on=_seen_alive_on(person))
    )
    if form.is_valid():
        try:
            _record_death(person, form, viewer)
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            words = (
                _("Recorded: windows, reviews and mail have ended.")
                if not was_dead
                else _("Taken back: all is asked for again.")
            )
            messages.success(request, words)
            return redirect("patient", pk=person.pk)
    return form_page(request, person, form, "monitoring/enrol/death.html")


def _seen_alive_on(patient: Patient) -> date:
    """The last day on which the record has the person alive: enrolment, a visit or call, an image, a report of pain.

    Reports may arrive, and operations of others be noted, after a death.
    """
    found = [
        SymptomReport.objects.filter(patient=patient, withdrawn_at__isnull=True),
        Imaging.objects.filter(patient=patient, withdrawn_at__isnull=True),
        Visit.objects.filter(patient=patient, kind__in=("clinic", "telephone")),
    ]
    days: list[date | None] = [rows.aggregate(last=Max("on"))["last"] for rows in found]
    return max([patient.enrolled_on, *(day for day in days if day)])


def _record_death(person: Patient, form: forms.Form, viewer: access.Viewer) -> None:
    said = form.cleaned_data
    if person.died_on:
        recording.withdraw_death(person.pk, by=viewer.actor, reason=said["reason"])
    else:
        recording.record_death(person.pk, by=viewer.actor, died_on=said["died_on"], source=said["death_source"])
