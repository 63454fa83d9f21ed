"""Calendar pages: a week with its appointments and windows, a month by day, and the feed of each clinician."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.paginator import Paginator
from django.core.signing import BadSignature, Signer
from django.db.models import Count, F, Min, Q, QuerySet, Sum, Window
from django.db.models.functions import RowNumber, TruncDate
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from patients import access
from patients.access import Permission, Viewer
from patients.at_once import Length, read_at_once
from patients.models import Patient, User
from schedules import appointments, calendar_files
from schedules.models import Appointment, CalendarFeed, Plan

from ..worklist import today_for
from . import frame
from .badges import appointment_badge
from .entry import signed_in
from .finding_words import day_words
from .identity import identity_of
from .paging import PAGE, Counted
from .worklist_rows import address

SHOWN = 10  # of a list that has not been opened; its length is told
FEED_BEFORE, FEED_AFTER = timedelta(days=60), timedelta(days=400)
MISSED_SHOWN = timedelta(days=60)
WEEK = timedelta(days=7)
_FEEDS = Signer(salt="monitoring.calendar.feed")


@dataclass
class Day:
    """One day of the calendar: how many appointments there are and how long they take, and those of them shown."""

    on: date
    today: bool
    many: int = 0
    minutes: int = 0
    rows: list[dict[str, Any]] = field(default_factory=list)
    page: Any = None  # of the day that is open
    due: int = 0
    opening: int = 0
    url: str = ""
    outside: bool = False  # of the month shown

    @property
    def more(self) -> int:
        """How many there are beside those shown, where the day has not been opened."""
        return 0 if self.page else self.many - len(self.rows)

    @property
    def load(self) -> str:
        """3 appointments, 1 h 30 min."""
        if not self.many:
            return ""
        many = ngettext("%(n)d appointment", "%(n)d appointments", self.many) % {"n": self.many}
        return f"{many}, {duration_words(self.minutes)}"


def duration_words(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    """Never broken over two lines."""
    if not hours:
        words = _("%(minutes)d min") % {"minutes": rest}
    elif rest:
        words = _("%(hours)d h %(minutes)d min") % {"hours": hours, "minutes": rest}
    else:
        words = _("%(h)d h") % {"h": hours}
    return words.replace(" ", "\N{NO-BREAK SPACE}")


@signed_in
@require_GET
def week(request: HttpRequest, on: date | None = None) -> HttpResponse:
    """Seven days from Monday: who comes when, and whose windows open or fall due.

    One list is open, today's unless another is asked for; of the others the first are shown and how many there are.
    """
    viewer = access.viewer_of(request)
    now = timezone.now()
    today = today_for(viewer, now)
    on = on or today
    monday = on - timedelta(days=on.weekday())
    who, people = _who(request, viewer)
    opened, found = _opened(request, today), _appointments(viewer, monday, monday + WEEK, who)
    days = _days(monday, monday + WEEK, today)
    loads, first = read_at_once(_loads(found), _first_of_each(found, [day.on for day in days], opened))
    _fill(days, loads)
    _show(days, first, found, opened, request, viewer, now)
    passed = _unsettled(viewer, now, who).exclude(pk__in=[row["pk"] for day in days for row in day.rows])
    unanswered, oldest, windows, *of_frame = read_at_once(
        Length(passed), _to_show(passed)[:SHOWN], _windows(viewer, monday, who), *frame.questions(viewer.clinic_ids)
    )
    frame.hand_over(request, *of_frame)
    late = _page_of(request, _to_show(passed), unanswered)
    page = Paginator(windows, PAGE).get_page(request.GET.get("page"))
    context = _frame(request, viewer, "week", monday, who, people, today=today) | {
        "days": [day for day in days if day.many or day.on.weekday() < 5 or day.today],
        "windows": _window_rows(page if opened == "windows" else windows[:SHOWN], monday, viewer, now),
        "windows_page": page,
        "unsettled": [_row(row, viewer, now) for row in (late if opened == "unsettled" else oldest)],
        "unsettled_page": late,
        "opened": opened,
        "period": _("%(first)s to %(last)s") % {"first": day_words(monday), "last": day_words(monday + timedelta(6))},
        "previous": _url("calendar_week", monday - WEEK, request),
        "next": _url("calendar_week", monday + WEEK, request),
    }
    return render(request, "monitoring/calendar/week.html", context)


def _opened(request: HttpRequest, today: date) -> str:
    """Which list is open: a day as it is written in addresses, or `unsettled`, or `windows`."""
    return request.GET.get("open", "") or today.isoformat()


def _page_of(request: HttpRequest, rows: QuerySet[Any], count: int) -> Any:
    return Counted(rows, count).get_page(request.GET.get("page"))


@signed_in
@require_GET
def month(request: HttpRequest, on: date | None = None) -> HttpResponse:
    """A month by day: how much is booked and how many windows open and fall due."""
    viewer = access.viewer_of(request)
    now = timezone.now()
    today = today_for(viewer, now)
    first = (on or today).replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    begin = first - timedelta(days=first.weekday())
    end = following + timedelta(days=-following.weekday() % 7)
    who, people = _who(request, viewer)
    days = _days(begin, end, today)
    _fill(days, _loads(_appointments(viewer, begin, end, who)))
    _count_windows(days, viewer, begin, end, who)
    for day in days:
        day.url = _url("calendar_week", day.on, request)
        day.outside = day.on.month != first.month
    context = _frame(request, viewer, "month", first, who, people, today=today) | {
        "weeks": [days[start : start + 7] for start in range(0, len(days), 7)],
        "day_names": [date_format(begin + timedelta(days=number), "D") for number in range(7)],
        "period": date_format(first, "F Y"),
        "previous": _url("calendar_month", first - timedelta(days=1), request),
        "next": _url("calendar_month", following, request),
    }
    return render(request, "monitoring/calendar/month.html", context)


def _frame(
    request: HttpRequest,
    viewer: Viewer,
    view: str,
    on: date,
    who: int | None,
    people: Sequence[User],
    *,
    today: date,
) -> dict[str, Any]:
    return {
        "tabs": [
            {"name": _("Week"), "url": _url("calendar_week", on, request), "current": view == "week"},
            {"name": _("Month"), "url": _url("calendar_month", on, request), "current": view == "month"},
        ],
        "today_url": _today_url(request, view, today),
        "who": who,
        "people": people,
        "here": request.get_full_path(),
        "back": quote(request.get_full_path()),
        "open_unsettled": _opening(request, "unsettled"),
        "open_windows": _opening(request, "windows"),
        "time_zone": viewer.time_zone,
        "several_clinics": len(viewer.clinic_ids) > 1,
    }


def _today_url(request: HttpRequest, view: str, today: date) -> str:
    if view == "month":
        return f"{reverse('calendar_this_month')}{_kept(request)}"
    return f"{reverse('calendar')}{_kept(request)}#day-{today.isoformat()}"  # the days before it may be long


def _kept(request: HttpRequest) -> str:
    who = request.GET.get("who", "")
    return f"?who={who}" if who.isascii() and who.isdecimal() else ""


def _url(name: str, on: date, request: HttpRequest) -> str:
    return f"{reverse(name, args=[on])}{_kept(request)}"


def _who(request: HttpRequest, viewer: Viewer) -> tuple[int | None, list[User]]:
    """The clinician whose calendar is asked for, and those one may ask for."""
    people = list(
        User.objects.filter(memberships__clinic__in=viewer.clinic_ids, memberships__role="clinician", is_active=True)
        .distinct()
        .only("name", "email")
        .order_by("name", "id")
    )
    asked = request.GET.get("who", "")
    return next((one.pk for one in people if str(one.pk) == asked), None), people


# ---- What is read


def _midnight(viewer: Viewer, on: date) -> datetime:
    return datetime.combine(on, time(), tzinfo=ZoneInfo(viewer.time_zone)).astimezone(UTC)


def _appointments(viewer: Viewer, begin: date, end: date, who: int | None) -> QuerySet[Any]:
    """Those that stand or took place in these days, each with its `day` by the viewer's clock; unordered."""
    rows = Appointment.objects.filter(
        clinic__in=viewer.clinic_ids, starts_at__gte=_midnight(viewer, begin), starts_at__lt=_midnight(viewer, end)
    ).exclude(state=Appointment.State.CANCELLED)
    if who:
        rows = rows.filter(clinician=who)
    return rows.annotate(day=TruncDate("starts_at", tzinfo=ZoneInfo(viewer.time_zone))).order_by()


def _to_show(rows: QuerySet[Any]) -> QuerySet[Any]:
    return rows.select_related("patient__clinic", "clinician").order_by("starts_at", "id")


def _loads(found: QuerySet[Any]) -> QuerySet[Any]:
    """How many there are on each day, and how long they take."""
    loads: QuerySet[Any] = found.values_list("day").annotate(Count("pk"), Sum("minutes"))
    return loads


def _first_of_each(found: QuerySet[Any], days: Sequence[date], opened: str) -> QuerySet[Any]:
    """The first of each day but the one that is open."""
    number = Window(RowNumber(), partition_by=[F("day")], order_by=["starts_at", "id"])
    others = found.filter(day__in=[on for on in days if on.isoformat() != opened])
    return _to_show(others.annotate(number=number).filter(number__lte=SHOWN))


def _show(
    days: Sequence[Day],
    first: Iterable[Any],
    found: QuerySet[Any],
    opened: str,
    request: HttpRequest,
    viewer: Viewer,
    now: datetime,
) -> None:
    """Put into each day the appointments that are shown: the first, and a page of the day that is open."""
    of_day = {day.on: day for day in days}
    for row in first:
        of_day[row.day].rows.append(_row(row, viewer, now))
    for day in days:
        if day.on.isoformat() == opened:
            day.page = _page_of(request, _to_show(found.filter(day=day.on)), day.many)
            day.rows = [_row(row, viewer, now) for row in day.page]
        day.url = _opening(request, day.on.isoformat())


def _opening(request: HttpRequest, name: str) -> str:
    """The address at which that list of this page is open."""
    query = request.GET.copy()
    query.pop("page", None)
    query["open"] = name
    return f"{request.path}?{query.urlencode()}"


def _unsettled(viewer: Viewer, now: datetime, who: int | None) -> QuerySet[Any]:
    """Times that have passed without a word on whether the patient came; not those of today."""
    rows = Appointment.objects.filter(
        clinic__in=viewer.clinic_ids,
        state__in=Appointment.STANDING,
        starts_at__lt=_midnight(viewer, today_for(viewer, now)),
    )
    return rows.filter(clinician=who) if who else rows


def missed_since(viewer: Viewer, today: date) -> datetime:
    """From when on a patient's page still shows what was missed."""
    return _midnight(viewer, today - MISSED_SHOWN)


def coming(patient_id: int, missed_since: datetime) -> QuerySet[Appointment]:
    """The appointments of one patient that are to come or wait for an answer, and the latest that was missed."""
    wanted = Q(state__in=Appointment.STANDING) | Q(state=Appointment.State.DID_NOT_ATTEND, starts_at__gte=missed_since)
    rows = Appointment.objects.filter(wanted, patient=patient_id).select_related("clinician")
    return rows.order_by("starts_at", "id")


def rows_of(patient: Patient, found: Iterable[Appointment], viewer: Viewer) -> list[dict[str, Any]]:
    """Appointments of one patient as their table takes them."""
    now, rows = timezone.now(), list(found)
    for row in rows:
        row.patient = patient
    return [_row(row, viewer, now) for row in rows]


def _row(row: Appointment, viewer: Viewer, now: datetime) -> dict[str, Any]:
    there = row.starts_at.astimezone(row.patient.clinic.zone)
    standing = row.is_standing
    may = viewer.may(Permission.WORK, row.clinic_id)
    return {
        "pk": row.pk,
        "appointment": row,
        "state": appointment_badge(row.state),
        "patient": row.patient,
        "who": identity_of(row.patient, viewer),
        "at": timezone.localtime(row.starts_at).isoformat(),
        "day_words": f"{date_format(there, 'D')} {day_words(there.date())}",
        "settle_url": address("appointment_settle", row.pk),
        "move_url": address("appointment_move", row.pk),
        "cancel_url": address("appointment_cancel", row.pk),
        "time": date_format(there, "H:i"),
        "zone": "" if str(there.tzinfo) == viewer.time_zone else date_format(there, "T"),
        "until": date_format(row.ends_at.astimezone(there.tzinfo), "H:i"),
        "came": may and (standing or row.state == Appointment.State.DID_NOT_ATTEND) and there.date() <= now.date(),
        "missed": may and (standing or row.state == Appointment.State.ATTENDED) and row.starts_at <= now,
        "change": may and standing,
    }


def _days(begin: date, end: date, today: date) -> list[Day]:
    """The days from `begin` to before `end`."""
    return [Day(on, on == today) for on in (begin + timedelta(days=n) for n in range((end - begin).days))]


def _fill(days: Iterable[Day], loads: Iterable[Any]) -> None:
    """Tell each day how much is booked on it."""
    booked = {on: (many, minutes) for on, many, minutes in loads}
    for day in days:
        day.many, day.minutes = booked.get(day.on, (0, 0))


def _current(viewer: Viewer, who: int | None) -> QuerySet[Plan]:
    plans = Plan.objects.filter(clinic__in=viewer.clinic_ids, state=Plan.State.CURRENT)
    return plans.filter(patient__responsible=who) if who else plans


def _windows(viewer: Viewer, monday: date, who: int | None) -> QuerySet[Any, Any]:
    """(patient's id, due, opens) of those whose first window opens or falls due in this week."""
    end, plans = monday + WEEK, _current(viewer, who)
    near = plans.filter(Q(due_on__gte=monday, due_on__lt=end) | Q(opens_on__gte=monday, opens_on__lt=end))
    firsts = plans.filter(patient__in=near.values("patient")).order_by().values("patient_id")
    firsts = firsts.annotate(due=Min("due_on"), opens=Min("opens_on"))
    found = firsts.filter(Q(due__gte=monday, due__lt=end) | Q(opens__gte=monday, opens__lt=end))
    return found.order_by("due", "patient_id").values_list("patient_id", "due", "opens")


def _window_rows(shown: Iterable[Any], monday: date, viewer: Viewer, now: datetime) -> list[dict[str, Any]]:
    listed = list(shown)
    patients = access.patients_for(viewer).in_bulk([pk for pk, _due, _opens in listed])
    booked = appointments.standing(list(patients), since=now)
    return [_window_row(patients[pk], due, opens, booked.get(pk), monday, viewer) for pk, due, opens in listed]


def _window_row(
    patient: Patient, due_on: date, opens_on: date, booked: Appointment | None, monday: date, viewer: Viewer
) -> dict[str, Any]:
    due_now = monday <= due_on < monday + WEEK
    return {
        "patient": patient,
        "who": identity_of(patient, viewer),
        "status": "due" if due_now else "open",
        "opens_on": opens_on,
        "due_on": due_on,
        "booked": booked,
        "booked_words": day_words(timezone.localtime(booked.starts_at).date()) if booked else "",
        "may": viewer.may(Permission.WORK, patient.clinic_id),
    }


def _count_windows(days: Sequence[Day], viewer: Viewer, begin: date, end: date, who: int | None) -> None:
    """How many patients' windows open and fall due on each day."""
    for name, attribute in (("opens_on", "opening"), ("due_on", "due")):
        within = _current(viewer, who).filter(**{f"{name}__gte": begin, f"{name}__lt": end})
        counted = within.order_by().values(on=F(name)).annotate(many=Count("patient", distinct=True))
        many: dict[date, int] = defaultdict(int, {row["on"]: row["many"] for row in counted})
        for day in days:
            setattr(day, attribute, many[day.on])


# ---- The feed


def _token(feed: CalendarFeed) -> str:
    return _FEEDS.sign(f"{feed.user_id}.{feed.serial}")


def _feed_of(token: str) -> CalendarFeed:
    """The feed behind an address. Raises Http404 for one that was tampered with or is void."""
    try:
        user, _dot, serial = _FEEDS.unsign(token).partition(".")
        feed = CalendarFeed.objects.select_related("user").filter(user=int(user), serial=int(serial)).first()
    except (BadSignature, ValueError):
        feed = None
    if feed is None or not feed.user.is_active:
        raise Http404("No such calendar.")
    return feed


@signed_in
def feed_address(request: HttpRequest) -> HttpResponse:
    """One's own secret address; a new one makes the earlier void."""
    viewer = access.viewer_of(request)
    mine = CalendarFeed.objects.filter(user=viewer.actor.user_id or 0).first()
    if request.method == "POST":
        if mine is None:
            CalendarFeed.objects.create(user_id=viewer.actor.user_id or 0)
        elif request.POST.get("act") == "stop":
            CalendarFeed.objects.filter(pk=mine.pk).update(serial=F("serial") + 1, made_at=timezone.now())
            messages.success(request, _("The earlier address shows nothing any more. This is the new one."))
        return redirect("calendar_feed_address")
    url = request.build_absolute_uri(reverse("calendar_feed", args=[_token(mine)])) if mine else ""
    return render(request, "monitoring/calendar/feed.html", {"feed": mine, "url": url})


@require_GET
def feed(request: HttpRequest, token: str) -> HttpResponse:
    """A clinician's appointments for a calendar program: when, what for, where, and nothing of whom."""
    found = _feed_of(token)
    viewer = access.viewer_for(found.user)
    access.bind_clinics(viewer.clinic_ids)
    now = timezone.now()
    rows = Appointment.objects.filter(
        clinic__in=viewer.clinic_ids,
        clinician=found.user,
        starts_at__range=(now - FEED_BEFORE, now + FEED_AFTER),
    ).exclude(state=Appointment.State.CANCELLED)
    content = calendar_files.feed(rows.select_related("clinic").order_by("starts_at", "id"), name="Hipwatch")
    response = HttpResponse(content, content_type="text/calendar; charset=utf-8")
    response["Content-Disposition"] = 'inline; filename="hipwatch.ics"'
    response["X-Robots-Tag"] = "noindex"
    return response
