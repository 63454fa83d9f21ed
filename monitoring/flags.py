"""Flags: make the stored findings those of the evaluation, by natural key; nobody types them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from patients.access import Viewer

from .models import Flag

CONTENT = ("action", "urgency", "act_by", "step", "because", "evidence", "sources")


@dataclass(frozen=True, slots=True)
class HipFindings:
    """What stands of one hip now, as the answer's JSON with dates as dates."""

    clinic_id: int
    patient_id: int
    hip_id: int
    findings: tuple[Mapping[str, Any], ...]


def reconcile_flags(wanted: Mapping[int, HipFindings], now: datetime) -> None:
    """Open, bring up to date and close the flags of these hips (by id); a finding that returns opens its old row."""
    stored: dict[tuple[int, str, Any], Flag] = {}
    for flag in Flag.objects.filter(hip__in=list(wanted)):
        stored[flag.hip_id, flag.rule, flag.since] = flag
    new: list[Flag] = []
    changed: list[Flag] = []
    standing = set()
    for hip in wanted.values():
        for finding in hip.findings:
            key = (hip.hip_id, finding["rule"], finding["since"])
            standing.add(key)
            content = {name: finding[name] for name in CONTENT}
            known = stored.get(key)
            if known is None:
                new.append(_opened(hip, finding, content, now))
            elif known.closed_at is not None or any(getattr(known, name) != content[name] for name in CONTENT):
                _follow(known, content, now)
                changed.append(known)
    for key, flag in stored.items():
        if key not in standing and flag.closed_at is None:
            flag.closed_at = now
            changed.append(flag)
    if new:
        Flag.objects.bulk_create(new)
    if changed:
        Flag.objects.bulk_update(changed, [*CONTENT, "opened_at", "closed_at"])


def _opened(hip: HipFindings, finding: Mapping[str, Any], content: dict[str, Any], now: datetime) -> Flag:
    return Flag(
        clinic_id=hip.clinic_id,
        patient_id=hip.patient_id,
        hip_id=hip.hip_id,
        rule=finding["rule"],
        since=finding["since"],
        opened_at=now,
        **content,
    )


def _follow(flag: Flag, content: dict[str, Any], now: datetime) -> None:
    if flag.closed_at is not None:
        flag.opened_at, flag.closed_at = now, None
    for name, value in content.items():
        setattr(flag, name, value)


def open_flags_for(viewer: Viewer) -> QuerySet[Flag]:
    return Flag.objects.filter(clinic_id__in=viewer.clinic_ids, closed_at__isnull=True)
