"""Contradictions: what was entered that the record speaks against, for a person to confirm with a reason or mend."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _

from patients import record
from patients.models import Fact, Imaging, Procedure, Staging, SymptomReport
from patients.vocabulary import (
    MEASURING_METHODS,
    REPLACEMENTS,
    Crescent,
    Modality,
    ProcedureKind,
    Side,
    VolumeMethod,
)
from schedules.guideline.lesion import implausible_volumes
from schedules.guideline.protocol import DEFAULT
from schedules.guideline.stages import NO_PHASE, Phase, sign_rank

from .actor_words import who
from .chart import Chart
from .fact_words import name_of, number, titled, words_of
from .finding_words import day_words
from .hip_panels import ended_by, staging_rank_of

SHRINKS_BY: Final = 5  # points of percent, the growth that counts in the protocol


@dataclass(frozen=True, slots=True)
class Contradiction:
    """`text` names both sides of it; `fact` is the one entered now; `code`, one of CODES, says of what kind it is."""

    side: Side
    text: str
    fact: Fact
    code: str


def contradictions(
    chart: Chart, entered: Iterable[tuple[Side | None, Fact]], *, twice: bool = True
) -> list[Contradiction]:
    """Every contradiction of the entered facts with the chart's and with one another, in the order given.

    `twice`: also where the same study, surgery, report or decision of the same day is there already.
    """
    together = list(entered)
    found = []
    for side, fact in together:
        if side is None:
            continue
        checks = {**_CHECKS, **(_CHECKS_OF_DAY if twice else {})}
        told = [(code, text) for code, check in checks.items() for text in check(chart, side, fact)]
        beside = [other for its, other in together if its is side and other is not fact]
        of_hip = [old for kind in chart.facts for old in chart.standing(kind, side)]
        told += [(code, text) for code, check in _CHECKS_OF_HIP.items() for text in check([*of_hip, *beside], fact)]
        found += [Contradiction(side, text, fact, code) for code, text in told]
    return found


def digest(found: Iterable[Contradiction]) -> str:
    """Names the contradictions that were shown, so that a reason counts for these and no others."""
    return hashlib.sha256("\n".join(one.text for one in found).encode()).hexdigest()[:16]


def keep_reason(found: Iterable[Contradiction], reason: str) -> None:
    """Write into each fact's note what speaks against it, and why it is right all the same."""
    of_fact: dict[int, list[Contradiction]] = {}
    for one in found:
        of_fact.setdefault(id(one.fact), []).append(one)
    for those in of_fact.values():
        fact = those[0].fact
        fact.note = " ".join([fact.note, *(one.text for one in those), reason]).strip()


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


# What is said of a hip before and after it is replaced; all else is of the hip's own head.
_OF_ANY_HIP: Final = frozenset({"symptom", "score", "decision", "ending"})


def _out_of_follow_up(chart: Chart, side: Side, fact: Fact) -> list[str]:
    done = [p for p in _before(chart, "procedure", side, fact) if p.procedure in REPLACEMENTS]
    if done and fact.kind not in _OF_ANY_HIP:
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


def _replaced_before(of_hip: list[Fact], fact: Fact) -> list[str]:
    """A replacement dated before what was found in the hip's own head takes the hip out of surveillance."""
    if not isinstance(fact, Procedure) or fact.procedure not in REPLACEMENTS:
        return []
    was: Any = fact.supersedes
    if was and was.procedure in REPLACEMENTS and was.on <= fact.on:
        return []  # a correction that takes no more of the hip's time than the entry did
    native = [o for o in of_hip if o.kind not in _OF_ANY_HIP and getattr(o, "procedure", "") not in REPLACEMENTS]
    later = [other for other in native if other.on > fact.on]
    return [
        _("Replaced on %(day)s, this hip is not followed any more; it does not go with what came later: %(what)s.")
        % {"day": day_words(fact.on), "what": titled(other)}
        for other in sorted(later, key=lambda other: other.on)[-1:]
    ]


def _stage_and_signs(of_hip: list[Fact], fact: Fact) -> list[str]:
    """A stage before collapse on or after the day of an image that shows collapse, told once for two of one visit."""
    pairs: list[tuple[Staging, Imaging]] = []
    if isinstance(fact, Staging):
        pairs = [(fact, o) for o in of_hip if isinstance(o, Imaging) and o.on <= fact.on]
    elif isinstance(fact, Imaging):
        pairs = [(o, fact) for o in of_hip if isinstance(o, Staging) and o.on >= fact.on and o.pk]
    told = [
        _("%(stage)s is a stage before collapse, but this shows more: %(image)s.")
        % {"stage": words_of(stage), "image": titled(image)}
        for stage, image in pairs
        if staging_rank_of(stage) < Phase.COLLAPSE_EARLY <= _sign_rank_of(image)
    ]
    return told[-1:]


def _sign_rank_of(study: Imaging) -> int:
    """The phase that a stored image shows; whether it is a collapse at all is no parameter of the protocol."""
    if study.diagnostic is False:
        return NO_PHASE
    read = record.Imaging(
        id="",
        on=study.on,
        modality=Modality(study.modality),
        crescent=Crescent(study.crescent) if study.crescent else None,
        depression_mm=study.depression_mm,
        joint_space_narrowed=study.joint_space_narrowed,
    )
    return sign_rank(read, DEFAULT)


def _self_contradiction(_chart: Chart, _side: Side, fact: Fact) -> list[str]:
    if isinstance(fact, SymptomReport) and fact.symptomatic is False:
        if fact.pain_nrs:
            return [_("No symptoms, but pain of %(nrs)s.") % {"nrs": fact.pain_nrs}]
        if fact.sudden_worsening or fact.night_pain or fact.cannot_bear_weight:
            return [_("No symptoms, but an alarm sign.")]
    if isinstance(fact, Imaging) and fact.necrosis is False and fact.lesion_volume_percent:
        return [_("No necrosis, but a lesion of %(percent)s %%.") % {"percent": number(fact.lesion_volume_percent)}]
    if isinstance(fact, Procedure) and fact.adjuncts and fact.procedure != ProcedureKind.CORE_DECOMPRESSION:
        return [_("Adjuncts belong to a core decompression.")]
    return []


def _twice(chart: Chart, side: Side, fact: Fact) -> list[str]:
    """The same study, surgery, report or decision of the same day is there already."""
    same = [old for old in chart.standing(fact.kind, side) if old.on == fact.on and _what(old) == _what(fact)]
    return [
        _("%(what)s of %(day)s is recorded already by %(who)s: %(words)s.")
        % {"what": name_of(old), "day": day_words(old.on), "who": who(old.actor), "words": words_of(old)}
        for old in same[-1:]
    ]


def _what(fact: Any) -> tuple[Any, ...]:
    names = ("modality", "system", "version", "instrument", "procedure", "source", "action")
    return tuple(getattr(fact, name, None) for name in names)


_Checks = Mapping[str, Callable[[Chart, Side, Any], list[str]]]
_CHECKS: Final[_Checks] = {
    "lower_stage": _lower_stage,
    "improbable_volume": _improbable_volume,
    "sign_gone": _sign_gone,
    "wrong_side": _wrong_side,
    "out_of_follow_up": _out_of_follow_up,
    "self_contradiction": _self_contradiction,
}
_CHECKS_OF_DAY: Final[_Checks] = {"recorded_already": _twice}
# With every other fact of the hip, also those entered with it.
_CHECKS_OF_HIP: Final[Mapping[str, Callable[[list[Fact], Any], list[str]]]] = {
    "replaced_before": _replaced_before,
    "stage_and_signs": _stage_and_signs,
}
CODES: Final = (*_CHECKS, *_CHECKS_OF_DAY, *_CHECKS_OF_HIP)
