"""Duplicate search: once a night, which records of a clinic may be of one person; and saying that they are not.

Compared are only records that agree in something (a block): a number, an address, a day of birth, or how both names
sound. So the number of comparisons grows with the registry and not with its square.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import combinations
from typing import Final

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from .changes import Actor, Change, announce
from .duplicates import POSSIBLE, Person, compare, entered_in_error
from .models import Patient, PossibleDuplicate
from .names import sound
from .recording import RecordingRefused

LARGEST_BLOCK: Final = 50  # records; of a larger block those are compared that are born in the same year
_BATCH: Final = 2_000
_COLUMNS: Final = ("id", "family_name", "given_name", "born_on", "national_id", "email", "telephone")


def search_duplicates(clinic_id: int, *, now: datetime | None = None) -> int:
    """Compare the clinic's records and keep the pairs that are at least POSSIBLE; how many are open now.

    Pairs that are alike no longer are dropped, those that somebody dismissed stay dismissed.
    """
    now = now or timezone.now()
    found = find_pairs(_people(clinic_id))
    with transaction.atomic():
        rows = [
            PossibleDuplicate(clinic_id=clinic_id, one_id=one, other_id=other, score=score, found_at=now)
            for (one, other), score in sorted(found.items())
        ]
        PossibleDuplicate.objects.bulk_create(
            rows,
            batch_size=_BATCH,
            update_conflicts=True,
            update_fields=["score"],
            unique_fields=["one", "other"],
        )
        open_pairs = PossibleDuplicate.objects.filter(clinic=clinic_id, dismissed_at__isnull=True)
        gone = [
            pk for pk, one, other in open_pairs.values_list("id", "one_id", "other_id") if (one, other) not in found
        ]
        PossibleDuplicate.objects.filter(pk__in=gone).delete()
        return open_pairs.count()


def _people(clinic_id: int) -> dict[int, Person]:
    """Everybody of the clinic who is neither merged nor entered in error."""
    patients = Patient.objects.filter(clinic_id=clinic_id, merged_into__isnull=True).order_by("id")
    rows = patients.exclude(*entered_in_error()).values_list(*_COLUMNS)
    return {
        pk: Person(family, given, born, "", national_id, email, str(telephone))
        for pk, family, given, born, national_id, email, telephone in rows.iterator(chunk_size=5_000)
    }


def find_pairs(people: dict[int, Person]) -> dict[tuple[int, int], int]:
    """Pairs that are at least POSSIBLE, the lower id first, with their score."""
    blocks: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for pk, person in people.items():
        for key in _keys(person):
            blocks[key].append(pk)
    compared: set[tuple[int, int]] = set()
    found: dict[tuple[int, int], int] = {}
    for one, other in _pairs(blocks.values(), people):
        pair = (one, other) if one < other else (other, one)
        if pair in compared:
            continue
        compared.add(pair)
        score, _reasons = compare(people[one], people[other])
        if score >= POSSIBLE:
            found[pair] = score
    return found


def _keys(person: Person) -> Iterator[tuple[object, ...]]:
    """Where else records of the same person would stand."""
    if person.national_id:
        yield ("number", person.national_id.strip().upper())
    if person.email:
        yield ("mail", person.email.strip().lower())
    if person.telephone:
        yield ("telephone", person.telephone)
    if person.born_on:
        yield ("born", person.born_on.year, *sorted((person.born_on.month, person.born_on.day)))
    names = sorted((sound(person.family_name), sound(person.given_name)))
    if all(names):
        yield ("names", *names)
    if person.born_on and person.family_name and person.given_name:
        yield ("family and month", sound(person.family_name), person.born_on.year, person.born_on.month)
        yield ("given and day", sound(person.given_name), person.born_on.year, person.born_on.day)


def _pairs(blocks: Iterable[list[int]], people: dict[int, Person]) -> Iterator[tuple[int, int]]:
    for block in blocks:
        if len(block) <= LARGEST_BLOCK:
            yield from combinations(block, 2)
            continue
        years: dict[int | None, list[int]] = defaultdict(list)
        for pk in block:
            born: date | None = people[pk].born_on
            years[born.year if born else None].append(pk)
        for same_year in years.values():
            yield from _neighbours(same_year)


def _neighbours(block: list[int]) -> Iterator[tuple[int, int]]:
    """Each with the LARGEST_BLOCK that follow, so that no block is ever compared whole with itself."""
    for at, one in enumerate(block):
        for other in block[at + 1 : at + 1 + LARGEST_BLOCK]:
            yield one, other


@transaction.atomic
def dismiss_pair(pair_id: int, *, by: Actor, reason: str, now: datetime | None = None) -> PossibleDuplicate:
    """These are two people: the pair is not shown again. Raises RecordingRefused without a reason."""
    pair = PossibleDuplicate.objects.select_for_update(no_key=True).get(pk=pair_id)
    if not reason.strip():
        raise RecordingRefused({"reason": [_("Say how it is known that these are two people.")]})
    if pair.dismissed_at is not None:
        raise RecordingRefused({"reason": [_("This pair was dismissed already.")]})
    pair.dismissed_at, pair.dismissed_by_id = now or timezone.now(), by.user_id
    pair.dismissed_actor, pair.dismissed_reason = by.name[:120], reason.strip()[:200]
    pair.save(update_fields=["dismissed_at", "dismissed_by", "dismissed_actor", "dismissed_reason"])
    for patient_id, other in ((pair.one_id, pair.other_id), (pair.other_id, pair.one_id)):
        change = Change("dismiss_duplicate", by, pair.clinic_id, patient_id, reason=pair.dismissed_reason,
                        after={"other": other}, clinical=False)  # fmt: skip
        announce(change)
    return pair
