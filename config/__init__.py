"""The composition root: settings, URLs, Celery, local services. Nobody imports it."""
