"""Ports on this machine: take the wanted one, or the next that is free, and hold it."""

import socket

LOOPBACK = "127.0.0.1"


def hold_port(wanted: int, *, host: str = LOOPBACK, tries: int = 50) -> socket.socket:
    """A listening socket on `wanted` or the next free port. Held, not only looked up: nobody can take it meanwhile."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in (*range(wanted, min(wanted + tries, 65536)), 0):
        candidate = socket.socket(family, socket.SOCK_STREAM)
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
            candidate.listen(128)
        except (OSError, OverflowError) as problem:
            candidate.close()
            if isinstance(problem, PermissionError) or getattr(problem, "errno", 0) in (98, 48, 10048):
                continue
            raise
        return candidate
    raise OSError(f"No port is free on {host}.")


def port_of(held: socket.socket) -> int:
    return int(held.getsockname()[1])
