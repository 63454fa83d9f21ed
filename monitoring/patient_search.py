"""Patient search: who is meant by a few words of name, record number and birth date, spelt well or not."""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Final

from django.contrib.postgres.search import TrigramWordSimilarity
from django.db import connection
from django.db.models import BooleanField, Case, CharField, F, Func, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Cast, Concat, Upper
from django.utils.dates import MONTHS
from django.utils.translation import override

from patients.at_once import Kept, Question
from patients.models import Patient

MOST_WORDS: Final = 6
# The share of a word's trigrams that a name must hold: Muller finds Müller, Berk finds Berg.
LIKENESS: Final = "0.45"
SHORTEST: Final = 3  # letters of a word that an index of trigrams can find
_NUMERIC: Final = re.compile(
    r"(?<!\S)(\d{4})-(\d{1,2})-(\d{1,2})(?!\S)|(?<!\S)(\d{1,2})[./-](\d{1,2})[./-](\d{4}|\d{2})(?!\S)"
)
_NAMED: Final = re.compile(r"(?<!\S)(\d{1,2})\.?\s+([^\W\d_]{3,})\.?\s+(\d{4})(?!\S)")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was typed: words in capitals, and the days of birth that may be meant, one tuple for each date typed."""

    words: tuple[str, ...]
    births: tuple[tuple[date, ...], ...]

    def __bool__(self) -> bool:
        return bool(self.words or self.births)


def parse_search(text: str) -> Asked:
    """Dates are read as 1981-03-04, 4.3.1981, 04/03/81 (day first) or 4 Mar 1981; all else is words."""
    births: list[tuple[date, ...]] = []

    def take(found: re.Match[str]) -> str:
        days = _days(found)
        if days:
            births.append(days)
        return " " if days else found.group()

    rest = _NAMED.sub(take, _NUMERIC.sub(take, text.replace("\x00", " ")[:200]))
    words = (word.strip(",;").upper() for word in rest.split())
    return Asked(tuple(word for word in words if word)[:MOST_WORDS], tuple(births))


def _days(found: re.Match[str]) -> tuple[date, ...]:
    if found.re is _NAMED:
        day, name, year = found.groups()
        month = _months().get(name[:3].casefold())
        return _dates([int(year)], month, int(day)) if month else ()
    groups = [int(group) for group in found.groups() if group is not None]
    if found.group(1):
        return _dates([groups[0]], groups[1], groups[2])
    years = [groups[2]] if groups[2] >= 100 else [1900 + groups[2], 2000 + groups[2]]
    return _dates(years, groups[1], groups[0])


def _dates(years: list[int], month: int, day: int) -> tuple[date, ...]:
    found = []
    for year in years:
        try:
            found.append(date(year, month, day))
        except ValueError:
            continue
    return tuple(found)


def _months() -> dict[str, int]:
    """Months by the first three letters of their names, in the languages in which the pages show dates."""
    known: dict[str, int] = {}
    for language in ("en", "de"):
        with override(language):
            known |= {str(name)[:3].casefold(): number for number, name in MONTHS.items()}
    return known


class _Among(Func):
    """Whether the first is among what a function of the database returns for the rest.

    As an array it is asked for once; as a subquery the planner may ask again for every patient there is.
    """

    output_field = BooleanField()

    def as_sql(self, compiler: Any, connection: Any, **_context: Any) -> tuple[str, list[Any]]:  # type: ignore[override]
        (this, values), *rest = [compiler.compile(part) for part in self.source_expressions]
        asked = ", ".join(sql for sql, _values in rest)
        given = [*values, *(value for _sql, given in rest for value in given)]
        return f"{this} = ANY(ARRAY(SELECT {self.extra['function']}({asked})))", given


def search_patients(patients: QuerySet[Patient], text: str) -> QuerySet[Patient]:
    """Those for whom every word is in name, number or birth date.

    `near` is 0 where no spelling was forgiven, and otherwise grows with what had to be. Changes a setting of the
    running transaction: how unlike a name may be. Rows are found by index, through functions of the database that show
    the transaction's own clinics only: see the migration `search_by_index`.
    """
    asked = parse_search(text)
    for days in asked.births:
        patients = patients.filter(born_on__in=days)
    name = Upper(Concat("family_name", Value(" "), "given_name", output_field=CharField()))
    patients = patients.annotate(full_name=name, number=Upper("record_number"))
    if not asked.words:
        return patients.annotate(near=Value(0, output_field=IntegerField()))
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('pg_trgm.word_similarity_threshold', %s, true)", [LIKENESS])
    exactly = Q()
    for word in asked.words:
        here = Q(full_name__contains=word) | Q(number__contains=word)
        year = _year_of(word)
        if year:
            here |= Q(born_on__year=year)
        exactly &= here
        if len(word) < SHORTEST:
            patients = patients.filter(here | Q(full_name__trigram_word_similar=word))
        else:
            patients = patients.filter(_Among(F("pk"), Value(word), Value(year), function="patients_named"))
    likeness = sum((TrigramWordSimilarity(word, "full_name") for word in asked.words), Value(0.0))
    unlike = Cast((Value(float(len(asked.words))) - likeness) * 100, IntegerField()) + 1
    return patients.annotate(near=Case(When(exactly, then=0), default=unlike, output_field=IntegerField()))


def _year_of(word: str) -> int | None:
    return int(word) if re.fullmatch(r"(19|20)\d\d", word) else None


def found_in(clinic: int, text: str, shut: Collection[int]) -> list[int]:
    """The keys of those of one clinic whom `search_patients` finds, but for these. Mere words are a kept question."""
    asked = parse_search(text)
    if asked.births or not asked.words or any(len(word) < SHORTEST for word in asked.words):
        patients = Patient.objects.filter(clinic=clinic).exclude(pk__in=shut)
        return list(search_patients(patients, text).order_by().values_list("pk", flat=True))
    given: dict[str, str | int] = {}
    for place, word in enumerate(asked.words):
        given[f"word{place}"] = word
        if year := _year_of(word):
            given[f"year{place}"] = year
    (found,) = _of_words(tuple(given)).read(clinic=clinic, shut=list(shut), **given)
    return [pk for (pk,) in found]


@lru_cache(maxsize=64)
def _of_words(names: tuple[str, ...]) -> Kept:
    """By which of its slots are words, and which of these may be years."""

    def questions(*, clinic: int, shut: Collection[int], **said: Any) -> tuple[Question]:
        patients = Patient.objects.filter(clinic=clinic).exclude(pk__in=shut)
        for name in names:
            if name.startswith("word"):
                word, year = Value(said[name]), Value(said.get(name.replace("word", "year")))
                patients = patients.filter(_Among(F("pk"), word, year, function="patients_named"))
        return (patients.values_list("pk"),)

    kinds = {name: int if name.startswith("year") else str for name in names}
    return Kept(questions, clinic=int, shut=list, **kinds)


def one_with_number(patients: QuerySet[Patient], text: str) -> Patient | None:
    """The patient whose record number is exactly this, where there is exactly one."""
    found = list(patients.filter(_Among(F("pk"), Value(text.strip()), function="patients_numbered"))[:2])
    return found[0] if len(found) == 1 else None
