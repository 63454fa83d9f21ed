"""Builders: short words for the facts of a history, so that a case reads as a clinician would tell it."""

from datetime import date
from itertools import count
from typing import Any

from schedules.guideline.evaluation import Answer, HipAnswer, evaluate
from schedules.guideline.protocol import DEFAULT, Protocol
from schedules.guideline.reading import read_record

ENROLLED = "2026-01-10"
BORN = "1990-03-10"
Fact = tuple[str, dict[str, Any]]
_ids = count(1)


def fact(list_name: str, on: str, **values: Any) -> Fact:
    return list_name, {"id": f"x{next(_ids)}", "on": on, **values}


def study(modality: str, on: str, **signs: Any) -> Fact:
    return fact("imaging", on, modality=modality, **signs)


def mr(on: str, percent: Any = None, **signs: Any) -> Fact:
    size = {} if percent is None else {"lesion_volume_percent": percent, "volume_method": "MRI_SLICE_SUM"}
    return study("MR", on, **({"necrosis": True} | size | signs))


def clear_mr(on: str, **signs: Any) -> Fact:
    return study("MR", on, necrosis=False, **signs)


def films(on: str, **signs: Any) -> Fact:
    return study("XR", on, views=["AP_PELVIS", "FROG_LATERAL"], **signs)


def ap_only(on: str, **signs: Any) -> Fact:
    return study("XR", on, views=["AP"], **signs)


def ct(on: str, **signs: Any) -> Fact:
    return study("CT", on, **signs)


def seen(on: str, nrs: int | None = 0, **signs: Any) -> Fact:
    return fact("symptoms", on, source="clinician", pain_nrs=nrs, **signs)


def told(on: str, nrs: int | None = 0, **signs: Any) -> Fact:
    return fact("symptoms", on, source="patient", pain_nrs=nrs, **signs)


def stage(on: str, code: str, system: str = "ARCO", version: str = "2019") -> Fact:
    return fact("stagings", on, system=system, version=version, code=code)


def decided(on: str, action: str, outcome: str = "observe") -> Fact:
    return fact("decisions", on, action=action, outcome=outcome)


def operated(on: str) -> Fact:
    return fact("procedures", on, kind="CORE_DECOMPRESSION")


def replaced(on: str) -> Fact:
    return fact("procedures", on, kind="THA")


def score(on: str, value: Any, instrument: str = "HHS") -> Fact:
    return fact("scores", on, instrument=instrument, value=value)


def place(on: str, jic: str | None = None, kerboul: Any = None) -> Fact:
    return fact("locations", on, jic_type=jic, kerboul_modified_degrees=kerboul)


def ended(on: str, reason: str = "transferred", **values: Any) -> Fact:
    return fact("endings", on, reason=reason, **values)


def replacing(newer: Fact, *, instead_of: Fact) -> Fact:
    newer[1]["supersedes"] = instead_of[1]["id"]
    return newer


def visit(on: str, nrs: int = 0) -> tuple[Fact, Fact]:
    """A complete follow-up."""
    return films(on), seen(on, nrs)


def silent_lesion() -> tuple[Fact, ...]:
    """Enrolled with 12 %, ARCO I, no pain, both views: due every six months, next on 10 July."""
    return mr(ENROLLED, 12), films(ENROLLED), seen(ENROLLED), stage(ENROLLED, "I")


def record_of(left: tuple[Fact, ...], right: tuple[Fact, ...] = (), **patient: Any) -> dict[str, Any]:
    hips = [{"side": side, **_lists(facts)} for side, facts in (("left", left), ("right", right))]
    return {"patient": {"born_on": BORN, "enrolled_on": ENROLLED} | patient, "hips": hips}


def _lists(facts: tuple[Fact, ...]) -> dict[str, list[dict[str, Any]]]:
    lists: dict[str, list[dict[str, Any]]] = {}
    for kind, values in facts:
        lists.setdefault(kind, []).append(values)
    return lists


def answer_to(record: dict[str, Any], as_of: str, protocol: Protocol = DEFAULT) -> Answer:
    return evaluate(read_record(record), protocol, date.fromisoformat(as_of))


def left_hip(*facts: Fact, as_of: str, protocol: Protocol = DEFAULT, **patient: Any) -> HipAnswer:
    """The left hip's answer, beside a right hip that an MR of the day of enrolment showed clear."""
    return answer_to(record_of(facts, (clear_mr(ENROLLED),), **patient), as_of, protocol).hips[0]


def asked_of(hip: HipAnswer) -> dict[str, str]:
    """The rules that are present, each with its day."""
    return {finding.rule: finding.since.isoformat() for finding in hip.findings}
