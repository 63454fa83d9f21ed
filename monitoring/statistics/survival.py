"""Survival: the Kaplan-Meier curve with its confidence band, numbers at risk, and the log-rank test. Pure arithmetic.

Kaplan and Meier 1958; variance of Greenwood; band by the log(-log) transformation (Kalbfleisch and Prentice), which
stays within 0 and 1; log-rank test for k groups (Peto, Mantel) with the hypergeometric covariance.
"""

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

Z95: Final = 1.959963984540054  # the 97.5 % point of the normal distribution


class Observation(NamedTuple):
    """How long one was watched, and whether the event came at the end of it. Otherwise it is censored there."""

    time: float
    event: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The curve from `time` on, until the next step."""

    time: float
    at_risk: int  # just before `time`
    events: int
    share: float  # estimated to be without the event
    error: float  # standard error of `share` by Greenwood
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Curve:
    """The estimate of one group. Before the first step the share is 1."""

    observations: tuple[Observation, ...]  # in order of time
    steps: tuple[Step, ...]  # one for each time with an event

    @property
    def size(self) -> int:
        return len(self.observations)

    @property
    def events(self) -> int:
        return sum(step.events for step in self.steps)

    @property
    def last(self) -> float:
        """How long the longest was watched."""
        return self.observations[-1].time if self.observations else 0.0

    def censored(self) -> list[float]:
        return [seen.time for seen in self.observations if not seen.event]

    def at_risk(self, time: float) -> int:
        """How many are watched and without the event just before `time`."""
        return self.size - bisect_left(self.observations, time, key=lambda seen: seen.time)

    def steady_until(self, fewest: int) -> float:
        """The last time at which at least so many are at risk; beyond it each step says more of chance than of hips."""
        return self.observations[-fewest].time if self.size >= fewest else 0.0

    def at(self, time: float) -> Step | None:
        """The step that holds at `time`; None before the first event."""
        known = bisect_right(self.steps, time, key=lambda step: step.time)
        return self.steps[known - 1] if known else None

    def median(self) -> float | None:
        """The first time at which no more than half are without the event; None when the curve stays above."""
        return next((step.time for step in self.steps if step.share <= 0.5 + 1e-12), None)


def kaplan_meier(observations: Iterable[Observation]) -> Curve:
    """The product-limit estimate; events come before censorings at the same time. Times must not be negative."""
    ordered = sorted(observations)
    if ordered and ordered[0].time < 0:
        raise ValueError("Nobody is watched for a negative time.")
    events = Counter(seen.time for seen in ordered if seen.event)
    times = [seen.time for seen in ordered]
    steps = []
    share, summed = 1.0, 0.0
    for time in sorted(events):
        at_risk, came = len(ordered) - bisect_left(times, time), events[time]
        share *= (at_risk - came) / at_risk
        summed = summed + came / (at_risk * (at_risk - came)) if at_risk > came else math.inf
        steps.append(_step(time, at_risk, came, share, summed))
    return Curve(tuple(ordered), tuple(steps))


def _step(time: float, at_risk: int, events: int, share: float, summed: float) -> Step:
    if share <= 0 or math.isinf(summed):  # nobody is left: the transformation has no value
        return Step(time, at_risk, events, 0.0, 0.0, 0.0, 0.0)
    spread = Z95 * math.sqrt(summed) / abs(math.log(share))
    low, high = share ** math.exp(spread), share ** math.exp(-spread)
    return Step(time, at_risk, events, share, share * math.sqrt(summed), low, high)


@dataclass(frozen=True, slots=True)
class LogRank:
    """Whether the groups' curves differ by more than chance: chi-squared with its degrees of freedom."""

    chi_squared: float
    degrees: int
    p: float
    observed: Mapping[str, int]
    expected: Mapping[str, float]


def log_rank(groups: Mapping[str, Sequence[Observation]]) -> LogRank | None:
    """Compare the groups; None when fewer than two have anybody, or nothing happened while two were at risk."""
    names = [name for name, seen in groups.items() if seen]
    if len(names) < 2:
        return None
    times = {name: sorted(seen.time for seen in groups[name]) for name in names}
    events = {name: Counter(seen.time for seen in groups[name] if seen.event) for name in names}
    observed = [sum(events[name].values()) for name in names]
    expected = [0.0] * len(names)
    covariance = [[0.0] * len(names) for _name in names]
    for time in sorted(set().union(*events.values())):
        at_risk = [len(times[name]) - bisect_left(times[name], time) for name in names]
        everybody, came = sum(at_risk), sum(events[name][time] for name in names)
        for i, here in enumerate(at_risk):
            expected[i] += came * here / everybody
        if everybody > 1:
            spread = came * (everybody - came) / (everybody - 1)
            for i, here in enumerate(at_risk):
                for j, there in enumerate(at_risk):
                    covariance[i][j] += spread * (here / everybody) * ((i == j) - there / everybody)
    differences = [seen - awaited for seen, awaited in zip(observed, expected, strict=True)]
    form = _quadratic_form(covariance, differences)
    if form is None:
        return None
    chi_squared, degrees = form
    return LogRank(
        chi_squared,
        degrees,
        chi_squared_tail(chi_squared, degrees),
        dict(zip(names, observed, strict=True)),
        dict(zip(names, expected, strict=True)),
    )


def _quadratic_form(covariance: list[list[float]], differences: list[float]) -> tuple[float, int] | None:
    """d' V^- d and the rank of V, by elimination on the largest diagonal; the differences sum to nothing.

    A row that depends on the others says nothing new and is left out, as is a group never at risk with another.
    """
    rows = [[*row, difference] for row, difference in zip(covariance, differences, strict=True)]
    left = list(range(len(rows)))
    smallest = 1e-9 * max((rows[i][i] for i in left), default=0.0)
    total, rank = 0.0, 0
    while left:
        pivot = max(left, key=lambda i: rows[i][i])
        if rows[pivot][pivot] <= smallest or rows[pivot][pivot] <= 0:
            break
        left.remove(pivot)
        total += rows[pivot][-1] ** 2 / rows[pivot][pivot]
        rank += 1
        for i in left:
            factor = rows[i][pivot] / rows[pivot][pivot]
            rows[i] = [here - factor * there for here, there in zip(rows[i], rows[pivot], strict=True)]
    return (total, rank) if rank else None


def chi_squared_tail(value: float, degrees: int) -> float:
    """The probability of a chi-squared above `value`: the closed forms for whole degrees of freedom."""
    if value <= 0:
        return 1.0
    half = value / 2
    if degrees % 2:
        tail, term, first = math.erfc(math.sqrt(half)), math.sqrt(half) * math.exp(-half) / math.gamma(1.5), 1.5
    else:
        tail, term, first = math.exp(-half), half * math.exp(-half), 2.0
    for step in range((degrees - 1) // 2):
        tail += term
        term *= half / (first + step)
    return min(1.0, tail)
