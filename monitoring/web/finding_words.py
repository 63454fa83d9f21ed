"""Finding words: actions, pathways, stages of evidence and risk factors as people read them."""

import re
from datetime import date, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, TypeAlias

from django.utils.formats import date_format
from django.utils.translation import gettext_lazy as _

from patients.vocabulary import Action
from schedules.guideline.hip import RiskFactor
from schedules.guideline.lesion import SizeBand
from schedules.guideline.pathways import Pathway
from schedules.guideline.rules import Grade
from schedules.guideline.stages import Phase
from schedules.guideline.windows import Status

from .phrases import language

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

Words: TypeAlias = "str | _StrPromise"

ACTIONS: Final[dict[str, Words]] = {
    Action.ARTHROPLASTY_REVIEW: _("Arthroplasty review"),
    Action.ASSESS_CONTRALATERAL_HIP: _("Assess this hip as well"),
    Action.BASELINE_MRI: _("Baseline MRI"),
    Action.BASELINE_RADIOGRAPH: _("Baseline radiographs"),
    Action.CHECK_VOLUME: _("Check the volume"),
    Action.COLLAPSE_REVIEW: _("Collapse review"),
    Action.CONSIDER_CT: _("Consider CT"),
    Action.CORE_DECOMPRESSION_REVIEW: _("Core decompression review"),
    Action.CT_HIP: _("CT of the hip"),
    Action.DECISION_OVERDUE: _("Decision overdue"),
    Action.DECOMPRESSION_FAILURE_REVIEW: _("Review after core decompression"),
    Action.HIGH_RISK_LOCATION_REVIEW: _("High-risk location review"),
    Action.IMAGE_PAINFUL_HIP: _("Image the painful hip"),
    Action.LARGE_LESION_REVIEW: _("Large lesion review"),
    Action.MEASURE_VOLUME: _("Measure the volume"),
    Action.OVERDUE_RADIOGRAPH: _("Radiographs overdue"),
    Action.PROTECTED_WEIGHT_BEARING: _("Protected weight bearing"),
    Action.RECORD_CLINICAL_REVIEW: _("Record the clinical review"),
    Action.REPEAT_VIEWS: _("Repeat the views"),
    Action.REVIEW_ENDING: _("Review the end of follow-up"),
    Action.SECOND_READING: _("Second reading"),
    Action.STAGE_CONFLICT: _("Stage conflict"),
    Action.STAGE_PROGRESSION_REVIEW: _("Stage progression review"),
    Action.SURVEILLANCE_GAP: _("Surveillance gap"),
    Action.URGENT_RADIOGRAPH: _("Urgent radiograph"),
    Action.WORSENING_REVIEW: _("Worsening review"),
}
PATHWAYS: Final[dict[str, Words]] = {
    Pathway.DECEASED: _("Deceased"),
    Pathway.NOT_ENROLLED: _("Not enrolled yet"),
    Pathway.ENDED: _("Follow-up ended"),
    Pathway.REPLACED: _("Replaced"),
    Pathway.COLLAPSE: _("Collapse"),
    Pathway.POST_DECOMPRESSION: _("After core decompression"),
    Pathway.SYMPTOMATIC: _("Symptomatic"),
    Pathway.LARGE_LESION: _("Large lesion"),
    Pathway.WORK_UP: _("Work-up not complete"),
    Pathway.OBSERVATION: _("Observation"),
    Pathway.CONTRALATERAL_WATCH: _("Watched because the other side is affected"),
    Pathway.NOT_ASSESSED: _("Not assessed"),
    Pathway.NOT_AFFECTED: _("Not affected"),
}
STATUSES: Final[dict[str, Words]] = {
    Status.UPCOMING: _("Upcoming"),
    Status.OPEN: _("Open"),
    Status.DUE: _("Due"),
    Status.OVERDUE: _("Overdue"),
    Status.GAP: _("Gap"),
}
SIZES: Final[dict[str, Words]] = {
    SizeBand.VERY_SMALL: _("very small lesion"),
    SizeBand.SMALL: _("small lesion"),
    SizeBand.MODERATE: _("moderate lesion"),
    SizeBand.LARGE: _("large lesion"),
}
PHASES: Final[dict[str, Words]] = {
    Phase.PRE_MRI.name: _("before collapse, normal radiograph"),
    Phase.PRE_XR.name: _("before collapse, seen on radiographs"),
    Phase.COLLAPSE_EARLY.name: _("early collapse"),
    Phase.COLLAPSE_LATE.name: _("late collapse"),
    Phase.OA.name: _("osteoarthritis"),
}
RISKS: Final[dict[str, Words]] = {
    RiskFactor.EFFUSION_INCREASED: _("effusion"),
    RiskFactor.MARROW_EDEMA: _("bone marrow oedema"),
    RiskFactor.AGE_OVER_40: _("age over 40"),
    RiskFactor.BMI_OVER_24: _("BMI over 24"),
}
GRADES: Final[dict[str, Words]] = {
    Grade.GUIDELINE: _("guideline"),
    Grade.COHORT: _("cohort studies"),
    Grade.CLASSIFICATION: _("definition of a staging system"),
    Grade.POLICY: _("the clinic's policy"),
}
_ISO_DATE: Final = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")


def day_words(day: date) -> str:
    """A date as this language writes it: 27 Mar 2026."""
    if isinstance(day, datetime):  # equal moments are different days elsewhere
        return date_format(day, "DATE_FORMAT")
    return _day_words(day, language())


@lru_cache(maxsize=8192)
def _day_words(day: date, language: str | None) -> str:
    """Pages full of dates name the same ones again and again; `language` is part of what is remembered."""
    return date_format(day, "DATE_FORMAT")


def _as_day(found: re.Match[str]) -> str:
    """The day in words; figures that are none, as somebody may have typed them, stay."""
    try:
        return day_words(date.fromisoformat(found[0]))
    except ValueError:
        return found[0]


def with_dates(sentence: str) -> str:
    """The guideline's sentence with its dates as people read them."""
    return _ISO_DATE.sub(_as_day, sentence)
