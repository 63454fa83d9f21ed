"""Running: what the import commands share: who imports into which clinic, a progress bar, and nothing half-told."""

import sys
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

from django.core.exceptions import PermissionDenied
from django.core.management.base import CommandError
from django.db import transaction

from patients import access
from patients.access import Permission
from patients.changes import Actor
from patients.models import Clinic, User


def who_and_where(email: str, clinic_name: str) -> tuple[Actor, Clinic]:
    """The person who imports and the clinic. Raises CommandError where one is unknown or the role does not reach."""
    with transaction.atomic():
        user = User.objects.filter(email__iexact=email, is_active=True).first()
        if user is None:
            raise CommandError(f"There is no active member of staff with the address {email}.", returncode=2)
        viewer = access.viewer_for(user)
        clinics = list(access.clinics_for(viewer))
        clinic = next((c for c in clinics if c.name.casefold() == clinic_name.casefold()), None)
        if clinic is None:
            known = ", ".join(f"“{c.name}”" for c in clinics) or "none"
            raise CommandError(f"{user} works in no clinic “{clinic_name}”. Theirs: {known}.", returncode=2)
        try:
            viewer.check(Permission.IMPORT, clinic.pk)
        except PermissionDenied as error:
            raise CommandError(f"{user}: {error}", returncode=2) from None
        return viewer.actor, clinic


@dataclass
class Bar:
    """Progress on standard error: a bar on a terminal, otherwise a line every few seconds."""

    what: str
    unit: str = "rows"
    out: TextIO = field(default_factory=lambda: sys.stderr)
    every: float = 5.0
    _began: float = field(default_factory=time.monotonic)
    _last: float = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        seconds = max(now - self._began, 0.001)
        ended = done >= total
        if self.out.isatty():
            full = int(30 * done / total) if total else 30
            text = f"\r{self.what} [{'#' * full}{'.' * (30 - full)}] {done}/{total}  {done / seconds:,.0f}/s "
            self.out.write(text + ("\n" if ended else ""))
        elif ended or now - self._last >= self.every:
            self._last = now
            self.out.write(f"{self.what}: {done} of {total} {self.unit}, {seconds:.1f} s\n")
        self.out.flush()


def table(rows: list[tuple[Any, ...]], heading: tuple[str, ...]) -> str:
    """Columns of text, numbers to the right."""
    cells = [heading, *[tuple(str(cell) for cell in row) for row in rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heading))]

    def line(row: tuple[str, ...]) -> str:
        parts = [c.rjust(w) if c.isdigit() else c.ljust(w) for c, w in zip(row, widths, strict=True)]
        return "  ".join(parts).rstrip()

    return "\n".join([line(heading), "  ".join("-" * w for w in widths), *map(line, cells[1:])])
