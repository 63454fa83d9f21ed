"""Flags: make the stored findings those of the evaluation, by natural key; nobody types them in."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from patients.access import Viewer
from patients.prepared import Steps
from patients.rows import put_rows

from .models import Flag

CONTENT = ("action", "urgency", "act_by", "step", "because", "evidence", "sources")
_OPEN = (
    "SELECT id, hip_id, rule, since, action, urgency, act_by, step, because, evidence::json, sources::json"
    " FROM monitoring_flag WHERE patient_id = ANY(%s::bigint[]) AND closed_at IS NULL"
)
_CLOSE = "UPDATE monitoring_flag SET closed_at = %s WHERE id = ANY(%s::bigint[])"
_OPENED_AT = "CASE WHEN old.closed_at IS NULL THEN old.opened_at ELSE excluded.opened_at END"


@dataclass(frozen=True, slots=True)
class HipFindings:
    """What stands of one hip now, as the answer's JSON with dates as dates."""

    clinic_id: int
    patient_id: int
    hip_id: int
    findings: tuple[Mapping[str, Any], ...]


def reconciling_flags(wanted: Mapping[int, HipFindings], now: datetime) -> Steps:
    """Open, bring up to date and close the flags of these hips (by id); a finding that returns opens its old row."""
    patients = sorted({hip.patient_id for hip in wanted.values()})
    (rows,) = yield [(_OPEN, [patients])]
    standing = {(hip_id, rule, since): (pk, content) for pk, hip_id, rule, since, *content in rows if hip_id in wanted}
    put: list[dict[str, Any]] = []
    for hip in wanted.values():
        for finding in hip.findings:
            _pk, content = standing.pop((hip.hip_id, finding["rule"], finding["since"]), (None, None))
            if content != [finding[name] for name in CONTENT]:
                put.append(_row(hip, finding, now))
    closed = [pk for pk, _content in standing.values()]
    yield [
        *put_rows(Flag, put, key=("hip_id", "rule", "since"), but={"opened_at": _OPENED_AT}),
        *([(_CLOSE, [now, closed])] if closed else []),
    ]


def _row(hip: HipFindings, finding: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "clinic_id": hip.clinic_id,
        "patient_id": hip.patient_id,
        "hip_id": hip.hip_id,
        "rule": finding["rule"],
        "since": finding["since"],
        "opened_at": now,
        "closed_at": None,
        **{name: finding[name] for name in CONTENT},
    }


def open_flags_for(viewer: Viewer) -> QuerySet[Flag]:
    return Flag.objects.filter(clinic_id__in=viewer.clinic_ids, closed_at__isnull=True)
