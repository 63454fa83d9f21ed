"""Choices: the vocabulary's codes with the words people read, as columns and forms need them."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..vocabulary import (
    Adjunct,
    Condition,
    Crescent,
    EndReason,
    Instrument,
    JicType,
    Modality,
    Outcome,
    ProcedureKind,
    Side,
    StagingSystem,
    SymptomSource,
    View,
    VolumeMethod,
)

SIDES = [(Side.RIGHT.value, _("right")), (Side.LEFT.value, _("left"))]
MODALITIES = [
    (Modality.XR.value, _("Radiograph")),
    (Modality.MR.value, _("MRI")),
    (Modality.CT.value, _("CT")),
    (Modality.NM.value, _("Bone scan")),
    (Modality.US.value, _("Ultrasound")),
]
VIEWS = [
    (View.AP_PELVIS.value, _("AP pelvis")),
    (View.AP_HIP.value, _("AP hip")),
    (View.AP.value, _("AP")),
    (View.FROG_LATERAL.value, _("Frog lateral")),
    (View.CROSS_TABLE.value, _("Cross-table lateral")),
    (View.FALSE_PROFILE.value, _("False profile")),
    (View.OTHER.value, _("Other view")),
]
VOLUME_METHODS = [
    (VolumeMethod.MRI_3D_SEGMENTATION.value, _("MRI, 3-D segmentation")),
    (VolumeMethod.MRI_SLICE_SUM.value, _("MRI, sum of slices")),
    (VolumeMethod.MRI_SPHERE_EQUIV.value, _("MRI, sphere equivalent")),
    (VolumeMethod.AREA_2D.value, _("Area in two dimensions (estimate)")),
    (VolumeMethod.XR_ESTIMATE.value, _("From the radiograph (estimate)")),
    (VolumeMethod.KERBOUL_ANGLE.value, _("Kerboul angle (estimate)")),
    (VolumeMethod.NECROTIC_INDEX.value, _("Index of necrotic extent (estimate)")),
    (VolumeMethod.VISUAL.value, _("By eye (estimate)")),
]
CRESCENTS = [
    (Crescent.ABSENT.value, _("absent")),
    (Crescent.PRESENT.value, _("present")),
    (Crescent.INDETERMINATE.value, _("indeterminate")),
]
STAGING_SYSTEMS = [
    (StagingSystem.ARCO.value, "ARCO"),
    (StagingSystem.FICAT.value, "Ficat"),
    (StagingSystem.STEINBERG.value, "Steinberg"),
    (StagingSystem.JIC_STAGE.value, "JIC"),
]
SYMPTOM_SOURCES = [(SymptomSource.CLINICIAN.value, _("Clinician")), (SymptomSource.PATIENT.value, _("Patient"))]
INSTRUMENTS = [
    (Instrument.HHS.value, _("Harris hip score")),
    (Instrument.HOOS_JR.value, "HOOS JR"),
    (Instrument.OHS.value, _("Oxford hip score")),
]
PROCEDURES = [
    (ProcedureKind.CORE_DECOMPRESSION.value, _("Core decompression")),
    (ProcedureKind.THA.value, _("Total hip arthroplasty")),
    (ProcedureKind.RESURFACING_HEMI.value, _("Resurfacing hemiarthroplasty")),
    (ProcedureKind.NONVASC_BONE_GRAFT.value, _("Non-vascularised bone graft")),
    (ProcedureKind.VASCULAR_FIBULAR_GRAFT.value, _("Vascularised fibular graft")),
    (ProcedureKind.OSTEOTOMY.value, _("Osteotomy")),
    (ProcedureKind.TANTALUM_ROD.value, _("Tantalum rod")),
    (ProcedureKind.OBSERVATION.value, _("Observation")),
    (ProcedureKind.WB_RESTRICTION.value, _("Weight-bearing restriction")),
    (ProcedureKind.EXERCISE_PROGRAMME.value, _("Exercise programme")),
    (ProcedureKind.FOOTWEAR.value, _("Footwear")),
    (ProcedureKind.WALKING_AID.value, _("Walking aid")),
    (ProcedureKind.WEIGHT_LOSS.value, _("Weight loss")),
    (ProcedureKind.BISPHOSPHONATE.value, _("Bisphosphonate")),
    (ProcedureKind.ANTICOAGULANT_ENOXAPARIN.value, _("Enoxaparin")),
    (ProcedureKind.STATIN.value, _("Statin")),
    (ProcedureKind.ESWT.value, _("Extracorporeal shock wave therapy")),
    (ProcedureKind.HBO.value, _("Hyperbaric oxygen")),
    (ProcedureKind.PEMF.value, _("Pulsed electromagnetic field therapy")),
    (ProcedureKind.ANALGESIA.value, _("Analgesia")),
    (ProcedureKind.OTHER.value, _("Other treatment")),
]
ADJUNCTS = [
    (Adjunct.AUTOLOGOUS_MARROW.value, _("Autologous bone marrow")),
    (Adjunct.VASCULAR_FIBULAR_GRAFT.value, _("Vascularised fibular graft")),
    (Adjunct.NONVASC_BONE_GRAFT.value, _("Non-vascularised bone graft")),
    (Adjunct.ELECTRIC_STIMULATION.value, _("Electric stimulation")),
    (Adjunct.TANTALUM_ROD.value, _("Tantalum rod")),
    (Adjunct.BMP.value, _("Bone morphogenetic protein")),
    (Adjunct.PRP.value, _("Platelet-rich plasma")),
    (Adjunct.OTHER.value, pgettext_lazy("treatment", "Other")),
]
OUTCOMES = [
    (Outcome.OPERATE.value, _("Operate")),
    (Outcome.OBSERVE.value, _("Observe")),
    (Outcome.IMAGE_FURTHER.value, _("Image further")),
    (Outcome.REFER.value, _("Refer")),
    (Outcome.PATIENT_DECLINED.value, _("Patient declined")),
    (Outcome.DISCHARGE_REFUSED.value, _("Discharge refused")),
    (Outcome.OTHER.value, pgettext_lazy("outcome", "Other")),
]
JIC_TYPES = [(kind.value, kind.value) for kind in JicType]
END_REASONS = [
    (EndReason.DECEASED.value, _("Deceased")),
    (EndReason.HIP_REPLACED.value, _("Hip replaced")),
    (EndReason.TRANSFERRED.value, _("Transferred to another clinic")),
    (EndReason.DECLINED_IN_WRITING.value, _("Declined in writing")),
    (EndReason.DISCHARGED.value, _("Discharged")),
    (EndReason.ENTERED_IN_ERROR.value, _("Entered in error")),
    (EndReason.REOPENED.value, _("Reopened")),
]
CONDITIONS = [
    (Condition.GLUCOCORTICOID.value, _("Glucocorticoid")),
    (Condition.ALCOHOL.value, _("Alcohol")),
    (Condition.SICKLE_CELL.value, _("Sickle cell disease")),
    (Condition.OTHER_HAEMOGLOBINOPATHY.value, _("Other haemoglobinopathy")),
    (Condition.SLE.value, _("Systemic lupus erythematosus")),
    (Condition.ANTIPHOSPHOLIPID.value, _("Antiphospholipid syndrome")),
    (Condition.HIV.value, "HIV"),
    (Condition.GAUCHER.value, _("Gaucher disease")),
    (Condition.TRANSPLANT.value, _("Transplant")),
    (Condition.RENAL_FAILURE.value, _("Renal failure or dialysis")),
    (Condition.RADIATION.value, _("Radiation")),
    (Condition.CHEMOTHERAPY.value, _("Chemotherapy")),
    (Condition.PANCREATITIS.value, _("Pancreatitis")),
    (Condition.HYPERLIPIDAEMIA.value, _("Hyperlipidaemia")),
    (Condition.COAGULOPATHY.value, _("Coagulopathy")),
    (Condition.PREGNANCY.value, _("Pregnancy")),
    (Condition.SMOKING.value, _("Smoking")),
    (Condition.DECOMPRESSION_SICKNESS.value, _("Decompression sickness")),
    (Condition.FEMORAL_NECK_FRACTURE.value, _("Femoral neck fracture")),
    (Condition.HIP_DISLOCATION.value, _("Hip dislocation")),
    (Condition.POST_SURGERY.value, _("After surgery")),
    (Condition.SCFE_PERTHES.value, _("SCFE or Perthes disease in childhood")),
    (Condition.FAMILIAL.value, _("Familial")),
    (Condition.HIP_DYSPLASIA.value, _("Hip dysplasia")),
    (Condition.IDIOPATHIC.value, _("Idiopathic")),
    (Condition.UNKNOWN.value, _("Unknown")),
    (Condition.OTHER.value, _("Other")),
]


def one_of(field: str, codes: Iterable[StrEnum], *, name: str) -> models.CheckConstraint:
    """The database refuses a code that is not in the vocabulary."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": [str(code) for code in codes]}), name=name)


def between(field: str, low: Any, high: Any, *, name: str) -> models.CheckConstraint:
    """The database refuses a number outside `low`..`high`, both included; NULL is unknown and passes."""
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__gte": low, f"{field}__lte": high}), name=name
    )


def within(low: int, high: int) -> list[MinValueValidator | MaxValueValidator]:
    """The same bounds for forms and actions, with words."""
    return [
        MinValueValidator(low, _("Enter a number of at least %(limit_value)s.")),
        MaxValueValidator(high, _("Enter a number of at most %(limit_value)s.")),
    ]
