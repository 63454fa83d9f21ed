"""Possible duplicates and merging: pairs to look at, two records side by side, one of them, and back."""

from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from patients import access, recording
from patients.access import Permission, Viewer
from patients.duplicate_search import dismiss_pair
from patients.duplicates import compare, person_of
from patients.merging import Compared
from patients.models import Fact, HipFact, Merge, Patient, PossibleDuplicate
from patients.recording import RecordingRefused
from patients.vocabulary import Side
from schedules.guideline.evaluation import HipAnswer

from .. import audit, merging
from .actor_words import who
from .enrolment import refuse
from .entry import signed_in
from .fact_words import titled
from .finding_words import PATHWAYS, Words, day_words
from .forms.merge import MergeForm, NotOnePersonForm, TwoRecordsForm, UndoMergeForm
from .forms.visit import hip_words
from .guideline_words import because_words
from .identity import identity_of

PAGE: Final = 25
KINDS: Final[dict[str, Words]] = {
    "imaging": gettext_lazy("Imaging"),
    "staging": gettext_lazy("Stagings"),
    "symptom": gettext_lazy("Symptoms"),
    "score": gettext_lazy("Scores"),
    "procedure": gettext_lazy("Treatments"),
    "decision": gettext_lazy("Decisions"),
    "location": gettext_lazy("Locations of the lesion"),
    "bmi": gettext_lazy("Body mass index"),
}
NAMES: Final[dict[str, Words]] = {
    "family_name": gettext_lazy("Family name"),
    "given_name": gettext_lazy("Given name"),
    "born_on": gettext_lazy("Date of birth"),
    "sex": gettext_lazy("Sex"),
    "national_id": gettext_lazy("National number"),
    "email": gettext_lazy("E-mail"),
    "telephone": gettext_lazy("Telephone"),
    "address": gettext_lazy("Address"),
    "language": gettext_lazy("Language"),
    "responsible": gettext_lazy("Responsible clinician"),
    "next_of_kin": gettext_lazy("Next of kin"),
}


def _recorder(request: HttpRequest) -> Viewer:
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.RECORD):
        raise PermissionDenied(_("Your role does not allow you to merge records."))
    return viewer


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def duplicates(request: HttpRequest) -> HttpResponse:
    """Pairs that may be one person, proposals that wait for a second person, and any two records by their numbers."""
    viewer = _recorder(request)
    form = TwoRecordsForm(request.POST or None)
    if form.is_valid():
        pair = [_by_number(viewer, form, name) for name in ("survivor", "merged")]
        if pair[0] and pair[0] == pair[1]:
            form.add_error("merged", _("Both numbers are of this one record."))
        elif pair[0] and pair[1]:
            return redirect("patient_merge", pk=pair[0].pk, other=pair[1].pk)
    pairs = PossibleDuplicate.objects.filter(
        clinic__in=viewer.clinics_where(Permission.RECORD), dismissed_at__isnull=True
    )
    page = Paginator(pairs.select_related("one", "other", "clinic"), PAGE).get_page(request.GET.get("page"))
    seen = {(p.clinic_id, pk) for p in page.object_list for pk in (p.one_id, p.other_id)}
    audit.looked(viewer.actor, sorted(seen), "possible duplicate")
    context = {
        "page": page,
        "rows": [_pair_row(pair, viewer) for pair in page.object_list],
        "proposals": [_proposal_row(merge, viewer) for merge in merging.proposals_for(viewer)[:PAGE]],
        "form": form,
    }
    return render(request, "monitoring/merging/duplicates.html", context, status=422 if form.is_bound else 200)


def _by_number(viewer: Viewer, form: TwoRecordsForm, name: str) -> Patient | None:
    number = form.cleaned_data[name].strip()
    where = viewer.clinics_where(Permission.RECORD)
    found = access.findable(viewer).filter(record_number__iexact=number, clinic__in=where).first()
    if found is None:
        form.add_error(name, _("No patient has this record number."))
    return found


def _person(patient: Patient) -> dict[str, Any]:
    return {
        "pk": patient.pk,
        "name": patient.display_name,
        "born": day_words(patient.born_on) if patient.born_on else _("birth date unknown"),
        "number": patient.record_number,
    }


def _unnamed(one: Patient, other: Patient, viewer: Viewer) -> dict[str, Any] | None:
    """Two records of which one is shut: neither is named, since either tells who the other is. None for any others."""
    shut = [patient for patient in (one, other) if patient.pk in viewer.shut]
    if not shut:
        return None
    nobody = {"name": _("another record"), "born": "", "number": "", "url": ""}
    return {"one": identity_of(shut[0], viewer), "other": nobody, "reasons": "", "own": False} | {
        "url": f"{reverse('restricted_gate', args=[shut[0].pk])}?{urlencode({'next': reverse('duplicates')})}",
        "shut": True,
    }


def _pair_row(pair: PossibleDuplicate, viewer: Viewer) -> dict[str, Any]:
    if unnamed := _unnamed(pair.one, pair.other, viewer):
        return unnamed | {"clinic": pair.clinic.name}
    score, reasons = compare(person_of(pair.one), person_of(pair.other))
    return {
        "one": _person(pair.one),
        "other": _person(pair.other),
        "score": score,
        "reasons": "; ".join(reasons),
        "clinic": pair.clinic.name,
        "url": reverse("patient_merge", args=[pair.one_id, pair.other_id]),
    }


def _proposal_row(merge: Merge, viewer: Viewer) -> dict[str, Any]:
    if unnamed := _unnamed(merge.survivor, merge.merged, viewer):
        return unnamed | {"by": merge.proposed_actor, "at": merge.proposed_at}
    return {
        "one": _person(merge.survivor),
        "other": _person(merge.merged),
        "by": merge.proposed_actor,
        "at": merge.proposed_at,
        "own": merge.proposed_by_id == viewer.actor.user_id,
        "url": reverse("merge", args=[merge.pk]),
    }


# ---- Two records side by side


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def patient_merge(request: HttpRequest, pk: int, other: int) -> HttpResponse:
    """What merging `other` into `pk` would do; POST merges, proposes, or says that they are two people."""
    viewer = access.viewer_of(request)
    survivor = access.patient_for(viewer, pk, Permission.RECORD)
    merged = access.patient_for(viewer, other, Permission.RECORD)
    if pk == other or survivor.clinic_id != merged.clinic_id:
        raise Http404("Two records of one clinic.")
    seen = merging.preview(survivor, merged)
    pair = PossibleDuplicate.objects.filter(one=min(pk, other), other=max(pk, other)).first()
    dismissing = "dismiss" in request.POST
    form = MergeForm(None if dismissing else request.POST or None, details=_named(seen))
    not_one = NotOnePersonForm(request.POST if dismissing else None, prefix="two")
    if dismissing and pair and not_one.is_valid():
        return _dismiss(request, viewer, pair, not_one)
    if form.is_valid():
        try:
            merge = merging.propose(
                survivor,
                merged,
                by=viewer.actor,
                reason=form.cleaned_data["reason"],
                taken=form.cleaned_data.get("taken", []),
            )
        except RecordingRefused as refused:
            refuse(form, refused.problems)
        else:
            return _after(request, merge)
    audit.looked(viewer.actor, [(p.clinic_id, p.pk) for p in (survivor, merged)], "possible duplicate")
    context = _preview_context(seen) | {
        "form": form,
        "not_one": not_one if pair and pair.dismissed_at is None else None,
        "dismissed": pair if pair and pair.dismissed_at else None,
        "swap_url": reverse("patient_merge", args=[other, pk]),
        "failed": not_one if not_one.is_bound else form,
    }
    status = 422 if form.is_bound or not_one.is_bound else 200
    return render(request, "monitoring/merging/merge.html", context, status=status)


def _dismiss(request: HttpRequest, viewer: Viewer, pair: PossibleDuplicate, form: NotOnePersonForm) -> HttpResponse:
    try:
        dismiss_pair(pair.pk, by=viewer.actor, reason=form.cleaned_data["reason"])
    except RecordingRefused as refused:
        messages.error(request, " ".join(text for texts in refused.problems.values() for text in texts))
    else:
        messages.success(request, _("Remembered: these are two people."))
    return redirect("duplicates")


def _after(request: HttpRequest, merge: Merge) -> HttpResponse:
    if merge.state == Merge.State.MERGED:
        messages.success(request, _("Merged. This record reads everything that both said; it can be undone."))
        return redirect("patient", pk=merge.survivor_id)
    messages.success(request, _("Proposed. Somebody else has to approve it; until then nothing has changed."))
    return redirect("merge", pk=merge.pk)


def _named(seen: merging.Preview) -> list[tuple[Compared, str]]:
    return [(one, f"{NAMES[one.name]}: {_value(seen.merged, one.name, one.merged)}") for one in seen.details]


def _value(patient: Patient, name: str, value: Any) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, date):
        return day_words(value)
    if name in ("sex", "language"):
        return str(getattr(patient, f"get_{name}_display")())
    return value.as_international if name == "telephone" else str(value)


def _preview_context(seen: merging.Preview) -> dict[str, Any]:
    return {
        "survivor": _person(seen.survivor),
        "merged": _person(seen.merged),
        "details": [
            {
                "name": NAMES[one.name],
                "survivor": _value(seen.survivor, one.name, one.survivor),
                "merged": _value(seen.merged, one.name, one.merged),
                "differs": one.differs,
            }
            for one in seen.details
            if one.survivor or one.merged
        ],
        "differing": [str(NAMES[name]) for name in seen.differing],
        "refusals": seen.refusals,
        "plans": [
            {"hip": hip_words(plans.side), "cells": [_plan(a) for a in (plans.survivor, plans.merged, plans.after)]}
            for plans in seen.plans
        ],
        "facts": [f"{KINDS.get(kind, kind)}: {count}" for kind, count in seen.facts.items()],
        "endings": [f"{hip_words(Side(one.hip.side))}: {one.get_reason_display()}" for one in seen.endings],
        "appointments": seen.appointments,
    }


def _plan(answer: HipAnswer) -> dict[str, str]:
    due = day_words(answer.window.due_on) if answer.window else ""
    return {
        "pathway": str(PATHWAYS.get(answer.pathway, answer.pathway)),
        "due": _("due %(day)s") % {"day": due} if due else _("no follow-up asked for"),
        "because": because_words(answer.because),
    }


# ---- One merge


def _find(request: HttpRequest, pk: int) -> tuple[Viewer, Merge]:
    viewer = access.viewer_of(request)
    found = Merge.objects.filter(clinic__in=viewer.clinic_ids, pk=pk)
    merge = found.select_related("survivor__clinic", "merged__clinic").first()
    if merge is None:
        raise Http404("No such merge.")
    viewer.check(Permission.RECORD, merge.clinic_id)
    for patient_id in (merge.survivor_id, merge.merged_id):
        access.check_gate(viewer, patient_id)
    return viewer, merge


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """One merge: approve or reject it while it waits; undo it while it stands; and what became of it."""
    viewer, found = _find(request, pk)
    since = recording.facts_since(found) if found.state == Merge.State.MERGED else []
    form = _form_of(request, found, since)
    if form is not None and (form.is_bound and form.is_valid()):
        try:
            return _decide(request, viewer, found, form)
        except RecordingRefused as refused:
            refuse(form, refused.problems)
    seen = [(found.clinic_id, patient) for patient in (found.survivor_id, found.merged_id)]
    audit.looked(viewer.actor, seen, "possible duplicate")
    context = {
        "merge": found,
        "one": _person(found.survivor),
        "other": _person(found.merged),
        "differing": [str(NAMES[name]) for name in found.differing],
        "taken": [str(NAMES[name]) for name in found.taken],
        "own": found.proposed_by_id == viewer.actor.user_id,
        "form": form,
        "preview": _preview_context(merging.preview(found.survivor, found.merged))
        if found.state == Merge.State.PROPOSED
        else None,
    }
    status = 422 if form is not None and form.is_bound else 200
    return render(request, "monitoring/merging/one.html", context, status=status)


def _form_of(request: HttpRequest, found: Merge, since: list[Fact]) -> forms.Form | None:
    """The reason for approving (none), rejecting or undoing; None where the merge is closed."""
    posted = request.POST if request.method == "POST" else None
    if found.state == Merge.State.PROPOSED:
        return forms.Form(posted) if posted and "approve" in posted else NotOnePersonForm(posted)
    if found.state != Merge.State.MERGED:
        return None
    first = [fact.key for fact in since if recording.corrects_a_copy(found, fact)]
    choices = [(fact.key, _fact_words(fact)) for fact in since]
    return UndoMergeForm(posted, since=choices, initial={"of_the_other": first})


def _fact_words(fact: Any) -> str:
    side = f"{hip_words(Side(fact.hip.side))}, " if isinstance(fact, HipFact) else ""
    return f"{side}{titled(fact)} ({who(fact.actor)})"


def _decide(request: HttpRequest, viewer: Viewer, found: Merge, form: forms.Form) -> HttpResponse:
    said = form.cleaned_data
    if found.state == Merge.State.PROPOSED and "approve" in request.POST:
        return _after(request, merging.approve(found, by=viewer.actor))
    if found.state == Merge.State.PROPOSED:
        recording.reject_merge(found.pk, by=viewer.actor, reason=said["reason"])
        messages.success(request, _("Not merged. Both records stay as they are."))
        return redirect("duplicates")
    merging.undo(found, by=viewer.actor, reason=said["reason"], of_the_other=said.get("of_the_other", ()))
    messages.success(request, _("Undone: both records stand as before."))
    return redirect("patient", pk=found.merged_id)
