"""Messages page: what mail goes out next, what went, what did not and why, and the switch that stops it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.at_once import Length, Question, read_at_once
from patients.models import Clinic
from schedules import desk, feedback, mail_server, rehearsal, reminders, substitutes, volume
from schedules.models import DeliveryEvent, Reminder, Substitute

from .. import heartbeats, mailing, worklist
from ..models import Heartbeat
from . import frame
from .entry import signed_in, typed
from .finding_words import Words
from .identity import identity_of
from .paging import Counted

State = Reminder.State
TABS = {
    "upcoming": gettext_lazy("Next 14 days"),
    "uncertain": gettext_lazy("Uncertain"),
    "failed": gettext_lazy("Failed"),
    "refused": gettext_lazy("Not sent"),
    "sent": gettext_lazy("Sent"),
}


@signed_in
@require_GET
def message_list(request: HttpRequest, tab: str = "upcoming") -> HttpResponse:
    """One tab of the clinic's reminders, fifty a page."""
    viewer = access.viewer_of(request)
    if tab not in TABS:
        raise Http404("No such list.")
    now, asked = timezone.now(), request.GET.get("clinic", "")
    clinic = next((pk for pk in viewer.clinic_ids if str(pk) == asked), None)
    counts, (beaten, refusing, held, *of_frame) = counted(
        viewer,
        clinic,
        now,
        Heartbeat.objects.all(),
        mail_server.refusing(),
        volume.plans_held(viewer.clinic_ids),
        *frame.questions(viewer.clinic_ids),
    )
    frame.hand_over(request, *of_frame)
    rows = mailing.messages_in(tab, viewer, now.date(), clinic=clinic).select_related("patient", "clinic")
    page = Counted(rows, counts[tab]).get_page(request.GET.get("page"))
    found = list(page.object_list)
    ahead = {}
    if tab == "upcoming":
        seen = reminders.look_ahead(found, now=now)
        ahead = {row.reminder.pk: row for row in seen}
        found = [row.reminder for row in sorted(seen, key=lambda row: row.at)]
    told = feedback.told_of(found) if tab in {"sent", "uncertain"} else {}
    beats = {beat.name: beat for beat in heartbeats.beats_of(beaten)}
    context: dict[str, Any] = {
        "tab": tab,
        "tabs": tabs_for(tab, clinic, counts),
        "clinic": clinic,
        "chips": _chips(viewer, clinic),
        "rows": [_row(row, ahead.get(row.pk), told.get(row.pk), viewer) for row in found],
        "page": page,
        "mail": beats["mail"],
        "trouble": mailing.server_trouble(refusing, viewer, now),
        "returned_mail_late": "bounces" in beats and beats["bounces"].late,
        "rehearsal": rehearsal.recipient(),
        "held": [{"plan": plan, "may": viewer.may(Permission.WORK, plan.pk)} for plan in held],
        "switches": [
            {"clinic": clinic, "may": viewer.may(Permission.ADMINISTER, clinic.pk)} for clinic in viewer.clinics
        ],
    }
    return render(request, "monitoring/messages/list.html", context)


def counted(viewer: Viewer, clinic: int | None, now: datetime, *others: Question) -> tuple[dict[str, int], list[Any]]:
    """The length of each view of the Messages page, and with them what else is asked for, in one statement."""
    clinics = [one for one in viewer.clinics if clinic in (None, one.pk)]
    today = worklist.today_for(viewer, now)
    lists: dict[str, QuerySet[Any]] = {
        **{tab: mailing.messages_in(tab, viewer, now.date(), clinic=clinic) for tab in TABS},
        "letters": substitutes.to_do_in(clinics, Substitute.Way.LETTER, now),
        "calls": worklist.patients_in("calls", viewer, worklist.Filters(clinic=clinic), today),
    }
    found = read_at_once(*map(Length, lists.values()), *others)
    return dict(zip(lists, found, strict=False)), found[len(lists) :]


def tabs_for(current: str, clinic: int | None, counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The views of the Messages page; calls are made from the worklist."""
    query = {"clinic": clinic} if clinic else None
    mails = [
        {
            "name": words,
            "url": reverse("messages_tab", args=[name], query=query),
            "count": counts[name],
            "current": name == current,
            "alert": name in {"uncertain", "failed"},
        }
        for name, words in TABS.items()
    ]
    return [
        *mails,
        {
            "name": _("Letters to print"),
            "url": reverse("letters", query=query),
            "count": counts["letters"],
            "current": current == "letters",
        },
        {
            "name": _("Calls to make"),
            "url": reverse("worklist_tab", args=["calls"], query=query),
            "count": counts["calls"],
        },
    ]


def _chips(viewer: Viewer, clinic: int | None) -> list[dict[str, str]]:
    if not clinic or len(viewer.clinic_ids) < 2:
        return []
    name = next(one.name for one in viewer.clinics if one.pk == clinic)
    return [{"label": _("Clinic"), "value": name, "remove_url": "?"}]


def _row(
    reminder: Reminder, ahead: reminders.Upcoming | None, told: DeliveryEvent | None, viewer: Viewer
) -> dict[str, Any]:
    return {
        "reminder": reminder,
        "told": told,
        "who": identity_of(reminder.patient, viewer),
        "at": ahead.at if ahead else None,
        "why": _(ahead.verdict.reason)
        if ahead and ahead.verdict.reason
        else _(reminder.reason)
        if reminder.reason
        else "",
        "may": viewer.may(Permission.WORK, reminder.clinic_id),
        "again": reminder.state in {State.FAILED, State.REFUSED},
    }


def _reminder(viewer: Viewer, pk: int) -> Reminder:
    found = Reminder.objects.filter(pk=pk, clinic__in=viewer.clinic_ids).first()
    if found is None:
        raise Http404("No such message.")
    viewer.check(Permission.WORK, found.clinic_id)
    access.check_gate(viewer, found.patient_id)
    return found


DONE: Final[dict[str, Words]] = {
    "arrived": gettext_lazy("%(name)s: this message counts as arrived."),
    "lost": gettext_lazy("%(name)s: this message is sent once more, as soon as it may be."),
    "again": gettext_lazy("%(name)s: this message is sent once more, as soon as it may be."),
    "withhold": gettext_lazy("%(name)s: this message is not sent. It stands under “Not sent”."),
}


@signed_in
@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    """What a person found out or wants: it arrived, it did not, send again, do not send."""
    viewer = access.viewer_of(request)
    reminder = _reminder(viewer, pk)
    act = request.POST.get("act", "")
    if act not in DONE:
        raise Http404("No such act.")
    try:
        if act in {"arrived", "lost"}:
            desk.resolve_uncertain(reminder.pk, arrived=act == "arrived", by=viewer.actor)
        elif act == "again":
            desk.send_again(reminder.pk, by=viewer.actor)
        else:
            desk.cancel(reminder.pk, by=viewer.actor, reason=typed(request, "reason")[:120])
    except desk.NotPossible as problem:
        messages.error(request, _("This message has moved on meanwhile: %(state)s.") % {"state": problem.state})
    else:
        messages.success(request, DONE[act] % {"name": identity_of(reminder.patient, viewer).name})
    back = request.POST.get("back", "")
    # nosemgrep: redirect-to-what-was-sent - a tab of ours
    return redirect("messages_tab", tab=back if back in TABS else "upcoming")


@signed_in
@require_POST
def switch(request: HttpRequest, clinic_id: int) -> HttpResponse:
    """Stop one clinic's mail, and nothing else, or let it go on."""
    viewer = access.viewer_of(request)
    clinic = Clinic.objects.filter(pk=clinic_id, pk__in=viewer.clinic_ids).first()
    if clinic is None:
        raise Http404("No such clinic.")
    viewer.check(Permission.ADMINISTER, clinic.pk)
    stopped = request.POST.get("stop") == "1"
    desk.stop_mail(clinic, by=viewer.actor, stopped=stopped, reason=typed(request, "reason")[:200])
    words = _("Mail of %(clinic)s is stopped.") if stopped else _("Mail of %(clinic)s goes out again.")
    messages.success(request, words % {"clinic": clinic.name})
    return redirect("messages")


@signed_in
@require_POST
def decide_held(request: HttpRequest, clinic_id: int) -> HttpResponse:
    """A person looked at an unusual number of mails: they may go out today, or mail stays stopped."""
    viewer = access.viewer_of(request)
    clinic = Clinic.objects.filter(pk=clinic_id, pk__in=viewer.clinic_ids).first()
    if clinic is None:
        raise Http404("No such clinic.")
    viewer.check(Permission.WORK, clinic.pk)
    if request.POST.get("act") == "release":
        done = volume.release(clinic, by=viewer.actor, now=timezone.now())
        words = _("Mail of %(clinic)s goes out again.")
    else:
        done = volume.keep_stopped(clinic, by=viewer.actor)
        words = _("Mail of %(clinic)s is stopped.")
    if done:
        messages.success(request, words % {"clinic": clinic.name})
    else:
        messages.info(request, _("Somebody has decided this meanwhile."))
    return redirect("messages")
