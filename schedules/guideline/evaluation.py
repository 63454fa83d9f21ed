"""Evaluation: from a record, a protocol and a day to the answer. It reads no clock and no database.

The same three give the same answer for ever, so an old decision is reproduced by naming its date and protocol.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from patients.record import PatientRecord
from patients.vocabulary import Side

from .case import Case
from .findings import Finding, finding_of, in_order, spells_of
from .hip import Hip, Patient, RiskFactor, read_hip, read_patient
from .lesion import SizeBand
from .pathways import Pathway, plan_for
from .protocol import Protocol
from .reasons import reason_for
from .stages import Phase
from .timed import Spell
from .windows import Status, Window


@dataclass(frozen=True, slots=True)
class HipAnswer:
    """What follows for one hip. Without follow-up there is no window, no status and no interval."""

    side: Side
    pathway: Pathway
    phase: Phase | None
    size_band: SizeBand | None
    volume_percent: Decimal | None
    symptomatic: bool | None
    risk_factors: tuple[RiskFactor, ...]
    unknown_risk_factors: tuple[RiskFactor, ...]
    interval_months: int | None
    window: Window | None
    status: Status | None
    next_change_on: date | None
    because: str
    findings: tuple[Finding, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "side": self.side.value,
            "pathway": self.pathway.value,
            "phase": self.phase.name if self.phase else None,
            "size_band": self.size_band.value if self.size_band else None,
            "volume_percent": _number(self.volume_percent),
            "symptomatic": self.symptomatic,
            "risk_factors": [factor.value for factor in self.risk_factors],
            "unknown_risk_factors": [factor.value for factor in self.unknown_risk_factors],
            "interval_months": self.interval_months,
            "window": self.window.to_json() if self.window else None,
            "status": self.status.value if self.status else None,
            "next_change_on": self.next_change_on.isoformat() if self.next_change_on else None,
            "because": self.because,
            "findings": [finding.to_json() for finding in self.findings],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """What follows for the patient: the two hips, left first, and the earlier of their due dates."""

    protocol: str
    as_of: date
    due_on: date | None
    hips: tuple[HipAnswer, HipAnswer]

    def hip(self, side: Side) -> HipAnswer:
        return self.hips[0] if side is Side.LEFT else self.hips[1]

    def to_json(self) -> dict[str, Any]:
        """The answer as plain JSON values, in the shape of docs/assess.schema.json."""
        return {
            "protocol": self.protocol,
            "as_of": self.as_of.isoformat(),
            "due_on": self.due_on.isoformat() if self.due_on else None,
            "hips": [hip.to_json() for hip in self.hips],
        }


def evaluate(record: PatientRecord, protocol: Protocol, as_of: date) -> Answer:
    """What the guideline asks of both hips on a day, by the facts dated up to it."""
    patient = read_patient(record, protocol, as_of)
    left = read_hip(record.left, patient, protocol)
    right = read_hip(record.right, patient, protocol)
    hips = (_answer(left, right, patient, protocol), _answer(right, left, patient, protocol))
    due = [hip.window.due_on for hip in hips if hip.window]
    return Answer(str(protocol), as_of, min(due, default=None), hips)


def _answer(hip: Hip, other: Hip, patient: Patient, protocol: Protocol) -> HipAnswer:
    plan = plan_for(hip, other, patient, protocol)
    case = Case(hip, other, patient, plan, protocol)
    spells = spells_of(case)
    today = patient.as_of
    present = [spell for spell in spells if spell.from_on <= today and (spell.until is None or today < spell.until)]
    return HipAnswer(
        side=hip.side,
        pathway=plan.pathway,
        phase=hip.stages.phase,
        size_band=hip.lesion.band,
        volume_percent=hip.lesion.percent,
        symptomatic=hip.course.symptomatic,
        risk_factors=hip.risk_factors,
        unknown_risk_factors=hip.unknown_risk_factors,
        interval_months=plan.interval_months,
        window=plan.window,
        status=plan.window.status(today) if plan.window else None,
        next_change_on=_next_change_on(case, spells),
        because=reason_for(case),
        findings=in_order([finding_of(spell, case) for spell in present]),
    )


def _next_change_on(case: Case, spells: list[Spell]) -> date | None:
    """The first later day on which the answer differs with no new fact.

    By the facts known today an answer changes only where a status or a finding begins or ends, at enrolment, and on
    the birthday that adds a risk factor. At each of these it does change, so the earliest one is the day.
    """
    patient, window = case.patient, case.plan.window
    days = [patient.ages_on, patient.enrolled_on if patient.died_on is None else None]
    if window:
        days += (window.opens_on, window.due_on, window.overdue_on, window.gap_on)
    for spell in spells:
        days += (spell.from_on, spell.until)
    return min((day for day in days if day is not None and day > patient.as_of), default=None)


def _number(value: Decimal | None) -> int | float | None:
    """A JSON number equal to the decimal as it was written, up to the digits of a double."""
    if value is None:
        return None
    whole = value.as_tuple().exponent == 0
    return int(value) if whole else float(value)
