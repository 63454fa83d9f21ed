"""Rules: the table. One row a rule: what it asks, how soon, of which hips, by which facts, on whose word.

The numbers are gaps where a rule is shown elsewhere and finds nothing (docs/guideline.md lists them). Every number
of days is the clinic's policy and stands in the protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from patients.vocabulary import Action

from . import raising
from .case import Case
from .facts import Mark
from .protocol import Protocol


class Urgency(StrEnum):
    """How soon to act, most urgent first. DATA has no deadline."""

    URGENT = "URGENT"
    SOON = "SOON"
    REVIEW = "REVIEW"
    DATA = "DATA"

    def days(self, protocol: Protocol) -> int | None:
        if self is Urgency.SOON:
            return protocol.soon_days
        if self is Urgency.REVIEW:
            return protocol.review_days
        return protocol.urgent_days if self is Urgency.URGENT else None


class Needs(StrEnum):
    """Which hips a rule speaks of, beyond being in care."""

    ANY = "any"
    DISEASED = "diseased"
    FOLLOWED = "followed"
    ENDED = "ended"


class Grade(StrEnum):
    """What a rule rests on; its number of days is policy in every case."""

    GUIDELINE = "guideline"  # the source guideline says it, mostly a secondary summary
    COHORT = "cohort"  # published series of patients
    CLASSIFICATION = "classification"  # a definition of a staging system
    POLICY = "policy"  # a safety choice of the clinic


Raise = Callable[[Case], list[Mark]]
Sentence = Callable[[Case, Mark], str]

OVERVIEW: Final = "Dr.Oracle guideline topic overview 2025"
AVN: Final = "Praxis: avascular necrosis of the femoral heads 2025"
TECHNIQUES: Final = "Praxis: core decompression techniques 2025"
DECOMPRESSION: Final = "Praxis: core decompression for avascular necrosis 2025"
HERNIGOU_2004: Final = "Hernigou 2004, J Bone Joint Surg Am: very small asymptomatic stage I lesions"
ARCO_2019: Final = "ARCO 2019 revised staging"
POLICY: Final = "Clinic policy"


@dataclass(frozen=True, slots=True)
class Rule:
    """`raised_by` is None for the rules about the calendar. `again_months`: the question is asked again so long after
    its answer. `decided` is False where no decision answers: the finding ends by what it asks for."""

    id: str
    action: Action
    urgency: Urgency
    needs: Needs
    asks: str
    because: Sentence
    sources: tuple[str, ...]
    grade: Grade
    raised_by: Raise | None = None
    decided: bool = True
    again_months: Callable[[Case], int] | None = None
    counts_for_overdue: bool = False


def _six_months(case: Case) -> int:
    return 6


def _contralateral_months(case: Case) -> int:
    return 6 if case.hip.unknown else case.protocol.clear_recheck_months


def _other_hip(case: Case, first: Mark) -> str:
    if case.hip.unknown:
        return f"The other hip is affected and nothing is known about this one; asked since {first.on}."
    seen_on = case.hip.clear_by.on if case.hip.clear_by else first.on
    return f"The latest MR without necrosis is of {seen_on}; it is to be looked at again from {first.on}."


def _lateness(case: Case, first: Mark) -> str:
    window = case.plan.window
    if window is None or window.anchor_on is None:
        return f"No complete follow-up is known; the first was due {_due(case)} and is overdue from {first.on}."
    return f"The last complete follow-up is of {window.anchor_on}; the next was due {_due(case)}, overdue {first.on}."


def _due(case: Case) -> str:
    return f"on {case.plan.window.due_on}" if case.plan.window else ""


def _silence(case: Case, first: Mark) -> str:
    anchor_on = case.hip.anchor_on
    last = f"The last complete follow-up is of {anchor_on}" if anchor_on else "No complete follow-up is known"
    return f"{last}: from {first.on} the silence is long enough to miss the pain that comes before collapse."


def _review_text(what: str) -> Sentence:
    return lambda case, first: f"{what} ({first.on})."


def _percent(case: Case) -> str:
    return f"{case.hip.lesion.percent} %"


_ROWS: Final = (
    Rule(
        "R01", Action.BASELINE_RADIOGRAPH, Urgency.REVIEW, Needs.FOLLOWED,
        asks="No day is known with an anteroposterior and a frog lateral radiograph, and the first follow-up is due.",
        because=lambda case, first: f"No radiographs in both views are known; the first were due on {first.on}.",
        sources=(OVERVIEW,), grade=Grade.GUIDELINE, decided=False,
    ),
    Rule(
        "R02", Action.BASELINE_MRI, Urgency.REVIEW, Needs.FOLLOWED,
        asks="No MR of the hip is known; it confirms, sizes and stages the lesion.",
        because=lambda case, first: f"No MR of this hip is known; asked since {first.on}.",
        sources=(OVERVIEW,), grade=Grade.GUIDELINE, raised_by=raising.no_mr, again_months=_six_months,
    ),
    Rule(
        "R03", Action.MEASURE_VOLUME, Urgency.REVIEW, Needs.DISEASED,
        asks="An MR exists, but the lesion's volume was not measured by an MRI method.",
        because=_review_text("An MR is known, but no volume measured on it"),
        sources=(OVERVIEW, AVN), grade=Grade.GUIDELINE, raised_by=raising.unmeasured_mrs,
    ),
    Rule(
        "R04", Action.ASSESS_CONTRALATERAL_HIP, Urgency.REVIEW, Needs.ANY,
        asks="The other hip is affected and this one is unknown, or was clear on MR long ago.",
        because=_other_hip, sources=(OVERVIEW, AVN), grade=Grade.GUIDELINE,
        raised_by=raising.unassessed_beside_affected, again_months=_contralateral_months,
    ),
    Rule(
        "R05", Action.IMAGE_PAINFUL_HIP, Urgency.SOON, Needs.ANY,
        asks="A hip not known to be diseased hurts, and no MR since the pain began says what it is.",
        because=_review_text("Symptoms, and no MR since they began says whether there is necrosis"),
        sources=(OVERVIEW, "Nakamura 2010: new lesions in SLE"), grade=Grade.COHORT,
        raised_by=raising.painful_unimaged, again_months=_six_months, counts_for_overdue=True,
    ),
    Rule(
        "R09", Action.LARGE_LESION_REVIEW, Urgency.REVIEW, Needs.DISEASED,
        asks="A measured volume of 30 % or more before collapse: observation alone is not enough.",
        because=lambda case, first: f"A volume of {case.protocol.large_lesion_percent} % or more ({first.on}).",
        sources=(OVERVIEW, AVN, "Nishii 2002: collapse by 3-D volume"), grade=Grade.COHORT,
        raised_by=raising.large_lesion, counts_for_overdue=True,
    ),
    Rule(
        "R10", Action.SECOND_READING, Urgency.DATA, Needs.DISEASED,
        asks="A volume so near the cut of 30 % that a second reading could change the plan.",
        because=lambda case, first: f"The volume of {_percent(case)} ({first.on}) is close to the cut of 30 %.",
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.borderline_volume,
    ),
    Rule(
        "R11", Action.CORE_DECOMPRESSION_REVIEW, Urgency.SOON, Needs.DISEASED,
        asks="Symptoms in a diseased hip before collapse: core decompression may still save the head.",
        because=lambda case, first: f"Symptoms since {first.on} in a diseased hip before collapse.",
        sources=(OVERVIEW, TECHNIQUES), grade=Grade.GUIDELINE, raised_by=raising.new_symptoms, counts_for_overdue=True,
    ),
    Rule(
        "R12", Action.WORSENING_REVIEW, Urgency.SOON, Needs.DISEASED,
        asks="More pain than when it was last decided, or an outcome score well below the best of twelve months.",
        because=_review_text("Pain or a score is worse than before"),
        sources=(POLICY, "Farrar 2001: change in numerical pain rating"), grade=Grade.POLICY,
        raised_by=raising.worsening, counts_for_overdue=True,
    ),
    Rule(
        "R13", Action.URGENT_RADIOGRAPH, Urgency.URGENT, Needs.ANY,
        asks="Sudden worsening, night pain or no weight bearing: fracture, collapse or infection is possible.",
        because=lambda case, first: f"An alarm sign reported on {first.on} has not been explained or denied.",
        sources=(POLICY, "Sudden pain marks collapse (PMC6213842)"), grade=Grade.POLICY,
        raised_by=raising.open_alarms, decided=False, counts_for_overdue=True,
    ),
    Rule(
        "R14", Action.COLLAPSE_REVIEW, Urgency.SOON, Needs.DISEASED,
        asks="Early collapse: a crescent or a depression of at most 2 mm, or a stage that says so.",
        because=_review_text("Early collapse, or a change in a hip with it"),
        sources=(ARCO_2019,), grade=Grade.CLASSIFICATION, raised_by=raising.early_collapse, counts_for_overdue=True,
    ),
    Rule(
        "R15", Action.CT_HIP, Urgency.SOON, Needs.DISEASED,
        asks="Collapse is suspected, or an alarm is unexplained by its radiograph, and no CT has judged it.",
        because=_review_text("Collapse is suspected, or an alarm is not explained by the radiograph"),
        sources=(TECHNIQUES, DECOMPRESSION), grade=Grade.GUIDELINE,
        raised_by=raising.suspected_collapse, counts_for_overdue=True,
    ),
    Rule(
        "R16", Action.CONSIDER_CT, Urgency.REVIEW, Needs.DISEASED,
        asks="Marrow oedema on MR without a fracture on radiographs: CT may show one.",
        because=_review_text("Bone marrow oedema on MR and no CT since"),
        sources=("CT and MRI in symptomatic osteonecrosis (Eur Radiol 2014)",), grade=Grade.COHORT,
        raised_by=raising.oedema_without_ct,
    ),
    Rule(
        "R17", Action.ARTHROPLASTY_REVIEW, Urgency.REVIEW, Needs.DISEASED,
        asks="Late collapse or osteoarthritis: replacement is the question.",
        because=_review_text("Late collapse or osteoarthritis, or a change in a hip with it"),
        sources=(OVERVIEW, AVN, ARCO_2019), grade=Grade.GUIDELINE,
        raised_by=raising.late_collapse, counts_for_overdue=True,
    ),
    Rule(
        "R18", Action.STAGE_PROGRESSION_REVIEW, Urgency.SOON, Needs.DISEASED,
        asks="A stage reading above every earlier one, still before collapse.",
        because=_review_text("The stage has risen above every earlier reading"),
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.stage_progression, counts_for_overdue=True,
    ),
    Rule(
        "R19", Action.STAGE_CONFLICT, Urgency.DATA, Needs.ANY,
        asks="A stage reading below an earlier one. Stages do not heal: one of the two is wrong.",
        because=_review_text("A stage reading is lower than the highest one before it"),
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.stage_conflict,
    ),
    Rule(
        "R20", Action.REPEAT_VIEWS, Urgency.REVIEW, Needs.FOLLOWED,
        asks="A radiograph since the last follow-up is unreadable or lacks a view.",
        because=lambda case, first: f"The radiograph of {first.on} is unreadable or lacks a view.",
        sources=(OVERVIEW, HERNIGOU_2004), grade=Grade.GUIDELINE, decided=False,
    ),
    Rule(
        "R21", Action.OVERDUE_RADIOGRAPH, Urgency.SOON, Needs.FOLLOWED,
        asks="The follow-up has not been completed in its window.",
        because=_lateness, sources=(TECHNIQUES, HERNIGOU_2004, POLICY), grade=Grade.POLICY, decided=False,
    ),
    Rule(
        "R22", Action.SURVEILLANCE_GAP, Urgency.SOON, Needs.FOLLOWED,
        asks="So long without a complete follow-up that the whole warning time may have passed unseen.",
        because=_silence, sources=(TECHNIQUES, HERNIGOU_2004), grade=Grade.GUIDELINE, decided=False,
    ),
    Rule(
        "R25", Action.PROTECTED_WEIGHT_BEARING, Urgency.DATA, Needs.DISEASED,
        asks="Weight bearing is protected after a core decompression, against fracture.",
        because=lambda case, first: (
            f"Core decompression on {first.on}: protected for {case.protocol.protected_weight_bearing_days} days."
        ),
        sources=(TECHNIQUES, DECOMPRESSION), grade=Grade.GUIDELINE, decided=False,
    ),
    Rule(
        "R26", Action.DECOMPRESSION_FAILURE_REVIEW, Urgency.SOON, Needs.DISEASED,
        asks="After a core decompression: a higher phase, the first crescent, or the pain from before.",
        because=_review_text("A higher phase, a first crescent or the old pain after the core decompression"),
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.decompression_failure, counts_for_overdue=True,
    ),
    Rule(
        "R28", Action.DECISION_OVERDUE, Urgency.SOON, Needs.ANY,
        asks="A review has waited too long for its decision.",
        because=lambda case, first: f"Asked since {first.on} and not decided in {_waited(case)} days.",
        sources=(POLICY,), grade=Grade.POLICY, decided=False,
    ),
    Rule(
        "R30", Action.HIGH_RISK_LOCATION_REVIEW, Urgency.REVIEW, Needs.DISEASED,
        asks="A lesion below 30 % in a place that often collapses: JIC type C2, or a high modified Kerboul angle.",
        because=_review_text("A lesion below 30 % in a place that often collapses"),
        sources=("Kuroda 2019: collapse by JIC type", "Ha 2006: modified Kerboul angle"), grade=Grade.COHORT,
        raised_by=raising.high_risk_location, counts_for_overdue=True,
    ),
    Rule(
        "R36", Action.CHECK_VOLUME, Urgency.DATA, Needs.ANY,
        asks="Percent and cm3 of one study imply a femoral head no adult has.",
        because=_review_text("Percent and cm3 of the lesion do not fit each other"),
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.inconsistent_volume,
    ),
    Rule(
        "R41", Action.REVIEW_ENDING, Urgency.SOON, Needs.ENDED,
        asks="Something was recorded here after the hip was transferred, declined or discharged.",
        because=_review_text("Something was recorded after the end of follow-up"),
        sources=(POLICY,), grade=Grade.POLICY, raised_by=raising.recorded_after_end,
    ),
    Rule(
        "R42", Action.RECORD_CLINICAL_REVIEW, Urgency.SOON, Needs.FOLLOWED,
        asks="Radiographs in both views that only lack a clinician's report to complete the follow-up.",
        because=lambda case, first: (
            f"The radiographs of {first.on} need a clinician's report within {case.protocol.pairing_days} days."
        ),
        sources=(POLICY,), grade=Grade.POLICY, decided=False,
    ),
)  # fmt: skip


def _waited(case: Case) -> int:
    return case.protocol.decision_overdue_days


RULES: Final[dict[str, Rule]] = {rule.id: rule for rule in _ROWS}
