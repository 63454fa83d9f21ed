"""Heartbeats: when each recurring run last came to its end, and whether that is too long ago."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from .models import Heartbeat

LATE_AFTER = {
    "sweep": timedelta(minutes=15),
    "mail": timedelta(minutes=15),
    "census": timedelta(hours=26),
    "bounces": timedelta(minutes=30),  # where there is a mailbox for mail that comes back
    "backup": timedelta(hours=26),  # where backups are expected
}
WATCHING = ("sweep", "mail", "census", "bounces")  # without these nobody would notice who becomes due


@dataclass(frozen=True, slots=True)
class Beat:
    name: str
    finished_at: datetime | None
    behind: int
    late: bool


def started(name: str, now: datetime) -> None:
    Heartbeat.objects.update_or_create(name=name, defaults={"started_at": now})


def finished(name: str, now: datetime, *, behind: int = 0, note: str = "", began_at: datetime | None = None) -> None:
    """A run came to its end, leaving `behind` things undone."""
    row = Heartbeat(name=name, finished_at=now, behind=behind, note=note[:200], started_at=began_at)
    said = ["finished_at", "behind", "note", *(["started_at"] if began_at else [])]
    Heartbeat.objects.bulk_create([row], update_conflicts=True, unique_fields=["name"], update_fields=said)


def under_way(name: str, *, behind: int) -> None:
    """A long run has so many things still to do."""
    Heartbeat.objects.filter(name=name).update(behind=behind)


def beat(name: str, now: datetime | None = None) -> Beat:
    """The run's heartbeat; late when it never ended, ended too long ago, or left something behind."""
    return beat_of(name, rows_of(name), now)


def rows_of(name: str) -> QuerySet[Heartbeat]:
    """The row of a run, if it ever began."""
    return Heartbeat.objects.filter(name=name)


def beat_of(name: str, rows: Iterable[Heartbeat], now: datetime | None = None) -> Beat:
    """The heartbeat of the run whose row was read among others."""
    row = next(iter(rows), None)
    finished_at = row.finished_at if row else None
    behind = row.behind if row else 0
    overdue = finished_at is None or (now or timezone.now()) - finished_at > LATE_AFTER[name]
    return Beat(name, finished_at, behind, late=overdue or behind > 0)


def last_finished(name: str) -> datetime | None:
    """When the run last came to its end, for runs that nobody waits for."""
    return Heartbeat.objects.filter(name=name).values_list("finished_at", flat=True).first()


def sweep_heartbeat() -> Beat:
    return beat("sweep")


def all_beats(now: datetime | None = None) -> list[Beat]:
    """Of every run that is expected here."""
    return beats_of(Heartbeat.objects.all(), now)


def beats_of(found: Iterable[Heartbeat], now: datetime | None = None) -> list[Beat]:
    """As `all_beats`, of rows that were read among others."""
    here = {"bounces": bool(settings.BOUNCE_MAILBOX_URL), "backup": settings.BACKUPS_EXPECTED}
    rows = {row.name: row for row in found}
    return [beat_of(name, [rows[name]] if name in rows else [], now) for name in LATE_AFTER if here.get(name, True)]
