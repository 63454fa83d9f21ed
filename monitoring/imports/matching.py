"""Matching: which of our columns a file's headings mean, by their wording and by what a clinic chose before."""

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from patients.changes import Actor
from patients.models import Clinic
from patients.vocabulary import Side

from ..models import ImportMapping
from .columns import BY_NAME, HIP_COLUMNS, REQUIRED, spelled

_ALIKE: Final = 0.75
_SIDES: Final = {
    **dict.fromkeys(("right", "rechts", "re", "r", "rt"), Side.RIGHT),
    **dict.fromkeys(("left", "links", "li", "l", "lt"), Side.LEFT),
}
_FOLDED: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", ".": " ", "/": " ", "(": " ", ")": " "})
# Words that clinics write for a column; a hip's without its side.
_WORDS: Final[dict[str, str]] = {
    word: column
    for column, words in {
        "record_number": "mrn patient_id patient_no patient_number hospital_number case_number fallnummer aktennummer"
        " patientennummer patienten_nr pat_nr patnr aktenzeichen",
        "family_name": "surname last_name lastname nachname familienname name",
        "given_name": "first_name firstname forename vorname",
        "born_on": "dob date_of_birth birth_date birthdate birthday geburtsdatum geb_datum geb_dat gebdat",
        "sex": "gender geschlecht",
        "national_id": "nhs_number nhs_no versichertennummer insurance_number",
        "email": "e_mail mail e_mail_address email_address mailadresse",
        "telephone": "phone phone_number tel mobile handy telefon telefonnummer",
        "address": "postal_address adresse anschrift",
        "language": "sprache",
        "enrolled_on": "enrolment enrolment_date date_of_enrolment aufnahme aufnahmedatum",
        "conditions": "aetiology etiology risk_factors aetiologie risikofaktoren ursache",
        "died_on": "date_of_death death_date sterbedatum todesdatum",
        "visit_on": "visit visit_date date_of_visit date datum besuch besuchsdatum untersuchungsdatum",
        "visit_note": "note notes comment comments notiz bemerkung",
        "bmi": "body_mass_index",
        "modality": "imaging image bildgebung modalitaet",
        "imaging_on": "imaging_date image_date date_of_imaging bilddatum",
        "necrosis": "nekrose osteonecrosis",
        "lesion_volume_percent": "volume_percent lesion_percent volumen_prozent laesion_prozent",
        "lesion_volume_cm3": "volume_cm3 volumen_cm3",
        "stage_system": "staging staging_system klassifikation stadiensystem",
        "stage_version": "staging_version version",
        "stage_code": "stage stadium",
        "pain_nrs": "pain pain_score nrs vas schmerz schmerzen",
        "hhs": "harris harris_hip_score",
        "ohs": "oxford oxford_hip_score",
        "hoos_jr": "hoos",
        "procedure": "operation surgery treatment eingriff",
        "procedure_on": "operation_date surgery_date date_of_surgery op_datum",
        "operator": "surgeon operateur",
    }.items()
    for word in words.split()
}
_OF_HIP: Final = frozenset(column.name for column in HIP_COLUMNS)


def is_ours(titles: Sequence[str]) -> bool:
    """Whether every heading is a column of ours as it stands, and none that is needed is missing."""
    names = [spelled(title) for title in titles]
    unnamed = [f"column_{place}" for place in range(1, len(names) + 1)]
    known = all(name in BY_NAME or name == nameless for name, nameless in zip(names, unnamed, strict=True))
    return known and set(REQUIRED) <= set(names)


def suggest(titles: Sequence[str]) -> dict[str, str]:
    """Heading -> our column, each column at most once; "" where the wording tells nothing."""
    chosen: dict[str, str] = {}
    taken: set[str] = set()
    for way in (_same, _worded, _alike):
        for title in titles:
            name = "" if title in chosen else way(spelled(title))
            if name and name not in taken:
                chosen[title] = name
                taken.add(name)
    return {title: chosen.get(title, "") for title in titles}


def _same(title: str) -> str:
    return title if title in BY_NAME else ""


def _worded(title: str) -> str:
    words = title.translate(_FOLDED).replace("_", " ").split()
    sides = {_SIDES[word] for word in words if word in _SIDES}
    plain = "_".join(word for word in words if word not in _SIDES) if len(sides) == 1 else "_".join(words)
    name = _WORDS.get(plain, plain)
    if len(sides) == 1 and name in _OF_HIP:
        return f"{sides.pop()}_{name}"
    return name if name in BY_NAME else ""


def _alike(title: str) -> str:
    near = difflib.get_close_matches(title, BY_NAME, n=1, cutoff=_ALIKE)
    return near[0] if near else ""


# ---- What a clinic chose before


def digest_of(titles: Sequence[str]) -> str:
    """The same for files with the same headings in the same order."""
    return hashlib.sha256(json.dumps([spelled(title) for title in titles]).encode()).hexdigest()


def kept_for(clinic_id: int, titles: Sequence[str]) -> ImportMapping | None:
    """What the clinic last kept for files with these headings."""
    found = ImportMapping.objects.filter(clinic=clinic_id, headings=digest_of(titles))
    return found.order_by("-kept_at", "-id").first()


def is_taken(clinic_id: int, name: str, titles: Sequence[str]) -> bool:
    """Whether the clinic has kept another file's headings under this name."""
    found = ImportMapping.objects.filter(clinic=clinic_id, name=name.strip()[:60])
    return found.exclude(headings=digest_of(titles)).exists()


def free_name(clinic_id: int, wanted: str, titles: Sequence[str]) -> str:
    """The name, or with a number where it is kept for other headings."""
    names = (wanted[:60], *(f"{wanted[:56]} {number}" for number in range(2, 100)))
    return next((name for name in names if not is_taken(clinic_id, name, titles)), "")


def keep(
    clinic: Clinic, name: str, titles: Sequence[str], columns: Mapping[str, str], *, by: Actor, now: datetime
) -> ImportMapping:
    """Keep the matching under a name of this clinic; what had the name before is replaced."""
    kept, _created = ImportMapping.objects.update_or_create(
        clinic=clinic,
        name=name.strip()[:60],
        defaults={
            "headings": digest_of(titles),
            "columns": dict(columns),
            "actor": by.name[:120],
            "kept_at": now,
        },
    )
    return kept
