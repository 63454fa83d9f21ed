"""Protocol version pages: history and comparison, a draft's parameters, the steps of its review, and its effect."""

import time
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.cache import cache
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from redis.exceptions import RedisError

from patients import access
from patients.access import Viewer
from patients.models import Patient
from schedules.guideline.comparing import (
    BEGINS,
    CLEARED,
    DATES,
    DEADLINE,
    EARLIER,
    ENDS,
    KINDS,
    LATER,
    PATHWAY,
    RAISED,
    STATUS,
    Move,
)
from schedules.guideline.protocol import Protocol
from schedules.guideline.rules import RULES
from schedules.models import ProtocolVersion

from .. import audit, protocol_drafts, protocol_effect
from ..protocol_drafts import Act, DraftMoved, StepRefused
from ..protocol_effect import Effect, Moved
from .detail_words import note_words
from .entry import signed_in
from .finding_words import ACTIONS, PATHWAYS, STATUSES, Words, day_words
from .forms.protocol import NOTE, ApproveForm, CompareForm, DraftForm, NewDraftForm, ReasonForm
from .identity import identity_of
from .parameter_words import changed_rows, parameter_groups
from .protocol import in_force, tabs
from .worklist_filters import with_query

SECONDS: Final = 4.0  # of one look at the registry
KEPT_FOR: Final = 1800
PAGE: Final = 50
KIND_WORDS: Final[dict[str, Words]] = {
    EARLIER: gettext_lazy("due earlier"),
    LATER: gettext_lazy("due later"),
    BEGINS: gettext_lazy("follow-up begins"),
    ENDS: gettext_lazy("follow-up ends"),
    STATUS: gettext_lazy("another status today"),
    PATHWAY: gettext_lazy("another pathway"),
    RAISED: gettext_lazy("a finding raised"),
    CLEARED: gettext_lazy("a finding cleared"),
    DEADLINE: gettext_lazy("another deadline"),
    DATES: gettext_lazy("other dates of the window"),
}
DONE: Final[dict[str, Words]] = {
    Act.EDITED: gettext_lazy("The draft is kept."),
    Act.SUBMITTED: gettext_lazy("Submitted. A second clinician reviews it now."),
    Act.TAKEN_UP: gettext_lazy("The review is yours: approve it or return it."),
    Act.RETURNED: gettext_lazy("Returned to its author."),
    Act.APPROVED: gettext_lazy("Approved. It comes into force by itself on its day."),
    Act.WITHDRAWN: gettext_lazy("Withdrawn."),
}


@signed_in
@require_safe
def versions(request: HttpRequest) -> HttpResponse:
    """Every version with where it stands, and two of them beside each other."""
    standing = str(in_force(request))
    rows = list(ProtocolVersion.objects.select_related("created_by", "approved_by", "based_on").order_by("-id"))
    form = CompareForm(request.GET) if "before" in request.GET else CompareForm(initial=_first_comparison(rows))
    compared = None
    if form.is_bound and form.is_valid():
        before, after = form.cleaned_data["before"], form.cleaned_data["after"]
        changes = changed_rows(Protocol.from_json(before.parameters), Protocol.from_json(after.parameters))
        compared = {"before": before, "after": after, "rows": changes}
    context = {
        "tabs": tabs("protocol_versions"),
        "rows": [{"version": row, "status": _status(row, standing), "note": note_words(row.note)} for row in rows],
        "form": form,
        "compared": compared,
        "may_draft": protocol_drafts.may_draft(access.viewer_of(request)),
    }
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "monitoring/protocol/versions.html", context, status=status)


def _first_comparison(rows: list[ProtocolVersion]) -> dict[str, int]:
    """The newest with what it is based on."""
    if not rows:
        return {}
    return {"before": rows[0].based_on_id or rows[-1].pk, "after": rows[0].pk}


def _status(version: ProtocolVersion, standing: str) -> str:
    """In force, retired by a later one, or the state it was brought to."""
    if str(version) == standing:
        return "in_force"
    begins = version.in_force_from
    over = version.state == ProtocolVersion.State.APPROVED and begins is not None and begins < timezone.localdate()
    return "retired" if over else version.state


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def draft_new(request: HttpRequest) -> HttpResponse:
    """A new draft: on what it is based and what for."""
    viewer = access.viewer_of(request)
    if not protocol_drafts.may_draft(viewer):
        raise PermissionDenied(_("Clinicians and administrators draft the protocol."))
    bases = ProtocolVersion.objects.order_by("-id")
    standing = bases.filter(name=str(in_force(request))).first()
    form = NewDraftForm(request.POST or None, versions=bases, initial={"based_on": standing})
    if form.is_valid():
        now = timezone.now()
        made = protocol_drafts.start_draft(
            form.cleaned_data.get("based_on"), note=form.cleaned_data["note"], viewer=viewer, now=now
        )
        return redirect("protocol_draft", made.pk)
    context = {"form": form, "tabs": tabs("")}
    return render(request, "monitoring/protocol/new.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def draft(request: HttpRequest, pk: int) -> HttpResponse:
    """One version: its parameters, to be changed while it is a draft, and the steps of its review."""
    version = _version(pk)
    if request.method != "POST":
        return _show(request, version)
    return _keep_draft(request, version, Act.EDITED)


def _keep_draft(request: HttpRequest, version: ProtocolVersion, act: Act) -> HttpResponse:
    """Keep what stands in the form and, where that is the act, submit just this: both are done or neither."""
    viewer, now = access.viewer_of(request), timezone.now()
    form = _draft_form(request, version)
    if not form.is_valid():
        return _show(request, version, form=form, status=422)
    seen = form.cleaned_data["seen"]
    try:
        with transaction.atomic():
            protocol_drafts.edit_draft(
                version.pk, form.protocol, note=form.new_note(), seen=seen.protocol.digest(), viewer=viewer, now=now
            )
            if act == Act.SUBMITTED:
                protocol_drafts.submit(version.pk, viewer=viewer, now=now)
    except DraftMoved:
        return _conflict(request, _version(version.pk), form)
    except StepRefused as refused:
        return _show(request, _version(version.pk), form=form, refused=str(refused), status=422)
    messages.success(request, str(DONE[act]))
    return redirect("protocol_draft", version.pk)


def _conflict(request: HttpRequest, version: ProtocolVersion, form: DraftForm) -> HttpResponse:
    """Somebody else changed the draft meanwhile: what they did is shown, what was typed stays, to be sent again."""
    seen, standing = form.cleaned_data["seen"], Protocol.from_json(version.parameters)
    mine = form.beside(standing, version.note)
    mine.is_valid()
    yours = {row["name"]: row["after"] for row in changed_rows(standing, mine.protocol)}
    rows = changed_rows(seen.protocol, standing)
    if seen.note != version.note:
        rows.append({"name": "note", "label": NOTE, "before": seen.note, "after": version.note})
        yours["note"] = form.new_note()
    meanwhile = {
        "steps": protocol_drafts.edits_since(version, seen.protocol.digest()),
        "rows": [row | {"yours": yours.get(row["name"], "")} for row in rows],
    }
    return _show(request, version, form=mine, meanwhile=meanwhile, status=409)


def _unkept(version: ProtocolVersion, form: DraftForm) -> list[dict[str, str]]:
    """The lines of components/error_summary.html for a draft that was changed when it could be changed no more."""
    rows = changed_rows(Protocol.from_json(version.parameters), form.protocol)
    lines = [f"{row['label']}: {row['after']}" for row in rows]
    return [{"text": line} for line in (*lines, form.new_note()) if line]


def _version(pk: int) -> ProtocolVersion:
    versions = ProtocolVersion.objects.select_related("based_on", "created_by", "submitted_by", "approved_by")
    return get_object_or_404(versions, pk=pk)


def _draft_form(request: HttpRequest, version: ProtocolVersion) -> DraftForm:
    protocol = Protocol.from_json(version.parameters)
    return DraftForm(request.POST or None, protocol=protocol, note=version.note, in_force=in_force(request))


def _show(
    request: HttpRequest,
    version: ProtocolVersion,
    *,
    form: DraftForm | None = None,
    step_forms: dict[str, forms.Form] | None = None,
    refused: str = "",
    meanwhile: dict[str, Any] | None = None,
    status: int = 200,
) -> HttpResponse:
    viewer, now = access.viewer_of(request), timezone.now()
    today = protocol_drafts.last_today(now)
    protocol, standing = Protocol.from_json(version.parameters), in_force(request)
    base = Protocol.from_json(version.based_on.parameters) if version.based_on else None
    possible = {
        act: protocol_drafts.may(act, version, viewer, today=today) for act in (Act.EDITED, Act.SUBMITTED, *STEPS)
    }
    if possible[Act.EDITED] and form is None:
        form = DraftForm(protocol=protocol, note=version.note, in_force=standing)
    given = step_forms or {}
    context = {
        "tabs": tabs(""),
        "draft": version,
        "note": note_words(version.note),
        "status": _status(version, str(standing)),
        "changes": changed_rows(base, protocol) if base else [],
        "form": form if possible[Act.EDITED] else None,
        "wrong": next(iter(given.values()), form),
        "groups": parameter_groups(protocol, base),
        "steps": version.steps.order_by("id"),
        "possible": {str(act): allowed for act, allowed in possible.items()},
        "nothing_possible": version.state in protocol_drafts.WAITING
        and not protocol_drafts.may_review(version, viewer),
        "approve_form": given.get(Act.APPROVED) or ApproveForm(auto_id="approve_%s"),
        "return_form": given.get(Act.RETURNED) or ReasonForm(auto_id="return_%s"),
        "withdraw_form": given.get(Act.WITHDRAWN) or ReasonForm(auto_id="withdraw_%s"),
        "refused": refused,
        "meanwhile": meanwhile,
        "unkept": _unkept(version, form) if form is not None and form.is_bound and not possible[Act.EDITED] else [],
    }
    return render(request, "monitoring/protocol/draft.html", context, status=status)


def _take_up(pk: int, viewer: Viewer, _said: dict[str, Any]) -> object:
    return protocol_drafts.take_up(pk, viewer=viewer, now=timezone.now())


def _approve(pk: int, viewer: Viewer, said: dict[str, Any]) -> object:
    return protocol_drafts.approve(pk, in_force_from=said["in_force_from"], viewer=viewer, now=timezone.now())


def _return(pk: int, viewer: Viewer, said: dict[str, Any]) -> object:
    return protocol_drafts.send_back(pk, reason=said["reason"], viewer=viewer, now=timezone.now())


def _withdraw(pk: int, viewer: Viewer, said: dict[str, Any]) -> object:
    return protocol_drafts.withdraw(pk, reason=said["reason"], viewer=viewer, now=timezone.now())


Taken = Callable[[int, Viewer, dict[str, Any]], object]
STEPS: Final[dict[str, tuple[type[forms.Form] | None, str, Taken]]] = {
    Act.TAKEN_UP: (None, "", _take_up),
    Act.APPROVED: (ApproveForm, "approve_%s", _approve),
    Act.RETURNED: (ReasonForm, "return_%s", _return),
    Act.WITHDRAWN: (ReasonForm, "withdraw_%s", _withdraw),
}


@signed_in
@require_POST
def step(request: HttpRequest, pk: int, act: str) -> HttpResponse:
    """Take one step with a version; what it lacks is said on its page, and what was typed stays."""
    version = _version(pk)
    if act == Act.SUBMITTED:
        return _keep_draft(request, version, Act.SUBMITTED)
    if act not in STEPS:
        raise Http404(act)
    kind, ids, take = STEPS[act]
    form = kind(request.POST, auto_id=ids) if kind else None
    if form is not None and not form.is_valid():
        return _show(request, version, step_forms={act: form}, status=422)
    try:
        take(pk, access.viewer_of(request), form.cleaned_data if form else {})
    except StepRefused as refused:
        given = {act: form} if form is not None else None
        return _show(request, _version(pk), step_forms=given, refused=str(refused), status=422)
    messages.success(request, str(DONE[act]))
    return redirect("protocol_draft", pk)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def effect(request: HttpRequest, pk: int) -> HttpResponse:
    """Which hips would move and how; a POST looks at more of a registry that was not looked at whole."""
    viewer, version = access.viewer_of(request), _version(pk)
    found = _effect(request, version, viewer, further=request.method == "POST")
    if request.method == "POST":
        return redirect("protocol_effect", pk)
    kind = request.GET.get("kind", "")
    if kind not in ("", *KINDS):
        raise Http404(kind)
    page = request.GET.get("page", "0")
    first = PAGE * (int(page) if page.isascii() and page.isdecimal() and len(page) < 6 else 0)
    rows = found.of_kind(kind)
    shown = rows[first : first + PAGE]
    people = protocol_effect.people(viewer, shown)
    audit.looked(viewer.actor, [(one.clinic_id, one.pk) for one in people.values()], f"effect of {version}")
    url = reverse("protocol_effect", args=[pk])
    context = {
        "tabs": tabs(""),
        "draft": version,
        "standing": str(in_force(request)),
        "effect": found,
        "share": round(100 * found.looked / found.total) if found.total else 100,
        "kinds": [_kind(found, name, url, kind) for name in KINDS if found.kinds[name]],
        "rules": [_rule_row(act, rule, n) for (act, rule), n in sorted(found.rules.items())],
        "kind": kind,
        "kind_words": KIND_WORDS.get(kind, ""),
        "all_url": url,
        "rows": [_row(moved, people[moved.patient_id], viewer) for moved in shown if moved.patient_id in people],
        "total": len(rows),
        "previous_url": _page_url(url, kind, first - PAGE) if first else "",
        "next_url": _page_url(url, kind, first + PAGE) if first + PAGE < len(rows) else "",
        "unlisted": found.hips - len(found.moved),
    }
    return render(request, "monitoring/protocol/effect.html", context)


def _effect(request: HttpRequest, version: ProtocolVersion, viewer: Viewer, *, further: bool) -> Effect:
    """What was found within the last half hour, or a first look; with `further` one look more."""
    now = timezone.now()
    clinics = "-".join(str(clinic) for clinic in sorted(viewer.clinic_ids))
    standing = in_force(request).digest()
    key = f"protocol-effect:{version.digest}:{standing}:{clinics}:{protocol_drafts.last_today(now)}"
    kept = _kept(key)
    if kept is not None and not further:
        return kept
    until = time.monotonic() + SECONDS
    found = protocol_effect.look(
        kept or Effect(),
        Protocol.from_json(version.parameters),
        viewer=viewer,
        now=now,
        enough=lambda: time.monotonic() > until,
    )
    _keep(key, found)
    return found


def _kept(key: str) -> Effect | None:
    try:
        found = cache.get(key)
    except RedisError:  # then every look is a first one
        return None
    return found if isinstance(found, Effect) else None


def _keep(key: str, found: Effect) -> None:
    try:
        cache.set(key, found, KEPT_FOR)
    except RedisError:
        return


def _page_url(url: str, kind: str, first: int) -> str:
    return with_query(url, {**({"kind": kind} if kind else {}), "page": str(first // PAGE)})


def _kind(found: Effect, name: str, url: str, current: str) -> dict[str, Any]:
    days = found.usual_days(name)
    note = ""
    if days:
        note = _("by %(middle)s days in the middle, %(most)s at most") % {"middle": days[0], "most": days[1]}
    return {
        "value": found.kinds[name],
        "what": KIND_WORDS[name],
        "note": note,
        "url": with_query(url, {"kind": name}),
        "current": name == current,
    }


def _rule_row(act: str, rule: str, hips: int) -> dict[str, Any]:
    return {"words": KIND_WORDS[act], "rule": rule, "action": ACTIONS.get(RULES[rule].action, rule), "hips": hips}


def _row(moved: Moved, patient: Patient, viewer: Viewer) -> dict[str, Any]:
    move, who = moved.move, identity_of(patient, viewer)
    return {
        "name": who.name,
        "number": who.number,
        "clinic": patient.clinic.name,
        "url": f"{who.url}#hip-{move.side.value}",
        "side": _("left") if move.side == "left" else _("right"),
        "words": _move_words(move),
    }


def _move_words(move: Move) -> list[str]:
    """How the hip moves, one sentence for each way."""
    words = [_due_words(move)] if move.due_on[0] != move.due_on[1] else []
    if move.pathway[0] != move.pathway[1]:
        words.append(_("Pathway: %(old)s → %(new)s") % _pair(*(PATHWAYS.get(one, one) for one in move.pathway)))
    if move.status[0] != move.status[1]:
        said = (STATUSES[one] if one else _("none") for one in move.status)
        words.append(_("Status: %(old)s → %(new)s") % _pair(*said))
    words += [_("Raised: %(action)s (%(rule)s)") % _named(rule) for rule in move.raised]
    words += [_("Cleared: %(action)s (%(rule)s)") % _named(rule) for rule in move.cleared]
    words += [
        _("Act by %(day)s: %(action)s (%(rule)s)") % {**_named(rule), "day": day_words(day) if day else _("no day")}
        for rule, day in move.deadlines
    ]
    if DATES in move.kinds:
        words.append(_("Due on the same day; the window's other dates differ."))
    return words


def _due_words(move: Move) -> str:
    old, new = move.due_on
    if old and new and move.days:
        said = {"old": day_words(old), "new": day_words(new), "days": abs(move.days)}
        if move.days < 0:
            return _("Due %(old)s → %(new)s, %(days)s days earlier") % said
        return _("Due %(old)s → %(new)s, %(days)s days later") % said
    if new:
        return _("Due %(day)s; now never") % {"day": day_words(new)}
    return _("No longer due") if old else ""


def _pair(old: object, new: object) -> dict[str, object]:
    return {"old": old, "new": new}


def _named(rule: str) -> dict[str, object]:
    return {"rule": rule, "action": ACTIONS.get(RULES[rule].action, rule)}
