"""Dashboard plots: each measure as a finding in a sentence, a drawing, and a table whose numbers lead to lists."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext

from schedules.guideline.lesion import SizeBand
from schedules.guideline.windows import add_months

from ..statistics import answers, courses, forecast, history, rates
from ..statistics.courses import COLLAPSE, PAIN
from ..statistics.survival import LogRank, Step
from . import dashboard_drawing as draw
from .dashboard_asked import SYMPTOM_MONTHS, Asked
from .dashboard_words import BUCKET_WORDS, LATE_WORDS, OUTCOME_WORDS, VISIT_WORDS, WAIT_WORDS
from .finding_words import SIZES, day_words

CENSUS_DAYS: Final = 366
TABLE_MONTHS: Final = (12, 24, 36, 60, 120)
PUBLISHED: Final = (0.74, 0.10)  # tracking failure before and after a registry: Shelver 2017
IN_TIME_TARGET: Final = 0.90
NO_NUMBER: Final = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table: as read, as written into a file, and the list behind it."""

    words: str
    raw: str | int | float | date | None
    url: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """One measure. Without a drawing `empty` says why, or the table alone says it all."""

    name: str
    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    drawing: draw.Drawing | None = None
    empty: str = ""
    note: str = ""
    more: Sequence[Sequence[Cell]] = field(default_factory=tuple)  # rows of the file, where it tells more


def text(words: str) -> Cell:
    return Cell(words, words)


def count(number: int, url: str = "") -> Cell:
    """A number with its list; nothing is no list."""
    return Cell(number_format(number, force_grouping=True), number, url if number else "")


def whole_percent(share: float | None) -> str:
    return NO_NUMBER if share is None else f"{round(100 * share)}\N{NO-BREAK SPACE}%"


def rate(share: float | None) -> Cell:
    return Cell(whole_percent(share), None if share is None else round(share, 4))


def days(number: float | None) -> Cell:
    return Cell(
        NO_NUMBER if number is None else number_format(round(number)), None if number is None else round(number)
    )


def month_words(first: date) -> str:
    return date_format(first, "M Y")


def overdue(asked: Asked) -> Plot:
    found = asked.late
    whole, long = sum(found.values()), sum(found[band] for band in ("179", "364", "more"))
    rows = [
        [text(str(LATE_WORDS[band])), count(number, asked.list_url("overdue", band=band))]
        for band, number in found.items()
    ]
    rows.append([text(_("Together")), count(whole, asked.list_url("overdue"))])
    title = ngettext("%(count)s hip is overdue", "%(count)s hips are overdue", whole) % {"count": whole}
    if long:
        title = _("%(title)s, %(long)s of them due 90 days ago or longer") % {"title": title, "long": long}
    labels = [str(LATE_WORDS[band]) for band in found]
    words = ", ".join(f"{label}: {number}" for label, number in zip(labels, found.values(), strict=True))
    bars = draw.bars(labels, [draw.Layer("", list(found.values()), "bar")], words)
    columns = [_("Days since due"), _("Hips")]
    return Plot("overdue", title, columns, rows, bars if whole else None, _("No hip is overdue."))


def windows(asked: Asked) -> Plot:
    months = asked.windows
    whole = rates.together(months)
    title = _("%(share)s of the windows due since %(month)s were kept in time") % {
        "share": whole_percent(whole.in_window),
        "month": month_words(months[0].first),
    }
    shown = [month for month in months if month.counted]
    drawing = draw.lines(
        [month_words(month.first) for month in months],
        [draw.Series("", [month.in_window for month in months])],
        _month_sentence(months, lambda month: month.in_window),
        levels=[draw.Level(_("target %(share)s") % {"share": whole_percent(IN_TIME_TARGET)}, IN_TIME_TARGET)],
        percent=True,
    )
    columns = [_("Due in"), _("Windows"), *(str(OUTCOME_WORDS[outcome]) for outcome in rates.OUTCOMES), _("In time")]
    rows = [_window_row(asked, "windows", month, month_words(month.first)) for month in months]
    rows.append(_window_row(asked, "windows", whole, _("Together"), month_key=""))
    empty = _("No window has ended yet.")
    return Plot("windows", title if shown else empty, columns, rows, drawing if shown else None, empty)


def _window_row(asked: Asked, name: str, month: rates.Month, words: str, *, month_key: str | None = None) -> list[Cell]:
    chosen = {"month": f"{month.first:%Y-%m}"} if month_key is None else {}
    return [
        text(words),
        count(month.counted, asked.list_url(name, **chosen)),
        *(
            count(month.outcomes[outcome], asked.list_url(name, **chosen, outcome=outcome))
            for outcome in rates.OUTCOMES
        ),
        rate(month.failure if name == "tracking" else month.in_window),
    ]


def _month_sentence(months: Sequence[rates.Month], share: Callable[[rates.Month], float | None]) -> str:
    return ", ".join(f"{month_words(month.first)}: {whole_percent(share(month))}" for month in months)


def tracking(asked: Asked) -> Plot:
    months = asked.tracked
    whole = rates.together(months)
    title = _("%(share)s of the windows had no follow-up within 60 days of their end") % {
        "share": whole_percent(whole.failure)
    }
    before, after = PUBLISHED
    drawing = draw.lines(
        [month_words(month.first) for month in months],
        [draw.Series("", [month.failure for month in months])],
        _month_sentence(months, lambda month: month.failure),
        levels=[
            draw.Level(_("lung nodules before a registry: %(share)s") % {"share": whole_percent(before)}, before),
            draw.Level(_("with a registry: %(share)s") % {"share": whole_percent(after)}, after),
        ],
        percent=True,
    )
    columns = [_("Due in"), _("Windows"), *(str(OUTCOME_WORDS[outcome]) for outcome in rates.OUTCOMES), _("Failure")]
    rows = [_window_row(asked, "tracking", month, month_words(month.first)) for month in months]
    rows.append(_window_row(asked, "tracking", whole, _("Together"), month_key=""))
    empty = _("No window ended 60 days ago or longer.")
    known = bool(whole.counted)
    return Plot("tracking", title if known else empty, columns, rows, drawing if known else None, empty)


def waits(asked: Asked) -> Plot:
    today = asked.scope.today
    whole = answers.waits_of(asked.answers, today)
    firsts = [add_months(rates.first_month(today, SYMPTOM_MONTHS), number) for number in range(SYMPTOM_MONTHS + 1)]
    by_month: dict[date, list[answers.Answer]] = {first: [] for first in firsts}
    for answer in asked.answers:
        by_month[answer.since.replace(day=1)].append(answer)
    rows = [
        _wait_row(asked, answers.waits_of(found, today), month_words(first), {"month": f"{first:%Y-%m}"})
        for first, found in by_month.items()
        if found
    ]
    rows.append(_wait_row(asked, whole, _("Together"), {}))
    columns = [
        _("Pain reported in"),
        _("New symptoms"),
        *(str(WAIT_WORDS[state]) for state in ("decided", "open", "lapsed")),
        _("Median days until seen"),
        _("Median days from seen to decision"),
        _("Median days to the decision"),
    ]
    empty = _("No new symptom has been reported in the last 24 months.")
    if not whole.answers:
        return Plot("waits", empty, columns, [], None, empty)
    drawing = _wait_dots(asked, whole, firsts)
    return Plot("waits", _wait_title(whole), columns, rows, drawing, note=drawing.words)


def _wait_title(whole: answers.Waits) -> str:
    median = whole.whole.median()
    if median is None:
        return _("Fewer than half of the new symptoms have been decided on")
    return _("Half of the new symptoms were decided on within %(days)s days") % {"days": round(median)}


def _wait_row(asked: Asked, found: answers.Waits, words: str, chosen: Mapping[str, str]) -> list[Cell]:
    states = [
        count(len(found.of_state(state)), asked.list_url("waits", **chosen, state=state))
        for state in (answers.DECIDED.value, answers.OPEN.value, answers.LAPSED.value)
    ]
    medians = [days(curve.median()) for curve in (found.to_seen, found.to_decision, found.whole)]
    return [text(words), count(len(found.answers), asked.list_url("waits", **chosen)), *states, *medians]


def _wait_dots(asked: Asked, whole: answers.Waits, firsts: Sequence[date]) -> draw.Drawing:
    today = asked.scope.today
    span = max(1, (add_months(firsts[-1], 1) - firsts[0]).days)
    points = [
        draw.Dot(
            (answer.since - firsts[0]).days / span,
            answer.days(today),
            waiting=not answer.decided,
            words=_("%(day)s: %(days)s days, %(state)s")
            % {
                "day": day_words(answer.since),
                "days": answer.days(today),
                "state": WAIT_WORDS[answer.state],
            },
        )
        for answer in whole.answers
    ]
    goal = asked.protocol.soon_days
    levels = [draw.Level(_("decide within %(days)s days") % {"days": goal}, goal)]
    median = whole.whole.median()
    if median is not None and abs(median - goal) >= 1:
        levels.append(draw.Level(_("median %(days)s days") % {"days": round(median)}, median))
    words = _(
        "Days from the report of pain to the decision. Each dot is one hip. Filled: decided on. Hollow: still open, or"
        " no longer asked."
    )
    return draw.dots([*map(month_words, firsts), ""], points, levels, words)


def pain(asked: Asked) -> Plot:
    return _survival_plot(asked, PAIN)


def collapse(asked: Asked) -> Plot:
    return _survival_plot(asked, COLLAPSE)


def _survival_plot(asked: Asked, endpoint: str) -> Plot:
    curves = courses.curves_of(asked.courses, endpoint)
    drawn = curves.drawn
    longest = max((group.curve.last for group in drawn.values()), default=0.0)
    months = [month for month in TABLE_MONTHS if month <= longest]
    columns = [_("Size"), _("Hips"), _("With the event"), _("Censored")]
    for month in months:
        columns.append(_("At risk at %(month)s months") % {"month": month})
        columns.append(_("Without the event at %(month)s months (95 %% band)") % {"month": month})
    rows = [_band_row(asked, endpoint, band, group, months) for band, group in curves.groups.items()]
    rows += _left_out_rows(asked, curves, len(columns))
    empty = _("No band of size has %(count)s hips to watch yet: too few for a curve.") % {"count": courses.FEWEST}
    if not drawn:
        return Plot(endpoint, _endpoint_title(endpoint), columns, rows, None, empty, more=_step_rows(curves))
    title = _survival_title(endpoint, drawn)
    named = [
        draw.Named(str(SIZES[band]), group.curve, courses.BANDS.index(band), group.drawn_until)
        for band, group in drawn.items()
    ]
    drawing = draw.survival(
        named,
        draw.month_ticks(longest),
        _survival_words(endpoint, drawn),
        at_risk=_("At risk"),
        unit=_("months"),
    )
    return Plot(endpoint, title, columns, rows, drawing, note=_survival_note(curves), more=_step_rows(curves))


def _endpoint_title(endpoint: str) -> str:
    return _("Hips without pain, by size of the lesion") if endpoint == PAIN else _("Hips without collapse, by size")


def _survival_title(endpoint: str, drawn: Mapping[SizeBand, courses.Group]) -> str:
    """The finding at the last year that every curve reaches."""
    shortest = min(group.drawn_until for group in drawn.values())
    month = max((month for month in TABLE_MONTHS if month <= shortest), default=0)
    if not month:
        return _endpoint_title(endpoint)
    shares = ", ".join(f"{SIZES[band]} {whole_percent(_share_at(group, month))}" for band, group in drawn.items())
    words = (
        _("Without pain after %(month)s months: %(shares)s")
        if endpoint == PAIN
        else _("Without collapse after %(month)s months: %(shares)s")
    )
    return words % {"month": month, "shares": shares}


def _survival_words(endpoint: str, drawn: Mapping[SizeBand, courses.Group]) -> str:
    parts = []
    for band, group in drawn.items():
        known = [month for month in TABLE_MONTHS if month <= group.drawn_until]
        shares = ", ".join(f"{month}: {whole_percent(_share_at(group, month))}" for month in known)
        parts.append(f"{SIZES[band]} ({group.curve.size}) {shares}".strip())
    return f"{_endpoint_title(endpoint)}. {'; '.join(parts)}."


def _share_at(group: courses.Group, month: float) -> float:
    step = group.curve.at(month)
    return step.share if step else 1.0


def _survival_note(curves: courses.Curves) -> str:
    parts = [
        _("%(hips)s hips; of %(both)s patients both hips are counted.")
        % {"hips": curves.size, "both": curves.both_hips}
    ]
    if curves.test is not None:
        parts.append(_log_rank_words(curves.test))
    if SizeBand.VERY_SMALL in curves.drawn:
        parts.append(
            _(
                "Very small is not safe: of such lesions followed for 11 years, 88 % came to hurt and 73 % collapsed"
                " (Hernigou 2004). A shorter watch looks better."
            )
        )
    return " ".join(parts)


def _log_rank_words(test: LogRank) -> str:
    return _("Log-rank test of the bands drawn: chi-squared %(chi)s with %(degrees)s degrees of freedom, p %(p)s.") % {
        "chi": number_format(round(test.chi_squared, 2), decimal_pos=2),
        "degrees": test.degrees,
        "p": p_words(test.p),
    }


def p_words(p: float) -> str:
    return f"< {number_format(0.001)}" if p < 0.001 else f"= {number_format(round(p, 3), decimal_pos=3)}"


def _band_row(asked: Asked, endpoint: str, band: SizeBand, group: courses.Group, months: Sequence[int]) -> list[Cell]:
    def listed(part: str, **more: str) -> str:
        return asked.list_url("course", endpoint=endpoint, band=band.value, part=part, **more)

    cells = [
        text(str(SIZES[band])),
        count(group.curve.size, listed("all")),
        count(len(group.with_event()), listed("event")),
        count(len(group.censored()), listed("censored")),
    ]
    for month in months:
        at_risk = group.curve.at_risk(month)
        cells.append(count(at_risk, listed("risk", month=str(month))))
        cells.append(_band_share(group, month) if group.curve.last >= month else text(NO_NUMBER))
    return cells


def _band_share(group: courses.Group, month: float) -> Cell:
    step = group.curve.at(month)
    if step is None:
        return Cell(whole_percent(1.0), 1.0)
    return Cell(f"{whole_percent(step.share)} ({_range(step)})", round(step.share, 4))


def _range(step: Step) -> str:
    return _("%(low)s to %(high)s") % {"low": whole_percent(step.low), "high": whole_percent(step.high)}


def _left_out_rows(asked: Asked, curves: courses.Curves, width: int) -> list[list[Cell]]:
    blank = [text("")] * (width - 2)
    left_out = (
        ("already", _("Left out: too late to watch"), curves.already),
        ("unseen", _("Left out: not seen again"), curves.unseen),
    )
    return [
        [text(words), count(len(hips), asked.list_url("course", endpoint=curves.endpoint, part=part)), *blank]
        for part, words, hips in left_out
    ]


STEP_COLUMNS: Final = ("band", "month", "at_risk", "events", "share", "standard_error", "low", "high")


def _step_rows(curves: courses.Curves) -> list[list[Cell]]:
    """Every step of every band, whether drawn or not: what another program needs to draw the curves again."""
    return [
        [text(band.value), *_step_cells(step)] for band, group in curves.groups.items() for step in group.curve.steps
    ]


def _step_cells(step: Step) -> Iterable[Cell]:
    numbers = (step.time, step.at_risk, step.events, step.share, step.error, step.low, step.high)
    return (Cell(str(number), round(number, 4)) for number in numbers)


def forecast_plot(asked: Asked) -> Plot:
    found = Counter((visit.week, visit.kind) for visit in asked.visits)
    weeks = forecast.weeks_ahead(asked.scope.today)
    kinds = ("backlog", "first", "repeat")
    by_week = [sum(found[week, kind] for kind in kinds) for week in weeks]
    columns = [_("Week from"), *(str(VISIT_WORDS[kind]) for kind in kinds), _("Visits")]
    rows = [
        [
            text(day_words(week)),
            *(count(found[week, kind], asked.list_url("forecast", week=week.isoformat(), kind=kind)) for kind in kinds),
            count(number, asked.list_url("forecast", week=week.isoformat())),
        ]
        for week, number in zip(weeks, by_week, strict=True)
    ]
    layers = [
        draw.Layer(str(VISIT_WORDS[kind]), [found[week, kind] for week in weeks], style, striped=kind == "backlog")
        for kind, style in zip(kinds, ("bar-bad", "bar", "bar-open"), strict=True)
    ]
    title = _("%(count)s visits for radiographs are expected in the next %(weeks)s weeks, at most %(most)s in one") % {
        "count": number_format(sum(by_week), force_grouping=True),
        "weeks": forecast.WEEKS,
        "most": max(by_week),
    }
    labels = [date_format(week, pgettext("day and month on an axis", "j M")) for week in weeks]
    words = ", ".join(f"{label}: {number}" for label, number in zip(labels, by_week, strict=True))
    drawing = draw.bars(labels, layers, words, numbers=False)
    empty = _("Nobody is followed, so nobody is expected.")
    if not asked.visits:
        return Plot("forecast", empty, columns, rows, None, empty)
    note = _("Assumed: everybody comes when due, and those already late come evenly over the first four weeks.")
    return Plot("forecast", title, columns, rows, drawing, note=note)


def hips(asked: Asked) -> Plot:
    found = history.buckets_now(asked.scope)
    order = [bucket for bucket in BUCKET_WORDS if bucket in found]
    order += sorted(set(found) - set(order))
    rows = [
        [text(str(BUCKET_WORDS.get(bucket, bucket))), count(found[bucket], asked.list_url("hips", bucket=bucket))]
        for bucket in order
    ]
    whole = sum(found.values())
    rows.append([text(_("Together")), count(whole, asked.list_url("hips"))])
    title = ngettext("%(count)s hip is in the registry today", "%(count)s hips are in the registry today", whole)
    return Plot("hips", title % {"count": number_format(whole, force_grouping=True)}, [_("Where"), _("Hips")], rows)


def census(asked: Asked) -> Plot:
    nights = history.census_nights(asked.scope, CENSUS_DAYS)
    columns = [_("Night"), _("Enrolled"), _("Followed"), _("In time"), _("Overdue"), _("Gap"), _("Adds up")]
    rows = [
        [
            text(day_words(night.on)),
            count(night.enrolled),
            count(night.of(history.FOLLOWED)),
            count(night.of(history.IN_TIME)),
            count(night.of(("overdue",))),
            count(night.of(("gap",))),
            text(_("yes") if night.adds_up else _("no")),
        ]
        for night in nights
    ]
    if len(nights) < 2:
        empty = _("Fewer than two nights have been counted: no history to draw yet.")
        return Plot("census", _("Hips by night"), columns, rows, None, empty)
    last = nights[-1]
    title = _("%(followed)s hips were followed last night, %(late)s of them late") % {
        "followed": number_format(last.of(history.FOLLOWED), force_grouping=True),
        "late": last.of(history.LATE),
    }
    return Plot("census", title, columns, rows, _census_lines(nights))


def _census_lines(nights: Sequence[history.Night]) -> draw.Drawing:
    first, last = nights[0].on, nights[-1].on
    by_day = {night.on: night for night in nights}
    every = [first + timedelta(number) for number in range((last - first).days + 1)]

    def series(name: str, buckets: tuple[str, ...]) -> draw.Series:
        return draw.Series(name, [by_day[day].of(buckets) if day in by_day else None for day in every])

    parts = [
        series(_("followed"), history.FOLLOWED),
        series(_("overdue"), ("overdue",)),
        series(_("gap"), ("gap",)),
    ]
    words = ", ".join(f"{day_words(night.on)}: {night.of(history.FOLLOWED)}" for night in (nights[0], nights[-1]))
    return draw.lines([day_words(day) for day in every], parts, words)


PLOTS: Final[Mapping[str, Callable[[Asked], Plot]]] = {
    "overdue": overdue,
    "windows": windows,
    "tracking": tracking,
    "waits": waits,
    PAIN: pain,
    COLLAPSE: collapse,
    "forecast": forecast_plot,
    "hips": hips,
    "census": census,
}
SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "": ("overdue", "windows", "tracking"),
    "symptoms": ("waits",),
    "course": (PAIN, COLLAPSE),
    "forecast": ("forecast",),
    "census": ("hips", "census"),
}
