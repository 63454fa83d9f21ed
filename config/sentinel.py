"""Sentinel: Redis on several machines, of which sentinels say who leads at present.

`REDIS_URL=sentinel://one:26379,two:26379,three:26379/0?master=hipwatch` names the sentinels and what they watch.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from redis.sentinel import Sentinel, SentinelConnectionPool

SCHEME = "sentinel://"
PORT = 26379


@dataclass(frozen=True, slots=True)
class Watched:
    """Where the sentinels are, what they call the one that leads, and the number of our database there."""

    sentinels: tuple[tuple[str, int], ...]
    master: str
    database: int
    password: str = ""

    @property
    def broker(self) -> str:
        """As Celery wants it."""
        secret = f":{self.password}@" if self.password else ""
        return ";".join(f"{SCHEME}{secret}{host}:{port}/{self.database}" for host, port in self.sentinels)


def is_sentinel(url: str) -> bool:
    return url.startswith(SCHEME)


def read(url: str) -> Watched:
    """What the address says. Raises ValueError where it names no master or no sentinel."""
    parts = urlsplit(url)
    master = parse_qs(parts.query).get("master", [""])[0]
    secret, _at, hosts = parts.netloc.rpartition("@")
    found = [host.partition(":") for host in hosts.split(",") if host]
    if not master or not found:
        raise ValueError("REDIS_URL should be sentinel://host:26379,host:26379/0?master=name.")
    sentinels = tuple((host, int(port or PORT)) for host, _colon, port in found)
    return Watched(sentinels, master, int(parts.path.strip("/") or 0), secret.rpartition(":")[2])


class SentinelPool(SentinelConnectionPool):
    """A pool for Django's cache, which knows pools by an address; each new connection asks who leads."""

    @classmethod
    def from_url(cls, url: str, **options: Any) -> "SentinelPool":
        watched = read(url)
        known = {name: options[name] for name in ("socket_connect_timeout", "socket_timeout") if name in options}
        manager = Sentinel(watched.sentinels, **known)  # type: ignore[no-untyped-call]
        return cls(watched.master, manager, db=watched.database, password=watched.password or None, **options)
