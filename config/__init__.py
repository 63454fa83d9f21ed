"""The composition root: settings, URLs, Celery, local services. Nobody imports it."""

from .celery import app as celery_app

__all__ = ["celery_app"]
