"""Subject access page: everything that is held of a patient, as one file for them."""

import tempfile

from django.http import FileResponse, HttpRequest, HttpResponseBase
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from patients import access
from patients.access import Permission
from patients.recording import today_at

from .. import audit
from ..privacy import inventory, subject_access
from .entry import signed_in
from .patient import frame_of


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def patient_everything(request: HttpRequest, pk: int) -> HttpResponseBase:
    """What the file holds; POST gives it, which is audited."""
    viewer = access.viewer_of(request)
    person = access.patient_for(viewer, pk, Permission.ADMINISTER)
    if request.method == "POST":
        file = tempfile.TemporaryFile()  # noqa: SIM115  # the answer closes it
        subject_access.write_export(viewer, person, file)
        file.seek(0)
        name = f"patient-{person.pk}-{today_at(person.clinic, timezone.now()).isoformat()}.zip"
        return FileResponse(file, as_attachment=True, filename=name, content_type="application/zip")
    audit.looked(viewer.actor, [(person.clinic_id, person.pk)], "form about the patient")
    context = frame_of(request, person, today_at(person.clinic, timezone.now()), heading=False)
    context |= {"title": _("Everything held about the patient"), "actions": [], "tables": len(inventory.tables())}
    return render(request, "monitoring/privacy/everything.html", context)
