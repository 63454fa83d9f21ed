"""Vocabulary: the closed lists of codes in which facts are recorded.

The values are those of the record's JSON (docs/assess.schema.json); they are stored as they stand.
"""

from enum import StrEnum
from typing import Final


class Side(StrEnum):
    LEFT = "left"
    RIGHT = "right"

    @property
    def other(self) -> "Side":
        return Side.RIGHT if self is Side.LEFT else Side.LEFT


class Condition(StrEnum):
    """Aetiology and exposures. Only sickle cell disease changes what the guideline asks."""

    GLUCOCORTICOID = "glucocorticoid"
    ALCOHOL = "alcohol"
    SICKLE_CELL = "sickle_cell"
    OTHER_HAEMOGLOBINOPATHY = "other_haemoglobinopathy"
    SLE = "sle"
    ANTIPHOSPHOLIPID = "antiphospholipid"
    HIV = "hiv"
    GAUCHER = "gaucher"
    TRANSPLANT = "transplant"
    RENAL_FAILURE = "renal_failure"
    RADIATION = "radiation"
    CHEMOTHERAPY = "chemotherapy"
    PANCREATITIS = "pancreatitis"
    HYPERLIPIDAEMIA = "hyperlipidaemia"
    COAGULOPATHY = "coagulopathy"
    PREGNANCY = "pregnancy"
    SMOKING = "smoking"
    DECOMPRESSION_SICKNESS = "decompression_sickness"
    FEMORAL_NECK_FRACTURE = "femoral_neck_fracture"
    HIP_DISLOCATION = "hip_dislocation"
    POST_SURGERY = "post_surgery"
    SCFE_PERTHES = "scfe_perthes"
    FAMILIAL = "familial"
    HIP_DYSPLASIA = "hip_dysplasia"
    IDIOPATHIC = "idiopathic"
    UNKNOWN = "unknown"
    OTHER = "other"


class Modality(StrEnum):
    XR = "XR"
    MR = "MR"
    CT = "CT"
    NM = "NM"
    US = "US"


class View(StrEnum):
    """Radiographic views. AP, AP_PELVIS and AP_HIP all count as AP."""

    AP = "AP"
    AP_PELVIS = "AP_PELVIS"
    AP_HIP = "AP_HIP"
    FROG_LATERAL = "FROG_LATERAL"
    CROSS_TABLE = "CROSS_TABLE"
    FALSE_PROFILE = "FALSE_PROFILE"
    OTHER = "OTHER"


AP_VIEWS: Final = frozenset({View.AP, View.AP_PELVIS, View.AP_HIP})


class VolumeMethod(StrEnum):
    """How a lesion's share of the femoral head was found. Only the three MRI methods measure volume."""

    MRI_3D_SEGMENTATION = "MRI_3D_SEGMENTATION"
    MRI_SLICE_SUM = "MRI_SLICE_SUM"
    MRI_SPHERE_EQUIV = "MRI_SPHERE_EQUIV"
    AREA_2D = "AREA_2D"
    XR_ESTIMATE = "XR_ESTIMATE"
    KERBOUL_ANGLE = "KERBOUL_ANGLE"
    NECROTIC_INDEX = "NECROTIC_INDEX"
    VISUAL = "VISUAL"


MEASURING_METHODS: Final = frozenset(
    {VolumeMethod.MRI_3D_SEGMENTATION, VolumeMethod.MRI_SLICE_SUM, VolumeMethod.MRI_SPHERE_EQUIV}
)


class Crescent(StrEnum):
    ABSENT = "absent"
    PRESENT = "present"
    INDETERMINATE = "indeterminate"


class StagingSystem(StrEnum):
    ARCO = "ARCO"
    FICAT = "FICAT"
    STEINBERG = "STEINBERG"
    JIC_STAGE = "JIC_STAGE"


# A code means nothing without its system and version: ARCO 2019 IIIA is a depression of at most 2 mm,
# ARCO 1994 IIIA a crescent of less than 15 %.
STAGE_CODES: Final[dict[tuple[StagingSystem, str], tuple[str, ...]]] = {
    (StagingSystem.ARCO, "2019"): ("I", "II", "IIIA", "IIIB", "IV"),
    (StagingSystem.ARCO, "1994"): (
        "0", "I", "IA", "IB", "IC", "II", "IIA", "IIB", "IIC", "III", "IIIA", "IIIB", "IIIC", "IV",
    ),
    (StagingSystem.FICAT, "1985"): ("0", "I", "II", "TRANSITION", "III", "IV"),
    (StagingSystem.STEINBERG, "1995"): (
        "0", "I", "IA", "IB", "IC", "II", "IIA", "IIB", "IIC", "III", "IIIA", "IIIB", "IIIC",
        "IV", "IVA", "IVB", "IVC", "V", "VA", "VB", "VC", "VI",
    ),
    (StagingSystem.JIC_STAGE, "2001"): ("1", "2", "3A", "3B", "4"),
}  # fmt: skip


class SymptomSource(StrEnum):
    """Whose report it is. Only a clinician's completes a follow-up or ends an episode."""

    CLINICIAN = "clinician"
    PATIENT = "patient"


class Instrument(StrEnum):
    """Outcome scores, higher is better: Harris hip score 0-100, HOOS JR 0-100, Oxford hip score 0-48."""

    HHS = "HHS"
    HOOS_JR = "HOOS_JR"
    OHS = "OHS"


class ProcedureKind(StrEnum):
    CORE_DECOMPRESSION = "CORE_DECOMPRESSION"
    THA = "THA"
    RESURFACING_HEMI = "RESURFACING_HEMI"
    NONVASC_BONE_GRAFT = "NONVASC_BONE_GRAFT"
    VASCULAR_FIBULAR_GRAFT = "VASCULAR_FIBULAR_GRAFT"
    OSTEOTOMY = "OSTEOTOMY"
    TANTALUM_ROD = "TANTALUM_ROD"
    OBSERVATION = "OBSERVATION"
    WB_RESTRICTION = "WB_RESTRICTION"
    EXERCISE_PROGRAMME = "EXERCISE_PROGRAMME"
    FOOTWEAR = "FOOTWEAR"
    WALKING_AID = "WALKING_AID"
    WEIGHT_LOSS = "WEIGHT_LOSS"
    BISPHOSPHONATE = "BISPHOSPHONATE"
    ANTICOAGULANT_ENOXAPARIN = "ANTICOAGULANT_ENOXAPARIN"
    STATIN = "STATIN"
    ESWT = "ESWT"
    HBO = "HBO"
    PEMF = "PEMF"
    ANALGESIA = "ANALGESIA"
    OTHER = "OTHER"


REPLACEMENTS: Final = frozenset({ProcedureKind.THA, ProcedureKind.RESURFACING_HEMI})
SURGERY: Final = REPLACEMENTS | {
    ProcedureKind.CORE_DECOMPRESSION,
    ProcedureKind.NONVASC_BONE_GRAFT,
    ProcedureKind.VASCULAR_FIBULAR_GRAFT,
    ProcedureKind.OSTEOTOMY,
    ProcedureKind.TANTALUM_ROD,
}


class Adjunct(StrEnum):
    """What was added to a core decompression."""

    AUTOLOGOUS_MARROW = "AUTOLOGOUS_MARROW"
    VASCULAR_FIBULAR_GRAFT = "VASCULAR_FIBULAR_GRAFT"
    NONVASC_BONE_GRAFT = "NONVASC_BONE_GRAFT"
    ELECTRIC_STIMULATION = "ELECTRIC_STIMULATION"
    TANTALUM_ROD = "TANTALUM_ROD"
    BMP = "BMP"
    PRP = "PRP"
    OTHER = "OTHER"


class Action(StrEnum):
    """What a finding asks for; one per rule."""

    ARTHROPLASTY_REVIEW = "ARTHROPLASTY_REVIEW"
    ASSESS_CONTRALATERAL_HIP = "ASSESS_CONTRALATERAL_HIP"
    BASELINE_MRI = "BASELINE_MRI"
    BASELINE_RADIOGRAPH = "BASELINE_RADIOGRAPH"
    CHECK_VOLUME = "CHECK_VOLUME"
    COLLAPSE_REVIEW = "COLLAPSE_REVIEW"
    CONSIDER_CT = "CONSIDER_CT"
    CORE_DECOMPRESSION_REVIEW = "CORE_DECOMPRESSION_REVIEW"
    CT_HIP = "CT_HIP"
    DECISION_OVERDUE = "DECISION_OVERDUE"
    DECOMPRESSION_FAILURE_REVIEW = "DECOMPRESSION_FAILURE_REVIEW"
    HIGH_RISK_LOCATION_REVIEW = "HIGH_RISK_LOCATION_REVIEW"
    IMAGE_PAINFUL_HIP = "IMAGE_PAINFUL_HIP"
    LARGE_LESION_REVIEW = "LARGE_LESION_REVIEW"
    MEASURE_VOLUME = "MEASURE_VOLUME"
    OVERDUE_RADIOGRAPH = "OVERDUE_RADIOGRAPH"
    PROTECTED_WEIGHT_BEARING = "PROTECTED_WEIGHT_BEARING"
    RECORD_CLINICAL_REVIEW = "RECORD_CLINICAL_REVIEW"
    REPEAT_VIEWS = "REPEAT_VIEWS"
    REVIEW_ENDING = "REVIEW_ENDING"
    SECOND_READING = "SECOND_READING"
    STAGE_CONFLICT = "STAGE_CONFLICT"
    STAGE_PROGRESSION_REVIEW = "STAGE_PROGRESSION_REVIEW"
    SURVEILLANCE_GAP = "SURVEILLANCE_GAP"
    URGENT_RADIOGRAPH = "URGENT_RADIOGRAPH"
    WORSENING_REVIEW = "WORSENING_REVIEW"


class Outcome(StrEnum):
    """What was decided. Any outcome answers."""

    OPERATE = "operate"
    OBSERVE = "observe"
    IMAGE_FURTHER = "image_further"
    REFER = "refer"
    PATIENT_DECLINED = "patient_declined"
    DISCHARGE_REFUSED = "discharge_refused"
    OTHER = "other"


class JicType(StrEnum):
    """Location of the lesion, Japanese Investigation Committee 2001."""

    A = "A"
    B = "B"
    C1 = "C1"
    C2 = "C2"


class EndReason(StrEnum):
    """Why surveillance of a hip ended; `reopened` takes back the ending that it supersedes."""

    DECEASED = "deceased"
    HIP_REPLACED = "hip_replaced"
    TRANSFERRED = "transferred"
    DECLINED_IN_WRITING = "declined_in_writing"
    DISCHARGED = "discharged"
    ENTERED_IN_ERROR = "entered_in_error"
    REOPENED = "reopened"
