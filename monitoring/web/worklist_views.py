"""Saved views: a person's own names for a tab with its filters."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from patients import access
from patients.access import Viewer

from .. import worklist
from ..models import SavedView
from .entry import signed_in
from .worklist_filters import Narrowing, Staff, narrow, staff_for

MOST = 30


class ViewForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(label=gettext_lazy("Name of the view"), max_length=60)


def views_of(user_id: int | None) -> QuerySet[SavedView]:
    return SavedView.objects.filter(user=user_id)


def view_menu(saved: Iterable[SavedView], tab: str, narrowing: Narrowing) -> dict[str, Any]:
    """The menu of a person's views beside the filters, with the one that is looked at."""
    query = narrowing.query()
    views = [
        {"name": view.name, "url": _url(view), "current": (view.tab, view.query) == (tab, query)} for view in saved
    ]
    return {
        "saved": views,
        "save_url": f"{reverse('worklist_views')}?{narrowing.query(tab=tab)}",
        "view_name": next((view["name"] for view in views if view["current"]), ""),
    }


def _url(view: SavedView) -> str:
    path = reverse("worklist_tab", args=[view.tab])
    return f"{path}?{view.query}" if view.query else path


@signed_in
@require_http_methods(["GET", "POST"])
def views(request: HttpRequest) -> HttpResponse:
    """Name the list from which one came. A name that is in use means this list once its owner has said so."""
    viewer = access.viewer_of(request)
    narrowing, tab = narrow(request.GET, viewer=viewer, staff=staff_for(viewer)), _tab(request)
    form, replaced = ViewForm(request.POST or None), None
    if form.is_valid():
        name, own = form.cleaned_data["name"], views_of(viewer.actor.user_id)
        chosen = {"tab": tab, "query": narrowing.query()[:300]}
        replaced = own.filter(name=name).exclude(**chosen).first()
        if not own.filter(name=name).exists() and own.count() >= MOST:
            form.add_error("name", _("You have %(n)d views; remove one first.") % {"n": MOST})
        elif replaced is None or request.POST.get("replace") == str(replaced.pk):
            SavedView.objects.update_or_create(user_id=viewer.actor.user_id or 0, name=name, defaults=chosen)
            told = _("“%(name)s” now means this list.") if replaced else _("Saved as “%(name)s”.")
            messages.success(request, told % {"name": name})
            return redirect(narrowing.url(tab))
    return _views_page(request, viewer, form, replaced=replaced, status=422 if form.is_bound else 200)


def _tab(request: HttpRequest) -> str:
    tab = request.GET.get("tab", "all")
    return tab if tab in worklist.TABS else "all"


def _views_page(
    request: HttpRequest,
    viewer: Viewer,
    form: ViewForm,
    *,
    replaced: SavedView | None = None,
    renaming: dict[int, ViewForm] | None = None,
    status: int = 200,
) -> HttpResponse:
    """`replaced`: the view that has the name already, which is asked about; `renaming`: forms that were refused."""
    staff, tab = staff_for(viewer), _tab(request)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff)
    refused = renaming or {}
    context = {
        "form": form,
        "title": worklist.TABS[tab],
        "chips": narrowing.chips(tab),
        "back_url": narrowing.url(tab),
        "views": [
            {
                "view": view,
                "url": _url(view),
                "words": _words(view, viewer, staff),
                "form": refused.get(view.pk) or ViewForm(initial={"name": view.name}, auto_id=f"view_{view.pk}_%s"),
            }
            for view in views_of(viewer.actor.user_id)
        ],
        "replaced": replaced,
        "replaced_words": _words(replaced, viewer, staff) if replaced else "",
        "wrong": next(iter(refused.values()), form),
        "query": narrowing.query(tab=tab),
    }
    return render(request, "monitoring/worklist/views.html", context, status=status)


def _words(view: SavedView, viewer: Viewer, staff: Staff) -> str:
    """The list that the view means."""
    chips = narrow(QueryDict(view.query), viewer=viewer, staff=staff).chips(view.tab)
    return "; ".join([str(worklist.TABS[view.tab]), *(f"{chip['label']}: {chip['value']}" for chip in chips)])


@signed_in
@require_POST
def rename(request: HttpRequest, pk: int) -> HttpResponse:
    """Give one of the viewer's own views another name, which none of them has."""
    viewer = access.viewer_of(request)
    own = views_of(viewer.actor.user_id)
    view = get_object_or_404(own, pk=pk)
    form = ViewForm(request.POST, auto_id=f"view_{pk}_%s")
    if form.is_valid() and own.exclude(pk=pk).filter(name=form.cleaned_data["name"]).exists():
        form.add_error("name", _("You have a view of this name already."))
    if form.errors:
        return _views_page(request, viewer, ViewForm(), renaming={pk: form}, status=422)
    before, view.name = view.name, form.cleaned_data["name"]
    view.save(update_fields=["name"])
    messages.success(request, _("“%(before)s” is now called “%(name)s”.") % {"before": before, "name": view.name})
    return redirect(_views_url(request))


@signed_in
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one of the viewer's own views."""
    view = get_object_or_404(views_of(access.viewer_of(request).actor.user_id), pk=pk)
    view.delete()
    messages.success(request, _("“%(name)s” is removed.") % {"name": view.name})
    return redirect(_views_url(request))


def _views_url(request: HttpRequest) -> str:
    return f"{reverse('worklist_views')}?{request.GET.urlencode()}"
