"""Discretion: what the log says of a fault. Where it happened and of which kind, never the values that led to it.

A database names the row that broke a rule, a parser quotes what it could not read: both may be a patient. So the
message of an exception is left out, unless it is of a kind that tells of this program or of the network only.
"""

import logging
import re
import socket
import traceback
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Final

from django.core.exceptions import ImproperlyConfigured
from django.core.exceptions import PermissionDenied as Denied
from django.db import Error as DatabaseError

Raised = tuple[type[BaseException], BaseException, TracebackType | None]
SPEAKING: Final = (
    AttributeError,
    ConnectionError,
    Denied,
    ImportError,
    ImproperlyConfigured,
    NameError,
    TimeoutError,
    socket.gaierror,
)
REDIS_AWAY: Final = ("redis.exceptions", "ConnectionError")  # by name: local services start without its client
OF_CONNECTION: Final = "08"  # the class of SQLSTATE that tells of connections

# A link in a mail, a calendar's feed and a password's reset are keys: whoever reads one in a log could use it.
KEYS: Final = re.compile(
    r"(/p/[^/]+/|/calendar/feed/|/account/password/reset/key/|/account/confirm-email/|/account/invitation/)[^/\s]+"
)


class Discreet(logging.Filter):
    """Writes the traceback of a record before any formatter does, and addresses without keys. It holds nothing back."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None and not getattr(record, "discreet", False):
            record.exc_text = fault_words(record.exc_info[1])
            record.discreet = True
        if isinstance(record.args, Mapping) and "exc" in record.args:  # Celery's words of a task that failed
            raised = record.exc_info[1] if record.exc_info else None
            said = kind_of(raised) if isinstance(raised, BaseException) else "an exception"
            record.args = {**record.args, "exc": said, "traceback": "", "args": "", "kwargs": ""}
        elif isinstance(record.args, tuple):  # Django's words of a request that was refused
            record.args = tuple(without_keys(one) if isinstance(one, str) else one for one in record.args)
        return True


def without_keys(path: str) -> str:
    """The address as the log may show it."""
    return KEYS.sub(r"\1-", path)


def fault_words(fault: BaseException | None) -> str:
    """The traceback of a fault and of what caused it, with kinds in the place of messages."""
    return "\n".join(reversed(list(_chain(fault)))) if fault else ""


def _chain(fault: BaseException | None) -> Iterator[str]:
    """The fault itself first, then what it came from."""
    seen: set[int] = set()
    while fault is not None and id(fault) not in seen:
        seen.add(id(fault))
        frames = "".join(traceback.format_tb(fault.__traceback__))
        yield f"Traceback (most recent call last):\n{frames}{kind_of(fault)}"
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def kind_of(fault: BaseException) -> str:
    """`IntegrityError (23505, unique_record_number)`; with the message only where it cannot hold a value of ours."""
    name = type(fault).__name__
    if isinstance(fault, DatabaseError):
        return f"{name} ({_of_database(fault)})"
    return f"{name}: {fault}" if isinstance(fault, SPEAKING) or _is_redis_away(fault) else name


def _is_redis_away(fault: BaseException) -> bool:
    return any((kind.__module__, kind.__name__) == REDIS_AWAY for kind in type(fault).__mro__)


def _of_database(fault: BaseException) -> str:
    """SQLSTATE, table and constraint; a server that cannot be reached says why, before any value is known to it."""
    cause = fault.__cause__ or fault
    state = getattr(cause, "sqlstate", None)
    if state is None or state.startswith(OF_CONNECTION):
        return "no connection" if state is None else state
    told = getattr(cause, "diag", None)
    named = (getattr(told, "table_name", None), getattr(told, "constraint_name", None))
    return ", ".join([state, *(name for name in named if name)])
