"""Tables: how large the largest are, what of them is dead, how lean their indexes are, and the months kept ahead."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import connection

from patients import access
from patients.partitions import AHEAD

from .models import SystemFigure

RUN: Final = "tables"
SHOWN: Final = 8
MANY_DEAD, SHARE_DEAD = 50_000, 0.2  # rows, and as a share of all, beyond which VACUUM does not come after
SWOLLEN: Final = 2.0  # times the bytes of index a row of a month ago
FEW_ROWS: Final = 10_000  # of so few nothing is said: the first pages of an index weigh most
log = logging.getLogger(__name__)

# PostgreSQL's own statistics; a table that is divided by month is the sum of its parts.
_LARGEST: Final = """
SELECT coalesce(pg_partition_root(relid), relid)::regclass::text, count(*), sum(pg_total_relation_size(relid))::bigint,
    sum(pg_indexes_size(relid))::bigint, sum(n_live_tup)::bigint, sum(n_dead_tup)::bigint,
    max(greatest(last_vacuum, last_autovacuum))
  FROM pg_stat_user_tables WHERE schemaname = 'public' AND relid NOT IN (SELECT partrelid FROM pg_partitioned_table)
 GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT %s
"""
_LAST_MONTHS: Final = """
SELECT inhparent::regclass::text, max(to_date(right(inhrelid::regclass::text, 7), 'YYYY_MM'))
  FROM pg_inherits WHERE inhrelid::regclass::text ~ '_[0-9]{4}_[0-9]{2}$' GROUP BY 1 ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Table:
    """Bytes with everything that belongs to it; rows as PostgreSQL estimates them."""

    name: str
    parts: int
    bytes: int
    index_bytes: int
    rows: int
    dead: int
    vacuumed_at: datetime | None
    index_bytes_a_row_before: float | None  # a month ago

    @property
    def index_bytes_a_row(self) -> float | None:
        return self.index_bytes / self.rows if self.rows >= FEW_ROWS else None

    @property
    def share_dead(self) -> float:
        return self.dead / (self.rows + self.dead) if self.rows + self.dead else 0.0

    @property
    def wants_vacuum(self) -> bool:
        return self.dead > MANY_DEAD and self.share_dead > SHARE_DEAD

    @property
    def is_swollen(self) -> bool:
        now, before = self.index_bytes_a_row, self.index_bytes_a_row_before
        return bool(now and before and now > SWOLLEN * before)


def largest(now: datetime, *, many: int = SHOWN) -> list[Table]:
    """The largest first."""
    before = _figures(now - timedelta(days=30))
    with connection.cursor() as cursor:
        cursor.execute(_LARGEST, [many])
        found = cursor.fetchall()
    return [
        Table(name, parts, size, index, rows, dead, at, before.get(name))
        for name, parts, size, index, rows, dead, at in found
    ]


def months_ahead(today: date) -> int:
    """For how many months after this one every divided table has a part, at least; below 0 rows gather in the last."""
    with connection.cursor() as cursor:
        cursor.execute(_LAST_MONTHS)
        months = [12 * last.year + last.month for _table, last in cursor.fetchall()]
    return min(months, default=0) - (12 * today.year + today.month)


def keep_months(today: date, *, ahead: int = AHEAD) -> list[str]:
    """Make the parts of the coming months that are missing. Returns their names.

    Raises django.db.OperationalError where a table was in use for longer than two seconds; nothing has changed then.
    """
    with access.system_run(RUN, []), connection.cursor() as cursor:
        cursor.execute("SELECT keep_partitions(%s, %s)", [today, ahead])
        made = [str(row[0]) for row in cursor.fetchall()]
    for part in made:
        log.info("made %s", part)
    return made


def keep_figures(found: Iterable[Table], now: datetime) -> None:
    """Once a day, how lean the indexes of these tables are, in bytes of index for a thousand rows."""
    with access.system_run(RUN, []):
        if SystemFigure.objects.filter(name__startswith=_name(""), on=now.date()).exists():
            return
        SystemFigure.objects.bulk_create(
            [
                SystemFigure(name=_name(table.name), on=now.date(), value=round(1000 * table.index_bytes_a_row))
                for table in found
                if table.index_bytes_a_row
            ],
            ignore_conflicts=True,
        )


def _figures(at: datetime) -> dict[str, float]:
    known = SystemFigure.objects.filter(name__startswith=_name(""), on__lte=at.date()).order_by("on")
    return {
        figure.name.removeprefix(_name("")): figure.value / 1000
        for figure in known.filter(on__gt=at.date() - timedelta(days=30))
    }


def _name(table: str) -> str:
    return f"index {table}"
