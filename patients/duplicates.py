"""Duplicates: who in the registry may be the same person, with a score and the reasons in words.

A score is points out of 100: it orders and explains, it is no probability. Nobody is merged by it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from django.contrib.postgres.search import TrigramSimilarity
from django.db.models import Exists, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Concat, Lower, Upper
from django.utils.translation import gettext as _
from rapidfuzz.distance import JaroWinkler, Levenshtein

from .models import Ending, Patient
from .names import folded, sound
from .vocabulary import EndReason, Side

LIKELY: Final = 75  # the same person unless somebody looks and says no
POSSIBLE: Final = 50
_ENOUGH: Final = 50  # rows read per way of looking


@dataclass(frozen=True)
class Person:
    """What is compared of a person; empty is unknown."""

    family_name: str
    given_name: str = ""
    born_on: date | None = None
    record_number: str = ""
    national_id: str = ""
    email: str = ""
    telephone: str = ""


@dataclass(frozen=True)
class Candidate:
    patient: Patient
    score: int
    reasons: tuple[str, ...]

    @property
    def is_likely(self) -> bool:
        return self.score >= LIKELY


def person_of(patient: Patient) -> Person:
    return Person(
        patient.family_name,
        patient.given_name,
        patient.born_on,
        patient.record_number,
        patient.national_id,
        patient.email,
        str(patient.telephone),
    )


def find_candidates(
    clinic_ids: Iterable[int],
    *,
    family_name: str,
    given_name: str = "",
    born_on: date | None = None,
    record_number: str = "",
    national_id: str = "",
    email: str = "",
    telephone: str = "",
    limit: int = 10,
) -> list[Candidate]:
    """Patients of these clinics who may be this person, likeliest first, at least POSSIBLE. Six bounded queries.

    Who is like a merged record is shown the record that speaks for that person now.
    """
    person = Person(family_name, given_name, born_on, record_number, national_id, email, telephone)
    patients = Patient.objects.filter(clinic_id__in=list(clinic_ids)).select_related("merged_into").order_by()
    met = {patient.pk: patient for narrowed in _blocks(patients, person) for patient in narrowed[:_ENOUGH]}
    return _living(_ranked(person, met.values()))[:limit]


def _living(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Each person once, by the record that speaks for them."""
    found: dict[int, Candidate] = {}
    for candidate in candidates:
        patient = candidate.patient
        while patient.merged_into is not None:
            patient = patient.merged_into
        found.setdefault(patient.pk, replace(candidate, patient=patient))
    return list(found.values())


def _ranked(person: Person, patients: Iterable[Patient]) -> list[Candidate]:
    scored = [Candidate(patient, *compare(person, person_of(patient))) for patient in patients]
    possible = [candidate for candidate in scored if candidate.score >= POSSIBLE]
    return sorted(possible, key=lambda candidate: (-candidate.score, candidate.patient.pk))


def _blocks(patients: QuerySet[Patient], person: Person) -> list[QuerySet[Patient]]:
    """Narrow ways of looking, each of which an index or the clinic's size bounds."""
    blocks: list[QuerySet[Patient]] = []
    if person.record_number:
        blocks.append(
            patients.alias(capitals=Upper("record_number")).filter(capitals=person.record_number.strip().upper())
        )
    if person.national_id:
        blocks.append(patients.filter(national_id=person.national_id.strip()))
    if person.email:
        blocks.append(patients.alias(mail=Lower("email")).filter(mail=person.email.strip().lower()))
    if person.telephone:
        blocks.append(patients.filter(telephone=person.telephone))
    if person.born_on:
        blocks.append(patients.filter(born_on__in=_misread(person.born_on)))
    name = f"{person.family_name} {person.given_name}".strip().upper()
    if name:
        whole = Upper(Concat("family_name", Value(" "), "given_name"))
        like = patients.annotate(whole_name=whole).filter(whole_name__trigram_similar=name)
        blocks.append(like.order_by(TrigramSimilarity("whole_name", name).desc(), "id"))
    return blocks


def find_likely(clinic_id: int, people: Sequence[Person]) -> list[Candidate | None]:
    """For each of many people the likeliest patient of the clinic, or None below LIKELY. One query for all.

    Looks only where birth date, national number or e-mail agree: without one of these nobody is LIKELY. Who stands
    there as entered in error is nobody's duplicate.
    """
    born = {day for person in people if person.born_on for day in _misread(person.born_on)}
    numbers = {person.national_id for person in people if person.national_id}
    emails = {person.email.lower() for person in people if person.email}
    if not (born or numbers or emails):
        return [None] * len(people)
    found = Patient.objects.filter(clinic_id=clinic_id, merged_into__isnull=True).order_by().alias(mail=Lower("email"))
    met = found.filter(Q(born_on__in=born) | Q(national_id__in=numbers) | Q(mail__in=emails))
    patients = list(met.exclude(*entered_in_error()))
    index: dict[object, list[Patient]] = {}
    for patient in patients:
        for key in _keys(person_of(patient)):
            index.setdefault(key, []).append(patient)
    return [_likeliest(person, index) for person in people]


def entered_in_error() -> tuple[Exists, Exists]:
    """Whether both hips of a patient stand as entered in error, as conditions of a query of patients."""
    return _in_error(Side.LEFT), _in_error(Side.RIGHT)


def _in_error(side: Side) -> Exists:
    """Whether this hip of the patient stands as entered in error."""
    standing = Ending.objects.filter(patient=OuterRef("pk"), withdrawn_at__isnull=True)
    taken_back = Ending.objects.filter(
        patient=OuterRef("patient"), supersedes=OuterRef("pk"), withdrawn_at__isnull=True
    )
    return Exists(standing.filter(~Exists(taken_back), hip__side=side.value, reason=EndReason.ENTERED_IN_ERROR.value))


def _keys(person: Person) -> set[object]:
    keys: set[object] = {person.born_on, person.national_id, person.email.lower()}
    return keys - {None, ""}


def _likeliest(person: Person, index: dict[object, list[Patient]]) -> Candidate | None:
    wanted = _keys(person) | (_misread(person.born_on) if person.born_on else set())
    met = {patient.pk: patient for key in wanted for patient in index.get(key, ())}
    best = next(iter(_ranked(person, met.values())), None)
    return best if best and best.is_likely else None


def _misread(day: date) -> set[date]:
    """The day, and the day with day and month exchanged where that exists."""
    try:
        return {day, date(day.year, day.day, day.month)}
    except ValueError:
        return {day}


def compare(one: Person, other: Person) -> tuple[int, tuple[str, ...]]:
    """Points out of 100 that these are one person, and why."""
    parts = [*_numbers(one, other), *_names(one, other), *_births(one, other), *_addresses(one, other)]
    points = sum(weight for weight, _reason in parts)
    return max(0, min(100, points)), tuple(reason for weight, reason in parts if weight > 0)


_Part = tuple[int, str]


def _numbers(one: Person, other: Person) -> list[_Part]:
    parts: list[_Part] = []
    if one.record_number and one.record_number.strip().upper() == other.record_number.strip().upper():
        parts.append((40, _("same record number")))
    if one.national_id and other.national_id:
        distance = Levenshtein.distance(one.national_id.strip(), other.national_id.strip())
        if distance == 0:
            parts.append((60, _("same national number")))
        elif distance == 1:
            parts.append((20, _("national numbers differ by one character")))
        else:
            parts.append((-20, ""))
    return parts


def _names(one: Person, other: Person) -> list[_Part]:
    family, given = _alike(one.family_name, other.family_name), _alike(one.given_name, other.given_name)
    crossed = min(_alike(one.family_name, other.given_name), _alike(one.given_name, other.family_name))
    if crossed >= 0.95 and crossed > max(family, given):
        return [(40, _("family and given name exchanged"))]
    parts: list[_Part] = []
    if family >= 0.99:
        parts.append((25, _("same family name")))
    elif family >= 0.88:
        parts.append((17, _("similar family name")))
    elif family >= 0.6 and _sounds_alike(one.family_name, other.family_name):
        parts.append((14, _("family name that sounds the same")))
    elif one.family_name and other.family_name:
        parts.append((-15, ""))
    if not (one.given_name and other.given_name):
        return parts
    if given >= 0.99:
        parts.append((20, _("same given name")))
    elif given >= 0.88:
        parts.append((13, _("similar given name")))
    elif given >= 0.6 and _sounds_alike(one.given_name, other.given_name):
        parts.append((10, _("given name that sounds the same")))
    elif (
        one.given_name[:1].casefold() == other.given_name[:1].casefold()
        and min(len(one.given_name), len(other.given_name)) < 3
    ):
        parts.append((8, _("same initial")))
    else:
        parts.append((-20, ""))
    return parts


def _sounds_alike(one: str, other: str) -> bool:
    return len(sound(one)) > 1 and sound(one) == sound(other)


def _births(one: Person, other: Person) -> list[_Part]:
    if one.born_on is None or other.born_on is None:
        return []
    if one.born_on == other.born_on:
        return [(35, _("same date of birth"))]
    if other.born_on in _misread(one.born_on):
        return [(25, _("day and month of birth exchanged"))]
    if Levenshtein.distance(one.born_on.isoformat(), other.born_on.isoformat()) == 1:
        return [(22, _("dates of birth differ by one digit"))]
    return [(-25, "")]


def _addresses(one: Person, other: Person) -> list[_Part]:
    """One point of contact; a household shares both, so two are not counted twice."""
    if one.email and one.email.strip().lower() == other.email.strip().lower():
        return [(20, _("same e-mail address"))]
    if one.telephone and one.telephone == other.telephone:
        return [(15, _("same telephone"))]
    return []


def _alike(one: str, other: str) -> float:
    """0 to 1; an empty name is like no other."""
    if not one or not other:
        return 0.0
    return max(JaroWinkler.similarity(a, b) for a in folded(one) for b in folded(other))


def same_name(one: str, other: str) -> bool:
    """Whether these are one name, accents and umlauts written as it may be."""
    return bool(set(folded(one)) & set(folded(other)))
