"""Letters page: what is to be printed because mail cannot reach the patient, what was printed lately, and the PDF."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from patients import access
from patients.access import Permission, Viewer
from patients.at_once import Length
from schedules import letters, printing, substitutes
from schedules.models import Substitute

from .. import audit, worklist
from .entry import signed_in
from .finding_words import day_words
from .identity import identity_of
from .messages import counted, tabs_for
from .paging import Counted


@signed_in
@require_GET
def to_print(request: HttpRequest) -> HttpResponse:
    """The letters that wait, fifty a page, and the batches that can be printed again or taken back."""
    viewer, now = access.viewer_of(request), timezone.now()
    asked = request.GET.get("clinic", "")
    clinic = next((pk for pk in viewer.clinic_ids if str(pk) == asked), None)
    mine = _may_print(viewer)
    here = [one for one in viewer.clinics if clinic in (None, one.pk)]
    ready = substitutes.to_do_in((one for one in viewer.clinics if one.pk in mine), Substitute.Way.LETTER, now)
    shut = ready.filter(patient__in=list(viewer.shut))
    counts, (ripe, held) = counted(viewer, clinic, now, Length(ready), Length(shut))
    waiting = substitutes.to_do_in(here, Substitute.Way.LETTER, now)
    rows = waiting.select_related("patient", "reminder__patient", "reminder__clinic").order_by("until", "id")
    page = Counted(rows, counts["letters"]).get_page(request.GET.get("page"))
    found = list(page.object_list)
    hindered = substitutes.hindrances(found, now)
    not_today = [
        row for row in found if row.pk in hindered and row.clinic_id in mine and row.patient_id not in viewer.shut
    ]
    printable = ripe - held - len(not_today)  # those of other pages are found when they are printed
    context: dict[str, Any] = {
        "tabs": tabs_for("letters", clinic, counts),
        "clinic": clinic,
        "page": page,
        "rows": [_row(row, hindered.get(row.pk, ""), viewer) for row in found],
        "several_clinics": len(viewer.clinic_ids) > 1,
        "ready": printable,
        "together": min(printable, printing.MOST_TOGETHER),
        "held": held,
        "batches": printing.batches(mine, now=now),
    }
    return render(request, "monitoring/messages/letters.html", context)


def _may_print(viewer: Viewer) -> list[int]:
    return [pk for pk in viewer.clinic_ids if viewer.may(Permission.WORK, pk)]


def _row(row: Substitute, hindered: str, viewer: Viewer) -> dict[str, Any]:
    who = identity_of(row.patient, viewer)
    return {
        "substitute": row,
        "who": who,
        "language": "" if who.shut else row.patient.get_language_display(),
        "clinic": row.reminder.clinic,
        "address": [] if who.shut else [line for line in row.patient.address.splitlines() if line.strip()],
        "why": _(row.why),
        "hindered": _(hindered) if hindered else "",
        "gaps": "" if who.shut else letters.undrawable(f"{who.name} {row.patient.address}"),
    }


@signed_in
@require_POST
def print_now(request: HttpRequest) -> HttpResponse:
    """Print what waits in the viewer's clinics, but for restricted records that are not open to the viewer, whose
    letters go on waiting for somebody to whom they are: the letters are marked, and their PDF is shown.

    The PDF is made before anything is kept, so that no letter counts as printed that cannot be.
    """
    viewer, now = access.viewer_of(request), timezone.now()
    mine = _may_print(viewer)
    batch = printing.print_letters(mine, by=viewer.actor, now=now, without=viewer.shut)
    if batch is None:
        messages.info(request, _("No letter waits any more."))
        return redirect("letters")
    rows = printing.letters_of(batch, mine, now=now)
    printing.pdf_of(rows, title=_title(viewer), now=now)
    return redirect("letters_pdf", batch=batch)


@signed_in
@require_GET
def pdf(request: HttpRequest, batch: UUID) -> HttpResponse:
    """The letters of a batch, to be printed or printed again; without whoever has died meanwhile.

    Whoever did not print them is asked for a reason for each restricted record in the batch.
    """
    viewer, now = access.viewer_of(request), timezone.now()
    rows = printing.letters_of(batch, _may_print(viewer), now=now)
    if not rows:
        raise Http404("No such letters.")
    for row in rows:
        access.check_gate(viewer, row.patient_id)
    audit.looked(viewer.actor, [(row.clinic_id, row.patient_id) for row in rows], "letter")
    response = HttpResponse(printing.pdf_of(rows, title=_title(viewer), now=now), content_type="application/pdf")
    today = worklist.today_for(viewer, now)
    response["Content-Disposition"] = f'inline; filename="letters-{today.isoformat()}.pdf"'
    return response


def _title(viewer: Viewer) -> str:
    return _("Letters of %(day)s") % {"day": day_words(worklist.today_for(viewer, timezone.now()))}


@signed_in
@require_POST
def take_back(request: HttpRequest, batch: UUID) -> HttpResponse:
    """A batch did not go out: its letters wait again."""
    viewer = access.viewer_of(request)
    count = printing.take_back(batch, _may_print(viewer), by=viewer.actor, now=timezone.now())
    if count:
        said = ngettext("%(n)d letter waits again.", "%(n)d letters wait again.", count)
        messages.success(request, said % {"n": count})
    else:
        messages.info(request, _("Somebody has taken these letters back already."))
    return redirect(reverse("letters"))
