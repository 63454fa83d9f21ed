"""Protocol drafts: how a version of the protocol comes about, from a draft to a second clinician's approval.

Every act holds the version's row, checks who may, adds a step and an audit entry, all in one transaction.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Final

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from patients.access import Permission, Viewer
from patients.models import Clinic
from patients.recording import today_at
from schedules import adoption
from schedules.appointments import FARTHEST
from schedules.guideline.protocol import Protocol
from schedules.models import ProtocolStep, ProtocolVersion

from . import audit

State = ProtocolVersion.State
Act = ProtocolStep.Act
EDITABLE: Final = (State.DRAFT, State.RETURNED)
WAITING: Final = (State.SUBMITTED, State.UNDER_REVIEW)
AUTHORING: Final = (Act.DRAFTED, Act.EDITED, Act.SUBMITTED)
TRANSITIONS: Final[Mapping[tuple[str, str], str]] = {
    (State.DRAFT, Act.EDITED): State.DRAFT,
    (State.DRAFT, Act.SUBMITTED): State.SUBMITTED,
    (State.DRAFT, Act.WITHDRAWN): State.WITHDRAWN,
    (State.SUBMITTED, Act.TAKEN_UP): State.UNDER_REVIEW,
    (State.SUBMITTED, Act.WITHDRAWN): State.WITHDRAWN,
    (State.UNDER_REVIEW, Act.APPROVED): State.APPROVED,
    (State.UNDER_REVIEW, Act.RETURNED): State.RETURNED,
    (State.UNDER_REVIEW, Act.WITHDRAWN): State.WITHDRAWN,
    (State.RETURNED, Act.EDITED): State.RETURNED,
    (State.RETURNED, Act.SUBMITTED): State.SUBMITTED,
    (State.RETURNED, Act.WITHDRAWN): State.WITHDRAWN,
    (State.APPROVED, Act.WITHDRAWN): State.WITHDRAWN,  # before its day only
}
REVIEWING: Final = (Act.TAKEN_UP, Act.RETURNED, Act.APPROVED)


class StepRefused(ValueError):
    """The step cannot be taken now; the message says why."""


class DraftMoved(StepRefused):
    """Somebody else changed the draft while it was edited."""


def may_draft(viewer: Viewer) -> bool:
    """Clinicians and administrators of any clinic: the protocol is the whole installation's."""
    return viewer.may_anywhere(Permission.DECIDE) or viewer.may_anywhere(Permission.ADMINISTER)


def may_review(version: ProtocolVersion, viewer: Viewer) -> bool:
    """A clinician who neither drafted, edited nor submitted it."""
    return viewer.may_anywhere(Permission.DECIDE) and not _had_a_hand(version, viewer)


def _had_a_hand(version: ProtocolVersion, viewer: Viewer) -> bool:
    return version.steps.filter(act__in=AUTHORING, user=viewer.actor.user_id).exists()


def may(act: str, version: ProtocolVersion, viewer: Viewer, *, today: date) -> bool:
    """Whether the viewer can take this step with the version as it stands."""
    if (version.state, act) not in TRANSITIONS or _has_begun(version, today):
        return False
    if act in REVIEWING:
        return may_review(version, viewer)
    if version.state == State.APPROVED:
        return viewer.may_anywhere(Permission.DECIDE)
    return may_draft(viewer)


def _has_begun(version: ProtocolVersion, today: date) -> bool:
    begins = version.in_force_from
    return version.state == State.APPROVED and begins is not None and begins <= today


def last_today(now: datetime) -> date:
    """Today where it is latest: a later day has begun in no clinic."""
    return max((today_at(clinic, now) for clinic in Clinic.objects.all()), default=now.date())


@transaction.atomic
def start_draft(based_on: ProtocolVersion | None, *, note: str, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """A new draft with the parameters of an existing version, of the first one if none is given, and the next number.

    `note`: what is to change and why. Raises PermissionDenied, StepRefused without a note.
    """
    if not may_draft(viewer):
        raise PermissionDenied(_("Clinicians and administrators draft the protocol."))
    if not note.strip():
        raise StepRefused(_("Say what is to change and why."))
    base = based_on or adoption.ensure_default(viewer.actor)
    _one_at_a_time()
    given = Protocol.from_json(base.parameters)
    protocol = replace(given, version=_next_number(given.name)).checked()
    version = ProtocolVersion.objects.create(
        name=str(protocol),
        parameters=protocol.to_json(),
        digest=protocol.digest(),
        note=note.strip(),
        based_on=base,
        created_by_id=viewer.actor.user_id,
        actor=viewer.actor.name[:120],
    )
    _remember(version, Act.DRAFTED, viewer=viewer, now=now, reason=note)
    return version


def _one_at_a_time() -> None:
    """Numbers and days are given by one transaction after the other, which all hold the first version."""
    list(ProtocolVersion.objects.select_for_update(no_key=True).filter(based_on__isnull=True).order_by("id"))


def _next_number(name: str) -> int:
    names = ProtocolVersion.objects.filter(name__startswith=f"{name}/").values_list("name", flat=True)
    return 1 + max((int(known.rpartition("/")[2]) for known in names), default=1)


@transaction.atomic
def edit_draft(pk: int, protocol: Protocol, *, note: str, seen: str, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """Give the draft these parameters under its own name; `seen` is the digest that was edited.

    Raises ProtocolRefused with every problem, DraftMoved when somebody else was faster, StepRefused, PermissionDenied.
    """
    version = _held(pk, Act.EDITED, viewer, now)
    if seen != version.digest:
        raise DraftMoved(_("Somebody else has changed this draft meanwhile"))
    own = Protocol.from_json(version.parameters)
    named = replace(protocol, name=own.name, version=own.version).checked()
    if named.digest() == version.digest and note.strip() in ("", version.note):
        return version
    before = {"digest": version.digest}
    version.parameters, version.digest = named.to_json(), named.digest()
    version.note = note.strip() or version.note
    return _step(version, Act.EDITED, viewer=viewer, now=now, before=before)


@transaction.atomic
def submit(pk: int, *, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """Ask for review; from now on the parameters are fixed. Raises StepRefused, also where nothing was changed."""
    version = _held(pk, Act.SUBMITTED, viewer, now)
    if not differences(version):
        raise StepRefused(_("Nothing differs from the version on which it is based."))
    version.submitted_by_id = viewer.actor.user_id
    return _step(version, Act.SUBMITTED, viewer=viewer, now=now)


@transaction.atomic
def take_up(pk: int, *, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """A second clinician begins the review."""
    return _step(_held(pk, Act.TAKEN_UP, viewer, now), Act.TAKEN_UP, viewer=viewer, now=now)


@transaction.atomic
def approve(pk: int, *, in_force_from: date, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """A second clinician adopts it from a day that has begun nowhere. Raises StepRefused, PermissionDenied."""
    version = _held(pk, Act.APPROVED, viewer, now)
    _one_at_a_time()
    if in_force_from <= last_today(now):
        raise StepRefused(_("It comes into force tomorrow at the earliest."))
    if in_force_from > last_today(now) + FARTHEST:
        raise StepRefused(_("This is more than two years ahead."))
    if ProtocolVersion.objects.filter(state=State.APPROVED, in_force_from=in_force_from).exists():
        raise StepRefused(_("Another version comes into force on that day."))
    if Protocol.from_json(version.parameters).digest() != version.digest:
        raise adoption.TamperedProtocol(f"The parameters of {version} are not those that were submitted.")
    version.approved_by_id, version.in_force_from = viewer.actor.user_id, in_force_from
    after = {"in_force_from": in_force_from.isoformat()}
    return _step(version, Act.APPROVED, viewer=viewer, now=now, after=after)


@transaction.atomic
def send_back(pk: int, *, reason: str, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """A second clinician returns it to be changed. Raises StepRefused without a reason."""
    version = _held(pk, Act.RETURNED, viewer, now)
    return _step(version, Act.RETURNED, viewer=viewer, now=now, reason=_given(reason))


@transaction.atomic
def withdraw(pk: int, *, reason: str, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """It is given up; an approved one before its day only. Raises StepRefused without a reason."""
    version = _held(pk, Act.WITHDRAWN, viewer, now)
    return _step(version, Act.WITHDRAWN, viewer=viewer, now=now, reason=_given(reason))


def edits_since(version: ProtocolVersion, seen: str) -> list[ProtocolStep]:
    """Who changed the parameters since they had this digest, the earliest first."""
    steps = list(version.steps.order_by("id"))
    known = max((number for number, step in enumerate(steps) if step.digest == seen), default=-1)
    return [step for step in steps[known + 1 :] if step.act == Act.EDITED]


def differences(version: ProtocolVersion) -> dict[str, tuple[object, object]]:
    """What the version sets otherwise than the one on which it is based, by parameter."""
    return compare(version.based_on.parameters, version.parameters) if version.based_on else {}


def compare(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """The parameters that differ, as (before, after); the version's number is none. Read by way of Protocol, so that
    what a version leaves out is its default."""
    old, new = Protocol.from_json(before).to_json(), Protocol.from_json(after).to_json()
    return {name: (old[name], new[name]) for name in new if old[name] != new[name] and name not in ("name", "version")}


def _given(reason: str) -> str:
    if not reason.strip():
        raise StepRefused(_("Give a reason."))
    return reason.strip()


def _held(pk: int, act: str, viewer: Viewer, now: datetime) -> ProtocolVersion:
    """The version, locked, if the viewer may take this step with it now."""
    version = ProtocolVersion.objects.select_for_update(no_key=True, of=("self",)).select_related("based_on").get(pk=pk)
    if (version.state, act) not in TRANSITIONS:
        raise StepRefused(
            _("Somebody else was faster: it is now “%(state)s”.") % {"state": version.get_state_display()}
        )
    if _has_begun(version, last_today(now)):
        raise StepRefused(_("It has come into force and stays. Draft another version instead."))
    if act in REVIEWING and _had_a_hand(version, viewer):
        raise PermissionDenied(_("Who drafted, changed or submitted a version does not review it."))
    if not may(act, version, viewer, today=last_today(now)):
        raise PermissionDenied(_("Your role does not allow this step."))
    return version


def _step(
    version: ProtocolVersion,
    act: str,
    *,
    viewer: Viewer,
    now: datetime,
    reason: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> ProtocolVersion:
    """Take the step: the new state, its row and its audit entry."""
    was = version.state
    version.state = TRANSITIONS[was, act]
    version.save()
    told = {"state": version.state, "digest": version.digest, **(after or {})}
    _remember(version, act, viewer=viewer, now=now, reason=reason, before={"state": was, **(before or {})}, after=told)
    return version


def _remember(
    version: ProtocolVersion,
    act: str,
    *,
    viewer: Viewer,
    now: datetime,
    reason: str = "",
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    ProtocolStep.objects.create(
        version=version,
        act=act,
        state=version.state,
        digest=version.digest,
        reason=reason,
        user_id=viewer.actor.user_id,
        actor=viewer.actor.name[:120],
        at=now,
    )
    audit.note(viewer.actor, f"protocol_{act}", object=version.name, before=before, after=after, reason=reason)
