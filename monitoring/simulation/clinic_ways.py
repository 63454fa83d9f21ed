"""Clinic ways: what invented clinicians decide, why, and how long it takes until what was asked for is done.

The shares are inventions that make every list of the demonstration believable; no study stands behind them.
"""

from typing import Final

from patients.vocabulary import Action, Outcome

DECIDED: Final = {
    Action.CORE_DECOMPRESSION_REVIEW,
    Action.LARGE_LESION_REVIEW,
    Action.HIGH_RISK_LOCATION_REVIEW,
    Action.COLLAPSE_REVIEW,
    Action.ARTHROPLASTY_REVIEW,
    Action.WORSENING_REVIEW,
    Action.DECOMPRESSION_FAILURE_REVIEW,
    Action.STAGE_PROGRESSION_REVIEW,
    Action.STAGE_CONFLICT,
    Action.SECOND_READING,
    Action.CONSIDER_CT,
    Action.REVIEW_ENDING,
}
OUTCOMES: Final[dict[Action, tuple[tuple[Outcome, int], ...]]] = {
    Action.CORE_DECOMPRESSION_REVIEW: (
        (Outcome.OPERATE, 42), (Outcome.OBSERVE, 40), (Outcome.IMAGE_FURTHER, 8), (Outcome.PATIENT_DECLINED, 10),
    ),
    Action.LARGE_LESION_REVIEW: ((Outcome.OPERATE, 30), (Outcome.OBSERVE, 60), (Outcome.REFER, 10)),
    Action.COLLAPSE_REVIEW: ((Outcome.OPERATE, 22), (Outcome.OBSERVE, 58), (Outcome.REFER, 20)),
    Action.ARTHROPLASTY_REVIEW: ((Outcome.OPERATE, 55), (Outcome.OBSERVE, 33), (Outcome.PATIENT_DECLINED, 12)),
    Action.DECOMPRESSION_FAILURE_REVIEW: ((Outcome.OPERATE, 30), (Outcome.OBSERVE, 60), (Outcome.REFER, 10)),
}  # fmt: skip
OTHERWISE: Final = ((Outcome.OBSERVE, 88), (Outcome.IMAGE_FURTHER, 12))
REASONS: Final[dict[Outcome, tuple[str, ...]]] = {
    Outcome.OPERATE: (
        "Symptoms persist; discussed in clinic, the patient wants surgery.",
        "Findings and age speak for surgery; risks discussed.",
    ),
    Outcome.OBSERVE: (
        "Mild symptoms; continue with three-monthly radiographs.",
        "No change on the films; observe.",
        "Discussed at the hip conference: observe.",
    ),
    Outcome.IMAGE_FURTHER: ("Films do not settle it; further imaging requested.",),
    Outcome.REFER: ("Referred to the regional hip unit for an opinion.",),
    Outcome.PATIENT_DECLINED: ("The patient does not want surgery at present.",),
}
# Days from asking to doing, for what is done rather than decided.
DONE_WITHIN: Final[dict[Action, tuple[int, int]]] = {
    Action.CT_HIP: (4, 20),
    Action.URGENT_RADIOGRAPH: (1, 8),
    Action.IMAGE_PAINFUL_HIP: (7, 30),
    Action.BASELINE_MRI: (14, 60),
    Action.MEASURE_VOLUME: (10, 55),
    Action.ASSESS_CONTRALATERAL_HIP: (14, 60),
    Action.REPEAT_VIEWS: (6, 30),
    Action.BASELINE_RADIOGRAPH: (10, 40),
    Action.RECORD_CLINICAL_REVIEW: (2, 18),
}
NEVER_DONE: Final = 0.03
SLOW_DECISIONS: Final = 0.2
