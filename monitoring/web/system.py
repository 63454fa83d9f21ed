"""System page: how the installation itself is doing, for administrators, from the numbers that the metrics have."""

from datetime import datetime, timedelta

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.formats import date_format, number_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_safe

from patients import access
from patients.access import Permission
from schedules.models import Reminder

from ..heartbeats import LATE_AFTER, Beat
from ..status import Mail, Status, Sweep, UnderWay, status
from ..tables import Table
from .administration import sections_of
from .entry import signed_in

RUNS = {
    "sweep": gettext_lazy("Sweep: who becomes due today"),
    "mail": gettext_lazy("Mail to patients"),
    "census": gettext_lazy("Census: every hip in one place"),
    "bounces": gettext_lazy("Reading of returned mail"),
    "backup": gettext_lazy("Backup"),
}
MEGABYTE = 1_000_000


@signed_in
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    """Runs, mail, queues and database; nothing of it names a clinic or a patient."""
    viewer = access.viewer_of(request)
    if not viewer.may_anywhere(Permission.ADMINISTER):
        raise PermissionDenied(_("Only administrators see how the system is doing."))
    state = status(timezone.now())
    context = {
        "tabs": sections_of(viewer, "system"),
        "runs": [_run_row(beat, state.at) for beat in state.beats],
        "alarms": _alarms(state),
        "at": state.at,
        "mail": _mail_rows(state.mail),
        "work": _work_rows(state),
        "database": _database_rows(state),
        "tables": [_table_row(table) for table in state.tables],
    }
    return render(request, "monitoring/system.html", context)


def _alarms(state: Status) -> list[str]:
    """What wants a person, in words."""
    late = [str(RUNS[beat.name]) for beat in state.beats if beat.late]
    mail = state.mail
    found = [_("Late: %(runs)s") % {"runs": "; ".join(late)}] * bool(late)
    if mail.refused_since:
        since = date_format(timezone.localtime(mail.refused_since), "DATETIME_FORMAT")
        found.append(_("The mail server has taken no mail since %(since)s") % {"since": since})
    if mail.uncertain:
        words = ngettext("%(n)s mail is uncertain", "%(n)s mails are uncertain", mail.uncertain)
        found.append(words % {"n": mail.uncertain})
    if state.not_evaluated:
        words = ngettext(
            "%(n)s patient could not be evaluated", "%(n)s patients could not be evaluated", state.not_evaluated
        )
        found.append(words % {"n": state.not_evaluated})
    found += [
        _("VACUUM does not come after in %(table)s") % {"table": one.name} for one in state.tables if one.wants_vacuum
    ]
    found += [
        _("The indexes of %(table)s have swollen") % {"table": one.name} for one in state.tables if one.is_swollen
    ]
    if state.months_ahead < 1:
        found.append(_("Tables that are divided by month have no part for the next one"))
    if state.queues is None:
        found.append(_("The broker does not answer"))
    return found


def _run_row(beat: Beat, now: datetime) -> dict[str, object]:
    return {
        "name": RUNS[beat.name],
        "finished": date_format(timezone.localtime(beat.finished_at), "DATETIME_FORMAT") if beat.finished_at else "",
        "ago": _duration(now - beat.finished_at) if beat.finished_at else "",
        "allowed": _duration(LATE_AFTER[beat.name]),
        "behind": beat.behind,
        "late": beat.late,
    }


def _mail_rows(mail: Mail) -> list[tuple[str, str]]:
    week = [
        (_("Last 7 days: %(state)s") % {"state": Reminder.State(name).label}, _number(count))
        for name, count in sorted(mail.week.items())
    ]
    return [
        (_("May go now"), _number(mail.due)),
        (_("Oldest is beyond its day by"), _duration(mail.late_for)),
        (_("On their way"), _number(mail.sending)),
        (_("Uncertain"), _number(mail.uncertain)),
        *week,
        (_("Letters to print"), _number(mail.letters)),
        (_("Telephone calls to make"), _number(mail.calls)),
        (_("Digests of the last week that did not arrive"), _number(mail.digests_lost)),
    ]


def _work_rows(state: Status) -> list[tuple[str, str]]:
    queues = [
        (_("Messages in queue “%(name)s”") % {"name": name}, _number(length))
        for name, length in (state.queues or {}).items()
    ]
    return [
        *_sweep_rows(state.sweep),
        *_under_way_rows(state.under_way),
        (_("Patients whose evaluation failed"), _number(state.not_evaluated)),
        (_("Imports that wait"), _number(state.imports_waiting)),
        (_("Oldest of them waits for"), _duration(state.oldest_import)),
        *(queues or [(_("Broker"), _("does not answer"))]),
    ]


def _sweep_rows(sweep: Sweep | None) -> list[tuple[str, str]]:
    if sweep is None:
        return []
    return [
        (_("The last sweep took"), _("%(n)s s") % {"n": _number(sweep.seconds, 1)}),
        (_("Patients it evaluated"), _number(sweep.patients)),
    ]


def _under_way_rows(sweep: UnderWay | None) -> list[tuple[str, str]]:
    if sweep is None:
        return []
    done = {"n": _number(sweep.done), "most": _number(sweep.planned)}
    return [(_("Patients that the sweep under way has evaluated"), _("%(n)s of %(most)s") % done)]


def _database_rows(state: Status) -> list[tuple[str, str]]:
    database = state.database
    growth = _("not known yet") if database.growth is None else _megabytes(database.growth)
    connections = _("%(n)s of %(most)s")
    return [
        (_("Size"), _megabytes(database.bytes)),
        (_("Grown in 30 days"), growth),
        (_("Connections"), connections % {"n": database.connections, "most": database.most_connections}),
        (_("Oldest transaction"), _duration(database.oldest_transaction)),
        (_("Months for which there are parts already"), _number(state.months_ahead)),
    ]


def _table_row(table: Table) -> dict[str, str]:
    a_row = table.index_bytes_a_row
    return {
        "name": table.name,
        "parts": _number(table.parts),
        "size": _megabytes(table.bytes),
        "rows": _number(table.rows),
        "dead": _("%(n)s %%") % {"n": _number(100 * table.share_dead, 0 if table.share_dead < 0.001 else 1)},
        "index": _("%(n)s bytes a row") % {"n": _number(a_row)} if a_row else "",
        "vacuumed": date_format(timezone.localtime(table.vacuumed_at), "DATETIME_FORMAT") if table.vacuumed_at else "",
    }


def _number(value: float, places: int = 0) -> str:
    return number_format(value, places, force_grouping=True)


def _megabytes(value: int) -> str:
    return _("%(n)s MB") % {"n": _number(value / MEGABYTE, 1)}


def _duration(span: timedelta) -> str:
    """In the largest unit of which there are two, so that nobody reads seconds of a day."""
    seconds = int(span.total_seconds())
    if seconds < 120:
        return ngettext("%(n)s second", "%(n)s seconds", seconds) % {"n": seconds}
    if seconds < 2 * 3600:
        return ngettext("%(n)s minute", "%(n)s minutes", seconds // 60) % {"n": seconds // 60}
    if seconds < 2 * 86400:
        return ngettext("%(n)s hour", "%(n)s hours", seconds // 3600) % {"n": seconds // 3600}
    return ngettext("%(n)s day", "%(n)s days", seconds // 86400) % {"n": seconds // 86400}
