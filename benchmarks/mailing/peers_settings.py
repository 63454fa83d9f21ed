"""Settings of the peers: django-post-office and django-mailer as their documentation sets them up, and nothing else."""

import os

import environ

SECRET_KEY = "only-for-a-benchmark"
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office", "mailer"]
DATABASES = {"default": environ.Env.db_url_config(os.environ["PEERS_DATABASE_URL"])}
DATABASES["default"]["ENGINE"] = "django.db.backends.postgresql"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = int(os.environ["SINK_PORT"])
MAILER_LOCK_PATH = os.path.join(os.environ["PEERS_FOLDER"], "mailer")
LOGGING = {"version": 1, "disable_existing_loggers": True, "root": {"level": "ERROR"}}
