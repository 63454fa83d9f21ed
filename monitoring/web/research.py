"""Research export page: how many agreed, and the file, for the role that is made for it."""

import tempfile
from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Permission

from ..privacy import research as exports
from ..privacy.disguise import SMALLEST
from ..privacy.research import ExportRefused
from .entry import signed_in


class ResearchForm(forms.Form):
    """The clinics whose people are exported together: the more, the fewer details are too rare to be told."""

    use_required_attribute = False

    clinics = forms.MultipleChoiceField(label=gettext_lazy("Clinics"), widget=forms.CheckboxSelectMultiple)

    def __init__(self, *args: Any, choices: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["clinics"]
        if isinstance(field, forms.MultipleChoiceField):
            field.choices = choices


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def research(request: HttpRequest) -> HttpResponseBase:
    """How many people agreed in each clinic; POST gives the file, which is audited."""
    viewer = access.viewer_of(request)
    clinics = exports.clinics_for(viewer)
    if not viewer.may_anywhere(Permission.RESEARCH):
        raise PermissionDenied(_("Your role does not allow you to take research data out."))
    choices = [(str(clinic.pk), clinic.name) for clinic in clinics]
    form = ResearchForm(request.POST or None, choices=choices, initial={"clinics": [pk for pk, _name in choices]})
    if form.is_valid():
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the answer closes it
        try:
            exports.write_export(viewer, [int(pk) for pk in form.cleaned_data["clinics"]], file)
        except ExportRefused:
            file.close()
            form.add_error("clinics", _("Fewer than %(n)s people have agreed there.") % {"n": SMALLEST})
        else:
            file.seek(0)
            name = f"hipwatch-research-{timezone.localdate().isoformat()}.zip"
            return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
    return _page(request, form, exports.how_many(viewer, [clinic.pk for clinic in clinics]))


def _page(request: HttpRequest, form: ResearchForm, agreed: int) -> HttpResponse:
    context = {"form": form, "agreed": agreed, "smallest": SMALLEST}
    return render(request, "monitoring/privacy/research.html", context, status=422 if form.is_bound else 200)
