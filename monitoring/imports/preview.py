"""Preview: the first rows that saving a checked file would take, each cell as it was read."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, Final

from patients.changes import Actor

from ..models import ImportBatch
from .batch import CHUNK, intake_of, unpack
from .cells import DateOrder, read_cell
from .columns import BY_NAME
from .plans import Outcome, Plan
from .registry_file import Row, open_file
from .rows import read_row

FIRST: Final = 20


@dataclass(frozen=True, slots=True)
class Previewed:
    """One row: what saving it would come to, its cells as read by column, and what the registry has instead."""

    line: int
    outcome: Outcome
    patient_id: int | None
    cells: Mapping[str, Any]
    before: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Preview:
    headings: Mapping[str, str]  # our column -> the heading of the file
    rows: list[Previewed]


def preview(batch: ImportBatch, *, by: Actor, now: datetime) -> Preview:
    """The first rows that are not refused, among as many as are planned at once; none where no file is kept."""
    if batch.content is None:
        return Preview({}, [])
    content, options = unpack(bytes(batch.content))
    file = open_file(content, mapping=options.mapping)
    lines = {row.line: row for row in islice(file.rows(), CHUNK)}
    arrivals = [read_row(row, order=options.date_order) for row in lines.values()]
    plans = intake_of(batch, options, by, now).plan_all(arrivals)
    taken = islice((plan for plan in plans if not plan.refused), FIRST)
    rows = [_previewed(plan, lines[plan.arrival.line], options.date_order) for plan in taken]
    titles = {name: title for title, name in options.mapping.items() if name}
    said = {name for row in rows for name in row.cells}
    return Preview({name: titles.get(name, "") for name in file.columns if name in said}, rows)


def _previewed(plan: Plan, row: Row, order: DateOrder) -> Previewed:
    read = {name: read_cell(BY_NAME[name], written, order) for name, written in row.cells.items()}
    before = {name.removesuffix("_as_given"): getattr(plan.patient, name) for name in plan.changes if plan.patient}
    cells = {name: value for name, value in read.items() if value not in (None, [])}
    return Previewed(plan.arrival.line, plan.outcome, plan.patient.pk if plan.patient else None, cells, before)
