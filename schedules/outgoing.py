"""Outgoing: the one way by which this program calls an address that somebody has typed in.

Such an address could name a machine of the clinic's own network, which would take the call for a friend's. So the name
is resolved here, every address of it must be a public one unless OUTGOING_ALLOWED names its network, the connection
goes to exactly the address that was judged, and no redirect is followed. Where OUTGOING_HOSTS names hosts, no other is
called, nor is its name asked for.
"""

import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import certifi
import urllib3
from django.conf import settings
from django.utils.translation import gettext as _
from urllib3.exceptions import HTTPError
from urllib3.util import Timeout

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
MOST_READ: Final = 64 * 1024
CONNECT_WITHIN, ANSWER_WITHIN = 5.0, 10.0
LONGEST_URL: Final = 500
TRANSLATED: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))  # IPv4 in other clothes


class NotAllowed(ValueError):
    """This address is not called; the message says why."""


class Unreachable(OSError):
    """No answer came; the message names the kind of fault only."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a URL leads: judged, and not to be resolved again."""

    scheme: str
    host: str
    port: int
    path: str
    address: str


def judge(url: str) -> Destination:
    """Where the URL leads. Raises NotAllowed, also where its name is not known."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        raise NotAllowed(_("The port is no number.")) from None
    host = parts.hostname or ""
    if len(url) > LONGEST_URL or not url.isascii() or any(sign.isspace() for sign in url):
        raise NotAllowed(_("This is no address on the web."))
    if parts.scheme not in ("https", "http") or not host or parts.username or parts.password:
        raise NotAllowed(_("An address begins with https://, names a host and holds no password."))
    if not _is_listed(host):
        raise NotAllowed(_("This host is not among those that this installation may call."))
    found = _resolved(host)
    inside = all(_is_named(one) for one in found)
    if not inside and not all(_is_public(one) for one in found):
        raise NotAllowed(_("This address lies in a private network, which is not called."))
    if parts.scheme == "http" and not inside:
        raise NotAllowed(_("What goes out travels encrypted: the address begins with https://."))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Destination(parts.scheme, host, port or (443 if parts.scheme == "https" else 80), path, str(found[0]))


def call(method: str, url: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Answer:
    """Ask, once, and give the answer, whatever its status. Raises NotAllowed, Unreachable."""
    to = judge(url)
    timeout = Timeout(connect=CONNECT_WITHIN, read=ANSWER_WITHIN)
    pool: urllib3.HTTPConnectionPool
    if to.scheme == "https":
        pool = urllib3.HTTPSConnectionPool(
            to.address,
            to.port,
            timeout=timeout,
            server_hostname=to.host,
            assert_hostname=to.host,
            cert_reqs="CERT_REQUIRED",
            ca_certs=settings.OUTGOING_CA or certifi.where(),
        )
    else:
        pool = urllib3.HTTPConnectionPool(to.address, to.port, timeout=timeout)
    named = f"[{to.host}]" if ":" in to.host else to.host
    standard = to.port == (443 if to.scheme == "https" else 80)
    sent = {"Host": named if standard else f"{named}:{to.port}", "User-Agent": "Hipwatch", **(headers or {})}
    with pool:
        try:
            answer = pool.urlopen(
                method, to.path, body=body, headers=sent, redirect=False, retries=False, preload_content=False
            )
            try:
                return Answer(answer.status, answer.read(MOST_READ, decode_content=False))
            finally:
                answer.close()
        except (HTTPError, OSError) as fault:
            raise Unreachable(type(fault).__name__) from fault


def _is_listed(host: str) -> bool:
    """Whether the settings name the host, or with a dot before it its domain; any if they name none."""
    listed = [one.lower().rstrip(".") for one in settings.OUTGOING_HOSTS]
    name = host.lower().rstrip(".")
    return not listed or any(name == one or (one.startswith(".") and name.endswith(one)) for one in listed)


def _resolved(host: str) -> list[Address]:
    try:
        known = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NotAllowed(_("There is no host of this name.")) from None
    return [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in known]


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if any(address in network for network in TRANSLATED):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _is_named(address: Address) -> bool:
    """Whether the settings name its network as one that may be called though it is private."""
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return any(address in ipaddress.ip_network(network) for network in settings.OUTGOING_ALLOWED)
