"""Digest: what one member of staff is told of one clinic on one day, in numbers that are those of the pages.

It is computed by the functions that the pages use, for the same viewer, so that each count is the length of the list
that its address opens. It names no patient and no finding: an item is an address that asks for a sign-in.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from patients.access import Viewer
from patients.changes import Actor
from patients.models import Clinic, Membership, Role, User
from patients.recording import today_at
from schedules import substitutes, volume
from schedules.models import Substitute

from . import census, ending_checks, heartbeats, mailing, review, worklist
from .escalation import Rung, Team, step_for, steps_of, teams_of
from .models import ReviewCase, Snooze, StaffNotice
from .worklist import Filters
from .worklist_row import Row

MORNING = time(7)
MOST_ITEMS = 8  # lines of one group; the rest is a number with the address of the list
LOST_SHOWN = timedelta(days=7)
TOLD = (StaffNotice.State.SENT, StaffNotice.State.NOTHING)


class Section(StrEnum):
    """In the order in which a mail says them."""

    ESCALATED = "escalated"
    NEW = "new"
    PROMISED = "promised"
    OPEN = "open"
    MAIL = "mail"
    RUNNING = "running"


class Kind(StrEnum):
    OVERDUE_ESCALATED = "overdue_escalated"
    CASES_ESCALATED = "cases_escalated"
    CASES_NEW = "cases_new"
    OVERDUE_NEW = "overdue_new"
    PROMISES = "promises"
    CASES_MINE = "cases_mine"
    CASES_OPINION = "cases_opinion"
    CASES_UNASSIGNED = "cases_unassigned"
    LEFT_TO_ME = "left_to_me"
    OVERDUE = "overdue"
    DUE = "due"
    NEVER_STARTED = "never_started"
    INCOMPLETE = "incomplete"
    CALLS = "calls"
    UNREACHABLE = "unreachable"
    MAIL_UNCERTAIN = "mail_uncertain"
    MAIL_HELD = "mail_held"
    LETTERS = "letters"
    RUNS_LATE = "runs_late"
    CENSUS_WRONG = "census_wrong"
    DIGESTS_LOST = "digests_lost"
    ENDINGS_UNREAD = "endings_unread"


WORKED_OFF = (Kind.CALLS, Kind.OVERDUE, Kind.DUE, Kind.NEVER_STARTED, Kind.INCOMPLETE, Kind.UNREACHABLE)  # tabs


class Reason(StrEnum):
    """Why an item stands in the digest."""

    DUE_LONG_AGO = "due_long_ago"
    GAP = "gap"
    UNDECIDED = "undecided"
    OVERDUE = "overdue"
    OPENED = "opened"
    PROMISED = "promised"


@dataclass(frozen=True, slots=True)
class Item:
    """One record, by the address of its page and the number in it, which says nothing to anybody else."""

    number: int
    path: str
    reason: Reason
    since: date | None
    days: int = 0
    rung: Rung | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """One list: its length, its address, and its first items. `instead_of`: the role that nobody holds."""

    section: Section
    kind: Kind
    count: int
    path: str
    items: tuple[Item, ...] = ()
    instead_of: Rung | None = None

    @property
    def more(self) -> int:
        """How many the items do not show."""
        return self.count - len(self.items) if self.items else 0


@dataclass(frozen=True, slots=True)
class Digest:
    """What there is to say; groups of nothing are left out."""

    day: date
    since: datetime
    groups: tuple[Group, ...]

    def __bool__(self) -> bool:
        return bool(self.groups)

    @property
    def counts(self) -> dict[str, int]:
        return {group.kind.value: group.count for group in self.groups}

    def total(self, *sections: Section) -> int:
        return sum(group.count for group in self.groups if group.section in sections)

    def only(self, *sections: Section) -> "Digest":
        return Digest(self.day, self.since, tuple(group for group in self.groups if group.section in sections))


@dataclass(frozen=True, slots=True)
class _Reader:
    """Who reads, as the pages see them, in the one clinic."""

    user_id: int
    clinic: Clinic
    viewer: Viewer
    team: Team
    day: date
    now: datetime
    since: datetime

    def answers(self, rung: Rung) -> bool:
        return self.user_id in self.team.answering(rung)

    def instead_of(self, rung: Rung) -> Rung | None:
        return rung if self.team.stands_in(self.user_id, rung) else None


def contents_of(user: User, clinic: Clinic, *, now: datetime) -> Digest:
    """What this person is told today. The transaction must see the clinic; empty without a role in it."""
    day = today_at(clinic, now)
    since = _told_until(user, clinic, day)
    roles = Membership.objects.filter(user=user, clinic=clinic, user__is_active=True).order_by("role")
    held = tuple((clinic.pk, Role(role)) for role in roles.values_list("role", flat=True))
    if not held:
        return Digest(day, since, ())
    viewer = Viewer(Actor(name=user.name or user.email, user_id=user.pk), held, clinic.time_zone)
    reader = _Reader(user.pk, clinic, viewer, teams_of([clinic.pk])[0], day, now, since)
    order = list(Section)
    groups = [group for group in _groups(reader) if group.count]
    return Digest(day, since, tuple(sorted(groups, key=lambda group: order.index(group.section))))


def _told_until(user: User, clinic: Clinic, day: date) -> datetime:
    """When they were last told; before any digest arrived, the morning of the working day before the first."""
    earlier = StaffNotice.objects.filter(user=user, clinic=clinic, day__lt=day)
    told = earlier.filter(state__in=TOLD, decided_at__isnull=False).order_by("-day").first()
    if told is not None and told.decided_at is not None:
        return told.decided_at
    first = earlier.order_by("day").values_list("day", flat=True).first() or day
    before = first - timedelta(days={0: 3, 6: 2}.get(first.weekday(), 1))
    return datetime.combine(before, MORNING, tzinfo=clinic.zone)


def _groups(reader: _Reader) -> Iterator[Group]:
    yield from _escalated(reader)
    yield from _cases(reader)
    if reader.answers(Rung.COORDINATOR):
        yield from _lists(reader)
        yield from _mail(reader)
    yield _promises(reader)
    yield _left_to(reader)
    if reader.answers(Rung.ADMIN):
        yield from _running(reader)


# ---- Patients

Describe = Callable[[_Reader, Row], Item]


def _patients(
    reader: _Reader,
    section: Section,
    kind: Kind,
    tab: str,
    *,
    asked: dict[str, str],
    describe: Describe | None = None,
    instead_of: Rung | None = None,
    **filters: Any,
) -> Group:
    """One tab of the worklist, narrowed by `filters` as its address, by what is `asked`, narrows it."""
    narrowed = Filters(clinic=reader.clinic.pk, **filters)
    count = worklist.patients_in(tab, reader.viewer, narrowed, reader.day).count()
    items: tuple[Item, ...] = ()
    if count and describe:
        page = worklist.page_of(tab, reader.viewer, narrowed, reader.day, size=MOST_ITEMS)
        items = tuple(describe(reader, row) for row in page.rows)
    path = reverse("worklist_tab", args=[tab], query={"clinic": reader.clinic.pk} | asked)
    return Group(section, kind, count, path, items, instead_of)


def _record(row: Row) -> tuple[int, str]:
    return row.patient.pk, reverse("patient", args=[row.patient.pk])


def _overdue(_reader: _Reader, row: Row) -> Item:
    return Item(
        *_record(row), Reason.OVERDUE, min((h.overdue_on for h in row.late_hips() if h.overdue_on), default=None)
    )


def _escalated_to(reader: _Reader, row: Row) -> Item:
    step = step_for(reader.user_id, reader.team, steps_of(row.late_hips(), reader.day))
    if step is None:
        return _overdue(reader, row)
    return Item(*_record(row), Reason(step.why.value), step.since, step.days, step.rung)


def _promised(reader: _Reader, row: Row) -> Item:
    """The day that was agreed, or on which the snooze ended."""
    ended = Snooze.objects.filter(patient=row.patient.pk, ended_at__isnull=True, until__lte=reader.day)
    days = [row.contact.next_on if row.contact else None, ended.values_list("until", flat=True).first()]
    return Item(*_record(row), Reason.PROMISED, max((day for day in days if day and day <= reader.day), default=None))


def _promises(reader: _Reader) -> Group:
    return _patients(
        reader,
        Section.PROMISED,
        Kind.PROMISES,
        "all",
        asked={"promised": "me"},
        describe=_promised,
        promised_by=reader.user_id,
    )


def _left_to(reader: _Reader) -> Group:
    return _patients(reader, Section.OPEN, Kind.LEFT_TO_ME, "overdue", asked={"owner": "me"}, owner=reader.user_id)


def _lists(reader: _Reader) -> Iterator[Group]:
    """The lists that coordinators work off, and who is overdue since they were last told."""
    first = reader.since.astimezone(reader.clinic.zone).date() + timedelta(days=1)
    instead_of = reader.instead_of(Rung.COORDINATOR)
    yield _patients(
        reader,
        Section.NEW,
        Kind.OVERDUE_NEW,
        "overdue",
        asked={"overdue_from": first.isoformat()},
        describe=_overdue,
        instead_of=instead_of,
        overdue_from=first,
    )
    lengths = worklist.counts(reader.viewer, Filters(clinic=reader.clinic.pk), reader.day)
    for kind in WORKED_OFF:
        path = reverse("worklist_tab", args=[kind.value], query={"clinic": reader.clinic.pk})
        yield Group(Section.OPEN, kind, lengths[kind.value], path, instead_of=instead_of)


# ---- Escalation


def _escalated(reader: _Reader) -> Iterator[Group]:
    overdue = _patients(
        reader,
        Section.ESCALATED,
        Kind.OVERDUE_ESCALATED,
        "overdue",
        asked={"escalated": "me"},
        describe=_escalated_to,
        escalated_to=reader.user_id,
    )
    rungs = (item.rung for item in overdue.items)
    yield replace(overdue, instead_of=next((rung for rung in rungs if rung and reader.instead_of(rung)), None))
    if reader.answers(Rung.ADMIN):
        instead_of = reader.instead_of(Rung.ADMIN)
        yield _queue(reader, Section.ESCALATED, Kind.CASES_ESCALATED, "escalated", instead_of=instead_of)


# ---- Cases


def _cases(reader: _Reader) -> Iterator[Group]:
    instead_of = reader.instead_of(Rung.CLINICIAN)
    yield _queue(reader, Section.NEW, Kind.CASES_NEW, "for_me", since=reader.since, instead_of=instead_of)
    yield _queue(reader, Section.OPEN, Kind.CASES_MINE, "mine")
    yield _queue(reader, Section.OPEN, Kind.CASES_OPINION, "opinion")
    if reader.answers(Rung.CLINICIAN):
        section = Section.ESCALATED if instead_of else Section.OPEN
        yield _queue(reader, section, Kind.CASES_UNASSIGNED, "unassigned", instead_of=instead_of)


def _queue(
    reader: _Reader,
    section: Section,
    kind: Kind,
    whose: str,
    *,
    since: datetime | None = None,
    instead_of: Rung | None = None,
) -> Group:
    """One view of the review queue, narrowed as its address narrows it."""
    cases = review.queue_of(reader.viewer, whose, clinic=reader.clinic.pk, since=since)
    items = [_case_item(case, section) for case in review.in_order(cases)[:MOST_ITEMS]]
    asked = {"whose": whose, "clinic": reader.clinic.pk} | ({"since": since.isoformat()} if since else {})
    count = cases.count() if len(items) == MOST_ITEMS else len(items)
    listed = tuple(items) if section in (Section.NEW, Section.ESCALATED) else ()
    return Group(section, kind, count, reverse("reviews", query=asked), listed, instead_of)


def _case_item(case: ReviewCase, section: Section) -> Item:
    reason = Reason.UNDECIDED if section == Section.ESCALATED else Reason.OPENED
    return Item(case.pk, reverse("review_case", args=[case.pk]), reason, case.since)


# ---- Mail and machinery


def _mail(reader: _Reader) -> Iterator[Group]:
    clinic = reader.clinic.pk
    uncertain = mailing.messages_in("uncertain", reader.viewer, reader.day, clinic=clinic).count()
    path = reverse("messages_tab", args=["uncertain"], query={"clinic": clinic})
    yield Group(Section.MAIL, Kind.MAIL_UNCERTAIN, uncertain, path)
    held = volume.held([clinic]).get(clinic)
    yield Group(Section.MAIL, Kind.MAIL_HELD, held.held_count if held else 0, reverse("messages"))
    letters = substitutes.to_do(Substitute.Way.LETTER, [clinic], reader.now).count()
    yield Group(Section.MAIL, Kind.LETTERS, letters, reverse("letters", query={"clinic": clinic}))


def _running(reader: _Reader) -> Iterator[Group]:
    late = [beat.name for beat in heartbeats.all_beats(reader.now) if beat.late]
    yield Group(Section.RUNNING, Kind.RUNS_LATE, len(late), reverse("worklist"))
    wrong = census.clinics_that_do_not_add_up((reader.clinic.pk,))
    yield Group(Section.RUNNING, Kind.CENSUS_WRONG, len(wrong), reverse("worklist"))
    unread = ending_checks.due(reader.viewer, reader.now, clinic=reader.clinic.pk).count()
    path = reverse("endings", query={"clinic": reader.clinic.pk})
    yield Group(Section.RUNNING, Kind.ENDINGS_UNREAD, unread, path)
    lost = lost_notices(reader.viewer, reader.day, clinic=reader.clinic.pk).count()
    path = reverse("notifications", query={"clinic": reader.clinic.pk})
    yield Group(Section.RUNNING, Kind.DIGESTS_LOST, lost, path)


def lost_notices(viewer: Viewer, day: date, *, clinic: int | None = None) -> QuerySet[StaffNotice]:
    """Digests of the last week that did not, or may not have, reached their readers."""
    lost = StaffNotice.objects.filter(
        clinic__in=viewer.clinic_ids if clinic is None else [clinic],
        state__in=[StaffNotice.State.FAILED, StaffNotice.State.UNCERTAIN],
        day__gt=day - LOST_SHOWN,
    )
    return lost.order_by("-day", "id")
