"""retention: whom the rules of a clinic concern, and proposing it; another administrator approves, on the page."""

from argparse import ArgumentParser
from typing import Any

from django.core.exceptions import PermissionDenied
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from monitoring.api.staff import acting
from monitoring.models import RetentionRule
from monitoring.privacy import retention
from monitoring.privacy.retention import RetentionRefused
from patients.access import Permission


class Command(BaseCommand):
    help = (
        "Count and list, by id, whom the retention rules of a clinic concern today. Changes nothing but by --propose."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--clinic", required=True, help="name of the clinic")
        parser.add_argument("--propose", choices=RetentionRule.Kind.values, help="put this rule before a second person")
        parser.add_argument("--as", dest="email", required=True, metavar="EMAIL", help="the administrator who asks")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with acting(options["email"]) as desk:
                clinic = desk.clinic(options["clinic"])
                desk.viewer.check(Permission.ADMINISTER, clinic.pk)
                for rule in RetentionRule.objects.filter(clinic=clinic).select_related("clinic").order_by("kind"):
                    before = retention.before_of(clinic, rule.months, timezone.now())
                    found = list(retention.due(clinic, rule.kind, before).values_list("id", flat=True))
                    self.stdout.write(f"{rule.kind}, nothing since {before}: {len(found)} patients {found[:50]}")
                    if options["propose"] == rule.kind:
                        run = retention.propose(desk.viewer, rule)
                        self.stdout.write(f"Proposed as run {run.pk}; another administrator approves it on its page.")
        except (PermissionDenied, RetentionRefused) as refused:
            raise CommandError(str(refused)) from None
