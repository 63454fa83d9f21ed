"""seal_audit: seal what was written to the audit, as the clock does every ten minutes."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from monitoring import audit_seals


class Command(BaseCommand):
    help = "Seal the audit's entries that are not sealed yet; each seal is printed."

    def handle(self, *args: Any, **options: Any) -> None:
        made = audit_seals.seal_settled(timezone.now())
        for seal in made:
            self.stdout.write(str(seal))
        if not made:
            self.stdout.write("There is nothing new to seal.")
