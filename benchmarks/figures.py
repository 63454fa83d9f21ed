"""Figures: what each benchmark found, told in one form, so that a run of all of them gives one table.

A program calls `note`; where FIGURES names a file, the figure is added to it. The programs stay readable by themselves.
"""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("Django", "celery", "psycopg", "redis", "django-post-office", "django-mailer")


@dataclass(frozen=True)
class Figure:
    """`ours` and `baseline` in `unit`; `against`: what the baseline is. `spread`: of ours, in the same unit."""

    name: str
    workload: str
    unit: str
    ours: float
    baseline: float | None = None
    against: str = ""
    spread: str = ""
    load: float = 0.0

    @property
    def ratio(self) -> float | None:
        return self.ours / self.baseline if self.baseline else None


def note(
    name: str,
    workload: str,
    unit: str,
    ours: float,
    *,
    baseline: float | None = None,
    against: str = "",
    of: Sequence[float] = (),
) -> None:
    """Add a figure to the file that FIGURES names. `of`: the single measurements, for their spread."""
    if not (file := os.environ.get("FIGURES")):
        return
    spread = f"{_short(min(of))} to {_short(max(of))}" if len(of) > 1 else ""
    load = round(os.getloadavg()[0], 1)
    with Path(file).open("a") as lines:
        figure = Figure(name, workload, unit, float(ours), baseline, against, spread, load)
        lines.write(json.dumps(asdict(figure)) + "\n")


def read(file: Path) -> list[Figure]:
    return [Figure(**json.loads(line)) for line in file.read_text().splitlines()] if file.exists() else []


def circumstances(server: int) -> dict[str, object]:
    """The machine and the versions. `server`: PostgreSQL's, as its protocol tells it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "PostgreSQL": f"{server // 10000}.{server % 10000}",
        **{name: version(name) for name in PACKAGES},
    }


def table(figures: Sequence[Figure]) -> str:
    lines = [
        "| name | workload | ours | unit | baseline | ratio | spread of ours | load |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in figures:
        baseline = f"{_short(one.baseline)} {one.against}" if one.baseline is not None else ""
        ratio = f"{one.ratio:.3g}" if one.ratio is not None else ""
        cells = [one.name, one.workload, _short(one.ours), one.unit, baseline, ratio, one.spread, f"{one.load:g}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:.3g}"
