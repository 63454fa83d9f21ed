"""What a coordinator does to a row of the worklist: to htmx the row alone is answered, else it leads to the list."""

from collections.abc import Sequence
from datetime import date, time
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_time
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST
from django_htmx.http import trigger_client_event

from patients import access
from patients.access import Permission, Viewer
from patients.models import Patient, User
from patients.recording import today_at
from schedules import appointments
from schedules.appointments import BookingRefused, Wanted
from schedules.models import Appointment

from .. import bookings, outreach, worklist
from ..models import ContactAttempt
from ..outreach import WorkRefused
from ..review import clinicians_of
from .booking_doubts import digest, doubts_about, doubts_about_day, is_meant
from .entry import signed_in, typed
from .finding_words import day_words
from .worklist import look_of, row_context, tabs_of, written
from .worklist_filters import Narrowing, narrow, staff_for
from .worklist_rows import row_words, suggested_next

Problems = dict[str, str]


@signed_in
@require_POST
def outcome(request: HttpRequest, pk: int) -> HttpResponse:
    """Record what came of trying to reach a patient."""
    viewer = access.viewer_of(request)
    patient = access.patient_for(viewer, pk, Permission.WORK)
    post = request.POST
    today = today_at(patient.clinic, timezone.now())
    try:
        next_on, owner, note = (
            _date(post.get("next_on", ""), "next_on"),
            owner_of(post.get("owner", "")),
            typed(request, "note"),
        )
        at, purpose = _time(post.get("time", "")), post.get("purpose", "")
        is_booked = post.get("outcome") == ContactAttempt.Outcome.BOOKED
        clinician = _clinician(patient, post.get("clinician", "")) if is_booked else None
        doubts = _doubts(patient, viewer, next_on, at, purpose, clinician) if is_booked else []
        if not is_meant(request, doubts):
            return _refused(request, patient, {}, which="outcome", doubts=doubts)
        if is_booked and at is not None:
            attempt = bookings.record_booking(
                patient,
                viewer=viewer,
                today=today,
                on=next_on,
                at=at,
                purpose=purpose,
                clinician=clinician,
                owner=owner,
                note=note,
            )
        else:
            attempt = outreach.record_outcome(
                patient,
                outcome=post.get("outcome", ""),
                viewer=viewer,
                today=today,
                next_on=next_on,
                owner=owner,
                note=note,
            )
    except WorkRefused as refused:
        return _refused(request, patient, {refused.field: str(refused)}, which="outcome")
    told = _("%(outcome)s recorded for %(name)s.") % {"outcome": attempt, "name": patient.display_name}
    undo_url = reverse("worklist_undo", args=[attempt.pk])
    return _answer(request, patient, told, {"acted": str(attempt), "undo_url": undo_url})


@signed_in
@require_POST
def undo(request: HttpRequest, pk: int) -> HttpResponse:
    """Take back an outcome that the viewer recorded."""
    viewer = access.viewer_of(request)
    attempts = ContactAttempt.objects.filter(clinic_id__in=viewer.clinic_ids).select_related("patient__clinic")
    attempt = get_object_or_404(attempts, pk=pk)
    access.check_gate(viewer, attempt.patient_id)
    try:
        bookings.take_back(attempt, viewer=viewer)
    except WorkRefused as refused:
        return _refused(request, attempt.patient, {refused.field: str(refused)}, which="outcome")
    told = _("%(outcome)s for %(name)s taken back.") % {"outcome": attempt, "name": attempt.patient.display_name}
    return _answer(request, attempt.patient, told, {})


@signed_in
@require_POST
def snooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a patient off until a day, with a reason."""
    viewer = access.viewer_of(request)
    patient = access.patient_for(viewer, pk, Permission.WORK)
    try:
        promise = outreach.snooze(
            patient,
            until=_date(request.POST.get("until", ""), "until"),
            reason=typed(request, "reason"),
            viewer=viewer,
            today=today_at(patient.clinic, timezone.now()),
        )
    except WorkRefused as refused:
        return _refused(request, patient, {refused.field: str(refused)}, which="snooze")
    days = {"name": patient.display_name, "day": day_words(promise.until)}
    told = _("%(name)s comes back on %(day)s.") % days
    acted = {"acted": _("Snoozed until %(day)s") % days, "undo_url": reverse("worklist_unsnooze", args=[patient.pk])}
    return _answer(request, patient, told, acted, moves=True)


@signed_in
@require_POST
def unsnooze(request: HttpRequest, pk: int) -> HttpResponse:
    """Bring a patient back at once."""
    viewer = access.viewer_of(request)
    patient = access.patient_for(viewer, pk, Permission.WORK)
    outreach.end_snooze(patient, viewer=viewer)
    told = _("%(name)s is back on the lists.") % {"name": patient.display_name}
    return _answer(request, patient, told, {"acted": _("Back on the lists")}, moves=True)


def _date(text: str, field: str) -> date | None:
    if not text.strip():
        return None
    try:
        found = parse_date(text.strip())
    except ValueError:
        found = None
    if found is None:
        raise WorkRefused(field, _("This is no date."))
    return found


def _time(text: str) -> time | None:
    if not text.strip():
        return None
    try:
        found = parse_time(text.strip())
    except ValueError:
        found = None
    if found is None:
        raise WorkRefused("time", _("This is no time of day."))
    return found.replace(tzinfo=None, microsecond=0)


def owner_of(text: str) -> User | None:
    """Whom a form names by id; None where it names nobody. Raises WorkRefused."""
    if not text:
        return None
    owner = User.objects.filter(pk=int(text)).first() if text.isascii() and text.isdecimal() else None
    if owner is None:
        raise WorkRefused("owner", _("Choose somebody of this clinic."))
    return owner


def _clinician(patient: Patient, text: str) -> User | None:
    """Whom the patient is to see; None for nobody in particular. Raises WorkRefused."""
    if not text:
        return None
    known = clinicians_of(patient.clinic_id)
    found = known.filter(pk=int(text)).first() if text.isascii() and text.isdecimal() else None
    if found is None:
        raise WorkRefused("clinician", _("Choose a clinician of this clinic."))
    return found


def _form_context(viewer: Viewer, today: date) -> dict[str, Any]:
    """What the forms of a row need beside."""
    return {
        "outcomes": ContactAttempt.Outcome.choices,
        "purposes": Appointment.Purpose.choices,
        "chosen_owner": viewer.actor.user_id,
        "next_on": suggested_next(today),
        "today": today,
    }


def _one_row(request: HttpRequest, patient: Patient) -> dict[str, Any]:
    """The context of a row by itself, as on the list from which the request came, and of its forms."""
    viewer = access.viewer_of(request)
    staff = staff_for(viewer)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff)
    today = worklist.today_for(viewer, timezone.now(), narrowing.filters.clinic)
    tab = tab_of(request)
    look = look_of(viewer, tab, narrowing)
    (row,) = worklist.rows_of(viewer, [patient.pk], today)
    return (
        row_context(viewer, look)
        | _form_context(viewer, today)
        | {
            "row": row_words(row, tab, today, viewer),
            "look": look,
            "owners": staff.everyone.get(patient.clinic_id, ()),
            "clinicians": clinicians_of(patient.clinic_id).values_list("pk", "name"),
            "chosen_clinician": str(patient.responsible_id or ""),
            "narrowing": narrowing,
            "back_url": narrowing.url(tab),
        }
    )


def _render_row(request: HttpRequest, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    done: dict[str, Any] = {name: context[name] for name in ("acted", "undo_url", "problems") if name in context}
    rows = [written(context["row"], context["look"], done)]
    return render(request, "monitoring/worklist/rows.html", context | {"rows": rows}, status=status)


@signed_in
@require_GET
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """The forms of a row: alone where it is opened on the list, as a page without scripts."""
    patient = access.patient_for(access.viewer_of(request), pk, Permission.WORK)
    page = "forms.html" if request.htmx else "row_page.html"  # type: ignore[attr-defined]
    return render(request, f"monitoring/worklist/{page}", _one_row(request, patient))


def tab_of(request: HttpRequest) -> str:
    """The tab from which something was asked."""
    tab = request.GET.get("tab", "all")
    return tab if tab in worklist.TABS else "all"


def _answer(
    request: HttpRequest, patient: Patient, told: str, acted: dict[str, Any], *, moves: bool = False
) -> HttpResponse:
    """The row as it stands now; `moves`: it changed lists, so the tabs' counts come along."""
    if not request.htmx:  # type: ignore[attr-defined]
        return _back(request, patient, told, acted)
    context = _one_row(request, patient) | acted
    if moves:
        narrowing: Narrowing = context["narrowing"]
        viewer = access.viewer_of(request)
        context["moved_tabs"] = tabs_of(
            context["tab"], narrowing, worklist.counts(viewer, narrowing.filters, context["today"])
        )
    response = _render_row(request, context)
    return trigger_client_event(response, "announce", {"value": told})


def _back(request: HttpRequest, patient: Patient, told: str, acted: dict[str, Any]) -> HttpResponse:
    viewer = access.viewer_of(request)
    messages.success(request, told)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff_for(viewer))
    more = {"acted": patient.pk} if "undo_url" in acted else {}
    return redirect(f"{narrowing.url(tab_of(request), **more)}#row-{patient.pk}")


def _doubts(
    patient: Patient, viewer: Viewer, on: date | None, at: time | None, purpose: str, clinician: User | None
) -> list[str]:
    """What speaks against what is said to be booked. Without a time no appointment is made, and only the day counts."""
    if on is None or at is None:
        return doubts_about_day(patient.clinic, on) if on else []
    try:
        wanted = Wanted(appointments.moment_at(patient.clinic, on, at), purpose=purpose, clinician=clinician)
        return doubts_about(patient, wanted, viewer=viewer, now=timezone.now())
    except BookingRefused:  # the booking itself says why, at its field
        return []


def _refused(
    request: HttpRequest, patient: Patient, problems: Problems, *, which: str, doubts: Sequence[str] = ()
) -> HttpResponse:
    """The same form again with what is wrong or doubtful, and what was typed."""
    context = _one_row(request, patient)
    owner = request.POST.get("owner", "")
    context |= {
        "problems": problems,
        "typed": request.POST,
        "which": which,
        "doubts": doubts,
        "digest": digest(doubts),
        "chosen_clinician": request.POST.get("clinician", context["chosen_clinician"]),
        "chosen_owner": int(owner) if owner.isascii() and owner.isdecimal() else context["me"],
        "errors": [{"text": text, "id": f"row-{patient.pk}-{field}"} for field, text in problems.items()],
    }
    if request.htmx:  # type: ignore[attr-defined]
        return _render_row(request, context, status=422)
    return render(request, "monitoring/worklist/row_page.html", context, status=422)
