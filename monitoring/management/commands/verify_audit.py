"""verify_audit: finds what was changed in the audit, removed from it or put into it."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from monitoring import audit_seals


class Command(BaseCommand):
    help = "Check the audit against its seals. Ends with an error, and names the entries, if anything is not as sealed."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--against", metavar="FILE", help="seals that were sent out, one a line: last entry, digest, when"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        kept = _read(options["against"]) if options["against"] else None
        verdict = audit_seals.verify(timezone.now(), kept)
        self.stdout.write(
            f"{verdict.seals} seals over {verdict.entries} entries checked; {verdict.unsealed} entries not sealed yet."
        )
        for fault in verdict.faults:
            self.stderr.write(str(fault))
        if verdict.faults:
            raise CommandError(f"The audit is not as it was sealed: {len(verdict.faults)} faults.")


def _read(name: str) -> dict[int, str]:
    """Digests by last entry. Raises CommandError for a file that cannot be read."""
    try:
        lines = [line.split() for line in Path(name).read_text().splitlines() if line.strip()]
        return {int(words[0]): words[1] for words in lines}
    except (OSError, ValueError, IndexError) as fault:
        raise CommandError(f"{name} holds no seals: each line is “last entry, digest, when”.") from fault
