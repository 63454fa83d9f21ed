"""Worklist: who needs something, as tabs with filters, in a fixed number of queries.

A tab is a query; its count is the length of the same query. Lists are ordered, never shortened: nobody is hidden for
being late. A snoozed patient leaves the tabs of lateness until the day promised, but never the reviews.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Count, DateTimeField, Exists, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Cast, Coalesce
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from patients import access
from patients.access import Viewer
from patients.at_once import Kept, Question
from patients.models import Patient

from .escalation import LATE, escalated_to
from .models import ContactAttempt, HipEvaluation, ReviewCase, Snooze, Standing
from .patient_search import search_patients
from .standings import behind, columns_of_first, first_of, mark_of, place_of
from .worklist_row import FROM_PATIENT, FROM_STANDING, OPEN, PatientSaid, Row, rows_for

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


def _hips(**conditions: Any) -> QuerySet[HipEvaluation]:
    return HipEvaluation.objects.filter(patient=OuterRef("pk"), **conditions)


def _open_cases(**conditions: Any) -> QuerySet[ReviewCase]:
    return ReviewCase.objects.filter(patient=OuterRef("pk"), state=ReviewCase.State.OPEN, **conditions)


def _snoozes(today: date, **conditions: Any) -> QuerySet[Snooze]:
    return Snooze.objects.filter(patient=OuterRef("pk"), ended_at__isnull=True, until__gt=today, **conditions)


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
    standings = _narrowed_by_columns(standings, filters.reckoned(today), _clinics(viewer, filters), today)
    if filters.escalated_to:
        theirs = escalated_to(filters.escalated_to, viewer.clinic_ids, today)
        escalated = access.patients_for(viewer).filter(theirs)
        standings = standings.filter(late=True, patient__in=escalated)  # only what is late was escalated
    if filters.search:
        meant = search_patients(access.findable(viewer), filters.search)
        standings = standings.filter(patient__in=meant.order_by().values("pk"))
    return standings


# What the filters whose value goes into the statement as it is hold; from the others something is reckoned.
_BY_COLUMNS: dict[str, type] = {
    "clinician": int,
    "pathway": str,
    "due_before": date,
    "language": str,
    "owner": int,
    "overdue_from": date,
    "promised_by": int,
}


def _narrowed_by_columns(
    standings: QuerySet[Standing], filters: Filters, clinics: Sequence[int], today: date
) -> QuerySet[Standing]:
    if filters.clinician:
        standings = standings.filter(patient__responsible=filters.clinician)
    if filters.language:
        standings = standings.filter(patient__language=filters.language)
    if filters.pathway:  # the clinics are said to the hips too, so that their index is used
        standings = standings.filter(Exists(_hips(clinic__in=clinics, pathway=filters.pathway)))
    if filters.due_before:
        standings = standings.filter(Exists(_hips(status__isnull=False, due_on__lte=filters.due_before)))
    if filters.owner:
        latest = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True).order_by("-at", "-id")
        standings = standings.alias(left_to=Subquery(latest.values("owner")[:1])).filter(
            Q(left_to=filters.owner)
            | Q(Exists(_open_cases(assigned_to=filters.owner)))
            | Q(Exists(_snoozes(today, owner=filters.owner)))
        )
    if filters.overdue_from:
        standings = standings.filter(Exists(_hips(status__in=LATE, overdue_on__gte=filters.overdue_from)))
    if filters.promised_by:
        patients = Patient.objects.filter(clinic__in=clinics)
        standings = standings.filter(patient__in=_with_promise_kept_open(patients, filters.promised_by, today))
    return standings


def _with_promise_kept_open(patients: QuerySet[Patient], user_id: int, today: date) -> QuerySet[Patient]:
    """Whom this person was to try again by today, or whose snooze of theirs has ended, with nothing recorded since.

    A booked day is a promise of the patient's: it is looked at the day after, while the follow-up is still open.
    """
    attempts = ContactAttempt.objects.filter(patient=OuterRef("pk"), undone_at__isnull=True)
    latest = attempts.order_by("-at", "-id").annotate(whose=Coalesce("owner", "by"))
    booked = Q(last_outcome=ContactAttempt.Outcome.BOOKED)
    asked_for = Exists(_hips(status__in=(*LATE, *OPEN)))
    agreed = Q(last_whose=user_id) & (
        (~booked & Q(last_next__lte=today)) | (booked & Q(last_next__lt=today) & asked_for)
    )
    since = ContactAttempt.objects.filter(patient=OuterRef("patient"), undone_at__isnull=True)
    returned = Snooze.objects.filter(
        ~Exists(since.filter(at__gte=Cast(OuterRef("until"), DateTimeField()))),
        patient=OuterRef("pk"),
        ended_at__isnull=True,
        until__lte=today,
        owner=user_id,
    )
    # Looking up the last attempt is dear: only of those with whom this person had anything to do.
    theirs = ContactAttempt.objects.filter(Q(owner=user_id) | Q(by=user_id, owner__isnull=True), undone_at__isnull=True)
    promises = Snooze.objects.filter(owner=user_id, ended_at__isnull=True, until__lte=today)
    concerned = Q(pk__in=theirs.values("patient")) | Q(pk__in=promises.values("patient"))
    known = patients.filter(concerned).alias(
        last_whose=Subquery(latest.values("whose")[:1]),
        last_next=Subquery(latest.values("next_on")[:1]),
        last_outcome=Subquery(latest.values("outcome")[:1]),
    )
    followed = Exists(_hips(status__isnull=False))
    return known.filter((agreed & followed) | (Exists(returned) & asked_for))


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
    return page_from(tab, first_of(standings, clinics, order, size + 1, FROM_STANDING), today, size=size)


def first_of_clinic(tab: str, clinic: int, today: date, morning: datetime) -> QuerySet[Any]:
    """The first page of a tab of one clinic, without filters, as a question for `page_from`."""
    return _first(tab, Standing.objects.filter(clinic=clinic), today, morning)


def _first(tab: str, standings: QuerySet[Standing], today: date, morning: datetime) -> QuerySet[Any]:
    return columns_of_first(standings.filter(belonging_to(tab, today, morning)), order_of(tab), PAGE + 1, FROM_STANDING)


def look(tab: str, viewer: Viewer, filters: Filters, today: date, *, after: str = "") -> tuple[dict[str, int], Page]:
    """The length of each tab's list and one page of this one. Of one clinic both are read at once, by a kept question,
    unless something is reckoned from a filter.
    """
    clinics, place = _clinics(viewer, filters), place_of(order_of(tab), after)
    narrowed = _set(filters.reckoned(today))
    if len(clinics) != 1 or not narrowed.keys() <= _BY_COLUMNS.keys():
        return counts(viewer, filters, today), page_of(tab, viewer, filters, today, after=after)
    kept = _list_of_clinic(tab, frozenset(narrowed), after=type(place[0]).__name__ if place else "")
    at = {"value": place[0], "last": place[1]} if place else {}
    asked = {"clinic": clinics[0], "today": today, "morning": morning_of(today)}
    lengths, found = kept.read(**asked, **narrowed, **at)
    return counted(lengths), page_from(tab, found, today)


def _set(filters: Filters) -> dict[str, Any]:
    """By name, those that narrow; which clinics are meant is said otherwise."""
    values = {field.name: getattr(filters, field.name) for field in fields(filters) if field.name != "clinic"}
    return {name: value for name, value in values.items() if value}


@lru_cache(maxsize=128)
def _list_of_clinic(tab: str, narrowed: frozenset[str], *, after: str) -> Kept:
    """All lengths and the page after a number or a day, or the first one."""

    def questions(
        *, clinic: int, today: date, morning: datetime, value: Any = None, last: int = 0, **by: Any
    ) -> Sequence[Question]:
        here = _narrowed_by_columns(Standing.objects.filter(clinic=clinic), Filters(**by), [clinic], today)
        following = here.filter(behind(order_of(tab), (value, last) if after else None))
        return _lengths(here, today, morning), _first(tab, following, today, morning)

    slots = {"clinic": int, "today": date, "morning": datetime} | {name: _BY_COLUMNS[name] for name in narrowed}
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
