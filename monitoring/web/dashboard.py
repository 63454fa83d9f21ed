"""Dashboard: what the registry achieves, in numbers that lead to their lists, plots, and files of them."""

from collections.abc import Sequence
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from patients.access import Viewer

from .. import audit
from ..statistics import answers, history, rates
from . import dashboard_drawing, dashboard_files
from .dashboard_asked import Asked, asked_by
from .dashboard_lists import LISTS, Line, page_of
from .dashboard_plots import PLOTS, SECTIONS, Cell, Plot, days, month_words, whole_percent
from .dashboard_words import DEFINITIONS, SECTION_WORDS
from .entry import signed_in
from .finding_words import day_words
from .identity import identity_of
from .worklist_filters import with_query


@signed_in
@require_GET
def dashboard(request: HttpRequest, section: str = "") -> HttpResponse:
    """One section: on the first six numbers, then its plots."""
    if section not in SECTIONS:
        raise Http404("No such section.")
    asked = asked_by(request)
    context = {
        "tabs": [
            {"name": words, "url": asked.section_url(name), "count": None, "current": name == section}
            for name, words in SECTION_WORDS.items()
        ],
        "section": SECTION_WORDS[section],
        "origin": dashboard_files.origin(asked),
        "numbers": numbers(asked) if section == "" else [],
        "plots": [_shown(asked, PLOTS[name](asked)) for name in SECTIONS[section]],
        **_clinic_choice(asked),
    }
    return render(request, "monitoring/dashboard/page.html", context)


def _clinic_choice(asked: Asked) -> dict[str, Any]:
    """The clinics between which somebody of several can choose."""
    clinics = asked.clinics if len(asked.clinics) > 1 else ()
    return {"choices": clinics, "chosen": asked.clinic}


def numbers(asked: Asked) -> list[dict[str, Any]]:
    """The six numbers at the top, each with the address of its list."""
    found = history.buckets_now(asked.scope)
    followed = sum(found.get(bucket, 0) for bucket in history.FOLLOWED)
    late = sum(asked.late.values())
    windows, tracked = rates.together(asked.windows), rates.together(asked.tracked)
    waits = answers.waits_of(asked.answers, asked.scope.today)
    return [
        _number(sum(found.values()), _("hips enrolled"), asked.list_url("hips")),
        _number(followed, _("hips followed"), asked.list_url("hips", bucket="followed")),
        _number(late, _("hips overdue"), asked.list_url("overdue"), alert=late > 0),
        _number(
            whole_percent(windows.in_window),
            _("of windows kept in time"),
            asked.list_url("windows"),
            ngettext("of %(count)s window since %(month)s", "of %(count)s windows since %(month)s", windows.counted)
            % {"count": windows.counted, "month": month_words(windows.first)},
        ),
        _number(
            whole_percent(tracked.failure),
            _("of windows lost track of"),
            asked.list_url("tracking"),
            ngettext(
                "of %(count)s window that ended 60 days ago or longer",
                "of %(count)s windows that ended 60 days ago or longer",
                tracked.counted,
            )
            % {"count": tracked.counted},
        ),
        _number(
            days(waits.whole.median()).words,
            _("days from pain to decision, median"),
            asked.list_url("waits"),
            ngettext("of %(count)s new symptom", "of %(count)s new symptoms", len(waits.answers))
            % {"count": len(waits.answers)},
        ),
    ]


def _number(value: int | str, what: str, url: str, note: str = "", *, alert: bool = False) -> dict[str, Any]:
    shown = number_format(value, force_grouping=True) if isinstance(value, int) else value
    return {"value": shown, "what": what, "url": url, "note": note, "alert": alert}


def _shown(asked: Asked, plot: Plot) -> dict[str, Any]:
    """The plot as the page's component takes it."""
    svg = dashboard_drawing.svg(plot.drawing, plot.name, plot.title) if plot.drawing else ""
    kinds = ["csv", "svg", "png"] if plot.drawing else ["csv"]
    return {
        "name": plot.name,
        "title": plot.title,
        "svg": svg,
        "empty": plot.empty,
        "note": plot.note,
        "columns": plot.columns,
        "rows": [[_linked(cell) for cell in row] for row in plot.rows],
        "downloads": [{"text": kind.upper(), "url": asked.file_url(plot.name, kind)} for kind in kinds],
        "definition": DEFINITIONS[plot.name],
    }


def _linked(cell: Cell) -> str:
    return format_html('<a href="{}">{}</a>', cell.url, cell.words) if cell.url else cell.words


@signed_in
@require_GET
def list_behind(request: HttpRequest, name: str) -> HttpResponse:
    """Whoever is behind a number, fifty a page."""
    if name not in LISTS:
        raise Http404("No such list.")
    asked = asked_by(request)
    listing = LISTS[name](asked, request.GET)
    page = page_of(listing, request.GET.get("after", ""))
    _audit_look(asked, name, page.lines)
    kept = {key: request.GET.get(key, "") for key in request.GET if key != "after"}
    context = {
        "listing": listing,
        "back_url": asked.section_url(listing.section),
        "origin": dashboard_files.origin(asked),
        "total": page.total,
        "rows": [_row(line, asked.viewer) for line in page.lines],
        "several_clinics": len(asked.scope.clinic_ids) > 1,
        "next_url": with_query(request.path, {**kept, "after": page.after}) if page.after else "",
        "first_url": with_query(request.path, kept) if request.GET.get("after") else "",
    }
    return render(request, "monitoring/dashboard/list.html", context)


def _audit_look(asked: Asked, name: str, lines: Sequence[Line]) -> None:
    seen = {line.patient.pk: (line.patient.clinic_id, line.patient.pk) for line in lines}
    audit.looked(asked.viewer.actor, seen.values(), f"dashboard list, {name}")


def _row(line: Line, viewer: Viewer) -> dict[str, Any]:
    who = identity_of(line.patient, viewer)
    return {
        "url": reverse("review_case", args=[line.case]) if line.case else who.url,
        "name": who.name,
        "born": who.born,
        "number": who.number,
        "clinic": line.patient.clinic.name,
        "side": {"right": _("right"), "left": _("left")}.get(line.side, ""),
        "day": day_words(line.day) if line.day else "",
        "words": line.words,
    }


@signed_in
@require_GET
def plot_file(request: HttpRequest, name: str, kind: str) -> HttpResponse:
    """One plot as CSV, SVG or PNG."""
    if name not in PLOTS or kind not in dashboard_files.KINDS:
        raise Http404("No such file.")
    asked = asked_by(request)
    try:
        return dashboard_files.answer(asked, PLOTS[name](asked), kind)
    except dashboard_files.NothingToDraw as nothing:
        raise Http404("Nothing to draw yet.") from nothing
