"""Serving: how gunicorn serves the site: what a request may measure, and what its log may tell.

`gunicorn --config python:config.serving config.wsgi:application`; the command line adds the address and numbers.
"""

import logging
import os
from typing import Any

from gunicorn.glogging import Logger
from gunicorn.workers.gthread import ThreadWorker

from config.discretion import Discreet, without_keys


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
    """Stops listening as soon as it is asked to end, not when its last request is answered.

    Whoever comes meanwhile would be let into the queue of a server that answers nobody any more, and be cut off at its
    end; now they are refused at once, and a proxy asks elsewhere.
    """

    def set_accept_enabled(self, enabled: bool) -> None:
        super().set_accept_enabled(enabled)  # type: ignore[no-untyped-call]
        if not self.alive:
            for listener in self.sockets:
                listener.close()


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
