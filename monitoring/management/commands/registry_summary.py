"""registry_summary: what stands in the registry, in one look or as JSON."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models import Q
from django.utils import timezone

from monitoring import heartbeats, review, worklist
from monitoring.models import HipEvaluation
from monitoring.simulation import demonstration
from patients import access
from patients.access import Viewer
from patients.recording import today_at
from schedules.eligibility import is_daytime
from schedules.models import Reminder


class Command(BaseCommand):
    help = "Count hips, reminders, reviews and overdue patients over all clinics."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with access.system_run("summary") as viewer:
            found = summary(viewer, timezone.now())
        if options["json"]:
            people = [asdict(person) for person in demonstration.sign_ins()]
            self.stdout.write(json.dumps({**found, "sign_ins": people}, ensure_ascii=False))
            return
        for name, value in found.items():
            self.stdout.write(f"{name.replace('_', ' ')}: {value}")


def summary(viewer: Viewer, now: datetime) -> dict[str, Any]:
    """Counts over the viewer's clinics, each by the query behind its list. Runs in a transaction that sees them."""
    clinics = list(access.clinics_for(viewer))
    overdue = due = 0
    for clinic in clinics:
        today = today_at(clinic, now)
        overdue += worklist.patients_in("overdue", viewer, worklist.Filters(clinic=clinic.pk), today).count()
        if is_daytime(now, clinic.zone) and not clinic.mail_stopped:
            due += (
                Reminder.objects.filter(clinic=clinic, state=Reminder.State.PLANNED, send_on__lte=today)
                .filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
                .count()
            )
    swept_at = heartbeats.sweep_heartbeat().finished_at
    return {
        "hips_evaluated": HipEvaluation.objects.filter(clinic__in=clinics).count(),
        "overdue_patients": overdue,
        "reviews_open": review.open_cases_for(viewer).count(),
        "reminders_sent": Reminder.objects.filter(clinic__in=clinics, state=Reminder.State.SENT).count(),
        "reminders_due": due,
        "last_sweep": swept_at.isoformat() if swept_at else None,
    }
