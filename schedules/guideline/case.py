"""Case: what a rule looks at, one hip of one patient with its plan, under one protocol."""

from dataclasses import dataclass
from datetime import date

from .hip import Hip, Patient
from .pathways import OUT_OF_CARE, Plan
from .protocol import Protocol


@dataclass(frozen=True, slots=True)
class Case:
    hip: Hip
    other: Hip
    patient: Patient
    plan: Plan
    protocol: Protocol

    @property
    def in_care(self) -> bool:
        """A living, enrolled, native hip whose follow-up has not ended."""
        return self.plan.pathway not in OUT_OF_CARE

    @property
    def earliest_since(self) -> date:
        """No deadline begins before enrolment or the latest reopening: imported history is not late."""
        return max(self.patient.enrolled_on, self.hip.facts.reopened_on or self.patient.enrolled_on)
