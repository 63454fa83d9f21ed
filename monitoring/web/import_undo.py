"""Undoing an import: what it would do, asked for with a reason, done in the background."""

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Viewer

from ..imports import undo
from ..imports.registry_file import ImportRefused
from ..models import ImportBatch
from .entry import signed_in
from .import_words import left_rows, numbers
from .imports import find_batch, wake_a_worker


class UndoForm(forms.Form):
    use_required_attribute = False

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=160,
        help_text=gettext_lazy(
            "Such as “wrong column for the date of birth”. It stands at everything that is taken back."
        ),
    )


@signed_in
@require_http_methods(["GET", "POST"])
def import_undo(request: HttpRequest, pk: int) -> HttpResponse:
    """What undoing would take back and what it would leave; POST asks for it."""
    viewer = access.viewer_of(request)
    one = find_batch(viewer, pk)
    form = UndoForm(request.POST or None)
    if form.is_valid():
        try:
            undo.ask_to_undo(one, viewer.actor, reason=form.cleaned_data["reason"])
        except ImportRefused as refused:
            messages.error(request, str(refused))
        else:
            transaction.on_commit(wake_a_worker, robust=True)
            messages.success(request, _("Undoing has begun; you may leave this page."))
        return redirect("import_batch", pk=one.pk)
    return render(
        request, "monitoring/imports/undo.html", _context(one, form, viewer), status=422 if form.is_bound else 200
    )


def _context(one: ImportBatch, form: UndoForm, viewer: Viewer) -> dict[str, object]:
    if not undo.is_undoable(one):
        return {"batch": one, "form": None}
    seen = undo.preview(one)
    return {
        "batch": one,
        "form": form,
        "numbers": numbers(seen.counts),
        "left": left_rows(seen.left, viewer),
        "seen": seen,
        "partly": seen.looked_at < seen.of,
    }
