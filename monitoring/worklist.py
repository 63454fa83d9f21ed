"""Worklist: who needs something, as tabs with filters, in a fixed number of queries.

A tab is a query; its count is the length of the same query. Lists are ordered, never shortened: nobody is hidden for
being late. A snoozed patient leaves the tabs of lateness until the day promised, but never the reviews.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, Count, DateTimeField, Exists, F, Func, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Cast
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients import access
from patients.access import Viewer
from patients.at_once import Kept, Question
from patients.models import Patient

from .escalation import Rung, escalated_to, has_come_to, teams_of
from .models import ContactAttempt, ReviewCase, Snooze, Standing
from .patient_search import found_in, search_patients
from .standings import behind, columns_of_first, first_of, mark_of, place_of
from .worklist_row import FROM_PATIENT, FROM_STANDING, PatientSaid, Row, rows_for

TABS = {
    "reviews": _("New symptoms and reviews"),
    "overdue": _("Overdue"),
    "due": _("Due and open"),
    "never_started": _("Never started"),
    "incomplete": _("Incomplete"),
    "calls": _("Calls to make"),
    "unreachable": _("Cannot be reached"),
    "snoozed": _("Snoozed"),
    "all": _("All"),
}
PAGE = 50


@dataclass(frozen=True, slots=True)
class Filters:
    """What narrows every tab; each is a parameter of the page's address."""

    clinic: int | None = None
    clinician: int | None = None
    pathway: str = ""
    late: int | None = None  # days since the due date, at least
    language: str = ""
    owner: int | None = None  # to whom the last contact was left, a case assigned, or who promised to come back
    escalated_to: int | None = None  # whose an overdue follow-up has become, by not ending
    promised_by: int | None = None  # who said they would come back by today, or whose snooze has ended
    overdue_from: date | None = None  # overdue since this day at the earliest
    search: str = ""
    due_before: date | None = None  # as `late` says, reckoned from today

    def reckoned(self, today: date) -> "Filters":
        """With `due_before` in the place of `late`."""
        if self.late is None:
            return self
        return replace(self, late=None, due_before=today - timedelta(days=self.late))


def _not_snoozed(today: date) -> Q:
    return Q(snoozed_until__isnull=True) | Q(snoozed_until__lte=today)


def belonging_to(tab: str, today: date, morning: datetime | None = None) -> Q:
    """Whom the tab holds, said of standings. `morning` is when today began in the current time zone, where that is not
    to be reckoned here. Raises KeyError for a tab that does not exist.
    """
    TABS[tab]
    here = _not_snoozed(today)
    booked_before = morning or morning_of(today)
    return {
        "reviews": Q(review_rank__isnull=False),
        "overdue": Q(late=True) & here,
        "due": Q(open=True, late=False) & here & (Q(booked_at__isnull=True) | Q(booked_at__lt=booked_before)),
        "never_started": Q(never_started=True) & here,
        "incomplete": Q(incomplete=True) & here,
        "calls": Q(call_from__lte=today),
        "unreachable": Q(no_mail=True, followed=True) & here,
        "snoozed": Q(snoozed_until__gt=today),
        "all": Q(),
    }[tab]


def morning_of(today: date) -> datetime:
    """When the day begins in the current time zone."""
    return timezone.make_aware(datetime.combine(today, time.min))


def order_of(tab: str) -> str:
    """The column by which a tab is ordered: those at risk first and then the longest late, or whose day comes first."""
    return {"reviews": "review_rank", "calls": "call_until", "snoozed": "snoozed_until"}.get(tab, "rank")


def patients_in(tab: str, viewer: Viewer, filters: Filters, today: date) -> QuerySet[Patient]:
    """The tab's patients in its order, with their standing. Raises KeyError for no such tab."""
    standings = _filtered(viewer, filters, today).filter(belonging_to(tab, today))
    patients = Patient.objects.filter(standing__in=standings).select_related("standing")
    return patients.order_by(f"standing__{order_of(tab)}", "id")


def _filtered(viewer: Viewer, filters: Filters, today: date) -> QuerySet[Standing]:
    clinics = _clinics(viewer, filters)
    standings = (
        Standing.objects.filter(clinic=clinics[0]) if len(clinics) == 1 else Standing.objects.filter(clinic__in=clinics)
    )
    return _narrowed(standings, viewer, filters, today)


def _clinics(viewer: Viewer, filters: Filters) -> list[int]:
    return [pk for pk in viewer.clinic_ids if filters.clinic in (None, pk)]


def _narrowed(standings: QuerySet[Standing], viewer: Viewer, filters: Filters, today: date) -> QuerySet[Standing]:
    """Without those whom the filters leave out. Standings and patients have the same key."""
    standings = _narrowed_by_columns(standings, filters.reckoned(today), today)
    if filters.escalated_to:
        standings = standings.filter(escalated_to(filters.escalated_to, _clinics(viewer, filters), today))
    if filters.search:
        meant = search_patients(access.findable(viewer), filters.search)
        standings = standings.filter(patient__in=meant.order_by().values("pk"))
    return standings


# What the filters whose value goes into the statement as it is hold; from the others something is reckoned first.
_BY_COLUMNS: dict[str, type] = {
    "clinician": int,
    "pathway": str,
    "due_before": date,
    "language": str,
    "owner": int,
    "overdue_from": date,
    "promised_by": int,
}


class _Among(Func):
    """Whether the first is one of an array's."""

    template, arg_joiner, output_field = "%(expressions)s)", " = ANY(", BooleanField()


def _narrowed_by_columns(standings: QuerySet[Standing], filters: Filters, today: date) -> QuerySet[Standing]:
    if filters.clinician:
        standings = standings.filter(responsible=filters.clinician)
    if filters.language:
        standings = standings.filter(language=filters.language)
    if filters.pathway:
        standings = standings.filter(_Among(Value(filters.pathway), F("pathways")))
    if filters.due_before:
        standings = standings.filter(due_on__lte=filters.due_before)
    if filters.owner:
        cases = ReviewCase.objects.filter(state=ReviewCase.State.OPEN, assigned_to=filters.owner)
        snoozes = Snooze.objects.filter(ended_at__isnull=True, until__gt=today, owner=filters.owner)
        standings = standings.filter(
            Q(left_to=filters.owner) | Q(patient__in=cases.values("patient")) | Q(patient__in=snoozes.values("patient"))
        )
    if filters.overdue_from:
        standings = standings.filter(overdue_on__gte=filters.overdue_from)
    if filters.promised_by:
        standings = standings.filter(_with_promise_kept_open(filters.promised_by, today))
    return standings


def _with_promise_kept_open(user_id: int, today: date) -> Q:
    """Whom this person was to try again by today, or whose snooze of theirs has ended, with nothing recorded since.

    A booked day is a promise of the patient's: it is looked at the day after, while the follow-up is still open.
    """
    asked_for = Q(late=True) | Q(open=True)
    agreed = Q(promised_by=user_id, promised_on__lte=today, followed=True) & (Q(promised_booking=False) | asked_for)
    since = ContactAttempt.objects.filter(patient=OuterRef("patient"), undone_at__isnull=True)
    returned = Snooze.objects.filter(
        ~Exists(since.filter(at__gte=Cast(OuterRef("until"), DateTimeField()))),
        ended_at__isnull=True,
        until__lte=today,
        owner=user_id,
    )
    return agreed | (asked_for & Q(patient__in=returned.values("patient")))


def counts(viewer: Viewer, filters: Filters, today: date) -> dict[str, int]:
    """Length of each tab's list, in one query that reads each standing once."""
    return counted(_lengths(_filtered(viewer, filters, today), today, morning_of(today)))


def lengths_of(clinic: int, today: date, morning: datetime) -> QuerySet[Any]:
    """The same of a whole clinic, as a question for `counted`."""
    return _lengths(Standing.objects.filter(clinic=clinic), today, morning)


def _lengths(standings: QuerySet[Standing], today: date, morning: datetime) -> QuerySet[Any]:
    lengths = {tab: Count("pk", filter=belonging_to(tab, today, morning)) for tab in TABS}
    return standings.order_by().values(_=Value(1)).annotate(**lengths).values_list(*TABS)


def counted(lengths: Iterable[Sequence[int]]) -> dict[str, int]:
    """By tab, from the one row that was read; there is none where nobody is."""
    return dict(zip(TABS, next(iter(lengths), (0,) * len(TABS)), strict=True))


@dataclass(frozen=True, slots=True)
class Page:
    rows: list[Row]
    after: str  # the mark of the next page; empty on the last


def page_of(tab: str, viewer: Viewer, filters: Filters, today: date, *, after: str = "", size: int = PAGE) -> Page:
    """One page of a tab, by the mark where the last one ended; two queries for any number of rows.

    The page is read off the index in the list's order, clinic by clinic, so the last costs what the first does.
    """
    order, clinics = order_of(tab), _clinics(viewer, filters)
    here = Standing.objects.filter(belonging_to(tab, today), behind(order, place_of(order, after)))
    standings = _narrowed(here, viewer, filters, today)
    if filters.search:  # few, and asked for once: not for each clinic again
        found = list(columns_of_first(standings.filter(clinic__in=clinics), order, size + 1, FROM_STANDING))
    else:
        found = first_of(standings, clinics, order, size + 1, FROM_STANDING)
    return page_from(tab, found, today, size=size)


def first_of_clinic(tab: str, clinic: int, today: date, morning: datetime) -> QuerySet[Any]:
    """The first page of a tab of one clinic, without filters, as a question for `page_from`."""
    return _first(tab, Standing.objects.filter(clinic=clinic), today, morning)


def _first(tab: str, standings: QuerySet[Standing], today: date, morning: datetime) -> QuerySet[Any]:
    return columns_of_first(standings.filter(belonging_to(tab, today, morning)), order_of(tab), PAGE + 1, FROM_STANDING)


def look(tab: str, viewer: Viewer, filters: Filters, today: date, *, after: str = "") -> tuple[dict[str, int], Page]:
    """The length of each tab's list and one page of this one; of one clinic read at once, by a kept question."""
    clinics, place = _clinics(viewer, filters), place_of(order_of(tab), after)
    if len(clinics) != 1:
        return counts(viewer, filters, today), page_of(tab, viewer, filters, today, after=after)
    given, rungs = _given(filters.reckoned(today), viewer, clinics[0])
    kept = _list_of_clinic(tab, frozenset(given), rungs, after=type(place[0]).__name__ if place else "")
    at = {"value": place[0], "last": place[1]} if place else {}
    lengths, found = kept.read(clinic=clinics[0], today=today, morning=morning_of(today), **given, **at)
    return counted(lengths), page_from(tab, found, today)


def _given(filters: Filters, viewer: Viewer, clinic: int) -> tuple[dict[str, Any], frozenset[Rung] | None]:
    """What narrows the lists of one clinic, by name; and on which rungs somebody answers to whom they are narrowed.

    Whom words mean is found first, and so is who works in the clinic: both would be asked for every list again.
    """
    given: dict[str, Any] = {name: value for name in _BY_COLUMNS if (value := getattr(filters, name))}
    if filters.search:
        given["found"] = found_in(clinic, filters.search, viewer.shut)
    if not filters.escalated_to:
        return given, None
    (team,) = teams_of([clinic])
    rungs = team.rungs_of(filters.escalated_to)
    if not rungs:
        return given | {"found": []}, None
    if Rung.CLINICIAN in rungs:
        given["colleagues"] = team.colleagues_of(filters.escalated_to)
    return given, rungs


@lru_cache(maxsize=256)
def _list_of_clinic(tab: str, narrowed: frozenset[str], rungs: frozenset[Rung] | None, *, after: str) -> Kept:
    """All lengths and the page after a number or a day, or the first one."""

    def questions(
        *,
        clinic: int,
        today: date,
        morning: datetime,
        found: Sequence[int] | None = None,
        colleagues: Sequence[int] = (),
        value: Any = None,
        last: int = 0,
        **by: Any,
    ) -> Sequence[Question]:
        here = _narrowed_by_columns(Standing.objects.filter(clinic=clinic), Filters(**by), today)
        if rungs is not None:
            here = here.filter(has_come_to(rungs, colleagues, today))
        if found is not None:
            here = here.filter(patient__in=found)
        following = here.filter(behind(order_of(tab), (value, last) if after else None))
        return _lengths(here, today, morning), _first(tab, following, today, morning)

    kinds = _BY_COLUMNS | {"colleagues": list, "found": list}
    slots = {"clinic": int, "today": date, "morning": datetime} | {name: kinds[name] for name in narrowed}
    if after:
        slots |= {"value": date if after == "date" else int, "last": int}
    return Kept(questions, **slots)


def page_from(tab: str, found: Sequence[tuple[Any, ...]], today: date, *, size: int = PAGE) -> Page:
    """The page that begins with these columns of patients; one more than its size tells that it is not the last."""
    shown, more = [PatientSaid._make(columns) for columns in found[:size]], len(found) > size
    return Page(rows_for(shown, today), after=mark_of(order_of(tab), shown[-1]) if more else "")


def everybody_in(tab: str, viewer: Viewer, filters: Filters, today: date) -> list[tuple[int, int]]:
    """(id, clinic's id) of all patients of a tab in its order: one query, since sorting costs more than reading."""
    return list(patients_in(tab, viewer, filters, today).values_list("pk", "clinic_id"))


def rows_of(viewer: Viewer, patient_ids: Sequence[int], today: date) -> list[Row]:
    """What the worklist says of these patients, in their order; nothing of those whom the viewer does not see."""
    columns = access.patients_for(viewer).filter(pk__in=patient_ids).values_list(*FROM_PATIENT)
    found = {one.pk: one for one in map(PatientSaid._make, columns)}
    return rows_for([found[pk] for pk in patient_ids if pk in found], today)


def today_for(viewer: Viewer, now: datetime, clinic: int | None = None) -> date:
    """Today in the clinic to which a list is narrowed; in the viewer's first one for lists that span clinics."""
    zone = next((one.time_zone for one in viewer.clinics if one.pk == clinic), "") if clinic else ""
    return now.astimezone(ZoneInfo(zone or viewer.time_zone)).date()
