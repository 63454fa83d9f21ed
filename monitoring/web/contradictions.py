"""Contradictions: what was entered that the record speaks against, for a person to confirm with a reason or mend."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from patients import record
from patients.models import Fact, Imaging, Procedure, Staging, SymptomReport
from patients.vocabulary import (
    MEASURING_METHODS,
    REPLACEMENTS,
    Modality,
    ProcedureKind,
    Side,
    VolumeMethod,
)
from schedules.guideline.lesion import implausible_volumes

from .chart import Chart
from .fact_words import name_of, number, words_of
from .finding_words import day_words
from .hip_panels import ended_by, staging_rank_of

SHRINKS_BY: Final = 5  # points of percent, the growth that counts in the protocol


@dataclass(frozen=True, slots=True)
class Contradiction:
    """`text` names both sides of it; `fact` is the one entered now."""

    side: Side
    text: str
    fact: Fact


def contradictions(chart: Chart, entered: Iterable[tuple[Side | None, Fact]]) -> list[Contradiction]:
    """Every contradiction of the entered facts with the chart's and within themselves, in the order given."""
    found = []
    for side, fact in entered:
        if side is None:
            continue
        found += [Contradiction(side, text, fact) for check in _CHECKS for text in check(chart, side, fact)]
    return found


def _before(chart: Chart, kind: str, side: Side, fact: Fact) -> list[Any]:
    return chart.standing(kind, side, until=fact.on)


def _lower_stage(chart: Chart, side: Side, fact: Fact) -> list[str]:
    if not isinstance(fact, Staging):
        return []
    higher = [old for old in _before(chart, "staging", side, fact) if staging_rank_of(old) > staging_rank_of(fact)]
    return [
        _("%(new)s is a lower stage than %(old)s of %(day)s. Stages do not heal: one of the two is wrong.")
        % {"new": words_of(fact), "old": words_of(old), "day": day_words(old.on)}
        for old in higher[-1:]
    ]


def _improbable_volume(chart: Chart, side: Side, fact: Fact) -> list[str]:
    if not isinstance(fact, Imaging) or fact.lesion_volume_percent is None or not _is_measured(fact):
        return []
    texts = []
    study = record.Imaging(
        id="",
        on=fact.on,
        modality=Modality(fact.modality),
        lesion_volume_percent=fact.lesion_volume_percent,
        lesion_volume_cm3=fact.lesion_volume_cm3,
        volume_method=VolumeMethod(str(fact.volume_method)),
    )
    if implausible_volumes([study]):
        texts.append(
            _("%(percent)s %% and %(cm3)s cm³ together imply a femoral head that no adult has.")
            % {"percent": number(fact.lesion_volume_percent), "cm3": number(fact.lesion_volume_cm3 or 0)}
        )
    measured = [study for study in _before(chart, "imaging", side, fact) if _is_measured(study)]
    if measured and measured[-1].lesion_volume_percent - fact.lesion_volume_percent >= SHRINKS_BY:
        texts.append(
            _("%(new)s %% is much less than %(old)s %% of %(day)s.")
            % {
                "new": number(fact.lesion_volume_percent),
                "old": number(measured[-1].lesion_volume_percent),
                "day": day_words(measured[-1].on),
            }
        )
    return texts


def _is_measured(study: Imaging) -> bool:
    return study.lesion_volume_percent is not None and study.volume_method in MEASURING_METHODS


def _sign_gone(chart: Chart, side: Side, fact: Fact) -> list[str]:
    """Collapse does not heal: a sign that was there is not absent later."""
    if not isinstance(fact, Imaging) or fact.diagnostic is False:
        return []
    earlier = [study for study in _before(chart, "imaging", side, fact) if study.diagnostic is not False]
    texts = []
    if fact.crescent == "absent" and (shown := [s for s in earlier if s.crescent == "present"]):
        texts.append(_("No crescent now, but there was one on %(day)s.") % {"day": day_words(shown[-1].on)})
    if fact.depression_mm is not None:
        deeper = [s for s in earlier if s.depression_mm is not None and s.depression_mm > fact.depression_mm]
        texts += [
            _("A depression of %(new)s mm now, but of %(old)s mm on %(day)s.")
            % {"new": number(fact.depression_mm), "old": number(old.depression_mm), "day": day_words(old.on)}
            for old in deeper[-1:]
        ]
    if fact.joint_space_narrowed is False and (narrow := [s for s in earlier if s.joint_space_narrowed]):
        texts.append(_("The joint space is not narrowed now, but was on %(day)s.") % {"day": day_words(narrow[-1].on)})
    if fact.necrosis is False and (dead := [s for s in earlier if s.necrosis]):
        texts.append(_("No necrosis now, but there was on %(day)s.") % {"day": day_words(dead[-1].on)})
    return texts


def _wrong_side(chart: Chart, side: Side, fact: Fact) -> list[str]:
    """Disease in the hip that is known to be clear, when the other one is the diseased one."""
    says_disease = isinstance(fact, Staging) or (isinstance(fact, Imaging) and fact.necrosis)
    is_clear = chart.answer(side).get("pathway") in {"not_affected", "contralateral_watch"}
    clear = [s for s in _before(chart, "imaging", side, fact) if s.modality == "MR" and s.necrosis is False]
    if not (says_disease and is_clear and clear):
        return []
    return [
        _("The MRI of %(day)s showed no necrosis in this hip. Is it the other side?") % {"day": day_words(clear[-1].on)}
    ]


def _out_of_follow_up(chart: Chart, side: Side, fact: Fact) -> list[str]:
    done = [p for p in _before(chart, "procedure", side, fact) if p.procedure in REPLACEMENTS]
    if done and not isinstance(fact, SymptomReport) and fact.kind != "score":
        return [
            _("This hip was replaced on %(day)s; %(what)s does not go with that.")
            % {"day": day_words(done[-1].on), "what": name_of(fact)}
        ]
    if ending := ended_by(chart, side):
        return [
            _("Follow-up of this hip ended on %(day)s. Recording does not take it up again.")
            % {"day": day_words(ending.on)}
        ]
    return []


def _self_contradiction(_chart: Chart, _side: Side, fact: Fact) -> list[str]:
    if isinstance(fact, SymptomReport) and fact.symptomatic is False:
        if fact.pain_nrs:
            return [_("No symptoms, but pain of %(nrs)s.") % {"nrs": fact.pain_nrs}]
        if fact.sudden_worsening or fact.night_pain or fact.cannot_bear_weight:
            return [_("No symptoms, but an alarm sign.")]
    if isinstance(fact, Procedure) and fact.adjuncts and fact.procedure != ProcedureKind.CORE_DECOMPRESSION:
        return [_("Adjuncts belong to a core decompression.")]
    return []


def _twice(chart: Chart, side: Side, fact: Fact) -> list[str]:
    """The same study, surgery or report of the same day is there already."""
    same = [old for old in chart.standing(fact.kind, side) if old.on == fact.on and _what(old) == _what(fact)]
    return [
        _("%(what)s of %(day)s is recorded already by %(who)s: %(words)s.")
        % {"what": name_of(old), "day": day_words(old.on), "who": old.actor, "words": words_of(old)}
        for old in same[-1:]
    ]


def _what(fact: Any) -> tuple[Any, ...]:
    names = ("modality", "system", "version", "instrument", "procedure", "source")
    return tuple(getattr(fact, name, None) for name in names)


_CHECKS: Final[tuple[Callable[[Chart, Side, Any], list[str]], ...]] = (
    _lower_stage,
    _improbable_volume,
    _sign_gone,
    _wrong_side,
    _out_of_follow_up,
    _self_contradiction,
    _twice,
)
