"""Sessions in the database as Django keeps them, read by a statement that is planned once a connection.

Each page begins with it. Writing, signing and ending them are Django's.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone

from patients.at_once import Kept, Question


def _question(*, key: str, now: datetime) -> Sequence[Question]:
    return (Session.objects.filter(session_key=key, expire_date__gt=now).values_list("session_data"),)


_DATA = Kept(_question, key=str, now=datetime)


class SessionStore(db.SessionStore):
    """Where SESSION_ENGINE leads."""

    def load(self) -> dict[str, Any]:
        """What the session holds; a key that no standing session has is forgotten."""
        (found,) = _DATA.read(key=self.session_key or "", now=timezone.now())
        if not found:
            self._session_key = None
            return {}
        ((data,),) = found
        decoded: dict[str, Any] = self.decode(data)
        return decoded
