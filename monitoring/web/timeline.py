"""Timeline: both hips drawn to scale as one SVG, painted by the style sheet's classes, with the same as a table."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta

from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from patients.models import Imaging, Procedure, Staging, SymptomReport
from patients.vocabulary import AP_VIEWS, REPLACEMENTS, SURGERY, Side, View
from schedules.guideline.stages import Phase
from schedules.guideline.windows import add_days, add_months
from schedules.models import Plan, Reminder

from .chart import ON_SCREEN, Chart
from .fact_words import name_of, words_of
from .finding_words import day_words
from .hip_panels import staging_rank_of

LEFT, RIGHT, TOP = 84.0, 984.0, 22
BAND, GAP = 132, 10
STAGE_AT, WINDOW_AT, MARK_AT, PAIN_FROM, PAIN_TO = 6, 32, 60, 122, 88


@dataclass(frozen=True)
class Timeline:
    """The drawing and its table."""

    svg: SafeString
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True, slots=True)
class Scale:
    """Days to the drawing's x."""

    first: date
    last: date

    def x(self, day: date) -> float:
        day = min(max(day, self.first), self.last)
        share = (day - self.first).days / max(1, (self.last - self.first).days)
        return round(LEFT + share * (RIGHT - LEFT), 1)


@dataclass
class _Sheet:
    """What is drawn so far, and the sentences that say the same."""

    scale: Scale
    ground: list[SafeString] = field(default_factory=list)
    parts: list[SafeString] = field(default_factory=list)
    rows: list[tuple[date, str, str]] = field(default_factory=list)

    def say(self, on: date, side: str, words: str) -> None:
        self.rows.append((on, side, words))


def draw(chart: Chart, *, plans: Iterable[Plan], reminders: Iterable[Reminder]) -> Timeline:
    """Stages, windows, imaging with its views, pain, procedures and mails of both hips, up to the next window."""
    planned = [plan for plan in plans if _came(plan)]
    sheet = _Sheet(_scale(chart, planned))
    height = TOP + 2 * BAND + GAP + 6
    mails = list(reminders)
    for index, side in enumerate(ON_SCREEN):
        top = TOP + index * (BAND + GAP)
        _band(sheet, side, top)
        _stages(sheet, chart.standing("staging", side), _watched_until(chart, side), side, top)
        _windows(sheet, [plan for plan in planned if plan.hip_id == chart.hips[side].pk], chart.today, side, top)
        _mails(sheet, mails if index == 0 else [], top)
        _images(sheet, chart.standing("imaging", side), side, top)
        _pain(sheet, chart.standing("symptom", side), side, top)
        _procedures(sheet, chart.standing("procedure", side), side, top)
    rows = [[day_words(on), side, words] for on, side, words in sorted(sheet.rows, key=lambda row: row[0])]
    return Timeline(_svg(chart, sheet, height), [_("Date"), _("Hip"), _("What")], rows)


def _came(plan: Plan) -> bool:
    """Whether the window came or is still to come; one kept before it opened gave way to the next."""
    if plan.state == Plan.State.KEPT and plan.kept_on:
        return plan.kept_on >= plan.opens_on
    return plan.state != Plan.State.CLOSED


def _scale(chart: Chart, plans: list[Plan]) -> Scale:
    days = [fact.on for kind in ("imaging", "staging", "symptom", "procedure") for fact in chart.standing(kind)]
    days += [chart.patient.enrolled_on, chart.today]
    ahead = [plan.overdue_on for plan in plans if plan.state == Plan.State.CURRENT]
    first, last = min(days), max([*days, *ahead])
    margin = timedelta(days=max(14, (last - first).days // 30))
    return Scale(add_days(first, -margin.days), add_days(last, margin.days))


def _svg(chart: Chart, sheet: _Sheet, height: int) -> SafeString:
    title = _("Both hips from %(first)s to %(last)s") % {
        "first": day_words(sheet.scale.first),
        "last": day_words(sheet.scale.last),
    }
    desc = _("%(count)s events; the table below lists them all.") % {"count": len(sheet.rows)}
    return format_html(
        '<svg class="drawing" viewBox="0 0 1000 {}" role="img" aria-labelledby="tl-title tl-desc">'
        '<title id="tl-title">{}</title><desc id="tl-desc">{}</desc>{}{}{}{}</svg>',
        height,
        title,
        desc,
        format_html_join("", "{}", ((part,) for part in sheet.ground)),
        _grid(sheet.scale, chart.today, height),
        format_html_join("", "{}", ((part,) for part in sheet.parts)),
        _now(sheet.scale, chart.today, height),
    )


def _grid(scale: Scale, today: date, height: int) -> SafeString:
    ticks = _ticks(scale)
    lines = format_html_join("", "M{} {}V{}", ((scale.x(day), TOP, height - 6) for day in ticks))
    words = format_html_join(
        "",
        '<text class="{}" x="{}" y="14">{}</text>',
        (
            ("" if day.month == 1 else "quiet", scale.x(day) + 2, _tick_word(day))
            for day in _labelled(ticks, scale, today)
        ),
    )
    return format_html('<path class="grid" d="{}"/>{}', lines, words)


def _ticks(scale: Scale) -> list[date]:
    """The first of every month, quarter, half-year or year, so that they stay apart."""
    months = (scale.last - scale.first).days / 30.4
    step = 1 if months <= 12 else 3 if months <= 36 else 6 if months <= 72 else 12
    day = date(scale.first.year, 1, 1)
    ticks = []
    while day <= scale.last:
        if day >= scale.first:
            ticks.append(day)
        day = add_months(day, step)
    return ticks


def _labelled(ticks: list[date], scale: Scale, today: date) -> list[date]:
    """The ticks that have room for a word beside today's, a year's before others."""
    shown: list[date] = []
    for day in sorted(ticks, key=lambda tick: (tick.month != 1, tick)):
        beside = not -70 < scale.x(day) - scale.x(today) < 6
        if beside and scale.x(day) < RIGHT - 30 and all(abs(scale.x(day) - scale.x(other)) >= 44 for other in shown):
            shown.append(day)
    return shown


def _tick_word(day: date) -> str:
    return str(day.year) if day.month == 1 else date_format(day, "M")


def _now(scale: Scale, today: date, height: int) -> SafeString:
    x = scale.x(today)
    return format_html(
        '<path class="now-line" d="M{} {}V{}"/><text class="now-word" x="{}" y="{}" text-anchor="end">{}</text>',
        x,
        TOP,
        height - 6,
        x,
        14,
        _("today"),
    )


def _band(sheet: _Sheet, side: Side, top: int) -> None:
    sheet.ground.append(
        format_html(
            '<rect class="band" x="{}" y="{}" width="{}" height="{}"/><text x="0" y="{}">{}</text>'
            '<text class="quiet" x="0" y="{}">{}</text><text class="quiet" x="0" y="{}">{}</text>'
            '<text class="quiet" x="0" y="{}">{}</text><path class="axis" d="M{} {}H{}"/>',
            LEFT, top, RIGHT - LEFT, BAND, top + STAGE_AT + 14, _hip(side),
            top + WINDOW_AT + 11, _("windows"), top + MARK_AT + 10, _("imaging"),
            top + PAIN_FROM, _("pain"), LEFT, top + PAIN_FROM, RIGHT,
        )
    )  # fmt: skip


def _hip(side: Side) -> str:
    return _("Right hip") if side is Side.RIGHT else _("Left hip")


def _bar(css: str, start: float, end: float, y: int, height: int, title: str) -> SafeString:
    return format_html(
        '<rect class="{}" x="{}" y="{}" width="{}" height="{}" rx="2"><title>{}</title></rect>',
        css, start, y, max(3.0, round(end - start, 1)), height, title,
    )  # fmt: skip


def _watched_until(chart: Chart, side: Side) -> date:
    """The last day on which the hip had a stage: today, or the day of its replacement or of death."""
    replaced: list[date] = [done.on for done in chart.standing("procedure", side) if done.procedure in REPLACEMENTS]
    return min(chart.today, chart.patient.died_on or chart.today, *replaced)


def _stages(sheet: _Sheet, stages: list[Staging], until_on: date, side: Side, top: int) -> None:
    ends = [later.on for later in stages[1:]] + [until_on]
    for stage, until in zip(stages, ends, strict=False):
        title = f"{words_of(stage)}, {day_words(stage.on)}"
        sheet.say(stage.on, _hip(side), f"{name_of(stage)}: {words_of(stage)}")
        start, end = sheet.scale.x(stage.on), sheet.scale.x(until)
        css = "stage stage-collapse" if _is_collapse(stage) else "stage"
        sheet.parts.append(_bar(css, start, end, top + STAGE_AT, 20, title))
        room = 8 * len(stage.words)
        if end - start > room:
            sheet.parts.append(_stage_word(start + 6, top, stage.words))
        elif stage is stages[-1] and RIGHT + 16 - end > room:  # the one that holds today is named beside its bar
            sheet.parts.append(_stage_word(max(end, start + 3) + 5, top, stage.words))


def _stage_word(x: float, top: int, words: str) -> SafeString:
    return format_html('<text x="{}" y="{}">{}</text>', round(x, 1), top + STAGE_AT + 14, words)


def _is_collapse(stage: Staging) -> bool:
    return staging_rank_of(stage) >= Phase.COLLAPSE_EARLY


def _windows(sheet: _Sheet, plans: list[Plan], today: date, side: Side, top: int) -> None:
    for plan in plans:
        css, words = _window(plan, today)
        sheet.say(plan.opens_on, _hip(side), words)
        start, end = sheet.scale.x(plan.opens_on), sheet.scale.x(plan.overdue_on)
        sheet.parts.append(_bar(css, start, end, top + WINDOW_AT, 13, words))


def _window(plan: Plan, today: date) -> tuple[str, str]:
    span = _("Window %(opens)s to %(overdue)s") % {
        "opens": day_words(plan.opens_on),
        "overdue": day_words(add_days(plan.overdue_on, -1)),
    }
    if plan.state == Plan.State.KEPT and plan.kept_on:
        if plan.kept_on < plan.overdue_on:
            return "window window-kept", _("%(window)s, kept %(day)s") % {
                "window": span,
                "day": day_words(plan.kept_on),
            }
        late = _("%(window)s, missed; seen %(day)s") % {"window": span, "day": day_words(plan.kept_on)}
        return "window window-missed", late
    if today >= plan.overdue_on:
        return "window window-missed", _("%(window)s, missed") % {"window": span}
    return "window", span


def _images(sheet: _Sheet, studies: list[Imaging], side: Side, top: int) -> None:
    taken: list[float] = []
    for study in studies:
        x = sheet.scale.x(study.on)
        y = top + MARK_AT + (13 if any(abs(x - other) < 12 for other in taken) else 0)
        taken.append(x)
        words = f"{name_of(study)}: {words_of(study)}"
        sheet.say(study.on, _hip(side), words)
        sheet.parts.append(_mark(study, x, y, f"{day_words(study.on)}, {words}"))


def _mark(study: Imaging, x: float, y: int, title: str) -> SafeString:
    if study.modality == "XR":
        full = View.FROG_LATERAL in study.views and not AP_VIEWS.isdisjoint({View(view) for view in study.views})
        css = "image-mark image-mark-full" if full and study.diagnostic is not False else "image-mark"
        return format_html(
            '<circle class="{}" cx="{}" cy="{}" r="5.5"><title>{}</title></circle>', css, x, y + 6, title
        )
    if study.modality == "MR":
        return format_html(
            '<rect class="image-mark" x="{}" y="{}" width="11" height="11"><title>{}</title></rect>',
            x - 5.5,
            y + 0.5,
            title,
        )
    if study.modality == "CT":
        return format_html('<path class="image-mark" d="m{} {} 6 6-6 6-6-6z"><title>{}</title></path>', x, y, title)
    return format_html('<path class="image-mark" d="M{} {}h10v6h-10z"><title>{}</title></path>', x - 5, y + 3, title)


def _mails(sheet: _Sheet, reminders: list[Reminder], top: int) -> None:
    for reminder in reminders:
        words = _("Message sent: %(step)s") % {"step": reminder.get_step_display()}
        sheet.say(reminder.send_on, _("both"), words)
        x = sheet.scale.x(reminder.send_on)
        title = f"{day_words(reminder.send_on)}, {words}"
        sheet.parts.append(
            format_html(
                '<path class="mail-mark" d="M{} {}h14v9h-14zl7 5 7-5"><title>{}</title></path>', x - 7, top + 47, title
            )
        )


def _pain(sheet: _Sheet, reports: list[SymptomReport], side: Side, top: int) -> None:
    base = top + PAIN_FROM
    for report in reports:
        sheet.say(report.on, _hip(side), words_of(report))
    rise = (PAIN_FROM - PAIN_TO) / 10
    points = [
        (sheet.scale.x(report.on), round(base - rise * level, 1), report)
        for report in reports
        if (level := _level(report)) is not None
    ]
    if not points:
        return
    path = format_html_join("", "{}{} {}", (("L" if index else "M", x, y) for index, (x, y, _r) in enumerate(points)))
    sheet.parts.append(format_html('<path class="pain" d="{}"/>', path))
    for x, y, report in points:
        title = f"{day_words(report.on)}, {words_of(report)}"
        sheet.parts.append(
            format_html('<circle class="pain-mark" cx="{}" cy="{}" r="4"><title>{}</title></circle>', x, y, title)
        )


def _level(report: SymptomReport) -> int | None:
    """The pain from 0 to 10; a plain no is 0, a plain yes has no height of its own."""
    if report.pain_nrs is not None:
        return report.pain_nrs
    return 0 if report.symptomatic is False else None


def _procedures(sheet: _Sheet, procedures: list[Procedure], side: Side, top: int) -> None:
    for procedure in procedures:
        sheet.say(procedure.on, _hip(side), words_of(procedure))
        if procedure.procedure not in SURGERY:
            continue
        x, y = sheet.scale.x(procedure.on), top + MARK_AT
        title = f"{day_words(procedure.on)}, {words_of(procedure)}"
        sheet.parts.append(
            format_html('<path class="procedure" d="M{} {}l6 12h-12z"><title>{}</title></path>', x, y, title)
        )
