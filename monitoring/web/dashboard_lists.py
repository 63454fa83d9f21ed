"""Dashboard lists: whoever is behind a number, in pages by key. A list is the query that was counted, no other."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final

from django.db.models import Q, QuerySet
from django.http import Http404, QueryDict
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _

from patients.models import Hip, Patient
from schedules.guideline.windows import add_months
from schedules.models import Plan

from ..statistics import answers, courses, forecast, history, rates
from .dashboard_asked import MONTHS, SYMPTOM_MONTHS, Asked
from .dashboard_plots import month_words
from .dashboard_words import BUCKET_WORDS, LATE_WORDS, OUTCOME_WORDS, VISIT_WORDS, WAIT_WORDS
from .finding_words import SIZES, day_words

PAGE: Final = 50
NO_DAY: Final = ""


@dataclass(frozen=True, slots=True)
class Line:
    """What a list says of one entry beside the patient's name."""

    patient: Patient
    side: str  # empty where the entry is a patient
    day: date | None
    words: str
    case: int | None = None


@dataclass(frozen=True, slots=True)
class Listing:
    """One list: what it holds, the rows in the order of `day` (where it has one) and id, and how to say each."""

    title: str
    section: str
    rows: QuerySet[Any]
    day: str  # the field by which it is ordered, and what it is called
    day_words: str
    words: str  # what the last column is called
    line: Callable[[Any], Line]


@dataclass(frozen=True, slots=True)
class Page:
    lines: list[Line]
    total: int
    after: str  # the mark of the next page; empty on the last


def page_of(listing: Listing, after: str) -> Page:
    """One page by the mark where the last one ended. A mark that is none begins anew."""
    order = [listing.day, "pk"] if listing.day else ["pk"]
    rows = listing.rows.order_by(*order)
    found = list(rows.filter(_beyond(listing.day, after))[: PAGE + 1])
    more, found = len(found) > PAGE, found[:PAGE]
    mark = ""
    if more:
        last = found[-1]
        mark = f"{getattr(last, listing.day).isoformat()}~{last.pk}" if listing.day else f"~{last.pk}"
    return Page([listing.line(row) for row in found], listing.rows.count(), mark)


def _beyond(day_field: str, mark: str) -> Q:
    day_text, _tilde, pk = mark.partition("~")
    if not (pk.isascii() and pk.isdecimal() and len(pk) < 18):
        return Q()
    if not day_field:
        return Q(pk__gt=int(pk))
    day = _day(day_text)
    return Q() if day is None else Q(**{f"{day_field}__gt": day}) | Q(**{day_field: day}, pk__gt=int(pk))


def _day(written: str) -> date | None:
    try:
        return parse_date(written)
    except ValueError:
        return None


def _one_of(chosen: QueryDict, name: str, known: Iterable[str]) -> str:
    """The parameter's value, or nothing. What is not known does not exist."""
    value = chosen.get(name, "")
    if value and value not in known:
        raise Http404("No such list.")
    return value


def _month(chosen: QueryDict) -> date | None:
    written = chosen.get("month", "")
    if not written:
        return None
    first = _day(f"{written}-01")
    if first is None:
        raise Http404("No such month.")
    return first


def _joined(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part)


def _plan_line(words: Callable[[Plan], str]) -> Callable[[Plan], Line]:
    return lambda plan: Line(plan.patient, plan.hip.side, plan.due_on, words(plan))


def overdue(asked: Asked, chosen: QueryDict) -> Listing:
    band = _one_of(chosen, "band", LATE_WORDS)
    rows = rates.overdue_hips(asked.scope, band).select_related("patient", "patient__clinic", "hip")
    return Listing(
        _joined(_("Overdue hips"), LATE_WORDS.get(band)),
        "",
        rows,
        "due_on",
        _("Due"),
        _("Why"),
        _plan_line(lambda plan: _late_words(plan, asked.scope.today)),
    )


def _late_words(plan: Plan, today: date) -> str:
    return _("%(days)s days since due") % {"days": (today - plan.due_on).days}


def windows(asked: Asked, chosen: QueryDict) -> Listing:
    return _windows(asked, chosen, timedelta(0), _("Windows"))


def tracking(asked: Asked, chosen: QueryDict) -> Listing:
    return _windows(asked, chosen, rates.GRACE, _("Windows that ended 60 days ago or longer"))


def _windows(asked: Asked, chosen: QueryDict, grace: timedelta, title: str) -> Listing:
    outcome = _one_of(chosen, "outcome", rates.OUTCOMES)
    rows = rates.ended_windows(asked.scope, grace=grace).filter(
        due_on__gte=rates.first_month(asked.scope.today, MONTHS)
    )
    rows = rows.filter(outcome=outcome) if outcome else rows.filter(outcome__in=rates.COUNTED)
    month = _month(chosen)
    if month:
        rows = rows.filter(due_on__gte=month, due_on__lt=add_months(month, 1))
    return Listing(
        _joined(
            title, _("due in %(month)s") % {"month": month_words(month)} if month else "", OUTCOME_WORDS.get(outcome)
        ),
        "",
        rows.select_related("patient", "patient__clinic", "hip"),
        "due_on",
        _("Due"),
        _("What came of it"),
        _plan_line(_kept_words),
    )


def _kept_words(plan: Any) -> str:
    words = str(OUTCOME_WORDS[plan.outcome])
    return _("%(words)s: %(day)s") % {"words": words, "day": day_words(plan.kept_on)} if plan.kept_on else words


def waits(asked: Asked, chosen: QueryDict) -> Listing:
    state = _one_of(chosen, "state", WAIT_WORDS)
    rows = answers.symptom_reviews(asked.scope, SYMPTOM_MONTHS)
    month = _month(chosen)
    if month:
        rows = rows.filter(since__gte=month, since__lt=add_months(month, 1))
    if state:
        rows = rows.filter(state=state)
    return Listing(
        _joined(
            _("New symptoms"),
            _("reported in %(month)s") % {"month": month_words(month)} if month else "",
            WAIT_WORDS.get(state),
        ),
        "symptoms",
        rows.select_related("patient", "patient__clinic", "hip", "decision"),
        "since",
        _("Pain since"),
        _("What came of it"),
        lambda case: _wait_line(case, asked.scope.today),
    )


def _wait_line(case: Any, today: date) -> Line:
    ended = case.ended_on or today
    parts = [
        str(WAIT_WORDS[case.state]),
        _("%(days)s days") % {"days": max(0, (ended - case.since).days)},
        _("seen %(day)s") % {"day": day_words(case.seen_on)} if case.seen_on else "",
    ]
    return Line(case.patient, case.hip.side, case.since, _joined(*parts), case.pk)


def course(asked: Asked, chosen: QueryDict) -> Listing:
    endpoint = _one_of(chosen, "endpoint", courses.ENDPOINTS) or courses.PAIN
    curves = courses.curves_of(asked.courses, endpoint)
    part = _one_of(chosen, "part", ("all", "event", "censored", "risk", "already", "unseen")) or "all"
    band = _one_of(chosen, "band", [band.value for band in courses.BANDS])
    groups = [group for name, group in curves.groups.items() if band in ("", name.value)]
    found = {
        "all": lambda: [hip for group in groups for hip, _seen in group.members],
        "event": lambda: [hip for group in groups for hip in group.with_event()],
        "censored": lambda: [hip for group in groups for hip in group.censored()],
        "risk": lambda: [hip for group in groups for hip in group.at_risk(_number(chosen, "month"))],
        "already": lambda: list(curves.already),
        "unseen": lambda: list(curves.unseen),
    }[part]()
    known = {one.hip_id: one for one in asked.courses}
    return Listing(
        _joined(*_course_title(endpoint, part, band, chosen)),
        "course",
        Hip.objects.filter(clinic_id__in=asked.scope.clinic_ids, pk__in=list(found)).select_related(
            "patient", "patient__clinic"
        ),
        NO_DAY,
        _("Watched from"),
        _("Size"),
        lambda hip: Line(hip.patient, hip.side, known[hip.pk].began_on, str(SIZES[known[hip.pk].band])),
    )


def _course_title(endpoint: str, part: str, band: str, chosen: QueryDict) -> list[Any]:
    parts = {
        "all": "",
        "event": _("with the event"),
        "censored": _("censored"),
        "risk": _("at risk at %(month)s months") % {"month": chosen.get("month", "")},
        "already": _("left out: too late to watch"),
        "unseen": _("left out: not seen again"),
    }
    title = _("Hips watched for pain") if endpoint == courses.PAIN else _("Hips watched for collapse")
    sizes: Mapping[str, Any] = SIZES
    return [title, sizes.get(band), parts[part]]


def _number(chosen: QueryDict, name: str) -> int:
    written = chosen.get(name, "")
    if not (written.isascii() and written.isdecimal() and len(written) < 5):
        raise Http404("No such list.")
    return int(written)


def forecast_list(asked: Asked, chosen: QueryDict) -> Listing:
    kind = _one_of(chosen, "kind", VISIT_WORDS)
    weeks = {week.isoformat(): week for week in forecast.weeks_ahead(asked.scope.today)}
    week = weeks.get(_one_of(chosen, "week", weeks))
    found = {
        visit.patient_id: visit
        for visit in asked.visits
        if (week is None or visit.week == week) and kind in ("", visit.kind)
    }
    title = _("Patients expected for radiographs")
    return Listing(
        _joined(title, _("week from %(day)s") % {"day": day_words(week)} if week else "", VISIT_WORDS.get(kind)),
        "forecast",
        Patient.objects.filter(clinic_id__in=asked.scope.clinic_ids, pk__in=list(found)).select_related("clinic"),
        NO_DAY,
        _("Week from"),
        _("Visit"),
        lambda patient: Line(patient, "", found[patient.pk].week, str(VISIT_WORDS[found[patient.pk].kind])),
    )


def hips(asked: Asked, chosen: QueryDict) -> Listing:
    known = {*BUCKET_WORDS, "followed"}
    bucket = _one_of(chosen, "bucket", known)
    rows = history.hips_by_bucket(asked.scope)
    if bucket == "followed":
        rows = rows.filter(bucket__in=history.FOLLOWED)
    elif bucket:
        rows = rows.filter(bucket=bucket)
    name = _("followed") if bucket == "followed" else BUCKET_WORDS.get(bucket)
    return Listing(
        _joined(_("Hips"), name),
        "census",
        rows.select_related("patient", "patient__clinic"),
        NO_DAY,
        _("Enrolled"),
        _("Where"),
        lambda hip: Line(hip.patient, hip.side, hip.patient.enrolled_on, str(BUCKET_WORDS.get(hip.bucket, hip.bucket))),
    )


LISTS: Final[Mapping[str, Callable[[Asked, QueryDict], Listing]]] = {
    "overdue": overdue,
    "windows": windows,
    "tracking": tracking,
    "waits": waits,
    "course": course,
    "forecast": forecast_list,
    "hips": hips,
}
