"""What is stored of patients: one concept, one module."""

from .clinic import Clinic
from .emergency import EmergencyAccess, Restriction
from .facts import (
    BmiReading,
    Decision,
    Ending,
    Fact,
    HipFact,
    Imaging,
    LesionLocation,
    Procedure,
    Score,
    Staging,
    SymptomReport,
    Visit,
)
from .hip import Exposure, Hip
from .merge import Merge, PossibleDuplicate
from .patient import Consent, ContactWish, Patient, Purpose
from .staff import Membership, Role, User

HIP_FACTS: tuple[type[HipFact], ...] = (
    Imaging,
    Staging,
    SymptomReport,
    Score,
    Procedure,
    Decision,
    LesionLocation,
    Ending,
)

__all__ = [
    "HIP_FACTS",
    "BmiReading",
    "Clinic",
    "Consent",
    "ContactWish",
    "Decision",
    "EmergencyAccess",
    "Ending",
    "Exposure",
    "Fact",
    "Hip",
    "HipFact",
    "Imaging",
    "LesionLocation",
    "Membership",
    "Merge",
    "Patient",
    "PossibleDuplicate",
    "Procedure",
    "Purpose",
    "Restriction",
    "Role",
    "Score",
    "Staging",
    "SymptomReport",
    "User",
    "Visit",
]
