"""Audit seals: a chain of digests over the audit, and the check that finds what was changed, removed or put in.

Entries are sealed some time after they were written, in ranges, so that writers never wait for each other. Who rules
the database can rewrite entries and seals alike; hence seals are sent out as they are made, and checked against that.
"""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from django.conf import settings
from django.db import connection, transaction

from . import account_mail
from .models import AuditEntry, AuditSeal

log = logging.getLogger("hipwatch.audit")
SETTLED_AFTER: Final = timedelta(minutes=2)
LATE_AFTER: Final = timedelta(days=1)  # what is unsealed for longer means that nothing seals, or that seals are gone
MOST: Final = 5_000  # entries of one seal: where a fault is found, so many are suspected
COLUMNS: Final = (
    "id", "at", "actor", "user_id", "act", "clinic_id", "patient_id", "object", "before", "after", "reason",
    "request_id",
)  # fmt: skip
BEFORE_ALL: Final = -(2**62)  # the first seal begins there, so that nothing can be put in before it
_ONE_SEALER: Final = 0x5EA1


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was sealed: between which entries, in words."""

    after_id: int
    until_id: int
    words: str

    def __str__(self) -> str:
        begin = self.after_id + 1 if self.after_id > 0 else "the first"
        return f"entries from {begin} to {self.until_id}: {self.words}"


@dataclass(slots=True)
class Verdict:
    seals: int = 0
    entries: int = 0
    unsealed: int = 0
    faults: list[Fault] = field(default_factory=list)


def digest_of(previous: str, after_id: int, until_id: int, entries: Iterable[tuple[object, ...]]) -> tuple[str, int]:
    """The digest of a range, given in the order of its ids, and how many entries it has."""
    whole, count = hashlib.sha256(), 0
    whole.update(f"{previous}|{after_id}|{until_id}\n".encode())
    for entry in entries:
        whole.update(_line(entry))
        count += 1
    whole.update(f"|{count}".encode())
    return whole.hexdigest(), count


def _line(entry: tuple[object, ...]) -> bytes:
    """One entry as it is digested: every column in one order, whatever program reads it."""
    said = [part.isoformat() if isinstance(part, datetime) else part for part in entry]
    return (json.dumps(said, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def _between(after_id: int, until_id: int) -> Iterator[tuple[object, ...]]:
    found = AuditEntry.objects.filter(pk__gt=after_id, pk__lte=until_id).order_by("pk")
    return found.values_list(*COLUMNS).iterator(chunk_size=1000)


def seal_settled(now: datetime) -> list[AuditSeal]:
    """Seal every entry that no running transaction can precede any more, and send the seals out."""
    made = []
    while (seal := _seal_next(now)) is not None:
        made.append(seal)
        log.info("audit %s", seal)
        _write_out(seal)
    if made and settings.AUDIT_SEAL_MAIL:
        _mail(made[-1], now)
    return made


@transaction.atomic
def _seal_next(now: datetime) -> AuditSeal | None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_ONE_SEALER])
    last = AuditSeal.objects.order_by("-until_id").first()
    after_id, previous = (last.until_id, last.digest) if last else (BEFORE_ALL, "")
    settled = _settled_ids(after_id, now)
    if not settled:
        return None
    digest, count = digest_of(previous, after_id, settled[-1], _between(after_id, settled[-1]))
    return AuditSeal.objects.create(
        after_id=after_id, until_id=settled[-1], count=count, previous=previous, digest=digest, sealed_at=now
    )


def _settled_ids(after_id: int, now: datetime) -> list[int]:
    """The next entries before the first that is too new, or younger than the oldest transaction that still runs.

    A number is drawn when an entry is written and seen when its transaction ends, so a lower one may appear later. What
    a later entry shows to be old is old, whatever time it bears: the clock of whoever wrote it may have been ahead.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, at < %s, age(xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"
            " FROM monitoring_auditentry WHERE id > %s ORDER BY id LIMIT %s",
            [now - SETTLED_AFTER, after_id, MOST],
        )
        settled: list[int] = []
        seen: list[int] = []
        for pk, is_old, is_behind_all in cursor.fetchall():
            if not is_behind_all:
                break
            seen.append(pk)
            if is_old:
                settled, seen = settled + seen, []
    return settled


def _write_out(seal: AuditSeal) -> None:
    """To the file of seals, where one is set: it should lie where the database's masters cannot write."""
    if settings.AUDIT_SEAL_FILE:
        with Path(settings.AUDIT_SEAL_FILE).open("a") as file:
            file.write(f"{seal.until_id} {seal.digest} {seal.sealed_at.isoformat()}\n")


def _mail(seal: AuditSeal, now: datetime) -> None:
    text = f"{seal.until_id} {seal.digest} {seal.sealed_at.isoformat()}\n\nKeep this mail: verify_audit compares it.\n"
    letter = account_mail.Letter(subject="Hipwatch: seal of the audit", text=text, language="en")
    account_mail.queue("audit_seal", settings.AUDIT_SEAL_MAIL, letter, now=now)


def verify(now: datetime, kept: Mapping[int, str] | None = None) -> Verdict:
    """Whether every sealed entry is as it was sealed. `kept` are seals that were sent out: digests by last entry."""
    verdict, previous, until = Verdict(), "", BEFORE_ALL
    missing = dict(kept or {})
    for seal in AuditSeal.objects.order_by("until_id").iterator(chunk_size=500):
        faults = list(_faults_of(seal, previous, until, missing))
        verdict.faults += [Fault(seal.after_id, seal.until_id, words) for words in faults]
        verdict.seals, verdict.entries = verdict.seals + 1, verdict.entries + seal.count
        missing.pop(seal.until_id, None)
        previous, until = seal.digest, seal.until_id
    verdict.faults += [Fault(BEFORE_ALL, last, "the seal that was sent out is gone") for last in sorted(missing)]
    behind = AuditEntry.objects.filter(pk__gt=until)
    verdict.unsealed = behind.count()
    if behind.filter(at__lt=now - LATE_AFTER).exists():
        newest = behind.order_by("-pk").values_list("pk", flat=True)[0]
        verdict.faults.append(Fault(until, newest, "not sealed for a day: does nothing seal, or is a seal gone?"))
    return verdict


def _faults_of(seal: AuditSeal, previous: str, until: int, kept: Mapping[int, str]) -> Iterator[str]:
    if seal.after_id != until or seal.previous != previous:
        yield "the seal before is missing or another one"
    digest, count = digest_of(seal.previous, seal.after_id, seal.until_id, _between(seal.after_id, seal.until_id))
    if count != seal.count:
        yield f"{count} entries where {seal.count} were sealed"
    elif digest != seal.digest:
        yield "an entry was changed, or two were exchanged"
    if kept.get(seal.until_id, seal.digest) != seal.digest:
        yield "another seal was sent out for these"
