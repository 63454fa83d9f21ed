"""Merging: two records of one person made one, and that undone.

The facts of the merged record are copied to the survivor's hips as rows of their own; theirs stay where they are. So
whatever reads a hip's facts reads them all, every key over hip, patient and clinic holds, and undoing withdraws the
copies. Both hips of the merged record end as entered in error, and nobody writes to it any more.
"""

import json
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..changes import Actor
from ..merging import ALONG, DETAILS, differing_identifiers, refusals
from ..models import (
    HIP_FACTS,
    BmiReading,
    Consent,
    ContactWish,
    Ending,
    Exposure,
    Fact,
    Hip,
    HipFact,
    Merge,
    Patient,
    Restriction,
)
from ..plausibility import fact_problems, patient_problems
from ..reading import read_records
from ..vocabulary import EndReason
from .common import Problems, RecordingRefused, plain, raise_version, refuse_if, tell, today_at

State = Merge.State
COPIED: Final[tuple[type[Fact], ...]] = (*(model for model in HIP_FACTS if model is not Ending), BmiReading)
_MODELS: Final[tuple[type[Fact], ...]] = (*COPIED, Ending)
_BY_KIND: Final = {model.kind: model for model in _MODELS}
_OF_THE_ROW: Final = {"id", "clinic", "patient", "hip", "supersedes"}
_NOT_COMPARED: Final = _OF_THE_ROW | {"visit", "origin", "recorded_at", "recorded_by", "actor", "correction_reason"} | {
    "withdrawn_at", "withdrawn_actor", "withdrawn_reason",
}  # fmt: skip
WISH_UNDONE: Final = "a merge was undone; ask again"


def _locked(*ids: int) -> list[Patient]:
    """These patients in the order asked for, locked in the order of their ids."""
    rows = Patient.objects.select_related("clinic").filter(pk__in=ids).order_by("id")
    by_id = {row.pk: row for row in rows.select_for_update(no_key=True, of=("self",))}
    return [by_id[pk] for pk in ids]


@transaction.atomic
def propose_merge(
    survivor_id: int,
    merged_id: int,
    *,
    by: Actor,
    reason: str,
    taken: Collection[str] = (),
    now: datetime | None = None,
) -> Merge:
    """Make `merged` part of `survivor`, which takes the details `taken` from it; what the survivor lacks it takes
    anyway. Merged at once where no identifier differs, else it waits for a second person. Raises RecordingRefused.
    """
    now = now or timezone.now()
    survivor, merged = _locked(survivor_id, merged_id)
    _refuse(survivor, merged, reason, taken)
    differing = differing_identifiers(survivor, merged)
    if differing and by.user_id is None:
        raise RecordingRefused({"reason": [_("Where identifiers differ, two people have to decide.")]})
    merge = Merge(
        clinic=survivor.clinic,
        survivor=survivor,
        merged=merged,
        state=State.PROPOSED,
        differing=differing,
        taken=sorted(taken),
        reason=reason.strip()[:200],
        proposed_at=now,
        proposed_by_id=by.user_id,
        proposed_actor=by.name[:120],
    )
    try:
        with transaction.atomic():
            merge.save(force_insert=True)
    except IntegrityError as error:
        raise RecordingRefused({"reason": [_("A merge of this record is proposed already.")]}) from error
    if differing:
        _tell_both(merge, "propose_merge", by, reason=merge.reason, clinical=False)
        return merge
    return _carry_out(merge, survivor, merged, by=by, now=now)


@transaction.atomic
def approve_merge(merge_id: int, *, by: Actor, now: datetime | None = None) -> Merge:
    """Carry out what somebody else proposed. Raises RecordingRefused, also where it is one's own proposal."""
    merge = _open(merge_id)
    if by.user_id is None or by.user_id == merge.proposed_by_id:
        raise RecordingRefused({"approve": [_("Somebody else has to approve what you proposed.")]})
    survivor, merged = _locked(merge.survivor_id, merge.merged_id)
    _refuse(survivor, merged, merge.reason, merge.taken)
    return _carry_out(merge, survivor, merged, by=by, now=now or timezone.now())


@transaction.atomic
def reject_merge(merge_id: int, *, by: Actor, reason: str, now: datetime | None = None) -> Merge:
    """The proposal is not carried out; both records stay as they are."""
    merge = _open(merge_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why they are not merged.")]})
    merge.state, merge.closing_reason = State.REJECTED, reason.strip()[:200]
    merge.decided_at, merge.decided_by_id, merge.decided_actor = now or timezone.now(), by.user_id, by.name[:120]
    merge.save(update_fields=["state", "closing_reason", "decided_at", "decided_by", "decided_actor"])
    _tell_both(merge, "reject_merge", by, reason=merge.closing_reason, clinical=False)
    return merge


def _open(merge_id: int) -> Merge:
    merge = (
        Merge.objects.select_for_update(no_key=True, of=("self",)).select_related("survivor", "merged").get(pk=merge_id)
    )
    if merge.state != State.PROPOSED:
        raise RecordingRefused({"approve": [_("This proposal has been decided already.")]})
    return merge


def _refuse(survivor: Patient, merged: Patient, reason: str, taken: Collection[str]) -> None:
    found = [
        *refusals(survivor, merged, read_records([survivor.pk, merged.pk])),
        *restriction_refusals(survivor, merged),
    ]
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why these are one person.")]})
    if found or not set(taken) <= set(DETAILS):
        raise RecordingRefused({"reason": found or [_("This cannot be taken over.")]})


def restriction_refusals(survivor: Patient, merged: Patient) -> list[str]:
    """In words, that what is restricted would stand open in the other record; empty where it would not."""
    restricted = Restriction.objects.filter(patient__in=[survivor.pk, merged.pk], lifted_at__isnull=True)
    if set(restricted.values_list("patient_id", flat=True)) == {merged.pk}:
        return [_("The other record is restricted and this one is not. Restrict this one too, or keep the other.")]
    return []


# ---- Carrying out


def _carry_out(merge: Merge, survivor: Patient, merged: Patient, *, by: Actor, now: datetime) -> Merge:
    today = today_at(survivor.clinic, now)
    before = _take_details(survivor, merged, merge.taken, today)
    copies, already = _copy_facts(survivor, merged, today)
    merge.wrote = {
        "before": before[0],
        "after": before[1],
        "facts": copies,
        "already": already,
        "exposures": _copy_exposures(survivor, merged),
        "wishes": _told_last(ContactWish, "channel", survivor, merged),
        "consents": _told_last(Consent, "purpose", survivor, merged),
        "endings": _end_hips(survivor, merged, by=by, on=today, now=now),
        "until": {model.kind: _last_id(model, survivor) for model in _BY_KIND.values()},
    }
    merge.state, merge.decided_at = State.MERGED, now
    merge.decided_by_id, merge.decided_actor = by.user_id, by.name[:120]
    merge.save(update_fields=["wrote", "state", "decided_at", "decided_by", "decided_actor"])
    Patient.objects.filter(pk=merged.pk).update(merged_into=survivor)
    _restrict_part(survivor, merged)
    for patient in (survivor, merged):
        raise_version(patient)
    _tell_both(merge, "merge_patients", by, reason=merge.reason, before=before[0], after=before[1])
    return merge


def _restrict_part(survivor: Patient, merged: Patient) -> None:
    """What becomes part of a restricted record names the same person, so it is restricted with it."""
    standing = Restriction.objects.filter(patient=survivor, lifted_at__isnull=True).first()
    if standing is not None:
        told = {"clinic_id": survivor.clinic_id, "reason": standing.reason, "set_by_id": standing.set_by_id}
        Restriction.objects.get_or_create(patient=merged, lifted_at=None, defaults=told)


def _columns(name: str) -> tuple[str, ...]:
    return (name, *ALONG.get(name, ()))


def _take_details(
    survivor: Patient, merged: Patient, taken: Iterable[str], today: date
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Set the survivor's details; what changed, as it was and as it is."""
    empty = ("", "unknown", "None")
    lacking = [n for n in DETAILS if str(getattr(survivor, n)) in empty and str(getattr(merged, n)) not in empty]
    names = [column for name in dict.fromkeys((*taken, *lacking)) for column in _columns(name)]
    before = {name: plain(getattr(survivor, name)) for name in (*names, "enrolled_on")}
    for name in names:
        setattr(survivor, name, getattr(merged, name))
    survivor.enrolled_on = min(survivor.enrolled_on, merged.enrolled_on)
    _refuse_problems(patient_problems(survivor, today))
    survivor.save(update_fields=[*names, "enrolled_on"])
    after = {name: plain(getattr(survivor, name)) for name in before}
    changed = [name for name in before if before[name] != after[name]]
    return {name: before[name] for name in changed}, {name: after[name] for name in changed}


def _refuse_problems(problems: Problems) -> None:
    refuse_if({"reason": [text for texts in problems.values() for text in texts]} if problems else {})


def _hips(patient: Patient) -> dict[str, Hip]:
    return {hip.side: hip for hip in Hip.objects.filter(patient=patient)}


def _standing(model: type[Fact], patient: Patient) -> list[Any]:
    return list(model._default_manager.filter(patient=patient, withdrawn_at__isnull=True).order_by("id"))


def _last_id(model: type[Fact], patient: Patient) -> int:
    return model._default_manager.filter(patient=patient).order_by("-id").values_list("id", flat=True).first() or 0


def _content(fact: Any, side_of: dict[int, str]) -> tuple[Any, ...]:
    values = [getattr(fact, f.attname) for f in fact._meta.concrete_fields if f.name not in _NOT_COMPARED]
    side = side_of.get(fact.hip_id, "") if isinstance(fact, HipFact) else ""
    return (fact.kind, side, *map(_hashable, values))


def _hashable(value: Any) -> Any:
    """Lists (views, adjuncts) and the items of a score can be looked up as well."""
    return json.dumps(value, sort_keys=True) if isinstance(value, list | dict) else value


def _copy_facts(survivor: Patient, merged: Patient, today: date) -> tuple[list[list[Any]], list[str]]:
    """[kind, original, copy] of each fact that came along; keys of those that the survivor had word for word."""
    to, sides = _hips(survivor), {hip.pk: hip.side for p in (survivor, merged) for hip in Hip.objects.filter(patient=p)}
    copies: list[list[Any]] = []
    already: list[str] = []
    for model in COPIED:
        known = {_content(fact, sides) for fact in _standing(model, survivor)}
        originals = _standing(model, merged)
        linked = {fact.supersedes_id for fact in originals} | {fact.pk for fact in originals if fact.supersedes_id}
        new: dict[int, int] = {}
        for fact in originals:
            if fact.pk not in linked and _content(fact, sides) in known:
                already.append(fact.key)
                continue
            copy = _copy(fact, survivor, to[sides[fact.hip_id]] if isinstance(fact, HipFact) else None)
            copy.supersedes_id = new.get(fact.supersedes_id)
            _refuse_problems(fact_problems(copy, survivor, today))
            copy.save(force_insert=True)
            new[fact.pk] = copy.pk
            copies.append([fact.kind, fact.pk, copy.pk])
    return copies, already


def _copy(fact: Any, patient: Patient, hip: Hip | None) -> Any:
    """The same fact of another record, unsaved: said by the same person, at the same time, at the same visit."""
    values = {f.attname: getattr(fact, f.attname) for f in fact._meta.concrete_fields if f.name not in _OF_THE_ROW}
    copy = type(fact)(**values, clinic=patient.clinic, patient=patient)
    if hip is not None:
        copy.hip = hip
    return copy


def _copy_exposures(survivor: Patient, merged: Patient) -> list[int]:
    standing = Exposure.objects.filter(withdrawn_at__isnull=True).order_by("id")
    known = set(standing.filter(patient=survivor).values_list("kind", "side"))
    made = []
    for exposure in standing.filter(patient=merged):
        if (exposure.kind, exposure.side) not in known:
            exposure.pk, exposure.patient = None, survivor
            exposure._state.adding = True
            exposure.save(force_insert=True)
            made.append(exposure.pk)
    return made


def _told_last(model: type[ContactWish] | type[Consent], of: str, survivor: Patient, merged: Patient) -> dict[str, Any]:
    """Of each channel or purpose what was told last holds; of the same day, the refusal. What changed, as it was."""
    rows: Any = model._default_manager
    mine = {getattr(said, of): said for said in rows.filter(patient=survivor)}
    changed: dict[str, Any] = {}
    for said in rows.filter(patient=merged).order_by(of):
        name = getattr(said, of)
        own = mine.get(name)
        if own and ((own.on, not own.allowed) >= (said.on, not said.allowed) or own.allowed == said.allowed):
            continue
        changed[name] = {"allowed": own.allowed, "how": own.how, "on": str(own.on)} if own else None
        told = {"allowed": said.allowed, "how": said.how, "on": said.on, "clinic": survivor.clinic}
        rows.update_or_create(patient=survivor, **{of: name}, defaults=told)
    return changed


def _end_hips(survivor: Patient, merged: Patient, *, by: Actor, on: date, now: datetime) -> list[int]:
    evidence = _("Merged into record %(number)s.") % {"number": survivor.record_number}
    endings = [
        Ending.objects.create(
            clinic=merged.clinic,
            patient=merged,
            hip=hip,
            on=on,
            reason=EndReason.ENTERED_IN_ERROR.value,
            evidence=evidence,
            recorded_at=now,
            recorded_by_id=by.user_id,
            actor=by.name[:120],
        )
        for _side, hip in sorted(_hips(merged).items())
    ]
    return [ending.pk for ending in endings]


def _tell_both(merge: Merge, act: str, by: Actor, **details: Any) -> None:
    for patient, other in ((merge.survivor, merge.merged), (merge.merged, merge.survivor)):
        told = dict(details)
        told["after"] = {**details.get("after", {}), "other": other.pk, "merge": merge.pk}
        tell(patient, act, by, **told)


# ---- Undoing


def facts_since(merge: Merge) -> list[Fact]:
    """The survivor's facts that were recorded after the merge, oldest first: whose they are only a person knows."""
    until = merge.wrote.get("until", {})
    found: list[Any] = []
    for kind, model in _BY_KIND.items():
        rows = model._default_manager.filter(patient=merge.survivor_id, pk__gt=until.get(kind, 0))
        found += rows.filter(withdrawn_at__isnull=True)
    return sorted(found, key=lambda fact: (fact.recorded_at, fact.pk))


def corrects_a_copy(merge: Merge, fact: Any) -> bool:
    """Whether this later fact corrects one that came along with the merge."""
    return [fact.kind, fact.supersedes_id] in [[kind, copy] for kind, _original, copy in merge.wrote["facts"]]


@transaction.atomic
def undo_merge(
    merge_id: int, *, by: Actor, reason: str, of_the_other: Collection[str] = (), now: datetime | None = None
) -> Merge:
    """Both records as they were. `of_the_other`: keys of facts recorded since that belong to the record that comes
    back; the rest stays with the survivor. What was withdrawn since as an error is withdrawn there too.

    Details that were changed since the merge stay as they are. Raises RecordingRefused.
    """
    now = now or timezone.now()
    merge = Merge.objects.select_for_update(no_key=True, of=("self",)).get(pk=merge_id)
    survivor, merged = _locked(merge.survivor_id, merge.merged_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why these are two people.")]})
    if merge.state != State.MERGED:
        raise RecordingRefused({"reason": [_("This merge does not stand any more.")]})
    later = Merge.objects.filter(survivor=survivor, state=State.MERGED, decided_at__gt=merge.decided_at)
    if survivor.merged_into_id or later.exists():
        raise RecordingRefused({"reason": [_("This record was merged again since: undo the later merge first.")]})
    said = {"withdrawn_at": now, "withdrawn_actor": by.name[:120], "withdrawn_reason": reason.strip()[:200]}
    since = {fact.key: fact for fact in facts_since(merge)}
    _give_back(merge, merged, [since[key] for key in since if key in set(of_the_other)], said)
    _withdraw_copies(merge, said)
    Exposure.objects.filter(pk__in=merge.wrote["exposures"], withdrawn_at__isnull=True).update(
        withdrawn_at=now, withdrawn_reason=reason.strip()[:200]
    )
    Ending.objects.filter(pk__in=merge.wrote["endings"], withdrawn_at__isnull=True).update(**said)
    restored = _restore_details(merge, survivor)
    _restore_wishes(merge, survivor, today_at(survivor.clinic, now))
    Patient.objects.filter(pk=merged.pk).update(merged_into=None)
    merge.state, merge.undone_at, merge.undone_actor = State.UNDONE, now, by.name[:120]
    merge.closing_reason = reason.strip()[:200]
    merge.save(update_fields=["state", "undone_at", "undone_actor", "closing_reason"])
    for patient in (survivor, merged):
        raise_version(patient)
    _tell_both(merge, "undo_merge", by, reason=merge.closing_reason, after=restored)
    return merge


def _give_back(merge: Merge, merged: Patient, facts: list[Any], said: dict[str, Any]) -> None:
    """Copy these to the record that comes back, and withdraw them where they stood."""
    to = _hips(merged)
    originals = {(kind, copy): original for kind, original, copy in merge.wrote["facts"]}
    for fact in facts:
        copy = _copy(fact, merged, to[fact.hip.side] if isinstance(fact, HipFact) else None)
        copy.supersedes_id = originals.get((fact.kind, fact.supersedes_id))
        copy.save(force_insert=True)
        originals[fact.kind, fact.pk] = copy.pk
        type(fact)._default_manager.filter(pk=fact.pk).update(**said)


def _withdraw_copies(merge: Merge, said: dict[str, Any]) -> None:
    for kind, original, copy in merge.wrote["facts"]:
        rows = _BY_KIND[kind]._default_manager
        if rows.filter(pk=copy, withdrawn_at__isnull=True).update(**said):
            continue
        error = rows.filter(pk=copy).values("withdrawn_at", "withdrawn_actor", "withdrawn_reason").get()
        rows.filter(pk=original, withdrawn_at__isnull=True).update(**error)


def _restore_details(merge: Merge, survivor: Patient) -> dict[str, Any]:
    """Put back each detail that still stands as the merge set it; what was put back."""
    before, after = merge.wrote["before"], merge.wrote["after"]
    names = [name for name in before if plain(getattr(survivor, name)) == after[name]]
    for name in names:
        field = Patient._meta.get_field(name)
        setattr(survivor, getattr(field, "attname", name), field.to_python(before[name]))  # type: ignore[union-attr]
    survivor.save(update_fields=names)
    return {name: before[name] for name in names}


def _restore_wishes(merge: Merge, survivor: Patient, today: date) -> None:
    """As they were; what was never asked about cannot be unasked, so it is a no until somebody asks."""
    never = {"allowed": False, "how": WISH_UNDONE, "on": today}
    for channel, wish in merge.wrote["wishes"].items():
        ContactWish.objects.filter(patient=survivor, channel=channel).update(**(wish or never))
    for purpose, said in merge.wrote.get("consents", {}).items():
        Consent.objects.filter(patient=survivor, purpose=purpose).update(**(said or never))
