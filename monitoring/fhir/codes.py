"""Codes: the codes of FHIR resources that a hip registry knows, and how a side and a site are read from them.

Identifiers only, no tables of a terminology: SNOMED CT and LOINC are licensed by their owners.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from patients.vocabulary import Condition, Modality, ProcedureKind, Side, StagingSystem

SNOMED: Final = "http://snomed.info/sct"
LOINC: Final = "http://loinc.org"
_ICD10: Final = re.compile(r"icd-?10(?!-pcs)", re.IGNORECASE)
_ICD10_PCS: Final = re.compile(r"icd-?10-pcs", re.IGNORECASE)

LEFT, RIGHT, BOTH = "7771000", "24028007", "51440002"
_SIDE_CODES: Final[dict[str, frozenset[Side]]] = {
    LEFT: frozenset({Side.LEFT}),
    RIGHT: frozenset({Side.RIGHT}),
    BOTH: frozenset(Side),
}
_SIDE_WORDS: Final = (
    (re.compile(r"\b(bilateral\w*|both|beid\w+)\b", re.IGNORECASE), frozenset(Side)),
    (re.compile(r"\b(left|links?|linke\w*)\b", re.IGNORECASE), frozenset({Side.LEFT})),
    (re.compile(r"\b(right|rechts?|rechte\w*)\b", re.IGNORECASE), frozenset({Side.RIGHT})),
)
HIP_SITES: Final = frozenset({"2812003", "24136001", "29836001"})  # head of femur, hip joint, hip region
PELVIS_SITES: Final = frozenset({"12921003"})
_HIP_WORDS: Final = re.compile(r"\b(hips?|femoral head|head of (the )?femur|hüfte?\w*|hüftkopf)\b", re.IGNORECASE)
_PELVIS_WORDS: Final = re.compile(r"\b(pelvis|becken\w*)\b", re.IGNORECASE)

PAIN_NRS, HARRIS, HOOS_JR, BMI = "72514-3", "100291-4", "82323-7", "39156-5"

# CR, DX, RG and XR are radiographs; PT is nearer to a bone scan than to anything else and is left out.
MODALITIES: Final[dict[str, Modality]] = {
    "CR": Modality.XR, "DX": Modality.XR, "RG": Modality.XR, "XR": Modality.XR, "MR": Modality.MR, "CT": Modality.CT,
    "NM": Modality.NM, "US": Modality.US,
}  # fmt: skip

_OSTEONECROSIS: Final = "397758007"
_OSTEONECROSIS_OF_FEMORAL_HEAD: Final[dict[str, Condition]] = {"715657008": Condition.FAMILIAL}
_CAUSE_OF_M87: Final[dict[str, Condition]] = {"0": Condition.IDIOPATHIC}
_ICD10_CAUSES: Final[dict[str, Condition]] = {
    "D57": Condition.SICKLE_CELL, "M32": Condition.SLE, "D68.61": Condition.ANTIPHOSPHOLIPID, "B20": Condition.HIV,
    "Z21": Condition.HIV, "E75.22": Condition.GAUCHER, "Z94": Condition.TRANSPLANT, "N18.6": Condition.RENAL_FAILURE,
    "F10.2": Condition.ALCOHOL, "K86.1": Condition.PANCREATITIS, "E78.5": Condition.HYPERLIPIDAEMIA,
}  # fmt: skip
_SNOMED_CAUSES: Final[dict[str, Condition]] = {
    "417357006": Condition.SICKLE_CELL, "127040003": Condition.SICKLE_CELL, "55464009": Condition.SLE,
    "86406008": Condition.HIV, "46177005": Condition.RENAL_FAILURE, "55822004": Condition.HYPERLIPIDAEMIA,
    "7200002": Condition.ALCOHOL,
}  # fmt: skip
NOT_A_CAUSE: Final = re.compile(r"\b(trait|carrier|family history|suspected)\b", re.IGNORECASE)

_PROCEDURES: Final[dict[str, ProcedureKind]] = {
    "397956004": ProcedureKind.THA, "398010007": ProcedureKind.THA, "52734007": ProcedureKind.THA,
    "445185007": ProcedureKind.RESURFACING_HEMI, "S2325": ProcedureKind.CORE_DECOMPRESSION,
}  # fmt: skip
_CORE_DECOMPRESSION: Final = re.compile(r"\bcore decompression\b", re.IGNORECASE)
_STAGE: Final = re.compile(
    r"\b(ARCO|Ficat|Steinberg)\b(?:[ -]and[ -]Arlet)?\D{0,12}?(2019|1994|1985|1995)?\W*(?:stage|stadium)?\W*"
    r"\b(0|IV|I{1,3}|VI?)\s?([ABC])?\b",
    re.IGNORECASE,
)

Concept = Mapping[str, Any]


def codings(concepts: Iterable[Concept]) -> Iterator[tuple[str, str, str]]:
    """(system, code, display) of CodeableConcepts; a bare Coding counts as one."""
    for concept in concepts:
        for coding in concept.get("coding") or ([concept] if "code" in concept or "display" in concept else []):
            yield str(coding.get("system") or ""), str(coding.get("code") or ""), str(coding.get("display") or "")


def words(concepts: Iterable[Concept]) -> str:
    """Everything written in the concepts, for people and for looking for words."""
    listed = list(concepts)
    texts = [str(c.get("text") or "") for c in listed] + [display for _s, _c, display in codings(listed)]
    return " | ".join(dict.fromkeys(text for text in texts if text))


def has_code(concepts: Iterable[Concept], system: str, wanted: Iterable[str]) -> bool:
    chosen = frozenset(wanted)
    return any(s == system and code in chosen for s, code, _display in codings(concepts))


def sides_of(concepts: Iterable[Concept]) -> frozenset[Side]:
    """The sides that codes or words name; empty where none does."""
    listed = list(concepts)
    named: frozenset[Side] = frozenset()
    for system, code, _display in codings(listed):
        if system == SNOMED:
            named |= _SIDE_CODES.get(code, frozenset())
        elif _ICD10_PCS.search(system):
            named |= _side_of_pcs(code)
        elif _ICD10.search(system):
            named |= _side_of_icd10(code)
        elif code in ("L", "R", "B"):  # DICOM laterality
            named |= {"L": frozenset({Side.LEFT}), "R": frozenset({Side.RIGHT}), "B": frozenset(Side)}[code]
    text = words(listed)
    for pattern, sides in _SIDE_WORDS:
        if pattern.search(text):
            named |= sides
    return named


def _side_of_icd10(code: str) -> frozenset[Side]:
    """ICD-10-CM of the femur, such as M87.051: the last digit is 1 right, 2 left."""
    if not re.fullmatch(r"(M87\.\d|M90\.5)5[12]", code.upper()):
        return frozenset()
    return frozenset({Side.RIGHT}) if code.endswith("1") else frozenset({Side.LEFT})


def _side_of_pcs(code: str) -> frozenset[Side]:
    if code.upper().startswith("0SR9"):
        return frozenset({Side.RIGHT})
    return frozenset({Side.LEFT}) if code.upper().startswith("0SRB") else frozenset()


def is_hip(concepts: Iterable[Concept]) -> bool:
    listed = list(concepts)
    return has_code(listed, SNOMED, HIP_SITES) or bool(_HIP_WORDS.search(words(listed)))


def is_pelvis(concepts: Iterable[Concept]) -> bool:
    listed = list(concepts)
    return has_code(listed, SNOMED, PELVIS_SITES) or bool(_PELVIS_WORDS.search(words(listed)))


def osteonecrosis(code: Concept, sites: Iterable[Concept]) -> tuple[Condition, bool] | None:
    """The cause that the code of an osteonecrosis names, and whether it is one of the hip; None for another disease."""
    at_hip = is_hip([code, *sites])
    for system, value, _display in codings([code]):
        upper = value.upper()
        if system == SNOMED and value in _OSTEONECROSIS_OF_FEMORAL_HEAD:
            return _OSTEONECROSIS_OF_FEMORAL_HEAD[value], True
        if system == SNOMED and value == _OSTEONECROSIS:
            return Condition.UNKNOWN, at_hip
        if not _ICD10.search(system) or _ICD10_PCS.search(system):
            continue
        if upper.startswith("M87"):
            # The fifth character is the site: 5 the thigh, of which M87.050 is the pelvis.
            femur = bool(re.fullmatch(r"M87\.\d5[1-9]?", upper))
            return _CAUSE_OF_M87.get(upper[4:5], Condition.UNKNOWN), femur or at_hip
        if upper.startswith("M90.5"):
            return Condition.OTHER, bool(re.fullmatch(r"M90\.55[129]?", upper)) or at_hip
    return None


def cause(code: Concept) -> Condition | None:
    """A disease of the person that is a known cause."""
    if NOT_A_CAUSE.search(words([code])):
        return None
    for system, value, _display in codings([code]):
        if system == SNOMED and value in _SNOMED_CAUSES:
            return _SNOMED_CAUSES[value]
        if _ICD10.search(system) and not _ICD10_PCS.search(system):
            if value.upper() in ("D57.3",):  # sickle-cell trait
                return None
            found = next((c for prefix, c in _ICD10_CAUSES.items() if value.upper().startswith(prefix)), None)
            if found:
                return found
    return None


def procedure(code: Concept) -> ProcedureKind | None:
    for system, value, _display in codings([code]):
        if value in _PROCEDURES and (system == SNOMED or value.startswith("S")):
            return _PROCEDURES[value]
        if _ICD10_PCS.search(system) and _side_of_pcs(value):
            return ProcedureKind.THA
    return ProcedureKind.CORE_DECOMPRESSION if _CORE_DECOMPRESSION.search(words([code])) else None


def stage(concept: Concept) -> tuple[StagingSystem, str, str] | None:
    """System, version and code of a stage such as “ARCO 2019 stage IIIA”; ARCO without its year is none."""
    for text in [*(display for _s, _c, display in codings([concept])), str(concept.get("text") or "")]:
        match = _STAGE.search(text)
        if not match:
            continue
        system = StagingSystem(match[1].upper())
        version = match[2] or {"FICAT": "1985", "STEINBERG": "1995"}.get(match[1].upper())
        if version:
            return system, version, match[3].upper() + (match[4] or "").upper()
    return None
