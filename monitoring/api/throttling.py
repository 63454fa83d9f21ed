"""Throttling: how many calls a minute a token or, without one, an address may make. Counted in Redis, by INCR.

Without Redis nobody is held back: a limit protects the service, and an outage of the counter must not become its own.
"""

import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.utils.crypto import salted_hmac
from redis.exceptions import RedisError
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from ..models import ApiToken

MINUTE = 60


class PerMinute(BaseThrottle):
    def allow_request(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiToken):
            who, most = f"token-{request.auth.pk}", settings.API_CALLS_A_MINUTE
        else:
            who, most = f"address-{self.get_ident(request)}", settings.API_ANONYMOUS_CALLS_A_MINUTE
        return count_call(who, int(time.time()) // MINUTE) <= most

    def wait(self) -> float:
        return MINUTE - time.time() % MINUTE


def count_call(who: str, minute: int, *, by: int = 1) -> int:
    """How many calls this one has made in this minute, with this one; 0 when nobody counts. `by=0` only asks."""
    hidden = salted_hmac(__name__, who, algorithm="sha256").hexdigest()[:32]  # an address on the network is a person's
    key = f"calls:{hidden}:{minute}"
    try:
        cache.add(key, 0, 2 * MINUTE)
        return int(cache.incr(key, by))
    except (RedisError, ValueError):
        return 0
