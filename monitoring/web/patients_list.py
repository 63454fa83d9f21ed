"""Patients list: everybody by name, or those whom a search means; an exact record number leads straight there."""

from typing import Any

from django.db.models import Q, QuerySet, Value
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from patients import access
from patients.access import Permission, Viewer
from patients.models import Patient

from ..models import HipEvaluation
from ..patient_search import one_with_number, parse_search, search_patients
from .entry import signed_in
from .finding_words import PATHWAYS, day_words
from .identity import identity_of
from .sealed_words import opened, seal
from .worklist_filters import with_query

PAGE = 50
ORDER = ("near", "family_name", "given_name", "id")


@signed_in
@require_GET
def patients(request: HttpRequest) -> HttpResponse:
    """Everybody of the viewer's clinics, or who is meant by ?q=, which is sealed where it comes from our own forms."""
    viewer = access.viewer_of(request)
    query = opened(request.GET.get("q", "").strip())[:200]
    if query and (only := one_with_number(access.findable(viewer), query)):
        return redirect("patient", only.pk)
    found = _found(viewer, query)
    shut = [] if query else sorted(viewer.shut)
    total = len(shut) + found.count()
    after = request.GET.get("after", "")
    page = _page(found, shut, after)
    more, page = len(page) > PAGE, page[:PAGE]
    kept = {"q": seal(query)} if query else {}
    context = {
        "query": query,
        "search_query": query,
        "total": total,
        "rows": _rows(page, viewer),
        "next_url": with_query(reverse("patients"), {**kept, "after": str(page[-1].pk)}) if more else "",
        "first_url": with_query(reverse("patients"), kept) if after else "",
        "several_clinics": len(viewer.clinic_ids) > 1,
        "actions": _actions(viewer),
        "empty": _empty(query) if not total else None,
    }
    return render(request, "monitoring/worklist/patients.html", context)


def _found(viewer: Viewer, query: str) -> QuerySet[Patient]:
    seen = access.findable(viewer)
    if parse_search(query):
        return search_patients(seen, query).order_by(*ORDER)
    return seen.annotate(near=Value(0)).order_by(*ORDER)


def _page(found: QuerySet[Patient], shut: list[int], mark: str) -> list[Patient]:
    """A page and one more. What is shut stands before everybody, by reference: its place must not tell the name."""
    at = int(mark) if mark.isascii() and mark.isdecimal() and len(mark) < 18 else 0
    first = [pk for pk in shut if pk > at] if at in (0, *shut) else []
    front = Patient.objects.filter(pk__in=first[: PAGE + 1]).order_by("id") if first else Patient.objects.none()
    ahead = list(front.select_related("clinic", "responsible"))
    named = found if at in shut else _behind(found, mark)
    return ahead + list(named.select_related("clinic", "responsible")[: PAGE + 1 - len(ahead)])


def _behind(found: QuerySet[Patient], mark: str) -> QuerySet[Patient]:
    """Those after the patient with this id, in the order of the list; a mark that is none begins anew."""
    if not (mark.isascii() and mark.isdecimal() and len(mark) < 18):
        return found
    last = found.filter(pk=int(mark)).values_list(*ORDER).first()
    if last is None:
        return found
    behind = Q()
    for at, name in enumerate(ORDER):
        same = dict(zip(ORDER[:at], last[:at], strict=True))
        behind |= Q(**same, **{f"{name}__gt": last[at]})
    return found.filter(behind)


def _rows(page: list[Patient], viewer: Viewer) -> list[dict[str, Any]]:
    hips: dict[int, dict[str, str]] = {}
    evaluations = HipEvaluation.objects.filter(patient__in=[one.pk for one in page]).order_by("hip__side")
    for pk, side, pathway in evaluations.values_list("patient_id", "hip__side", "pathway"):
        hips.setdefault(pk, {})[side] = str(PATHWAYS.get(pathway, pathway))
    return [
        {
            "id": f"row-{one.pk}",
            "who": identity_of(one, viewer),
            "clinic": one.clinic.name,
            "clinician": one.responsible.name if one.responsible else "",
            "right": hips.get(one.pk, {}).get("right", _("Not evaluated yet")),
            "left": hips.get(one.pk, {}).get("left", _("Not evaluated yet")),
            "merged": one.merged_into_id is not None,
            "died": day_words(one.died_on) if one.died_on and one.pk not in viewer.shut else "",
        }
        for one in page
    ]


def _actions(viewer: Viewer) -> list[dict[str, str]]:
    shut = [{"text": _("Open a restricted record"), "url": reverse("restricted_open")}] if viewer.shut else []
    if not viewer.may_anywhere(Permission.RECORD):
        return shut
    return [
        *shut,
        {"text": _("Possible duplicates"), "url": reverse("duplicates")},
        {"text": _("Enrol a patient"), "url": reverse("patient_enrol"), "kind": "primary"},
    ]


def _empty(query: str) -> dict[str, Any]:
    if not query:
        return {"kind": "none_yet", "title": _("No patients yet"), "text": _("A registry begins with one.")}
    text = _("Try fewer words, the record number alone, or the birth date as 4 Mar 1981.")
    text += " " + _("Restricted records are not found.")
    return {
        "kind": "no_match",
        "title": _("Nobody matches “%(query)s”") % {"query": query},
        "text": text,
        "actions": [
            {"text": _("Show everybody"), "url": reverse("patients")},
            {"text": _("Open a restricted record"), "url": reverse("restricted_open")},
        ],
    }
