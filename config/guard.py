"""Guard: web processes and workers do not start as a database role that row-level security does not bind."""

import logging

from django.db import OperationalError, connection

from patients import access

log = logging.getLogger(__name__)


def refuse_unsafe_role() -> None:
    """Raise UnsafeRole. A database that cannot be asked yet is no reason to stay away: it is bound or down."""
    try:
        access.refuse_unsafe_role()
    except OperationalError:
        log.warning("The database cannot be reached yet; its role was not checked.")
    finally:
        connection.close()  # the process may fork after this
