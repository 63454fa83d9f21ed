"""WSGI entry point of the web process."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("HIPWATCH_PROCESS", "web")  # its statements have time limits
application = get_wsgi_application()

from config.guard import refuse_public_key, refuse_unsafe_role  # noqa: E402  # needs the applications to be loaded

refuse_public_key()
refuse_unsafe_role()
