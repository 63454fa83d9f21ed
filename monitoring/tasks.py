"""Tasks: shells around one call each. A message is a hint; losing or doubling it changes nothing."""

from celery import shared_task
from django.utils import timezone

from . import census, pipeline
from .imports import waiting


@shared_task(name="monitoring.tasks.sweep")
def sweep() -> None:
    pipeline.sweep(timezone.now())


@shared_task(name="monitoring.tasks.take_census")
def take_census() -> None:
    census.take_census_where_due(timezone.now())


@shared_task(name="monitoring.tasks.save_waiting_imports")
def save_waiting_imports() -> None:
    waiting.save_waiting_imports()
