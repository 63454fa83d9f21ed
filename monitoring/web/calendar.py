"""Calendar pages: a week with its appointments and windows, a month by day, and the feed of each clinician."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.core.signing import BadSignature, Signer
from django.db.models import Count, F, Min, Q, QuerySet
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
from patients.models import Patient, User
from schedules import appointments, calendar_files
from schedules.models import Appointment, CalendarFeed, Plan

from ..worklist import today_for
from .entry import signed_in
from .finding_words import day_words
from .identity import identity_of

MOST_WINDOWS = 100
MOST_UNSETTLED = 50
FEED_BEFORE, FEED_AFTER = timedelta(days=60), timedelta(days=400)
MISSED_SHOWN = timedelta(days=60)
WEEK = timedelta(days=7)
_FEEDS = Signer(salt="monitoring.calendar.feed")


@dataclass
class Day:
    """One day of the calendar. `windows` opened or fall due on it."""

    on: date
    today: bool
    rows: list[dict[str, Any]] = field(default_factory=list)
    minutes: int = 0
    due: int = 0
    opening: int = 0
    url: str = ""
    outside: bool = False  # of the month shown

    @property
    def load(self) -> str:
        """3 appointments, 1 h 30 min."""
        if not self.rows:
            return ""
        many = ngettext("%(n)d appointment", "%(n)d appointments", len(self.rows)) % {"n": len(self.rows)}
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
    """Seven days from Monday: who comes when, and whose windows open or fall due."""
    viewer = access.viewer_of(request)
    now = timezone.now()
    today = today_for(viewer, now)
    on = on or today
    monday = on - timedelta(days=on.weekday())
    who, people = _who(request, viewer)
    rows = [_row(row, viewer, now) for row in _appointments(viewer, monday, monday + WEEK, who)]
    days = _days(monday, monday + WEEK, rows, today)
    plans = _windows(viewer, monday, monday + WEEK, who)
    shown = [_window_row(plan, booked, monday, viewer) for plan, booked in _with_booked(plans[:MOST_WINDOWS], now)]
    context = _frame(request, viewer, "week", monday, who, people) | {
        "days": [day for day in days if day.rows or day.on.weekday() < 5 or day.today],
        "windows": shown,
        "more_windows": max(plans.count() - MOST_WINDOWS, 0) if len(shown) == MOST_WINDOWS else 0,
        "unsettled": [row for row in _unsettled(viewer, now, who) if not monday <= row["day"] < monday + WEEK],
        "period": _("%(first)s to %(last)s") % {"first": day_words(monday), "last": day_words(monday + timedelta(6))},
        "total": len(rows),
        "previous": _url("calendar_week", monday - WEEK, request),
        "next": _url("calendar_week", monday + WEEK, request),
    }
    return render(request, "monitoring/calendar/week.html", context)


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
    rows = [{"appointment": row, "day": _day_of(row)} for row in _appointments(viewer, begin, end, who)]
    days = _days(begin, end, rows, today)
    _count_windows(days, viewer, begin, end, who)
    for day in days:
        day.url = _url("calendar_week", day.on, request)
        day.outside = day.on.month != first.month
    context = _frame(request, viewer, "month", first, who, people) | {
        "weeks": [days[start : start + 7] for start in range(0, len(days), 7)],
        "day_names": [date_format(begin + timedelta(days=number), "D") for number in range(7)],
        "period": date_format(first, "F Y"),
        "previous": _url("calendar_month", first - timedelta(days=1), request),
        "next": _url("calendar_month", following, request),
    }
    return render(request, "monitoring/calendar/month.html", context)


def _frame(
    request: HttpRequest, viewer: Viewer, view: str, on: date, who: int | None, people: Sequence[User]
) -> dict[str, Any]:
    return {
        "tabs": [
            {"name": _("Week"), "url": _url("calendar_week", on, request), "current": view == "week"},
            {"name": _("Month"), "url": _url("calendar_month", on, request), "current": view == "month"},
        ],
        "today_url": f"{reverse('calendar' if view == 'week' else 'calendar_this_month')}{_kept(request)}",
        "who": who,
        "people": people,
        "here": request.get_full_path(),
        "time_zone": viewer.time_zone,
        "several_clinics": len(viewer.clinic_ids) > 1,
    }


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
        .order_by("name", "id")
    )
    asked = request.GET.get("who", "")
    return next((one.pk for one in people if str(one.pk) == asked), None), people


# ---- What is read


def _midnight(viewer: Viewer, on: date) -> datetime:
    return datetime.combine(on, time(), tzinfo=ZoneInfo(viewer.time_zone)).astimezone(UTC)


def _appointments(viewer: Viewer, begin: date, end: date, who: int | None) -> QuerySet[Appointment]:
    rows = Appointment.objects.filter(
        clinic__in=viewer.clinic_ids, starts_at__gte=_midnight(viewer, begin), starts_at__lt=_midnight(viewer, end)
    ).exclude(state=Appointment.State.CANCELLED)
    if who:
        rows = rows.filter(clinician=who)
    return rows.select_related("patient__clinic", "clinician").order_by("starts_at", "id")


def _unsettled(viewer: Viewer, now: datetime, who: int | None) -> list[dict[str, Any]]:
    """Times that have passed without a word on whether the patient came, the oldest first; not those of today."""
    rows = Appointment.objects.filter(
        clinic__in=viewer.clinic_ids,
        state__in=Appointment.STANDING,
        starts_at__lt=_midnight(viewer, today_for(viewer, now)),
    )
    if who:
        rows = rows.filter(clinician=who)
    rows = rows.select_related("patient__clinic", "clinician").order_by("starts_at", "id")
    return [_row(row, viewer, now) for row in rows[:MOST_UNSETTLED]]


def coming(viewer: Viewer, patient: Patient, today: date) -> list[dict[str, Any]]:
    """The appointments of one patient that are to come or wait for an answer, and the latest that was missed."""
    rows = Appointment.objects.filter(patient=patient).select_related("patient__clinic", "clinician")
    wanted = Q(state__in=Appointment.STANDING) | Q(
        state=Appointment.State.DID_NOT_ATTEND, starts_at__gte=_midnight(viewer, today - MISSED_SHOWN)
    )
    return [_row(row, viewer, timezone.now()) for row in rows.filter(wanted).order_by("starts_at", "id")]


def _day_of(row: Appointment) -> date:
    return timezone.localtime(row.starts_at).date()


def _row(row: Appointment, viewer: Viewer, now: datetime) -> dict[str, Any]:
    there = row.starts_at.astimezone(row.patient.clinic.zone)
    standing = row.is_standing
    may = viewer.may(Permission.WORK, row.clinic_id)
    return {
        "appointment": row,
        "day": _day_of(row),
        "patient": row.patient,
        "who": identity_of(row.patient, viewer),
        "on": there.date(),
        "time": date_format(there, "H:i"),
        "until": date_format(there + timedelta(minutes=row.minutes), "H:i"),
        "came": may and (standing or row.state == Appointment.State.DID_NOT_ATTEND) and there.date() <= now.date(),
        "missed": may and (standing or row.state == Appointment.State.ATTENDED) and row.starts_at <= now,
        "change": may and standing,
    }


def _days(begin: date, end: date, rows: Sequence[dict[str, Any]], today: date) -> list[Day]:
    days = {on: Day(on, on == today) for on in (begin + timedelta(days=n) for n in range((end - begin).days))}
    for row in rows:
        day = days.get(row["day"])
        if day:
            day.rows.append(row)
            day.minutes += row["appointment"].minutes
    return list(days.values())


def _current(viewer: Viewer, who: int | None) -> QuerySet[Plan]:
    plans = Plan.objects.filter(clinic__in=viewer.clinic_ids, state=Plan.State.CURRENT)
    return plans.filter(patient__responsible=who) if who else plans


def _windows(viewer: Viewer, begin: date, end: date, who: int | None) -> QuerySet[Patient]:
    """Patients whose first window opens or falls due in these days."""
    mine = _current(viewer, who).values("patient").annotate(due=Min("due_on"), opens=Min("opens_on"))
    within = mine.filter(Q(due__gte=begin, due__lt=end) | Q(opens__gte=begin, opens__lt=end))
    patients = Patient.objects.filter(clinic__in=viewer.clinic_ids, pk__in=within.values("patient"))
    first = Min("plans__due_on", filter=Q(plans__state=Plan.State.CURRENT))
    opens = Min("plans__opens_on", filter=Q(plans__state=Plan.State.CURRENT))
    return patients.select_related("clinic").annotate(due_on=first, opens_on=opens).order_by("due_on", "id")


def _with_booked(patients: QuerySet[Patient], now: datetime) -> list[tuple[Any, Appointment | None]]:
    found = list(patients)
    booked = appointments.standing([patient.pk for patient in found], since=now)
    return [(patient, booked.get(patient.pk)) for patient in found]


def _window_row(patient: Any, booked: Appointment | None, monday: date, viewer: Viewer) -> dict[str, Any]:
    due_now = monday <= patient.due_on < monday + WEEK
    return {
        "patient": patient,
        "who": identity_of(patient, viewer),
        "status": "due" if due_now else "open",
        "opens_on": patient.opens_on,
        "due_on": patient.due_on,
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
