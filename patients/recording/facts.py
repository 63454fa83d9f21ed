"""Facts: adding what was found, said, done or decided of a hip; correcting and withdrawing it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from ..changes import Actor
from ..models import Decision, Ending, Fact, Hip, HipFact, Patient, Visit
from ..plausibility import fact_problems
from ..vocabulary import EndReason, Side
from .common import (
    Problems,
    RecordingRefused,
    field_problems,
    lock_patient,
    plain,
    raise_version,
    refuse_closed,
    refuse_if,
    tell,
    today_at,
)

FARTHEST_FOLLOW_UP = timedelta(days=2 * 366)  # after the decision; appointments are not booked farther ahead, either


@dataclass(frozen=True)
class Recorded:
    """What was saved: the facts in the order given, and the visit that groups them."""

    facts: tuple[Fact, ...]
    visit: Visit | None


@transaction.atomic
def record_facts(
    patient_id: int,
    facts: Sequence[tuple[Side | None, Fact]],
    *,
    by: Actor,
    visit: Visit | None = None,
    act: str = "record_facts",
    reason: str = "",
    expected_version: int | None = None,
    now: datetime | None = None,
) -> Recorded:
    """Add unsaved facts, each with its side (None for the person's own), and announce them as one change.

    All are checked before any is saved. Raises RecordingRefused with problems keyed "INDEX.FIELD", StaleRecord.
    """
    now = now or timezone.now()
    patient = lock_patient(patient_id, expected_version=expected_version)
    refuse_closed(patient)
    hips = {Side(hip.side): hip for hip in patient.hips.all()}
    today = today_at(patient.clinic, now)
    problems: Problems = {} if facts else {"facts": [_("There is nothing to record.")]}
    for index, (side, fact) in enumerate(facts):
        _stamp(fact, patient, by, now)
        if isinstance(fact, HipFact):
            if side is None:
                raise RecordingRefused({f"{index}.side": [_("Say which hip.")]})
            fact.hip = hips[side]
        problems |= {f"{index}.{field}": texts for field, texts in _problems_of(fact, patient, today).items()}
    refuse_if(problems)
    if visit is not None:
        _stamp(visit, patient, by, now)
        visit.save(force_insert=True)
    saved = tuple(fact for _side, fact in facts)
    for fact in saved:
        fact.visit = visit
    for model in dict.fromkeys(type(fact) for fact in saved):
        model._default_manager.bulk_create([fact for fact in saved if type(fact) is model])
    raise_version(patient)
    tell(
        patient,
        act,
        by,
        facts=tuple((fact.kind, fact.pk) for fact in saved),
        after={f"{fact.kind}-{fact.pk}": _summary(fact) for fact in saved},
        reason=reason,
    )
    return Recorded(facts=saved, visit=visit)


def _stamp(row: Fact | Visit, patient: Patient, by: Actor, now: datetime) -> None:
    row.clinic, row.patient, row.recorded_at = patient.clinic, patient, now
    row.actor, row.recorded_by_id = by.name[:120], by.user_id


def _problems_of(fact: Fact, patient: Patient, today: date) -> Problems:
    found = field_problems(fact, exclude={"clinic", "patient", "hip", "visit", "supersedes", "recorded_by"})
    for field, texts in fact_problems(fact, patient, today).items():
        found.setdefault(field, []).extend(texts)
    # Not among the plausibilities, which bind what is stored already, too: a merge copies it as it is.
    if isinstance(fact, Decision) and fact.next_on and fact.on and fact.next_on - fact.on > FARTHEST_FOLLOW_UP:
        found.setdefault("next_on", []).append(_("This is more than two years after the decision."))
    return found


_NOT_CONTENT = frozenset(
    {"id", "clinic", "patient", "visit", "recorded_at", "recorded_by", "actor"}
    | {"withdrawn_at", "withdrawn_actor", "withdrawn_reason"}
)


def _summary(fact: Fact) -> dict[str, Any]:
    values = {f.name: getattr(fact, f.attname) for f in fact._meta.concrete_fields if f.name not in _NOT_CONTENT}
    return {
        name: [str(item) for item in value] if isinstance(value, list) else plain(value)
        for name, value in values.items()
        if value not in (None, "", [])
    }


def record_decision(
    hip: Hip,
    *,
    by: Actor,
    on: date,
    action: str,
    outcome: str,
    reason: str,
    consequence: str = "",
    next_on: date | None = None,
    now: datetime | None = None,
) -> Decision:
    """Answer a finding. The reason is required; any outcome answers facts dated up to `on`, none later."""
    decision = Decision(
        on=on, action=action, outcome=outcome, reason=reason.strip(), consequence=consequence.strip(), next_on=next_on
    )
    record_facts(
        hip.patient_id, [(Side(hip.side), decision)], by=by, act="record_decision", reason=reason.strip(), now=now
    )
    return decision


def end_follow_up(
    hip: Hip,
    *,
    by: Actor,
    on: date,
    reason: EndReason,
    evidence: str,
    receiving_clinic: str = "",
    now: datetime | None = None,
) -> Ending:
    """End this hip's surveillance for one of the closed list of reasons, with evidence. Raises RecordingRefused."""
    ending = Ending(on=on, reason=reason.value, evidence=evidence.strip(), receiving_clinic=receiving_clinic.strip())
    record_facts(
        hip.patient_id, [(Side(hip.side), ending)], by=by, act="end_follow_up", reason=evidence.strip(), now=now
    )
    return ending


def reopen_follow_up(ending: Ending, *, by: Actor, on: date, reason: str, now: datetime | None = None) -> Ending:
    """Take an ending back: the hip is followed again from `on`."""
    reopened = Ending(
        on=on,
        reason=EndReason.REOPENED.value,
        evidence=reason.strip(),
        supersedes=ending,
        correction_reason=reason.strip()[:200],
    )
    record_facts(
        ending.patient_id,
        [(Side(ending.hip.side), reopened)],
        by=by,
        act="reopen_follow_up",
        reason=reason.strip(),
        now=now,
    )
    return reopened


def withdraw_fact(fact: Fact, *, by: Actor, reason: str, now: datetime | None = None) -> None:
    """Mark a fact as entered in error: its row stays, the evaluation no longer reads it."""
    withdraw_facts([fact], by=by, reason=reason, now=now)


@transaction.atomic
def withdraw_facts(facts: Sequence[Fact], *, by: Actor, reason: str, now: datetime | None = None) -> None:
    """Mark facts of one patient as entered in error, as one change: all of them or, where one was already, none."""
    patient = lock_patient(facts[0].patient_id)
    refuse_closed(patient)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say why this was entered in error.")]})
    said = {"withdrawn_actor": by.name[:120], "withdrawn_reason": reason.strip()[:200]}
    for model in dict.fromkeys(type(fact) for fact in facts):
        ids = {fact.pk for fact in facts if type(fact) is model}
        standing = model._default_manager.filter(pk__in=ids, patient=patient, withdrawn_at__isnull=True)
        if standing.update(withdrawn_at=now or timezone.now(), **said) != len(ids):
            raise RecordingRefused({"fact": [_("This was withdrawn already.")]})
    raise_version(patient)
    tell(patient, "withdraw_fact", by, before={fact.key: _summary(fact) for fact in facts}, reason=reason.strip())
