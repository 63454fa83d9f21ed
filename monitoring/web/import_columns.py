"""Matching columns: which of our columns each heading of a file means, chosen beside examples of its cells."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods

from patients import access
from patients.vocabulary import Side

from ..imports import batch, matching
from ..imports.batch import Options
from ..imports.cells import DateOrder
from ..imports.columns import BY_NAME, HIP_COLUMNS, PERSON_COLUMNS, REQUIRED, VISIT_COLUMNS, layout, spelled
from ..imports.registry_file import ImportRefused, Table
from ..models import ImportBatch, ImportMapping
from .entry import signed_in
from .forms.visit import hip_words
from .imports import date_order_field, find_batch


def _choices() -> list[tuple[str, Any]]:
    groups: list[tuple[Any, list[str]]] = [
        (_("Person"), [column.name for column in PERSON_COLUMNS]),
        (_("Visit"), [column.name for column in VISIT_COLUMNS]),
        *((hip_words(side), [f"{side}_{column.name}" for column in HIP_COLUMNS]) for side in (Side.RIGHT, Side.LEFT)),
    ]
    return [("", _("leave out")), *((title, [(name, name) for name in names]) for title, names in groups)]


@dataclass(frozen=True, slots=True)
class Heading:
    """One heading of the file as a row of the page."""

    title: str
    examples: tuple[str, ...]
    field: forms.BoundField
    how: str


class ColumnsForm(forms.Form):
    """A choice for each heading, named by its place; how dates are written; and a name to keep it under."""

    use_required_attribute = False

    def __init__(
        self, *args: Any, clinic_id: int, table: Table, chosen: dict[str, str], options: Options, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.clinic_id, self.table, choices = clinic_id, table, _choices()
        for place, title in enumerate(table.titles):
            self.fields[f"column_{place}"] = forms.ChoiceField(
                label=title, choices=choices, required=False, initial=chosen.get(title, "")
            )
        self.fields["date_order"] = date_order_field()
        self.fields["date_order"].initial = options.date_order.value
        self.fields["name"] = forms.CharField(
            label=gettext_lazy("Keep this as"),
            max_length=60,
            required=False,
            help_text=gettext_lazy(
                "A name for this clinic; a file with the same headings starts from it. Empty: not kept."
            ),
        )

    def headings(self, how: dict[str, str]) -> Iterator[Heading]:
        for place, (title, examples) in enumerate(zip(self.table.titles, self.table.examples, strict=True)):
            yield Heading(title, examples, self[f"column_{place}"], how.get(title, ""))

    def chosen(self) -> dict[str, str]:
        return {title: self.cleaned_data[f"column_{place}"] for place, title in enumerate(self.table.titles)}

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"]).strip()
        if name and matching.is_taken(self.clinic_id, name, self.table.titles):
            text = _("“%(name)s” is kept for files with other headings; choose another name, or none.")
            raise forms.ValidationError(text % {"name": name})
        return name

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        first: dict[str, str] = {}
        for place, title in enumerate(self.table.titles):
            name = data.get(f"column_{place}")
            if name and name in first:
                text = _("“%(title)s” is matched with this column already.")
                self.add_error(f"column_{place}", text % {"title": first[name]})
            elif name:
                first[name] = title
        missing = [name for name in REQUIRED if name not in first]
        if missing:
            text = ngettext(
                "Match a heading with this column, which every file needs: %(c)s.",
                "Match headings with these columns, which every file needs: %(c)s.",
                len(missing),
            )
            self.add_error(None, text % {"c": ", ".join(missing)})
        return data


@signed_in
@require_http_methods(["GET", "POST"])
def import_columns(request: HttpRequest, pk: int) -> HttpResponse:
    """Every heading with some of its cells and what it means; POST checks the file read so."""
    viewer = access.viewer_of(request)
    one = find_batch(viewer, pk)
    try:
        table, options = batch.table_of(one)
    except ImportRefused as refused:
        messages.info(request, str(refused))
        return redirect("import_batch", pk=one.pk)
    kept = matching.kept_for(one.clinic_id, table.titles)
    chosen, how = _proposed(table, options, kept)
    stem = one.file_name.rpartition(".")[0] or one.file_name
    initial = {"name": kept.name if kept else matching.free_name(one.clinic_id, stem, table.titles)}
    form = ColumnsForm(
        request.POST or None, clinic_id=one.clinic_id, table=table, chosen=chosen, options=options, initial=initial
    )
    if form.is_valid() and _check(one, form, viewer):
        return redirect("import_batch", pk=one.pk)
    context = {
        "batch": one,
        "form": form,
        "kept": kept,
        "headings": list(form.headings(how)),
        "layout": layout(),
        "required": REQUIRED,
    }
    return render(request, "monitoring/imports/columns.html", context, status=422 if form.is_bound else 200)


def _proposed(table: Table, options: Options, kept: ImportMapping | None) -> tuple[dict[str, str], dict[str, str]]:
    """What each heading is preselected as, and how that came about, in words."""
    suggested = matching.suggest(table.titles)
    before = options.mapping or (kept.columns if kept else {})
    chosen = {title: before.get(title, suggested[title]) for title in table.titles}
    how = {}
    for title, name in chosen.items():
        if spelled(title) in BY_NAME and name == spelled(title):
            how[title] = _("our column")
        elif title in before:
            how[title] = _("as chosen before")
        else:
            how[title] = _("suggested") if name else _("not known")
    return chosen, how


def _check(one: ImportBatch, form: ColumnsForm, viewer: access.Viewer) -> bool:
    """Check the file with what was chosen and keep that; what is wrong stands above the form."""
    chosen, name = form.chosen(), form.cleaned_data["name"]
    try:
        batch.check_matched(
            one.pk,
            chosen,
            clinic_id=one.clinic_id,
            by=viewer.actor,
            date_order=DateOrder(form.cleaned_data["date_order"]),
        )
    except ImportRefused as refused:
        form.add_error(None, str(refused))
        return False
    if name:
        matching.keep(one.clinic, name, form.table.titles, chosen, by=viewer.actor, now=timezone.now())
    return True
