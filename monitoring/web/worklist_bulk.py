"""Worklist bulk: what is done to all ticked rows, and what came of it for each patient."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views.decorators.http import require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.models import Patient
from patients.recording import RecordingRefused
from schedules import desk, printing, substitutes
from schedules.models import Reminder, Substitute

from .. import outreach, worklist
from ..outreach import WorkRefused
from . import exports
from .entry import signed_in
from .finding_words import day_words
from .identity import identity_of
from .worklist import listed
from .worklist_acts import owner_of, tab_of
from .worklist_filters import narrow, staff_for

Told = list[dict[str, Any]]  # {who, step, words, second, done}


@signed_in
@require_POST
def bulk(request: HttpRequest) -> HttpResponseBase:
    """Make a clinician responsible, send mail now, print letters, or export."""
    viewer = access.viewer_of(request)
    chosen = [int(pk) for pk in request.POST.getlist("selected") if pk.isascii() and pk.isdecimal() and len(pk) < 18]
    found = access.patients_for(viewer).select_related("clinic", "responsible").in_bulk(chosen)
    patients = [found[pk] for pk in dict.fromkeys(chosen) if pk in found]
    tab = tab_of(request)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff_for(viewer))
    back_url = narrowing.url(tab, after=request.GET.get("after", ""))
    if not patients:
        messages.warning(request, _("Tick at least one row first."))
        return redirect(back_url)
    act = request.POST.get("act", "")
    if act == "back":
        return listed(request, tab, ticked=chosen)
    if act in exports.KINDS:
        today = worklist.today_for(viewer, timezone.now())
        those = [(patient.pk, patient.clinic_id) for patient in patients]
        return exports.export_rows(viewer, those, tab=tab, kind=act, today=today, of="selected")
    if act == "mail":
        return _send_now(request, viewer, patients, back_url)
    if act == "letters":
        return _print(request, viewer, patients, back_url)
    try:
        _assign(request, viewer, patients)
    except (WorkRefused, RecordingRefused) as refused:
        messages.error(request, str(refused))
        return listed(request, tab, ticked=chosen, refused=True, status=422)
    return redirect(back_url)


def _apart(viewer: Viewer, patients: Sequence[Patient]) -> tuple[list[Patient], Told]:
    """Those to whom something may be done, and what is told of restricted records, which are opened one by one."""
    held = [patient for patient in patients if patient.pk in viewer.shut]
    words = _("Held: open the record with a reason first.")
    told = [{"who": identity_of(patient, viewer), "step": "", "words": words, "done": False} for patient in held]
    return [patient for patient in patients if patient.pk not in viewer.shut], told


def _assign(request: HttpRequest, viewer: Viewer, patients: Sequence[Patient]) -> None:
    """Make the chosen clinician responsible, and say so. Raises WorkRefused, RecordingRefused."""
    to = owner_of(request.POST.get("clinician", ""))
    if to is None:
        raise WorkRefused("clinician", _("Choose the clinician first."))
    may, held = _apart(viewer, patients)
    changed = outreach.assign_clinician(may, to=to, viewer=viewer)
    told = ngettext(
        "%(who)s is now responsible for %(n)d more patient.",
        "%(who)s is now responsible for %(n)d more patients.",
        changed,
    )
    messages.success(request, told % {"n": changed, "who": to.name})
    if held:
        left = ngettext(
            "%(n)d restricted record is left as it is: open it with a reason first.",
            "%(n)d restricted records are left as they are: open each with a reason first.",
            len(held),
        )
        messages.warning(request, left % {"n": len(held)})


def _send_now(request: HttpRequest, viewer: Viewer, patients: Sequence[Patient], back_url: str) -> HttpResponse:
    """First what would happen to the next mail of each, then, once confirmed, it happens; twice does nothing more."""
    now, confirmed = timezone.now(), request.POST.get("confirmed") == "1"
    _check_work(viewer, patients)
    may, held = _apart(viewer, patients)
    with transaction.atomic():
        answers = desk.send_now([patient.pk for patient in may], by=viewer.actor, now=now)
        transaction.set_rollback(not confirmed)
    asked = {one.patient_id: one for one in answers}
    last = _last_mails([one.patient_id for one in answers if one.reminder is None])
    rows = [
        {"who": identity_of(patient, viewer)} | _told_of_mail(patient, asked[patient.pk], last.get(patient.pk), now)
        for patient in may
    ]
    rows += held
    count = sum(row["done"] for row in rows)
    told = {"n": count}
    if confirmed:
        summary = ngettext("%(n)d mail goes out.", "%(n)d mails go out.", count) % told
    else:
        summary = ngettext("%(n)d mail can go out now.", "%(n)d mails can go out now.", count) % told
    send = ngettext("Send %(n)d mail", "Send %(n)d mails", count) % told
    ask = send if count and not confirmed else ""
    return _tell(request, title=_("Send mail now"), summary=summary, rows=rows, back_url=back_url, ask=ask)


def _last_mails(patient_ids: Sequence[int]) -> dict[int, Reminder]:
    """The latest follow-up mail that went, or could not, of each of these patients."""
    rows = Reminder.objects.filter(patient__in=patient_ids, appointment__isnull=True, decided_at__isnull=False)
    return {row.patient_id: row for row in rows.exclude(state="cancelled").order_by("send_on", "id")}


def _told_of_mail(patient: Patient, asked: desk.Asked, last: Reminder | None, now: datetime) -> dict[str, Any]:
    """What becomes of the patient's mail; where none is planned, what became of the last."""
    step = str(asked.reminder.get_step_display()) if asked.reminder else ""
    if asked.at is None:
        second = ""
        if asked.earliest is not None:
            second = _("From %(day)s on it can be sent.") % {"day": day_words(asked.earliest)}
        elif last is not None and last.decided_at is not None:
            second = _("The last: %(message)s, %(state)s, %(day)s") % {
                "message": last.get_step_display(),
                "state": last.get_state_display(),
                "day": day_words(last.decided_at.astimezone(patient.clinic.zone).date()),
            }
        return {"step": step, "words": _(asked.why), "second": second, "done": False}
    at = asked.at.astimezone(patient.clinic.zone)
    if asked.at <= now:
        words = _("Goes out within minutes.")
    elif at.date() == now.astimezone(patient.clinic.zone).date():
        words = _("Goes out at %(time)s.") % {"time": date_format(at, "TIME_FORMAT")}
    else:
        words = _("Goes out on %(day)s at %(time)s.") % {
            "day": day_words(at.date()),
            "time": date_format(at, "TIME_FORMAT"),
        }
    return {"step": step, "words": words, "done": True}


def _print(request: HttpRequest, viewer: Viewer, patients: Sequence[Patient], back_url: str) -> HttpResponse:
    """The letters that wait for these patients become one batch; its PDF is made before anything is kept."""
    now = timezone.now()
    _check_work(viewer, patients)
    may, held = _apart(viewer, patients)
    clinics, ids = {patient.clinic_id for patient in may}, [patient.pk for patient in may]
    batch = printing.print_letters(clinics, by=viewer.actor, now=now, patient_ids=ids)
    printed = {row.patient_id: row for row in printing.letters_of(batch, clinics, now=now)} if batch else {}
    if printed:
        title = _("Letters of %(day)s") % {"day": day_words(worklist.today_for(viewer, now))}
        printing.pdf_of(list(printed.values()), title=title, now=now)
    others = _why_no_letter([patient for patient in may if patient.pk not in printed], now)
    rows = [
        {
            "who": identity_of(patient, viewer),
            "step": str(printed[patient.pk].reminder.get_step_display()) if patient.pk in printed else "",
            "words": pgettext("a letter", "Printed.") if patient.pk in printed else others[patient.pk],
            "done": patient.pk in printed,
        }
        for patient in may
    ]
    rows += held
    count = len(printed)
    summary = ngettext("%(n)d letter is in the PDF.", "%(n)d letters are in the PDF.", count) % {"n": count}
    action = {"text": _("Open the PDF"), "url": reverse("letters_pdf", args=[batch])} if printed else None
    return _tell(request, title=_("Print letters"), summary=summary, rows=rows, back_url=back_url, action=action)


def _why_no_letter(patients: Sequence[Patient], now: datetime) -> dict[int, str]:
    """Why no letter of these patients was printed, in words."""
    why = dict.fromkeys((patient.pk for patient in patients), _("No letter waits for this patient."))
    waiting = Substitute.objects.filter(patient__in=list(why), state=Substitute.State.OPEN).order_by("until", "id")
    rows = list(waiting.select_related("reminder__patient", "reminder__clinic"))
    hindered = substitutes.hindrances(rows, now)
    for row in reversed(rows):
        if row.channel == Substitute.Way.CALL:
            why[row.patient_id] = _("To be telephoned, not written to.")
        else:
            why[row.patient_id] = _(hindered[row.pk]) if row.pk in hindered else _("Somebody else is printing it.")
    return why


def _check_work(viewer: Viewer, patients: Sequence[Patient]) -> None:
    for clinic in {patient.clinic_id for patient in patients}:
        viewer.check(Permission.WORK, clinic)


def _tell(
    request: HttpRequest,
    *,
    title: str,
    summary: str,
    rows: Told,
    back_url: str,
    action: dict[str, str] | None = None,
    ask: str = "",
) -> HttpResponse:
    """What came of it, those first for whom nothing did; the ticks are kept until something is done. `ask`: the
    words of the button that does it."""
    context = {
        "title": title,
        "summary": summary,
        "rows": sorted(rows, key=lambda row: row["done"]),
        "refused": sum(not row["done"] for row in rows),
        "back_url": back_url,
        "action": action,
        "ask": ask,
        "is_undone": bool(ask) or not any(row["done"] for row in rows),
        "bulk_url": request.get_full_path(),
    }
    return render(request, "monitoring/worklist/told.html", context)
