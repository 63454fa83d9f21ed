"""Saved views: a person's own names for a tab with its filters."""

from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from patients import access

from .. import worklist
from ..models import SavedView
from .entry import signed_in
from .worklist_filters import Narrowing, narrow, staff_for

MOST = 30


class ViewForm(forms.Form):
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
    """Name the list from which one came, and remove names no longer wanted. A name used again means the new list."""
    viewer = access.viewer_of(request)
    narrowing = narrow(request.GET, viewer=viewer, staff=staff_for(viewer))
    tab = request.GET.get("tab", "all")
    tab = tab if tab in worklist.TABS else "all"
    form = ViewForm(request.POST or None)
    own = views_of(viewer.actor.user_id)
    if form.is_valid():
        name = form.cleaned_data["name"]
        if own.exclude(name=name).count() >= MOST:
            form.add_error("name", _("You have %(n)d views; remove one first.") % {"n": MOST})
        else:
            chosen = {"tab": tab, "query": narrowing.query()[:300]}
            SavedView.objects.update_or_create(user_id=viewer.actor.user_id or 0, name=name, defaults=chosen)
            messages.success(request, _("Saved as “%(name)s”.") % {"name": name})
            return redirect(narrowing.url(tab))
    context = {
        "form": form,
        "title": worklist.TABS[tab],
        "chips": narrowing.chips(tab),
        "back_url": narrowing.url(tab),
        "views": [{"view": view, "url": _url(view)} for view in own],
        "query": narrowing.query(tab=tab),
    }
    return render(request, "monitoring/worklist/views.html", context, status=422 if form.errors else 200)


@signed_in
@require_POST
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Forget one of the viewer's own views."""
    view = get_object_or_404(SavedView, pk=pk, user=access.viewer_of(request).actor.user_id)
    view.delete()
    messages.success(request, _("“%(name)s” is removed.") % {"name": view.name})
    return redirect(f"{reverse('worklist_views')}?{request.GET.urlencode()}")
