"""Worklist pages: the tabs with their filters and rows, and the same as files."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext
from django.views.decorators.http import require_GET

from patients import access
from patients.access import Permission, Viewer
from patients.at_once import Kept, Length, Question
from patients.models import Hip

from .. import census, emergency, ending_checks, routes, worklist
from ..models import Census
from ..worklist_row import Row
from . import exports, frame
from .confirming import ask_to_confirm, is_confirmed
from .entry import signed_in
from .identity import identity_of
from .worklist_filters import Narrowing, narrow, staff_for, staff_of, staff_rows, with_query
from .worklist_markup import Heads, Look, cells, ordinary
from .worklist_rows import RowWords, outcome_words, words_for
from .worklist_views import view_menu, views_of

_BY_RISK = gettext_lazy("by clinical risk and then by days late")
_ORDERS = {
    "reviews": gettext_lazy("urgent ones first, then by deadline"),
    "calls": gettext_lazy("those first for whom it is soon too late"),
    "snoozed": gettext_lazy("by the day they come back"),
}


def _around(
    *, clinics: Sequence[int], administered: Sequence[int], user: int, read_before: datetime
) -> Sequence[Question]:
    """What is shown around the rows: colleagues, saved views, each clinic's census, what waits for administrators."""
    return (
        staff_rows(clinics),
        views_of(user),
        census.latest_of(clinics),
        Length(ending_checks.unread_since(read_before, administered)),
        Length(emergency.unjudged(administered)),
        *frame.questions(clinics),
    )


_SLOTS = {"clinics": list, "administered": list, "user": int, "read_before": datetime}
_AROUND = Kept(_around, **_SLOTS)


@cache
def _opening(tab: str) -> Kept:
    """A tab of one clinic as it is opened, without filters: the first page, all lengths and what stands around."""

    def questions(*, clinic: int, today: date, morning: datetime, **around: Any) -> Sequence[Question]:
        first = worklist.first_of_clinic(tab, clinic, today, morning)
        return first, worklist.lengths_of(clinic, today, morning), *_around(clinics=[clinic], **around)

    others = {name: kind for name, kind in _SLOTS.items() if name != "clinics"}
    return Kept(questions, clinic=int, today=date, morning=datetime, **others)


@signed_in
@require_GET
def show(request: HttpRequest, tab: str = "reviews") -> HttpResponse:
    """One tab, its filters and its rows."""
    if tab not in worklist.TABS:
        raise Http404(tab)
    return listed(request, tab)


def listed(
    request: HttpRequest, tab: str, *, ticked: Collection[int] = (), refused: bool = False, status: int = 200
) -> HttpResponse:
    """The page of a tab. `ticked`: rows that stay so when something else than the list was sent; `refused`: so that
    it can be mended and sent again."""
    viewer = access.viewer_of(request)
    if not viewer.clinic_ids:
        return redirect(_home_of(viewer))
    now = timezone.now()
    is_plain = len(viewer.clinic_ids) == 1 and set(request.GET) <= {"acted"}
    known = _opened(tab, viewer, now) if is_plain else _Known(_AROUND.read(**_where(viewer, now)))
    colleagues, saved, taken, unread, unjudged, *of_frame = known.around
    frame.hand_over(request, *of_frame)
    staff = staff_of(colleagues)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff)
    today = worklist.today_for(viewer, now, narrowing.filters.clinic)
    after = request.GET.get("after", "")
    if known.first is not None:
        counts, page = known.counts, worklist.page_from(tab, known.first, today)
    else:
        counts, page = worklist.look(tab, viewer, narrowing.filters, today, after=after)
    acted = request.GET.get("acted", "")
    look = replace(look_of(viewer, tab, narrowing), ticked=frozenset(ticked))
    rows = [
        written(words, look, _undoable(words.row, viewer) if str(words.pk) == acted else {})
        for words in words_for(page.rows, tab, today, viewer)
    ]
    context = (
        _list_context(viewer, tab, narrowing, counts)
        | row_context(viewer, look)
        | {
            "rows": rows,
            "shown": len(page.rows),
            "next_url": narrowing.url(tab, after=page.after) if page.after else "",
            "first_url": narrowing.url(tab) if after else "",
            "census_alarms": _census_alarms(taken, viewer),
            "endings_unread": unread,
            "emergencies_unjudged": unjudged,
            "clinicians": staff.clinicians,
            "chosen_clinician": request.POST.get("clinician", str(viewer.actor.user_id)),
            "bulk_refused": refused,
            "bulk_url": f"{reverse('worklist_bulk')}?{narrowing.query(tab=tab, **({'after': after} if after else {}))}",
            "views": view_menu(saved, tab, narrowing),
        }
    )
    return render(request, "monitoring/worklist/page.html", context, status=status)


@dataclass(frozen=True, slots=True)
class _Known:
    """What was read in one statement, at the beginning."""

    around: Sequence[Any]
    counts: dict[str, int] = field(default_factory=dict)
    first: Sequence[tuple[Any, ...]] | None = None  # the first page


def _where(viewer: Viewer, now: datetime) -> dict[str, Any]:
    return {
        "clinics": list(viewer.clinic_ids),
        "administered": list(viewer.clinics_where(Permission.ADMINISTER)),
        "user": viewer.actor.user_id,
        "read_before": now - ending_checks.AFTER,
    }


def _opened(tab: str, viewer: Viewer, now: datetime) -> _Known:
    today = worklist.today_for(viewer, now)
    asked = _where(viewer, now) | {"today": today, "morning": worklist.morning_of(today)}
    (asked["clinic"],) = asked.pop("clinics")
    first, lengths, *around = _opening(tab).read(**asked)
    return _Known(around, worklist.counted(lengths), first)


def _home_of(viewer: Viewer) -> str:
    """Where somebody begins who sees no patient."""
    return next((name for name in ("research", "administration") if routes.opens(viewer, name)), "profile")


def _list_context(viewer: Viewer, tab: str, narrowing: Narrowing, counts: dict[str, int]) -> dict[str, Any]:
    """What stands around the rows."""
    export = {
        kind: reverse("worklist_export", args=[tab, kind], query=narrowing.kept or None) for kind in exports.KINDS
    }
    faults = narrowing.faults
    files = [] if faults else [(_("Export CSV"), export["csv"]), (_("Export Excel"), export["xlsx"])]
    actions = [
        *([{"text": _("Import"), "url": reverse("imports")}] if routes.opens(viewer, "imports") else []),
        *({"text": text, "url": url} for text, url in files),
    ]
    return {
        "tab": tab,
        "title": worklist.TABS[tab],
        "order": _ORDERS.get(tab, _BY_RISK),
        "tabs": tabs_of(tab, narrowing, counts),
        "total": counts[tab],
        "faults": faults,
        "chips": narrowing.chips(tab),
        "filter_form": narrowing.form,
        "filter_fields": narrowing.fields,
        "clear_url": reverse("worklist_tab", args=[tab]),
        "list_path": reverse("worklist_tab", args=[tab]),
        "header_actions": actions,
    } | _emptiness(viewer, tab, narrowing, counts)


def tabs_of(tab: str, narrowing: Narrowing, counts: dict[str, int]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "url": narrowing.url(code),
            "count": counts[code],
            "current": code == tab,
            "alert": code == "reviews",
        }
        for code, name in worklist.TABS.items()
    ]


def _emptiness(viewer: Viewer, tab: str, narrowing: Narrowing, counts: dict[str, int]) -> dict[str, Any]:
    """Why the list is empty, if it is, and where to go on."""
    if counts[tab]:
        return {}
    if narrowing.kept:
        lift = {"text": _("Lift all filters"), "url": reverse("worklist_tab", args=[tab])}
        return _empty(
            "no_match", _("Nobody here matches these filters"), _("The list may be longer without them."), lift
        )
    if not counts["all"]:
        first = [
            {"text": _("Enrol a patient"), "url": reverse("patient_enrol"), "kind": "primary", "to": "patient_enrol"},
            {"text": _("Import a file"), "url": reverse("imports"), "to": "imports"},
        ]
        first = [action for action in first if routes.opens(viewer, action["to"])]
        return _empty("none_yet", _("No patients yet"), _("A registry begins with one."), *first)
    following = next((code for code in worklist.TABS if counts[code]), "all")
    go_on = {"text": f"{worklist.TABS[following]} ({counts[following]})", "url": narrowing.url(following)}
    title, text = _nothing_left(tab)
    return _empty("done", title, text, go_on)


def _nothing_left(tab: str) -> tuple[str, str]:
    return {
        "reviews": (_("No review is open"), _("No new symptom or finding waits for a decision.")),
        "overdue": (_("Nobody is overdue"), _("Everybody who is followed was seen within their window.")),
        "due": (_("No window is open"), _("Nobody has to be booked now.")),
        "never_started": (_("Everybody has begun"), _("Every followed hip had a first complete follow-up.")),
        "incomplete": (_("Nothing is missing"), _("No view, MRI or volume is waited for.")),
        "calls": (
            _("Nobody has to be called"),
            _("Mail or a letter reaches everybody."),
        ),
        "unreachable": (_("E-mail reaches everybody"), _("Everybody who is followed can be written to.")),
        "snoozed": (_("Nobody is snoozed"), _("No promise to come back later is running.")),
    }.get(tab, (_("Nobody here"), ""))


def _empty(kind: str, title: str, text: str, *actions: dict[str, str]) -> dict[str, Any]:
    return {
        "empty": {
            "kind": kind,
            "title": title,
            "text": text,
            "actions": actions,
        }
    }


def look_of(viewer: Viewer, tab: str, narrowing: Narrowing) -> Look:
    heads = Heads(
        hip=_("Hip"),
        why=_("Why"),
        late=_("Late"),
        next=pgettext("who acts next", "Next"),
        last=_("Last contact"),
        outcome=_("Outcome"),
    )
    return Look(
        tab,
        heads,
        several_clinics=len(viewer.clinic_ids) > 1,
        query=narrowing.query(tab=tab),
        may_work=viewer.may_anywhere(Permission.WORK),
    )


def written(words: RowWords, look: Look, done: dict[str, Any]) -> dict[str, Any]:
    """The row as the template takes it. `done`: what was done to it just now, or refused."""
    if done:
        return {"row": words, "cells": cells(words, look)} | done
    return {"row": words, "ordinary": ordinary(words, look)}


def row_context(viewer: Viewer, look: Look) -> dict[str, Any]:
    """What every row needs."""
    return {
        "tab": look.tab,
        "me": viewer.actor.user_id,
        "may_work": look.may_work,
        "row_query": look.query,
        "label": look.heads,
    }


def _census_alarms(taken: Iterable[Census], viewer: Viewer) -> list[dict[str, Any]]:
    """The clinics whose census does not add up; what differs is told to administrators."""
    return [{"census": one, "differences": _differences(one, viewer)} for one in taken if not one.adds_up]


def _differences(wrong: Census, viewer: Viewer) -> list[dict[str, Any]]:
    if not viewer.may(Permission.ADMINISTER, wrong.clinic_id):
        return []
    listed = {item["hip"]: item for item in wrong.disagreements}
    hips = Hip.objects.filter(pk__in=listed, clinic_id__in=viewer.clinic_ids).select_related("patient")
    return [
        {**listed[hip.pk], "hip": hip, "who": identity_of(hip.patient, viewer)}
        for hip in hips.order_by("patient", "id")
    ]


def _undoable(row: Row, viewer: Viewer) -> dict[str, Any]:
    """What this viewer did last to the row, with the way to take it back."""
    if row.contact is None or row.contact.by_id != viewer.actor.user_id:
        return {}
    return {"acted": outcome_words(row.contact), "undo_url": reverse("worklist_undo", args=[row.contact.pk])}


@signed_in
@require_GET
def export(request: HttpRequest, tab: str, kind: str) -> HttpResponseBase:
    """The whole of a tab as a file, with its filters and without its pages; none where a filter cannot be applied."""
    if tab not in worklist.TABS or kind not in exports.KINDS:
        raise Http404(tab)
    if tab == "all" and not is_confirmed(request):
        return ask_to_confirm(request)
    viewer = access.viewer_of(request)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff_for(viewer))
    if faults := narrowing.faults:
        back_url = with_query(reverse("worklist_tab", args=[tab]), request.GET.dict())
        context = {"faults": faults, "back_url": back_url}
        return render(request, "monitoring/worklist/no_export.html", context, status=400)
    today = worklist.today_for(viewer, timezone.now(), narrowing.filters.clinic)
    patients = worklist.everybody_in(tab, viewer, narrowing.filters, today)
    return exports.export_rows(viewer, patients, tab=tab, kind=kind, today=today, of=narrowing.query())
