"""Import pages: upload a file, see every row's problem, save it in the background, follow its progress."""

import csv
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods

from patients import access
from patients.access import Permission, Viewer
from patients.models import Clinic

from .. import audit
from ..imports import batch, columns, preview, registry_file, undo, virus_scan, waiting
from ..imports.cells import DateOrder
from ..imports.registry_file import ImportRefused
from ..models import ImportBatch, ImportRow
from ..spreadsheets import harmless
from ..tasks import save_waiting_imports
from .entry import signed_in
from .import_words import OUTCOMES, numbers, preview_rows, problems_of, undone_rows

PAGE = 50
State = ImportBatch.State


def date_order_field() -> forms.ChoiceField:
    """How the file writes dates: a choice, since 03/04 could be two days."""
    return forms.ChoiceField(
        label=gettext_lazy("Dates in the file"),
        choices=[
            (DateOrder.ISO.value, gettext_lazy("2026-03-27 (year, month, day)")),
            (DateOrder.DAY_FIRST.value, gettext_lazy("27.03.2026 or 27/03/2026 (day first)")),
            (DateOrder.MONTH_FIRST.value, gettext_lazy("03/27/2026 (month first)")),
        ],
        initial=DateOrder.ISO.value,
    )


class UploadForm(forms.Form):
    clinic = forms.ModelChoiceField(label=gettext_lazy("Clinic"), queryset=Clinic.objects.none(), empty_label=None)
    file = forms.FileField(
        label=gettext_lazy("File"),
        help_text=gettext_lazy(
            "CSV or Excel, one row a visit. Headings that are not ours are matched next. Nothing is saved yet."
        ),
        widget=forms.ClearableFileInput(attrs={"accept": ".csv,.txt,.xlsx,text/csv"}),
    )
    date_order = date_order_field()
    row_by_row = forms.BooleanField(label=gettext_lazy("Save the good rows even if others are refused"), required=False)

    def __init__(self, *args: Any, viewer: Viewer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        clinics = Clinic.objects.filter(pk__in=viewer.clinics_where(Permission.IMPORT))
        self.fields["clinic"] = forms.ModelChoiceField(
            label=gettext_lazy("Clinic"), queryset=clinics, empty_label=None, initial=clinics.first()
        )


@signed_in
@require_http_methods(["GET", "POST"])
def import_list(request: HttpRequest) -> HttpResponse:
    """Earlier imports, and the form that checks a new file."""
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.IMPORT):
        raise PermissionDenied("Your role does not allow you to import.")
    form = UploadForm(request.POST or None, request.FILES or None, viewer=viewer)
    status = 200
    if request.method == "POST":
        received = _receive(form, viewer) if form.is_valid() else None
        if received is not None:
            return redirect(page_of(received), pk=received.pk)
        status = 422
    found = ImportBatch.objects.filter(clinic__in=viewer.clinics_where(Permission.IMPORT)).defer("content")
    page = Paginator(found.select_related("clinic").order_by("-id"), PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page": page, "layout": columns.layout(), "required": columns.REQUIRED}
    return render(request, "monitoring/imports/list.html", context, status=status)


def page_of(one: ImportBatch) -> str:
    """The name of the page on which the batch is to be looked at next."""
    return "import_columns" if one.state == State.MAPPING else "import_batch"


def _receive(form: UploadForm, viewer: Viewer) -> ImportBatch | None:
    """Check the file. The scanner, where one is set, sees it within the request: what it has not seen is not kept."""
    upload: UploadedFile[bytes] = form.cleaned_data["file"]
    content, name = upload.read(), upload.name or ""
    options = batch.Options(
        all_or_nothing=not form.cleaned_data["row_by_row"], date_order=DateOrder(form.cleaned_data["date_order"])
    )
    try:
        virus_scan.refuse_infected(content)
        registry_file.check_ending(name, content)
        return batch.receive(form.cleaned_data["clinic"], content, file_name=name, by=viewer.actor, options=options)
    except ImportRefused as refused:
        form.add_error("file", str(refused))
        return None


def find_batch(viewer: Viewer, pk: int) -> ImportBatch:
    """The batch, without its file, where the viewer may import; 404 elsewhere."""
    found = ImportBatch.objects.filter(pk=pk, clinic__in=viewer.clinics_where(Permission.IMPORT)).defer("content")
    one = found.select_related("clinic").first()
    if one is None:
        raise Http404("No such import.")
    return one


@signed_in
@require_http_methods(["GET", "POST"])
def import_batch(request: HttpRequest, pk: int) -> HttpResponse:
    """What a file would do or has done; POST saves it. With htmx it answers the progress alone."""
    viewer = access.viewer_of(request)
    one = find_batch(viewer, pk)
    if request.method == "POST":
        try:
            waiting.ask_to_save(one, viewer.actor)
        except ImportRefused as refused:
            messages.error(request, str(refused))
        else:
            transaction.on_commit(wake_a_worker, robust=True)
            messages.success(request, _("Saving has begun; you may leave this page."))
        return redirect("import_batch", pk=one.pk)
    if one.state == State.MAPPING:
        return redirect(page_of(one), pk=one.pk)
    saved = one.rows_total - one.rows_refused
    running = one.state in {State.WAITING, State.RUNNING, State.UNDOING}
    rows = ImportRow.objects.filter(batch=one).exclude(problems=[]).order_by("number", "id")
    page = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context = {
        "batch": one,
        "running": running,
        "page": page,
        "rows": [(row, OUTCOMES[row.outcome], problems_of(row, viewer)) for row in page.object_list],
        "saved": saved,
        "doubtful": ImportRow.objects.filter(batch=one, problems__contains=[{"doubt": True}]).count(),
        "can_save": one.state in {State.CHECKED, State.FAILED}
        and saved
        and not (one.all_or_nothing and one.rows_refused),
        "can_match": one.state == State.CHECKED and one.content is not None,
        "can_undo": undo.is_undoable(one),
        "numbers": numbers(one.undone),
        "left": undone_rows(one, viewer) if one.undone else [],
    }
    if "HX-Request" in request.headers and request.GET.get("part") == "progress":
        answer = render(request, "monitoring/imports/progress.html", context)
        if not running:
            answer["HX-Refresh"] = "true"
        return answer
    if one.state in {State.CHECKED, State.FAILED}:
        first = preview.preview(one, by=viewer.actor, now=timezone.now())
        context |= {"headings": first.headings.items(), "first": preview_rows(first, viewer)}
    return render(request, "monitoring/imports/batch.html", context)


def wake_a_worker() -> None:
    """Wake a worker; without one the clock does it within a minute."""
    save_waiting_imports.apply_async(expires=60, retry=False)


@signed_in
@require_GET
def problems(request: HttpRequest, pk: int) -> HttpResponse:
    """Every row that asks for attention, as a table to correct the file by."""
    viewer = access.viewer_of(request)
    one = find_batch(viewer, pk)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="import-{one.pk}-problems.csv"'
    answer.write("\ufeff")
    writer = csv.writer(answer)
    writer.writerow(["row", "outcome", "column", "problem"])
    for row in ImportRow.objects.filter(batch=one).exclude(problems=[]).order_by("number", "id").iterator():
        for problem in problems_of(row, viewer):
            writer.writerow(
                [row.number, row.outcome, harmless(problem.get("column", "")), harmless(problem.get("text", ""))]
            )
    audit.note(viewer.actor, "export", clinic_id=one.clinic_id, object=f"import-{one.pk} problems")
    return answer


@signed_in
@require_GET
def template(request: HttpRequest) -> HttpResponse:
    """An empty file with every column."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = 'attachment; filename="hipwatch-registry.csv"'
    answer.write("\ufeff")
    csv.writer(answer).writerow([column.name for column in columns.COLUMNS])
    return answer
