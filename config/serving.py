"""Serving: how gunicorn serves the site: what a request may measure, and what its log may tell.

`gunicorn --config python:config.serving config.wsgi:application`; the command line adds the address and numbers.
"""

import errno
import logging
import os
import socket
import time
from typing import Any, Final

from gunicorn.glogging import Logger
from gunicorn.workers import gthread
from gunicorn.workers.gthread import ThreadWorker

from config.collecting import settle
from config.discretion import Discreet, without_keys

AT_ONCE: Final = float(os.environ.get("RECEIVE_SECONDS") or 15)  # within which any request may arrive
SLOWEST: Final = 64 * 1024  # bytes that earn a longer one another second: 20 MB on a line of 512 kbit/s


class Hasty:
    """A connection that gives a request so much time to arrive and no more, whatever trickles in.

    What reads it then meets a connection that was reset: gunicorn drops it, and Django takes the form as not sent. A
    thread of the server is free again, of which there are few.
    """

    def __init__(self, line: socket.socket, *, seconds: float = AT_ONCE, slowest: int = SLOWEST) -> None:
        self._line, self._slowest, self.is_late = line, slowest, False
        self._until = time.monotonic() + seconds

    def recv(self, size: int) -> bytes:
        left, before = self._until - time.monotonic(), self._line.gettimeout()
        if left <= 0:
            raise self._late()
        self._line.settimeout(left if before is None else min(left, before))
        try:
            data = self._line.recv(size)
        except TimeoutError:
            if before is not None and before < left:
                raise
            raise self._late() from None
        finally:
            self._line.settimeout(before)
        self._until += len(data) / self._slowest
        return data

    def _late(self) -> ConnectionResetError:
        self.is_late = True
        return ConnectionResetError(errno.ECONNRESET, "The request took too long to arrive.")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)


class DiscreetLogger(Logger):
    """The access log without keys, the error log without values."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)  # type: ignore[no-untyped-call]
        for handler in self.error_log.handlers:
            handler.addFilter(Discreet())

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> dict[str, Any]:
        atoms: dict[str, Any] = super().atoms(resp, req, environ, request_time)  # type: ignore[no-untyped-call]
        return atoms | {"U": without_keys(str(atoms["U"])), "r": "-", "q": "-", "f": "-"}


class DrainingWorker(ThreadWorker):
    """Stops listening as soon as it is asked to end, not when its last request is answered, and waits for no sender
    for ever.

    Whoever comes meanwhile would be let into the queue of a server that answers nobody any more, and be cut off at its
    end; now they are refused at once, and a proxy asks elsewhere.
    """

    def handle(self, conn: Any) -> Any:
        """One request, which is read from a line that has its time.

        The line is closed by the thread that answered: gunicorn's loop would linger for two seconds with each sender
        that does not hang up, and accept nobody meanwhile.
        """
        if not conn.initialized:
            if not conn.wait_for_data(gthread.DEFAULT_WORKER_DATA_TIMEOUT):
                return gthread._DEFER  # nothing has come: no thread waits for it
            conn.init()
        conn.parser.unreader.sock = line = Hasty(conn.sock)
        stays_open = super().handle(conn)  # type: ignore[no-untyped-call]
        if stays_open is False:
            conn.close(graceful=not line.is_late)
            conn.close = _was_closed
        return stays_open

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)  # type: ignore[no-untyped-call]
        if not self.alive:
            for listener in self.sockets:
                listener.close()


def _was_closed(*, graceful: bool = False) -> None:
    """In the place of closing a second time."""


def post_worker_init(worker: Any) -> None:
    """The application has been loaded."""
    settle()


logger_class = DiscreetLogger
worker_class = DrainingWorker
threads = 4
limit_request_line = 4094
limit_request_fields = 60
limit_request_field_size = 8190
timeout = 60
keepalive = 5
control_socket_disable = True
access_log_format = "%(m)s %(U)s %(s)s %(M)s ms"
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
logging.captureWarnings(True)
