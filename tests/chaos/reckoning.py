"""Reckoning: what the mail server's log and the clients' ledger say happened, beside what the database says."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.db import connection
from django.utils import timezone

from monitoring import audit_seals, census, pipeline
from monitoring.models import AuditEntry, ContactAttempt
from patients import access
from patients.models import Clinic, Patient, SymptomReport
from patients.recording import today_at
from schedules.models import Reminder
from tests.chaos.load import Entry, Ledger
from tests.chaos.system import System

# Faults that no user may notice.
WITHOUT_ERRORS = ("Valkey flushed", "Valkey killed", "Valkey away", "messages lost and doubled")
PATIENTS = "@mail.example"
AHEAD = timedelta(hours=4)  # that far the clock is put forward at the end: the last entries are sealed in their time
AROUND = 3.0  # seconds after another fault in which an error is put down to that

TWICE = {
    "reminders of one step": "SELECT 1 FROM schedules_reminder WHERE appointment_id IS NULL"
    " GROUP BY patient_id, cycle_on, due_on, step HAVING count(*) > 1",
    "current plans of a hip": "SELECT 1 FROM schedules_plan WHERE state = 'current'"
    " GROUP BY hip_id HAVING count(*) > 1",
    "open flags of a hip": "SELECT 1 FROM monitoring_flag WHERE closed_at IS NULL"
    " GROUP BY hip_id, rule HAVING count(*) > 1",
    "open reviews of a hip": "SELECT 1 FROM monitoring_reviewcase WHERE state = 'open'"
    " GROUP BY hip_id, action HAVING count(*) > 1",
}


@dataclass
class Arrived:
    """The mail server's side. `kept`: how often each Message-ID was accepted."""

    kept: Counter[str] = field(default_factory=Counter)
    ambiguous: Counter[str] = field(default_factory=Counter)  # accepted, and no answer given
    dropped: int = 0
    to_staff: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # by address


def read_log(log: Path) -> Arrived:
    found = Arrived()
    for line in log.read_text().splitlines():
        match line.split():
            case ["kept", address, _message_id, _what] if not address.endswith(PATIENTS):
                found.to_staff += 1  # a digest
            case ["kept", _address, message_id, what]:
                found.kept[message_id] += 1
                found.ambiguous[message_id] += what == "ambiguous"
            case ["refused", address]:
                found.refused[address] += 1
            case ["dropped", _address]:
                found.dropped += 1
    return found


@dataclass(frozen=True)
class Figure:
    """One line of the table. `limit`: the most that is right, or None where it is only told."""

    name: str
    what: str
    value: float
    limit: float | None
    told: str = ""

    @property
    def holds(self) -> bool:
        return self.limit is None or self.value <= self.limit


def reckon(clinic: Clinic, system: System, arrived: Arrived, ledger: Ledger, times: dict[str, float]) -> list[Figure]:
    with access.system_run("chaos"):
        figures = [*_mail(clinic, system, arrived, times), *_writes(ledger, system)]
    return sorted(figures, key=lambda figure: (figure.name[0], int(figure.name[1:] or 0)))


def _mail(clinic: Clinic, system: System, arrived: Arrived, times: dict[str, float]) -> Iterator[Figure]:
    today = today_at(clinic, timezone.now())
    rows = list(Reminder.objects.filter(clinic=clinic, send_on__lte=today).order_by("id"))
    states = Counter(row.state for row in rows)
    lost = [
        row for row in rows
        if (row.state == "sent" and not arrived.kept[row.message_id]) or row.state in ("planned", "sending")
    ]  # fmt: skip
    # Late in the day the clock that is put forward reaches tomorrow, whose mails then go as well.
    all_rows = list(Reminder.objects.filter(clinic=clinic).order_by("id"))
    unknown = [row for row in all_rows if row.state not in ("sent", "uncertain") and arrived.kept[row.message_id]]
    strangers = set(arrived.kept) - {row.message_id for row in all_rows}
    doubled = sum(count - 1 for count in arrived.kept.values() if count > 1)
    ambiguous = sum(arrived.ambiguous.values())
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    yield Figure("R1", "silently lost", len(lost), 0, told)
    yield Figure("R2", f"doubled by our crashes ({system.killed} mail processes killed)", doubled, 0)
    told_of = f"{', '.join(row.state for row in unknown)} {len(strangers)} of no reminder; {arrived.to_staff} to staff"
    yield Figure("R3", "arrived, and no row says so", len(unknown) + len(strangers), 0, told_of.strip())
    yield Figure("R4", f"doubled, with {ambiguous} ambiguous answers", doubled, 0)
    most = ambiguous + arrived.dropped + system.killed * system.together
    came = sum(1 for row in rows if row.state == "uncertain" and arrived.kept[row.message_id])
    reasons = sum(1 for row in rows if row.state == "uncertain" and not row.reason)
    yield Figure(
        "R5", "in doubt and shown to staff", states["uncertain"], most, f"{came} of them had arrived; at most {most}"
    )
    yield Figure("R5", "in doubt without a reason", reasons, 0)
    again = sum(count - 1 for count in arrived.refused.values())
    yield Figure("R6", "addressed again after 550", again, 0, f"{len(arrived.refused)} addresses refused")
    yield Figure(
        "R7", "seconds from the last fault until all is sent, decided or put off", round(times["quiet"], 1), None
    )
    twice = {what: _count(query) for what, query in TWICE.items()}
    yield Figure("R8", "decided twice", sum(twice.values()), 0, ", ".join(f"{n} {what}" for what, n in twice.items()))
    rate, peace = times["mails under fire"] / times["under fire"], times["mails in peace"] / times["in peace"]
    told = f"{rate:.0f} a second under fire, {peace:.0f} in peace"
    yield Figure("R9", "rate under fire of rate in peace", round(rate / peace, 2), None, told)


def _count(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM ({query}) AS found")  # our own, above
        return int((cursor.fetchone() or (0,))[0])


def _writes(ledger: Ledger, system: System) -> Iterator[Figure]:
    missing, doubled, silent = 0, 0, 0
    for entry in ledger.entries:
        rows = _rows_of(entry.kind, entry.key)
        missing += not rows
        doubled += len(rows) > 1
        silent += any(not _is_audited(entry, row) for row in rows)
    kinds = Counter(entry.kind for entry in ledger.entries)
    told = ", ".join(f"{count} {kind} of {ledger.tries[kind]} tries" for kind, count in sorted(kinds.items()))
    yield Figure("W1", "acknowledged writes that are missing", missing, 0, told)
    yield Figure("W2", "acknowledged writes that are there twice", doubled, 0)
    yield Figure("W3", "writes without an audit entry", silent, 0)
    blamed = [words for at, words in ledger.errors if not _excused(at, system)]
    told = f"{len(ledger.errors)} errors in all; {'; '.join(blamed[:2])}"
    yield Figure("R11", "errors shown that no fault of database or web process explains", len(blamed), 0, told)


def _rows_of(kind: str, key: str) -> list[Any]:
    match kind:
        case "enrol":
            return list(Patient.objects.filter(record_number=f"C-{key}"))
        case "record":
            return list(SymptomReport.objects.filter(pain_site=key))
        case _:
            return list(ContactAttempt.objects.filter(note=key))


def _is_audited(entry: Entry, row: Any) -> bool:
    """Whether the audit has this write; the page's under its request, the API's under what it wrote."""
    match entry.kind:
        case "enrol":
            return AuditEntry.objects.filter(patient_id=row.pk).exclude(act="look").exists()
        case "record":
            return AuditEntry.objects.filter(patient_id=row.patient_id, object__contains=f"symptom-{row.pk}").exists()
        case _:
            return AuditEntry.objects.filter(patient_id=row.patient_id, request_id=entry.request).exists()


def _excused(at: float, system: System) -> bool:
    others = [(began, ended) for kind, began, ended in system.faults if kind not in WITHOUT_ERRORS]
    return any(began <= at <= ended + AROUND for began, ended in others)


def settle(clinics: list[Clinic], seals: Path) -> Iterator[Figure]:
    """After everything: what a sweep of all finds changed, whether the census adds up and the audit is as sealed."""
    now = timezone.now()
    counts = pipeline.sweep(now)
    again = pipeline.sweep(now, everything=True)
    told = f"{counts.patients} stale before, {again.patients} evaluated anew"
    yield Figure("R10", "answers that an undisturbed evaluation changes", again.changed + again.failed, 0, told)
    wrong = 0
    for clinic in clinics:
        with access.system_run("chaos", [clinic.pk]):
            wrong += not census.take_census(clinic, now).adds_up
    yield Figure("C1", "clinics whose census does not add up", wrong, 0)
    sealed = seals.read_text().splitlines() if seals.exists() else []
    audit_seals.seal_settled(timezone.now() + audit_seals.SETTLED_AFTER + AHEAD)
    verdict = audit_seals.verify(timezone.now(), {int(line.split()[0]): line.split()[1] for line in sealed})
    told = f"{verdict.seals} seals over {verdict.entries} entries, {len(sealed)} made under fire and sent out"
    yield Figure("A1", "faults of the audit against its seals", len(verdict.faults), 0, told)
    yield Figure("A1", "entries that could not be sealed", verdict.unsealed, 0)


def table(figures: list[Figure]) -> str:
    lines = ["| figure | what | value | limit | |", "|---|---|---|---|---|"]
    for one in figures:
        limit = "told" if one.limit is None else f"{one.limit:g}"
        lines.append(
            f"| {one.name} | {one.what} | {one.value:g} | {limit} | {'' if one.holds else 'BROKEN '}{one.told} |"
        )
    return "\n".join(lines)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
