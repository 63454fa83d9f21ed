"""Guard: web and workers do not start as a role that row-level security does not bind, nor with a known key."""

import logging

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection

from patients import access

log = logging.getLogger(__name__)
PUBLIC_KEYS = ("only-for-this-check", "collecting-static-files-only")  # they stand in the Makefile and the Dockerfile


def refuse_public_key() -> None:
    """Raise ImproperlyConfigured where production would sign with a key that everybody can read in the source."""
    if any(key.startswith(PUBLIC_KEYS) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)):
        raise ImproperlyConfigured("SECRET_KEY stands in this program's source; make one of your own.")


def refuse_unsafe_role() -> None:
    """Raise UnsafeRole. A database that cannot be asked yet is no reason to stay away: it is bound or down."""
    try:
        access.refuse_unsafe_role()
    except OperationalError:
        log.warning("The database cannot be reached yet; its role was not checked.")
    finally:
        connection.close()  # the process may fork after this
