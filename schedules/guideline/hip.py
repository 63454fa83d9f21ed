"""Hip: everything derived about one hip, and about the patient, from the facts that exist on a day.

It is derived whatever the pathway, and nothing here depends on the day beyond which facts exist on it, except age.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from patients.record import HipRecord, Imaging, PatientRecord, Symptom
from patients.vocabulary import Condition, EndReason, Side

from .facts import HipFacts, Mark, days_with_both_views, hip_facts, in_force
from .lesion import UNKNOWN, Lesion, Run, read_lesion, run_of
from .protocol import Protocol
from .stages import Stages, read_stages
from .symptoms import CLINICIAN, Course, read_course
from .windows import add_days, birthday


class RiskFactor(StrEnum):
    EFFUSION_INCREASED = "effusion_increased"
    MARROW_EDEMA = "marrow_edema"
    AGE_OVER_40 = "age_over_40"
    BMI_OVER_24 = "bmi_over_24"


@dataclass(frozen=True, slots=True)
class Patient:
    """The person on a day. `ages_on` is the birthday that is still to come and will change the risk factors."""

    as_of: date
    enrolled_on: date
    died_on: date | None
    sickle_cell: bool
    older: Run
    heavier: Run
    ages_on: date | None


@dataclass(frozen=True, slots=True)
class Hip:
    side: Side
    facts: HipFacts
    stages: Stages
    lesion: Lesion
    course: Course
    diseased_by: Mark | None
    clear_by: Mark | None  # the latest MR that says so
    risks: tuple[Run, Run, Run, Run]  # in the order of RiskFactor
    view_days: list[date]
    anchor_on: date | None

    @property
    def diseased(self) -> bool:
        return self.diseased_by is not None

    @property
    def unknown(self) -> bool:
        return self.diseased_by is None and self.clear_by is None

    @property
    def affected_by(self) -> Mark | None:
        """The first fact by which the hip is diseased or replaced, unless it was entered in error."""
        if any(ending.reason is EndReason.ENTERED_IN_ERROR for ending in self.facts.endings):
            return None
        marks = [mark for mark in (self.diseased_by, *self.facts.replacements[:1]) if mark]
        return min(marks, key=lambda mark: mark.on, default=None)

    @property
    def decompressed_on(self) -> date | None:
        return self.facts.decompressions[-1].on if self.facts.decompressions else None

    @property
    def risk_factors(self) -> tuple[RiskFactor, ...]:
        return tuple(factor for factor, run in zip(RiskFactor, self.risks, strict=True) if run.holds)

    @property
    def unknown_risk_factors(self) -> tuple[RiskFactor, ...]:
        return tuple(factor for factor, run in zip(RiskFactor, self.risks, strict=True) if run.holds is None)


def read_patient(record: PatientRecord, protocol: Protocol, as_of: date) -> Patient:
    died_on = record.died_on if record.died_on is not None and record.died_on <= as_of else None
    older, ages_on = UNKNOWN, None
    if record.born_on is not None:
        over_on = birthday(record.born_on, protocol.age_over_years + 1)
        older = Run(True, over_on) if over_on <= (died_on or as_of) else Run(False)
        ages_on = over_on if died_on is None and over_on > as_of else None
    return Patient(
        as_of=as_of,
        enrolled_on=record.enrolled_on,
        died_on=died_on,
        sickle_cell=Condition.SICKLE_CELL in record.conditions,
        older=older,
        heavier=run_of((bmi.on, bmi.value > protocol.bmi_over) for bmi in in_force(record.bmi, as_of)),
        ages_on=ages_on,
    )


def read_hip(record: HipRecord, patient: Patient, protocol: Protocol) -> Hip:
    facts = hip_facts(record, patient.as_of)
    stages = read_stages(facts, protocol)
    diseased_by = _diseased_by(facts, stages)
    view_days = days_with_both_views(facts.films)
    return Hip(
        side=record.side,
        facts=facts,
        stages=stages,
        lesion=read_lesion(facts, protocol),
        course=read_course(facts, protocol),
        diseased_by=diseased_by,
        clear_by=_clear_by(facts.mrs) if diseased_by is None else None,
        risks=(*_image_risks(facts.readable, protocol), patient.older, patient.heavier),
        view_days=view_days,
        anchor_on=_anchor_on(view_days, facts.symptoms, protocol),
    )


def _diseased_by(facts: HipFacts, stages: Stages) -> Mark | None:
    """The first fact by which the hip is diseased: necrosis seen, a phase, or a core decompression."""
    necrosis = next((Mark(study.on, study.id) for study in facts.readable if study.necrosis), None)
    marks = [mark for mark in (necrosis, stages.first, *facts.decompressions[:1]) if mark]
    return min(marks, key=lambda mark: mark.on, default=None)


def _clear_by(mrs: list[Imaging]) -> Mark | None:
    """The latest MR whose necrosis is known; of a hip that is not diseased it can only say no."""
    return next((Mark(mr.on, mr.id) for mr in reversed(mrs) if mr.necrosis is not None), None)


def _image_risks(readable: list[Imaging], protocol: Protocol) -> tuple[Run, Run]:
    return (
        run_of(
            (study.on, study.effusion_grade >= protocol.effusion_increased_grade)
            for study in readable
            if study.effusion_grade is not None
        ),
        run_of((study.on, study.marrow_edema) for study in readable if study.marrow_edema is not None),
    )


def _anchor_on(view_days: list[date], reports: list[Symptom], protocol: Protocol) -> date | None:
    """The latest complete follow-up: both views on one day, and a clinician's report close to it."""
    seen = [report.on for report in reports if report.source is CLINICIAN]
    for day in reversed(view_days):
        nearest = bisect_left(seen, add_days(day, -protocol.pairing_days))
        if nearest < bisect_right(seen, add_days(day, protocol.pairing_days)):
            return day
    return None
