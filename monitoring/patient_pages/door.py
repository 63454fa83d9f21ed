"""Door: lets in whoever holds a valid link, to one patient's page in one clinic; tells everyone else kindly why not.

There is no sign-in, no cookie and no CSRF token: the link is the authority, and nobody else's page knows it. (Browsers
that are told to send no referrer name no origin either, so the usual check would refuse every form.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import get_language, override
from django.views.decorators.csrf import csrf_exempt
from rest_framework.throttling import BaseThrottle

from patients import access
from patients.changes import Actor
from patients.models import Clinic, Patient
from patients.recording import today_at
from schedules import links
from schedules.links import BadLink, Link, Purpose
from schedules.models import Reminder

from ..api.throttling import count_call

POSTS_A_MINUTE = 30  # of one address
METHODS = ["GET", "HEAD", "POST"]


@dataclass(frozen=True, slots=True)
class Guest:
    """Whose page it is and by which link; `today` is the clinic's."""

    link: Link
    token: str
    patient: Patient
    clinic: Clinic
    now: datetime
    today: date
    by: Actor


Page = Callable[[HttpRequest, Guest], HttpResponse]


def opened_by(purpose: Purpose) -> Callable[[Page], Callable[[HttpRequest, str], HttpResponse]]:
    """Make a page of a view: shown in the patient's language, to holders of a link of this purpose only."""

    def decorate(view: Page) -> Callable[[HttpRequest, str], HttpResponse]:
        @csrf_exempt
        @wraps(view)
        def answer(request: HttpRequest, token: str) -> HttpResponse:
            if request.method not in METHODS:
                return HttpResponseNotAllowed(METHODS)
            return _guarded(_admit(request, token, purpose, view))

        return answer

    return decorate


@csrf_exempt
def unknown(request: HttpRequest, rest: str = "") -> HttpResponse:
    """A part of a link, or one with something added: who follows it is a patient."""
    if _too_many(request):
        return closed("too_many", None, status=429)
    return _guarded(closed("unknown", None, status=404))


def _admit(request: HttpRequest, token: str, purpose: Purpose, view: Page) -> HttpResponse:
    try:
        link = links.read(token, purpose)
    except BadLink:
        if _too_many(request):
            return closed("too_many", None, status=429)
        return closed("unknown", _clinic(links.clinic_named_in(token)), status=404)
    if not is_one_click(request) and _too_many(request):  # providers unsubscribe many people from one address
        return closed("too_many", _clinic(link.clinic_id), status=429)
    access.bind_clinics([link.clinic_id])
    return _open(request, link, token, view)


def _open(request: HttpRequest, link: Link, token: str, view: Page) -> HttpResponse:
    now = timezone.now()
    clinic = _clinic(link.clinic_id)
    people = Patient.objects.filter(pk=link.patient_id, clinic=link.clinic_id).select_related(
        "clinic", "merged_into__clinic"
    )
    patient = people.first()
    mails = Reminder.objects.filter(pk=link.reminder_id, patient=link.patient_id, clinic=link.clinic_id)
    if clinic is None or patient is None or not mails.exists():
        return closed("unknown", clinic, status=404)
    while patient.merged_into is not None:  # an old mail of a merged record leads to the one that speaks for them
        patient = patient.merged_into
    with override(patient.language):
        if today_at(clinic, now) > link.expires_on or patient.died_on:
            return closed("expired", clinic, status=410)
        by = Actor(name="patient, by link", request_id=getattr(request, "request_id", ""))
        return view(request, Guest(link, token, patient, clinic, now, today_at(clinic, now), by))


def is_one_click(request: HttpRequest) -> bool:
    """A mail program unsubscribes on the patient's behalf, as RFC 8058 has it."""
    return request.method == "POST" and request.POST.get("List-Unsubscribe") == "One-Click"


def _too_many(request: HttpRequest) -> bool:
    if request.method != "POST":
        return False
    address = BaseThrottle().get_ident(request)  # type: ignore[arg-type]  # reads request.META only
    return count_call(f"patient-page-{address}", int(timezone.now().timestamp()) // 60) > POSTS_A_MINUTE


def _clinic(pk: int | None) -> Clinic | None:
    return Clinic.objects.filter(pk=pk).first() if pk is not None else None


def closed(why: str, clinic: Clinic | None, *, status: int) -> HttpResponse:
    """A page that says why there is nothing to do here, and how to reach the clinic."""
    return show("closed", clinic, status=status, why=why)


def show(name: str, clinic: Clinic | None, *, status: int = 200, **context: Any) -> HttpResponse:
    """A page in the active language. It is rendered without the request: nobody who is signed in shows on it."""
    language = get_language() or "en"
    context |= {"clinic": clinic, "language": language}
    if clinic:
        context |= {"telephone": telephone_link(clinic), "hours": clinic.hours_in(language)}
    return HttpResponse(
        render_to_string(f"monitoring/patient_pages/{name}.html", context),
        status=status,
        headers={"Content-Language": language},
    )


def telephone_link(clinic: Clinic) -> str:
    return "".join(sign for sign in clinic.telephone if sign.isdigit() or sign == "+")


def _guarded(response: HttpResponse) -> HttpResponse:
    """Keep the address of the page, and the page, to the patient's own browser."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex, nofollow"
    response["Cache-Control"] = "no-store"
    return response
