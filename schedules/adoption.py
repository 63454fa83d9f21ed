"""Adoption: which version of the protocol is in force on a day."""

import json
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from django.utils import timezone

from patients.changes import Actor
from patients.prepared import Ask, Rows, rows_of

from .guideline.protocol import Protocol
from .models import ProtocolVersion

DEFAULT = Protocol()
BEGINNING = date(2000, 1, 1)


@lru_cache(maxsize=32)
def _protocol(digest: str, parameters: str) -> Protocol:
    protocol = Protocol.from_json(json.loads(parameters))
    if protocol.digest() != digest:
        raise TamperedProtocol(f"The parameters of {protocol} are not those that were approved.")
    return protocol


class TamperedProtocol(RuntimeError):
    """A stored protocol does not have the digest under which it was approved."""


_IN_FORCE = (
    "SELECT digest, parameters::text FROM schedules_protocolversion WHERE state = 'approved' AND in_force_from <= %s"
    " ORDER BY in_force_from DESC, id DESC LIMIT 1"
)


def protocol_in_force(day: date) -> Protocol:
    """The approved version with the latest date not after `day`; the default where none was adopted yet."""
    found = rows_of(_IN_FORCE, [day])
    return _protocol(*found[0]) if found else DEFAULT


_AROUND = """
SELECT in_force_from, digest, parameters::text FROM schedules_protocolversion
 WHERE state = 'approved' AND in_force_from <= %(last)s
   AND in_force_from >= COALESCE((SELECT max(in_force_from) FROM schedules_protocolversion
                                   WHERE state = 'approved' AND in_force_from <= %(first)s), %(first)s)
 ORDER BY in_force_from DESC
"""
_DAY = timedelta(days=1)


def asking_in_force(now: datetime) -> Ask:
    """The versions that are in force anywhere on earth at this moment."""
    today = now.astimezone(UTC).date()
    return _AROUND, {"first": today - _DAY, "last": today + _DAY}


def in_force_from(rows: Rows, day: date) -> Protocol:
    """Of the versions asked for, the one in force on `day`."""
    found = next((parameters for since, *parameters in rows if since <= day), None)
    return _protocol(*found) if found else DEFAULT


def ensure_default(actor: Actor) -> ProtocolVersion:
    """The default protocol, adopted from the beginning; called once by a new installation."""
    version, _created = ProtocolVersion.objects.get_or_create(
        name=str(DEFAULT),
        defaults={
            "parameters": DEFAULT.to_json(),
            "digest": DEFAULT.digest(),
            "state": ProtocolVersion.State.APPROVED,
            "in_force_from": BEGINNING,
            "actor": actor.name,
            "note": f"Adopted at installation on {timezone.localdate().isoformat()}.",
        },
    )
    return version
