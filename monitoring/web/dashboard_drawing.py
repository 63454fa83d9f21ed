"""Dashboard drawing: bars, lines, dots and survival curves as SVG, painted by the style sheet's classes.

Lines differ by dash and are named where they end, bars carry their number, and hollow is told from filled, so that a
drawing can be read in grey and in the dark. Nothing here knows what is drawn.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ..statistics.survival import Curve, Step

WIDTH: Final = 640
LINE_CLASSES: Final = ("line", "line line-2", "line line-3", "line line-4")
RIBBON_CLASSES: Final = ("ribbon", "ribbon ribbon-2", "ribbon ribbon-3", "ribbon ribbon-4")
MOST_TICKS: Final = 60  # of a survival curve
MOST_LARGE_DOTS: Final = 150
LABEL_STEP: Final = 14  # pixels between the names at the ends of lines


@dataclass(frozen=True, slots=True)
class Drawing:
    """What stands inside the <svg>, its size, and what it shows in words."""

    body: SafeString
    height: int
    words: str
    width: int = WIDTH


@dataclass(frozen=True, slots=True)
class Frame:
    """The rectangle in which values are drawn: x from 0 to 1, y from 0 to `most`."""

    left: float
    right: float
    top: float
    bottom: float
    most: float

    def x(self, share: float) -> float:
        return round(self.left + share * (self.right - self.left), 1)

    def y(self, value: float) -> float:
        return round(self.bottom - min(value, self.most) / self.most * (self.bottom - self.top), 1)


def nice_top(value: float) -> tuple[float, float]:
    """A round number at or above `value` for the top of an axis, and the step of its marks."""
    if value <= 4:
        return 4, 1
    rough = value / 4
    size = 10 ** math.floor(math.log10(rough))
    step = next(factor * size for factor in (1, 2, 5, 10) if factor * size >= rough)
    return math.ceil(value / step) * step, step


def _text(x: float, y: float, words: object, *, anchor: str = "middle", quiet: bool = False) -> SafeString:
    return format_html(
        '<text class="{}" x="{}" y="{}" text-anchor="{}">{}</text>', "quiet" if quiet else "", x, y, anchor, words
    )


def _join(parts: Iterable[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _path(points: Iterable[tuple[float, float]], kind: str) -> SafeString:
    return format_html('<path class="{}" d="M{}"/>', kind, " ".join(f"{x} {y}" for x, y in points))


def _ground(frame: Frame, step: float, *, percent: bool) -> SafeString:
    marks = [number * step for number in range(round(frame.most / step) + 1)]
    grid = "".join(f"M{frame.left} {frame.y(mark)}H{frame.right}" for mark in marks[1:])
    words = [_text(frame.left - 6, frame.y(m) + 4, _mark(m, percent=percent), anchor="end", quiet=True) for m in marks]
    axis = f"M{frame.left} {frame.bottom}H{frame.right}"
    return format_html('<path class="grid" d="{}"/><path class="axis" d="{}"/>{}', grid, axis, _join(words))


def _mark(value: float, *, percent: bool) -> str:
    return f"{value:.0%}".replace("%", " %") if percent else f"{value:g}"


def _inside(x: float, label: str) -> float:
    """The middle of a label that would leave the drawing on the right, moved in."""
    return min(x, WIDTH - 3.8 * len(label))


def _labels(frame: Frame, places: Sequence[float], labels: Sequence[str], y: float) -> SafeString:
    """The labels beneath the axis, thinned so that none touches the next."""
    longest = max((len(label) for label in labels), default=1)
    every = max(1, math.ceil(len(labels) * (longest * 6.6 + 10) / (frame.right - frame.left)))
    chosen = [(x, label) for n, (x, label) in enumerate(zip(places, labels, strict=True)) if n % every == 0]
    return _join(_text(_inside(x, label), y, label, quiet=True) for x, label in chosen)


@dataclass(frozen=True, slots=True)
class Layer:
    """One part of each bar of a stack, the lowest first."""

    name: str
    values: Sequence[int]
    kind: str = "bar"
    striped: bool = False  # told from its neighbours without colour


def bars(labels: Sequence[str], layers: Sequence[Layer], words: str, *, numbers: bool = True) -> Drawing:
    """Bars side by side, each a stack of layers; the whole above each bar. Several layers have a legend."""
    wholes = [sum(column) for column in zip(*(layer.values for layer in layers), strict=True)]
    most, step = nice_top(max(wholes, default=0))
    legend = len(layers) > 1
    frame = Frame(44, WIDTH - 8, 36 if legend else 22, 218, most)
    wide = (frame.right - frame.left) / max(1, len(labels))
    centres = [round(frame.left + wide * (place + 0.5), 1) for place in range(len(labels))]
    thick = round(min(64.0, wide * 0.72), 1)
    parts = [_ground(frame, step, percent=False), _labels(frame, centres, labels, 236)]
    for place, centre in enumerate(centres):
        beneath = 0
        for layer in layers:
            value = layer.values[place]
            if value:
                parts.append(_bar(frame, centre - thick / 2, thick, beneath, value, layer))
            beneath += value
        if numbers and wholes[place]:
            parts.append(_text(centre, frame.y(beneath) - 5, wholes[place]))
    if legend:
        parts.append(_legend(layers))
    return Drawing(_join(parts), 246, words)


def _bar(frame: Frame, x: float, thick: float, beneath: float, value: float, layer: Layer) -> SafeString:
    top = frame.y(beneath + value)
    return _box(round(x, 1), top, thick, round(frame.y(beneath) - top, 1), layer)


def _box(x: float, top: float, thick: float, tall: float, layer: Layer) -> SafeString:
    box = format_html('<rect class="{}" x="{}" y="{}" width="{}" height="{}"/>', layer.kind, x, top, thick, tall)
    if not layer.striped:
        return box
    stripes = "".join(f"M{x} {round(top + y, 1)}h{thick}" for y in range(4, int(tall), 5))
    return format_html('{}<path class="stripe" d="{}"/>', box, stripes) if stripes else box


def _legend(layers: Sequence[Layer]) -> SafeString:
    parts = []
    x = 44.0
    for layer in layers:
        parts.append(_box(x, 4, 12, 12, layer))
        parts.append(_text(x + 18, 14, layer.name, anchor="start"))
        x += 18 + 7.2 * len(layer.name) + 20
    return _join(parts)


@dataclass(frozen=True, slots=True)
class Series:
    """One line; a missing value interrupts it. `name` stands at its end."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Level:
    """A line across the whole drawing, such as a target or a published number."""

    name: str
    value: float


def lines(
    labels: Sequence[str],
    series: Sequence[Series],
    words: str,
    *,
    levels: Sequence[Level] = (),
    percent: bool = False,
) -> Drawing:
    """Values over time. With `percent` the values are shares of 1 and the axis ends at 100 %."""
    known = [value for one in series for value in one.values if value is not None]
    most, step = (1.0, 0.25) if percent else nice_top(max(known, default=0))
    room = max((len(one.name) for one in series), default=0) * 7 + 14
    frame = Frame(52, WIDTH - max(room, 16), 18, 208, most)
    width = max(1, len(labels) - 1)
    places = [frame.x(place / width) for place in range(len(labels))]
    parts = [_ground(frame, step, percent=percent), _labels(frame, places, labels, 226)]
    parts += [_level(frame, level) for level in levels]
    ends = []
    for one, kind in zip(series, LINE_CLASSES, strict=False):
        points = [(x, None if v is None else frame.y(v)) for x, v in zip(places, one.values, strict=True)]
        parts += _broken_line(points, kind)
        drawn = [(x, y) for x, y in points if y is not None]
        if drawn and one.name:
            ends.append((drawn[-1][1] + 4, one.name))
    parts += [_text(frame.right + 8, y, name, anchor="start") for y, name in _apart(ends, frame)]
    return Drawing(_join(parts), 236, words)


def _broken_line(points: Sequence[tuple[float, float | None]], kind: str) -> list[SafeString]:
    runs: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is None:
            runs.append([])
        else:
            runs[-1].append((x, y))
    parts = [_path(run, kind) for run in runs if len(run) > 1]
    return [*parts, *(_dot(x, y, "dot") for run in runs for x, y in run if len(points) <= 40)]


def _dot(x: float, y: float, kind: str) -> SafeString:
    return format_html('<circle class="{}" cx="{}" cy="{}" r="3.5"/>', kind, x, y)


def _target(frame: Frame, value: float) -> SafeString:
    return format_html('<path class="target" d="M{} {}H{}"/>', frame.left, frame.y(value), frame.right)


def _level(frame: Frame, level: Level) -> SafeString:
    y = frame.y(level.value)
    above = y - 5 if y - 5 > frame.top + 8 else y + 14
    name = _text(frame.right - 2, above, level.name, anchor="end", quiet=True)
    return format_html("{}{}", _target(frame, level.value), name)


def _apart(ends: list[tuple[float, str]], frame: Frame) -> list[tuple[float, str]]:
    """The names at the ends of lines, moved so that they do not cover one another."""
    placed: list[tuple[float, str]] = []
    for y, name in sorted(ends):
        placed.append((max(y, placed[-1][0] + LABEL_STEP) if placed else y, name))
    below = placed[-1][0] - (frame.bottom + 4) if placed else 0
    return [(round(y - below, 1), name) for y, name in placed] if below > 0 else placed


@dataclass(frozen=True, slots=True)
class Dot:
    """One point: where in time (0 to 1), how many days, and whether it still waits (hollow)."""

    share: float
    value: float
    waiting: bool
    words: str


def dots(labels: Sequence[str], points: Sequence[Dot], levels: Sequence[Level], words: str) -> Drawing:
    """Single waits over time with levels across, which are named where they end."""
    most, step = nice_top(max([point.value for point in points] + [level.value for level in levels], default=0))
    room = max((len(level.name) for level in levels), default=0) * 6.6 + 14
    frame = Frame(52, WIDTH - max(room, 16), 18, 208, most)
    width = max(1, len(labels) - 1)
    places = [frame.x(place / width) for place in range(len(labels))]
    parts = [_ground(frame, step, percent=False), _labels(frame, places, labels, 226)]
    radius = 4 if len(points) <= MOST_LARGE_DOTS else 2.5
    parts += [_pointed(frame, point, radius) for point in points]
    parts += [_target(frame, level.value) for level in levels]
    ends = [(frame.y(level.value) + 4, level.name) for level in levels]
    parts += [_text(frame.right + 8, y, name, anchor="start") for y, name in _apart(ends, frame)]
    return Drawing(_join(parts), 236, words)


def _pointed(frame: Frame, point: Dot, radius: float) -> SafeString:
    return format_html(
        '<circle class="{}" cx="{}" cy="{}" r="{}"><title>{}</title></circle>',
        "dot dot-open" if point.waiting else "dot",
        frame.x(point.share),
        frame.y(point.value),
        radius,
        point.words,
    )


@dataclass(frozen=True, slots=True)
class Named:
    """A curve with its name, the number that stands for it among the line styles, and how far it is drawn."""

    name: str
    curve: Curve
    style: int
    until: float  # where the drawing of it ends

    @property
    def steps(self) -> list[Step]:
        return [step for step in self.curve.steps if step.time <= self.until]


def survival(curves: Sequence[Named], months: Sequence[int], words: str, *, at_risk: str, unit: str) -> Drawing:
    """Step curves with 95 % bands, a tick for each hip censored, names at the ends, and numbers at risk beneath."""
    room = max((len(one.name) for one in curves), default=0) * 7 + 12
    frame = Frame(room + 16, WIDTH - room, 14, 196, 1.0)
    longest = max(months[-1], 1)
    places = [frame.x(month / longest) for month in months]
    parts = [_ground(frame, 0.25, percent=True)]
    parts += [_text(x, 212, month, quiet=True) for x, month in zip(places, months, strict=True)]
    parts.append(_text(frame.right + 16, 212, unit, anchor="start", quiet=True))
    parts += [_ribbon(frame, one, longest) for one in curves]
    for one in curves:
        parts.append(_path(_stairs(frame, one, longest), LINE_CLASSES[one.style % 4]))
        parts.append(_censored(frame, one, longest))
    ends = [(frame.y(_share(one.curve, one.until)) + 4, one.name) for one in curves]
    parts += [_text(frame.right + 8, y, name, anchor="start") for y, name in _apart(ends, frame)]
    parts.append(_text(0, 232, at_risk, anchor="start", quiet=True))
    for row, one in enumerate(curves):
        y = 248 + 16 * row
        parts.append(_text(0, y, one.name, anchor="start"))
        parts += [_text(x, y, one.curve.at_risk(month)) for x, month in zip(places, months, strict=True)]
    return Drawing(_join(parts), 256 + 16 * len(curves), words)


def _share(curve: Curve, time: float) -> float:
    step = curve.at(time)
    return step.share if step else 1.0


def _stairs(frame: Frame, one: Named, longest: float) -> list[tuple[float, float]]:
    points = [(frame.x(0), frame.y(1))]
    for step in one.steps:
        x = frame.x(step.time / longest)
        points += [(x, points[-1][1]), (x, frame.y(step.share))]
    return [*points, (frame.x(one.until / longest), points[-1][1])]


def _ribbon(frame: Frame, one: Named, longest: float) -> SafeString:
    """The band around the curve; none before the first event, where it has no width."""
    steps = one.steps
    if not steps:
        return SafeString("")
    ends = [*(step.time for step in steps[1:]), one.until]
    spans = [
        (frame.x(step.time / longest), frame.x(end / longest), step) for step, end in zip(steps, ends, strict=True)
    ]
    upper = [point for x, end, step in spans for point in ((x, frame.y(step.high)), (end, frame.y(step.high)))]
    lower = [point for x, end, step in spans for point in ((x, frame.y(step.low)), (end, frame.y(step.low)))]
    return _path([*upper, *reversed(lower)], RIBBON_CLASSES[one.style % 4])


def _censored(frame: Frame, one: Named, longest: float) -> SafeString:
    """A tick for each time at which hips are censored; none where they would hide the curve."""
    places = {
        frame.x(time / longest): frame.y(_share(one.curve, time)) for time in one.curve.censored() if time <= one.until
    }
    if not 0 < len(places) <= MOST_TICKS:
        return SafeString("")
    return format_html('<path class="axis" d="{}"/>', "".join(f"M{x} {y - 4}v8" for x, y in sorted(places.items())))


def month_ticks(longest: float) -> list[int]:
    """0, 6, 12, ... or 0, 12, 24, ... months, up to the first at or beyond `longest`."""
    step = 6 if longest <= 24 else 12 if longest <= 96 else 24
    return list(range(0, step * max(1, math.ceil(longest / step)) + 1, step))


def svg(drawing: Drawing, name: str, title: str) -> SafeString:
    """The drawing as it stands in a page; ids are unique for each name."""
    return format_html(
        '<svg class="drawing" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-title {}-desc">'
        '<title id="{}-title">{}</title><desc id="{}-desc">{}</desc>{}</svg>',
        drawing.width,
        drawing.height,
        name,
        name,
        name,
        title,
        name,
        drawing.words,
        drawing.body,
    )
