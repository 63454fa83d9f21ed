"""Mapping: one valid FHIR R4 resource as what the registry can hold, or the reason why it cannot be used."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from patients.models import BmiReading, Fact, Imaging, Procedure, Score, Staging, SymptomReport
from patients.models.clinic import PATIENT_LANGUAGES
from patients.models.facts import Origin
from patients.vocabulary import STAGE_CODES, Instrument, Side

from ..imports.arrivals import SaidExposure, SaidFact
from ..imports.rows import dialled
from . import codes

Resource = Mapping[str, Any]
RECORD_NUMBER_LENGTH: Final = 32


class Unusable(ValueError):
    """The resource concerns the registry but cannot be used; the text says why, the same for all of its kind."""


@dataclass(frozen=True)
class Taken:
    """What one resource gives to the person that `subject` points at."""

    subject: str
    facts: tuple[SaidFact, ...] = ()
    exposures: tuple[SaidExposure, ...] = ()

    @property
    def is_of_a_hip(self) -> bool:
        return any(said.side for said in self.facts) or any(exposure.side for exposure in self.exposures)


@dataclass(frozen=True)
class PersonTaken:
    record_number: str
    person: dict[str, Any]
    died_on: date | None = None
    notes: tuple[str, ...] = field(default=())


def read_resource(resource: Resource) -> Taken | None:
    """What the registry takes of the resource; None where it is of no concern. Raises Unusable."""
    reader = _READERS.get(str(resource["resourceType"]))
    return reader(resource) if reader else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _day(written: Any) -> date | None:
    """The calendar day as the sender's clock had it; None where it is not exact to the day."""
    match = re.match(r"\d{4}-\d{2}-\d{2}", str(written or ""))
    return date.fromisoformat(match[0]) if match else None


def _needed_day(*written: Any) -> date:
    for candidate in written:
        day = _day(candidate)
        if day:
            return day
    raise Unusable("It has no date that is exact to the day.")


def _subject(resource: Resource, name: str = "subject") -> str:
    reference = (resource.get(name) or {}).get("reference")
    if not reference:
        raise Unusable("It names no patient.")
    return str(reference)


def _needed_sides(concepts: Iterable[codes.Concept]) -> list[Side]:
    sides = codes.sides_of(concepts)
    if not sides:
        raise Unusable("It says neither right nor left.")
    return sorted(sides)


def _said(resource: Resource, side: Side | None, fact: Fact) -> SaidFact:
    fact.origin = Origin.FHIR
    fact.note = f"FHIR {resource['resourceType']}/{resource.get('id', '')}"
    return SaidFact(side, fact)


# ---- Patient


def read_person(resource: Resource, identifier_system: str = "") -> PersonTaken:
    """The person of a Patient resource. Raises Unusable."""
    if any(link.get("type") in ("replaced-by", "refer") for link in _list(resource.get("link"))):
        raise Unusable("Another Patient resource replaces it.")
    person, notes = _names(resource), []
    born_on = _day(resource.get("birthDate"))
    if born_on:
        person["born_on"] = born_on
    elif resource.get("birthDate"):
        notes.append("The date of birth is not exact to the day and was left out.")
    if resource.get("gender"):
        person["sex"] = str(resource["gender"])
    person |= _national_number(resource) | _contact(resource) | _language(resource)
    return PersonTaken(_record_number(resource, identifier_system), person, _death(resource), tuple(notes))


def _record_number(resource: Resource, system: str) -> str:
    identifiers = [i for i in _list(resource.get("identifier")) if i.get("value") and i.get("use") != "old"]
    if system:
        identifiers = [i for i in identifiers if i.get("system") == system]
        if not identifiers:
            raise Unusable("It has no identifier of the system that was asked for.")
    records = [i for i in identifiers if any(c == "MR" for _s, c, _d in codes.codings([i.get("type") or {}]))]
    chosen = next(iter(records or identifiers), None)
    number = str(chosen["value"] if chosen else resource.get("id") or "").strip()
    if len(number) > RECORD_NUMBER_LENGTH:
        number = _without_hyphens(number)
    if not number:
        raise Unusable("It has no identifier.")
    return number


def _without_hyphens(number: str) -> str:
    try:
        return UUID(number).hex
    except ValueError:
        raise Unusable(f"Its identifier is longer than {RECORD_NUMBER_LENGTH} characters.") from None


def _names(resource: Resource) -> dict[str, Any]:
    names = [name for name in _list(resource.get("name")) if name.get("use") not in ("old", "maiden", "temp")]
    rank = {"official": 0, "usual": 1}
    name = min(names, key=lambda n: rank.get(n.get("use"), 2), default=None)
    family = str((name or {}).get("family") or "").strip()
    if name is None or not family:
        raise Unusable("It has no family name.")
    given = " ".join(str(part) for part in _list(name.get("given")) if part).strip()
    return {"family_name": family} | ({"given_name": given} if given else {})


def _national_number(resource: Resource) -> dict[str, Any]:
    for identifier in _list(resource.get("identifier")):
        system, value = str(identifier.get("system") or ""), str(identifier.get("value") or "")
        if value and system.endswith("nhs-number"):
            return {"national_id": value, "national_id_kind": "nhs"}
        if value and system.endswith("us-ssn"):
            return {"national_id": value, "national_id_kind": "us-ssn"}
    return {}


def _contact(resource: Resource) -> dict[str, Any]:
    person: dict[str, Any] = {}
    current = [t for t in _list(resource.get("telecom")) if t.get("value") and t.get("use") != "old"]
    email = next((str(t["value"]) for t in current if t.get("system") == "email"), "")
    phones = [t for t in current if t.get("system") in ("phone", "sms")]
    phone = min(phones, key=lambda t: t.get("use") != "mobile", default=None)
    if email:
        person["email"] = email
    if phone:
        written = str(phone["value"])[:40]
        person |= {"telephone_as_given": written, "telephone": dialled(written)}
    addresses = [a for a in _list(resource.get("address")) if a.get("use") != "old"]
    if addresses:
        first = addresses[0]
        place = " ".join(str(first[k]) for k in ("postalCode", "city") if first.get(k))
        lines = [*_list(first.get("line")), place, first.get("state"), first.get("country")]
        text = first.get("text") or "\n".join(str(line) for line in lines if line)
        person |= {"address": text} if text else {}
    return person


def _language(resource: Resource) -> dict[str, Any]:
    spoken = sorted(_list(resource.get("communication")), key=lambda c: not c.get("preferred"))
    known = {code for code, _label in PATIENT_LANGUAGES}
    for communication in spoken:
        for _system, code, _display in codes.codings([communication.get("language") or {}]):
            if code.split("-")[0].lower() in known:
                return {"language": code.split("-")[0].lower()}
    return {}


def _death(resource: Resource) -> date | None:
    if resource.get("deceasedDateTime"):
        died_on = _day(resource["deceasedDateTime"])
        if died_on:
            return died_on
    elif not resource.get("deceasedBoolean"):
        return None
    raise Unusable("The person has died on an unknown day: record that on the patient's page.")


# ---- Condition, Procedure, Observation, ImagingStudy


def _condition(resource: Resource) -> Taken | None:
    code = resource.get("code") or {}
    sites = _list(resource.get("bodySite"))
    disease = codes.osteonecrosis(code, sites)
    person_cause = codes.cause(code)
    if disease is None and person_cause is None:
        return None
    verified = {c for _s, c, _d in codes.codings([resource.get("verificationStatus") or {}])}
    if verified & {"refuted", "entered-in-error"}:
        raise Unusable("It was refuted or entered in error.")
    if verified & {"unconfirmed", "provisional", "differential"}:
        raise Unusable("It is not confirmed.")
    started_on = _day(resource.get("onsetDateTime") or (resource.get("onsetPeriod") or {}).get("start"))
    source = f"FHIR Condition: {_shown(code)}"
    if disease is None:
        assert person_cause is not None  # noqa: S101 - told apart above
        exposure = SaidExposure(person_cause.value, "", started_on, source)
        return Taken(_subject(resource), exposures=(exposure,))
    kind, of_hip = disease
    if not of_hip:
        raise Unusable("It is an osteonecrosis of which the site is not the hip or not said.")
    sides = _needed_sides([code, *sites])
    exposures = tuple(SaidExposure(kind.value, side.value, started_on, source) for side in sides)
    return Taken(_subject(resource), _stages(resource, sides), exposures)


def _shown(code: codes.Concept) -> str:
    return next(
        (f"{value} {display}".strip() for _s, value, display in codes.codings([code]) if value), codes.words([code])
    )


def _stages(resource: Resource, sides: list[Side]) -> tuple[SaidFact, ...]:
    on = _day(resource.get("recordedDate")) or _day(resource.get("onsetDateTime"))
    found = [codes.stage(entry.get("summary") or {}) for entry in _list(resource.get("stage"))]
    return tuple(
        _said(resource, side, Staging(on=on, system=system.value, version=version, code=code))
        for system, version, code in filter(None, found)
        for side in sides
        if on and code in STAGE_CODES.get((system, version), ())
    )


def _procedure(resource: Resource) -> Taken | None:
    code, sites = resource.get("code") or {}, _list(resource.get("bodySite"))
    kind = codes.procedure(code)
    if kind is None:
        if codes.is_hip([code, *sites]):
            raise Unusable("It was done at a hip, but the registry has no kind for its code.")
        return None
    if resource.get("status") != "completed":
        raise Unusable("It was not completed.")
    sides = _needed_sides([code, *sites])
    period = resource.get("performedPeriod") or {}
    on = _needed_day(resource.get("performedDateTime"), period.get("start"), period.get("end"))
    facts = tuple(_said(resource, side, Procedure(on=on, procedure=kind.value)) for side in sides)
    return Taken(_subject(resource), facts)


def _observation(resource: Resource) -> Taken | None:
    code = resource.get("code") or {}
    make = next((make for loinc, make in _MEASURES.items() if codes.has_code([code], codes.LOINC, [loinc])), None)
    if make is None:
        return None
    if resource.get("status") not in ("final", "amended", "corrected"):
        raise Unusable("It is not final.")
    on = _needed_day(
        resource.get("effectiveDateTime"),
        resource.get("effectiveInstant"),
        (resource.get("effectivePeriod") or {}).get("start"),
    )
    if make is _bmi:
        return Taken(_subject(resource), (_said(resource, None, _bmi(resource, on)),))
    sites = _list(resource.get("bodySite"))
    if make is _pain and not codes.is_hip(sites):
        raise Unusable("It names no hip.")
    sides = _needed_sides([*sites, code])
    return Taken(_subject(resource), tuple(_said(resource, side, make(resource, on)) for side in sides))


def _value(resource: Resource) -> Decimal:
    value = (resource.get("valueQuantity") or {}).get("value", resource.get("valueInteger"))
    if value is None or (resource.get("valueQuantity") or {}).get("comparator"):
        raise Unusable("It has no exact value.")
    return Decimal(str(value))


def _pain(resource: Resource, on: date) -> Fact:
    """Reported by the patient unless a practitioner says so: a patient's word never ends an episode of pain."""
    value = _value(resource)
    if value != value.to_integral_value():
        raise Unusable("Its value is no whole number from 0 to 10.")
    by = [str(p.get("reference") or "") for p in _list(resource.get("performer"))]
    source = "clinician" if any("Practitioner" in reference for reference in by) else "patient"
    return SymptomReport(on=on, source=source, pain_nrs=int(value))


def _harris(resource: Resource, on: date) -> Fact:
    return Score(on=on, instrument=Instrument.HHS.value, value=_value(resource))


def _hoos_jr(resource: Resource, on: date) -> Fact:
    return Score(on=on, instrument=Instrument.HOOS_JR.value, value=_value(resource))


def _bmi(resource: Resource, on: date) -> Fact:
    return BmiReading(on=on, value=_value(resource).quantize(Decimal("0.01")))


_MEASURES: Final[dict[str, Callable[[Resource, date], Fact]]] = {
    codes.PAIN_NRS: _pain,
    codes.HARRIS: _harris,
    codes.HOOS_JR: _hoos_jr,
    codes.BMI: _bmi,
}


def _imaging_study(resource: Resource) -> Taken | None:
    """One image a modality and hip. A study of the pelvis shows both hips; what was read from it FHIR does not say."""
    described = [{"text": resource.get("description")}, *_list(resource.get("procedureCode"))]
    series = [s for s in _list(resource.get("series")) if _shows_hips(s, described)]
    if not series:
        return None
    if resource.get("status") not in ("available", None):
        raise Unusable("The study is not available.")
    on = _needed_day(resource.get("started"), *(s.get("started") for s in series))
    seen = {(modality, side) for s in series for modality, side in _views_of(s, described)}
    if not seen:
        raise Unusable("Its modality is none of radiograph, MRI, CT, bone scan, ultrasound.")
    uid, accession = _study_numbers(resource)
    facts = tuple(
        _said(
            resource,
            Side(side),
            Imaging(on=on, modality=modality, views=[], study_instance_uid=uid, accession_number=accession),
        )
        for modality, side in sorted(seen)
    )
    return Taken(_subject(resource), facts)


def _shows_hips(series: Resource, described: list[Resource]) -> bool:
    own = [series.get("bodySite") or {}, {"text": series.get("description")}]
    site_is_known = bool(series.get("bodySite"))
    shown = own if site_is_known else [*own, *described]
    return codes.is_hip(shown) or codes.is_pelvis(shown)


def _views_of(series: Resource, described: list[Resource]) -> list[tuple[str, str]]:
    modality = codes.MODALITIES.get(str((series.get("modality") or {}).get("code") or ""))
    if modality is None:
        return []
    own = [series.get("laterality") or {}, series.get("bodySite") or {}, {"text": series.get("description")}]
    sides = codes.sides_of(own) or codes.sides_of(described)
    if not sides and codes.is_pelvis([*own, *described]):
        sides = frozenset(Side)
    if not sides:
        raise Unusable("It says neither right nor left.")
    return [(modality.value, side.value) for side in sides]


def _study_numbers(resource: Resource) -> tuple[str, str]:
    uid = accession = ""
    for identifier in _list(resource.get("identifier")):
        value = str(identifier.get("value") or "")
        if value.startswith("urn:oid:"):
            uid = value.removeprefix("urn:oid:")[:64]
        elif any(code == "ACSN" for _s, code, _d in codes.codings([identifier.get("type") or {}])):
            accession = value[:64]
    return uid, accession


_READERS: Final[dict[str, Callable[[Resource], Taken | None]]] = {
    "Condition": _condition,
    "Procedure": _procedure,
    "Observation": _observation,
    "ImagingStudy": _imaging_study,
}
