"""Mail templates page: each message in each language, written by the code that sends, and a test to oneself."""

from datetime import datetime, time, timedelta
from email.header import decode_header, make_header

from django.contrib import messages
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import make_msgid
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_GET, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic, Patient, User
from patients.models.clinic import PATIENT_LANGUAGES
from patients.recording import today_at
from schedules import mail
from schedules.answers import Ending
from schedules.channels import default_channel
from schedules.models import Appointment, Reminder

from .. import audit
from .entry import signed_in

Step = Reminder.Step
OF_APPOINTMENTS = (
    Step.APPOINTMENT_SOON,
    Step.APPOINTMENT_NEAR,
    Step.APPOINTMENT_MOVED,
    Step.APPOINTMENT_CANCELLED,
)
# The mail's own page: nothing is loaded, nothing runs, and only our pages may frame it.
MAIL_POLICY = {
    "default-src": ["'none'"],
    "style-src": ["'unsafe-inline'"],
    "frame-ancestors": ["'self'"],
    "form-action": ["'none'"],
    "base-uri": ["'none'"],
    "sandbox": True,
}
DAYS_AHEAD = {Step.BOOKING_PROMPT.value: 42, Step.DUE.value: 0, Step.MISSED.value: -1, Step.SECOND_MISSED.value: -42}
FRAMING = {"frame-src": ["'self'"]}


def sample(clinic: Clinic, step: str, language: str, *, to: str = "maria@mail.example") -> EmailMultiAlternatives:
    """One message to an invented patient of a real clinic, by the code that sends. Nothing is stored."""
    now = timezone.now()
    day = today_at(clinic, now) + timedelta(days=DAYS_AHEAD.get(step, 3))
    patient = Patient(pk=0, clinic=clinic, given_name="Maria", family_name="Example", language=language, email=to)
    reminder = Reminder(
        pk=0, clinic=clinic, patient=patient, step=step, cycle_on=day - timedelta(days=182), due_on=day, send_on=day
    )
    if step in OF_APPOINTMENTS:
        starts_at = datetime.combine(day, time(9, 30), tzinfo=clinic.zone)
        state = Appointment.State.CANCELLED if step == Step.APPOINTMENT_CANCELLED else Appointment.State.BOOKED
        reminder.appointment = Appointment(pk=0, clinic=clinic, patient=patient, starts_at=starts_at, state=state)
        reminder.appointment_sequence = 0
    return mail.compose(reminder, patient, clinic)


def _asked(viewer: Viewer, request: HttpRequest, step: str, language: str) -> Clinic:
    """The clinic that is asked for, the viewer's first if none is; 404 for a message or language there is not."""
    if step not in mail.WORDINGS or language not in dict(PATIENT_LANGUAGES):
        raise Http404("No such message.")
    clinics = access.clinics_for(viewer).order_by("name", "id")
    asked = request.GET.get("clinic") or request.POST.get("clinic", "")
    found = get_object_or_404(clinics, pk=int(asked)) if asked.isdecimal() and len(asked) < 18 else clinics.first()
    if found is None:
        raise Http404("No clinic.")
    return found


def _html(message: EmailMultiAlternatives) -> str:
    return next(str(content) for content, kind in message.alternatives if kind == "text/html")


@signed_in
@require_GET
def mail_templates(request: HttpRequest, step: str = Step.DUE.value, language: str = "") -> HttpResponse:
    """One message in one language, as text and as it looks; the others are a click away."""
    viewer = access.viewer_of(request)
    first = access.clinics_for(viewer).order_by("name", "id").first()
    language = language or (first.language if first else "en")
    clinic = _asked(viewer, request, step, language)
    message = sample(clinic, step, language)
    response = render(
        request,
        "monitoring/messages/templates.html",
        {
            "clinic": clinic,
            "step": step,
            "language": language,
            "message": message,
            "sender": str(make_header(decode_header(message.from_email))),
            "frame_url": reverse("mail_template_html", args=[step, language]) + f"?clinic={clinic.pk}",
            "steps": [_choice(Step(name).label, name, language, name == step) for name in mail.WORDINGS],
            "languages": [_choice(words, step, code, code == language) for code, words in PATIENT_LANGUAGES],
            "may_test": viewer.may(Permission.WORK, clinic.pk),
        },
    )
    response._csp_update = FRAMING  # type: ignore[attr-defined]
    return response


def _choice(name: object, step: str, language: str, current: bool) -> dict[str, object]:
    return {"name": name, "url": reverse("mail_template", args=[step, language]), "current": current}


@signed_in
@require_GET
@xframe_options_sameorigin
def mail_template_html(request: HttpRequest, step: str, language: str) -> HttpResponse:
    """The HTML part alone, as it is sent, under a policy that lets nothing load or run."""
    clinic = _asked(access.viewer_of(request), request, step, language)
    response = HttpResponse(_html(sample(clinic, step, language)))
    response._csp_config = MAIL_POLICY  # type: ignore[attr-defined]
    return response


@signed_in
@require_POST
def mail_template_test(request: HttpRequest, step: str, language: str) -> HttpResponse:
    """Send the message, marked as a test, to whoever is signed in and to nobody else."""
    viewer = access.viewer_of(request)
    clinic = _asked(viewer, request, step, language)
    viewer.check(Permission.WORK, clinic.pk)
    user = request.user
    if not isinstance(user, User):
        raise Http404("Nobody is signed in.")
    message = sample(clinic, step, language, to=user.email)
    message.subject = f"TEST: {message.subject}"
    message.extra_headers["Message-ID"] = make_msgid(domain=mail.sender_address().rpartition("@")[2] or "localhost")
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post"):
        message.extra_headers.pop(name, None)
    channel = default_channel()
    try:
        outcome = channel.send(message)
    finally:
        channel.close()
    audit.note(
        viewer.actor, "send_test_mail", clinic_id=clinic.pk, object=step, after={"language": language, "to": user.email}
    )
    if outcome.ending == Ending.ACCEPTED:
        messages.success(request, _("The test is on its way to %(address)s.") % {"address": user.email})
    else:
        messages.error(request, _("The test was not sent. %(reason)s") % {"reason": outcome.reason})
    return redirect(reverse("mail_template", args=[step, language]) + f"?clinic={clinic.pk}")
