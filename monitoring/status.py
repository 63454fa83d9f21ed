"""Status: how the installation itself is doing, in numbers that name no clinic and no patient.

The System page and the metrics show the same. Every number is cheap at a million hips: it is read from a partial
index, from a run's own receipt or from PostgreSQL's statistics.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from celery import current_app
from django.core.cache import cache
from django.db import connection
from django.db.models import Count, Min, Q, Sum
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from patients import access
from schedules import delivery, mail_server
from schedules.models import Reminder, Substitute

from . import heartbeats, tables
from .heartbeats import Beat
from .models import EvaluationRun, ImportBatch, PatientEvaluation, StaffNotice, SystemFigure
from .tables import Table

RUN = "status"
WEEK = timedelta(days=7)
QUEUES = ("sweep", "mail")
IMPORTS_WAITING = (ImportBatch.State.WAITING, ImportBatch.State.RUNNING, ImportBatch.State.UNDOING)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A sweep that is being worked on: how many patients were shared out, and how many of them are done."""

    planned: int
    done: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """The last one that had somebody to evaluate and came to its end."""

    finished_at: datetime
    seconds: float
    patients: int
    failed: int

    @property
    def seconds_a_patient(self) -> float | None:
        return self.seconds / self.patients if self.patients else None


@dataclass(frozen=True, slots=True)
class Mail:
    """`late_for`: how long the oldest mail that might go is beyond its day. `refused_since`: see `mail_server`."""

    due: int
    late_for: timedelta
    sending: int
    uncertain: int
    week: dict[str, int]  # reminders to be sent in the last seven days, by state
    letters: int
    calls: int
    digests_lost: int
    refused_since: datetime | None


@dataclass(frozen=True, slots=True)
class Database:
    bytes: int
    connections: int
    most_connections: int
    oldest_transaction: timedelta
    a_month_ago: int | None  # bytes

    @property
    def growth(self) -> int | None:
        return None if self.a_month_ago is None else self.bytes - self.a_month_ago


@dataclass(frozen=True, slots=True)
class Status:
    at: datetime
    beats: tuple[Beat, ...]
    sweep: Sweep | None
    under_way: UnderWay | None
    not_evaluated: int
    mail: Mail
    imports_waiting: int
    oldest_import: timedelta
    queues: dict[str, int] | None  # messages in the broker; None when it does not answer
    database: Database
    tables: tuple[Table, ...]  # the largest
    months_ahead: int  # of the tables that are divided by month


def status(now: datetime) -> Status:
    """How everything stands at `now`."""
    with access.system_run(RUN):
        imports = ImportBatch.objects.filter(state__in=IMPORTS_WAITING).aggregate(
            n=Count("id"), first=Min("created_at")
        )
        return Status(
            at=now,
            beats=tuple(heartbeats.all_beats(now)),
            sweep=_last_sweep(),
            under_way=_sweep_under_way(),
            not_evaluated=PatientEvaluation.objects.exclude(error="").count(),
            mail=_mail(now),
            imports_waiting=imports["n"],
            oldest_import=now - imports["first"] if imports["first"] else timedelta(),
            queues=_queues(),
            database=_database(now),
            tables=tuple(tables.largest(now)),
            months_ahead=tables.months_ahead(now.date()),
        )


def _last_sweep() -> Sweep | None:
    run = EvaluationRun.objects.filter(kind__in=["sweep", "all"], finished_at__isnull=False).order_by("-id").first()
    if run is None or run.finished_at is None:
        return None
    return Sweep(run.finished_at, (run.finished_at - run.started_at).total_seconds(), run.patients, run.failed)


def _sweep_under_way() -> UnderWay | None:
    run = EvaluationRun.objects.filter(planned__isnull=False, finished_at__isnull=True).order_by("id").first()
    if run is None:
        return None
    done = run.shares.aggregate(patients=Sum("evaluated"))["patients"]
    return UnderWay(run.planned or 0, done or 0)


def _mail(now: datetime) -> Mail:
    due, oldest = delivery.due_now(now)
    late_for = timedelta() if oldest is None else now - datetime.combine(oldest, now.min.time(), now.tzinfo)
    states = Reminder.objects.order_by().values_list("state")
    week = states.filter(send_on__gt=(now - WEEK).date(), send_on__lte=now.date()).annotate(Count("id"))
    open_now = (
        Substitute.objects.filter(state=Substitute.State.OPEN).order_by().values_list("channel").annotate(Count("id"))
    )
    ways = dict(open_now)
    server = mail_server.trouble()
    lost = Q(state__in=[StaffNotice.State.FAILED, StaffNotice.State.UNCERTAIN], day__gt=(now - WEEK).date())
    return Mail(
        due=due,
        late_for=max(timedelta(), late_for - timedelta(days=1)),
        sending=Reminder.objects.filter(state=Reminder.State.SENDING).count(),
        uncertain=Reminder.objects.filter(state=Reminder.State.UNCERTAIN).count(),
        week=dict(week),
        letters=ways.get(Substitute.Way.LETTER, 0),
        calls=ways.get(Substitute.Way.CALL, 0),
        digests_lost=StaffNotice.objects.filter(lost).count(),
        refused_since=server.refusing_since if server else None,
    )


def _database(now: datetime) -> Database:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_database_size(current_database()), count(*), current_setting('max_connections')::int,"
            " coalesce(extract(epoch FROM max(now() - xact_start) FILTER (WHERE pid <> pg_backend_pid())), 0)"
            " FROM pg_stat_activity WHERE datname = current_database()"
        )
        size, connections, most, oldest = cursor.fetchone() or (0, 0, 0, 0)
    earlier = SystemFigure.objects.filter(name=SIZE, on__lte=(now - timedelta(days=30)).date()).order_by("-on").first()
    return Database(size, connections, most, timedelta(seconds=float(oldest)), earlier.value if earlier else None)


def _queues() -> dict[str, int] | None:
    """Messages that wait in the broker. They are hints; what is due stands in rows."""
    try:
        with current_app.connection_for_read() as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=2)
            client = broker.default_channel.client
            return {name: int(client.llen(name)) for name in QUEUES}
    except (OperationalError, OSError, RedisError):
        return None


# ---- Kept from day to day

SIZE = "database bytes"


def keep_size(now: datetime) -> None:
    """Once a day, how large the database is: the growth of a month is told from it."""
    with access.system_run(RUN, []), connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        (size,) = cursor.fetchone() or (0,)
        SystemFigure.objects.get_or_create(name=SIZE, on=now.date(), defaults={"value": size})


def cached(now: datetime, *, seconds: int) -> Status:
    """The status of at most `seconds` ago, so that who asks often costs little."""
    try:
        known: Status | None = cache.get("status")
    except RedisError:
        return status(now)
    if known is None:
        known = status(now)
        cache.set("status", known, seconds)
    return known


def is_demanding(state: Status) -> bool:
    """Whether a person should look now."""
    return any(beat.late for beat in state.beats) or bool(state.mail.uncertain or state.not_evaluated)
