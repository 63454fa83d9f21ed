"""Keeps a set of processes running: starts, watches, restarts with back-off, prints their lines, ends them all.

One thread and one loop, so that children may be leashed to it (the leash is a thread's) and no lock can be inherited.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from config.embedded import locations, processes
from config.embedded.console import Console

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
CALM_AFTER = 60.0  # seconds a child must have lived for its next death to count as the first
LOG_LIMIT = 10_000_000


class Stopped(Exception):
    """Somebody asked us to end: Ctrl-C, SIGTERM, or the terminal has gone."""


class Failed(RuntimeError):
    """A step that must succeed did not."""


@dataclass(frozen=True)
class Service:
    """One process to keep running. `start` replaces `command` where starting needs more than that."""

    name: str
    command: Sequence[str] = ()
    environment: dict[str, str] = field(default_factory=dict)
    sockets: tuple[int, ...] = ()
    stop_signal: int = signal.SIGTERM
    orphan_signal: int = signal.SIGTERM
    grace: float = 10.0
    keep: bool = True
    shows: Callable[[str], bool] = lambda line: True
    start: "Callable[[], subprocess.Popen[bytes]] | None" = None


@dataclass
class Child:
    """A service's present process, or the moment of its next one."""

    service: Service
    process: "subprocess.Popen[bytes]"
    started: float
    log: BinaryIO | None = None
    rest: bytes = b""
    pause: float = FIRST_PAUSE
    restart_at: float | None = None
    lines: list[str] = field(default_factory=list)


class Supervisor:
    """Owns the children. Every waiting goes through `turn`, so that lines flow and signals are heard at any time."""

    def __init__(self, console: Console, *, folder: Path, logs: Path) -> None:
        self.console = console
        self.folder = folder
        self.logs = locations.ensure_private(logs)
        self.children: list[Child] = []
        self.held: list[object] = []  # sockets that restarted children inherit again
        self.selector = selectors.DefaultSelector()
        self.asked_to_stop = 0
        self.settled = False  # until then a death is a failure to start, not a reason to restart
        self._wake_read, self._wake_write = os.pipe()
        for end in (self._wake_read, self._wake_write):
            os.set_blocking(end, False)
        self.selector.register(self._wake_read, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)  # wakes the loop

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.asked_to_stop += 1

    def launch(self, service: Service) -> Child:
        """Start a service and keep it running from now on."""
        child = Child(service, self._spawn(service), time.monotonic())
        self.children.append(child)
        self._listen(child)
        return child

    def _spawn(self, service: Service) -> "subprocess.Popen[bytes]":
        if service.start is not None:
            return service.start()
        return subprocess.Popen(  # noqa: S603
            service.command,
            cwd=self.folder,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | service.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=service.sockets,
            preexec_fn=processes.leash(service.orphan_signal),
        )

    def _listen(self, child: Child) -> None:
        child.rest = b""
        if child.process.stdout is not None:
            os.set_blocking(child.process.stdout.fileno(), False)
            self.selector.register(child.process.stdout, selectors.EVENT_READ, child)
            if child.log is None:
                child.log = self._open_log(child.service.name)

    def _open_log(self, name: str) -> BinaryIO:
        path = self.logs / f"{name}.log"
        if path.exists() and path.stat().st_size > LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab", buffering=0)

    def run(self, service: Service) -> list[str]:
        """Run a step to its end and return its lines. Raises Failed if it fails, Stopped if we are asked to end."""
        child = self.launch(replace(service, keep=False))
        while child.process.poll() is None:
            self.turn()
        self._hear(child)
        self._deafen(child)
        self.children.remove(child)
        if child.process.returncode:
            raise self._failure(child)
        return child.lines

    def turn(self, seconds: float = 0.5) -> None:
        """Let lines flow for a moment, restart what has died. Raises Stopped once we are asked to end."""
        for key, _ in self.selector.select(seconds):
            if key.data is None:
                with contextlib.suppress(BlockingIOError):
                    os.read(self._wake_read, 512)
            else:
                self._hear(key.data)
        self.console.flush()
        if self.asked_to_stop:
            raise Stopped
        self._revive()

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Turn until `condition` holds; False when time is up."""
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                return False
            self.turn(0.1)
        return True

    def _hear(self, child: Child) -> None:
        """Print the lines that a child has written since the last time."""
        pipe = child.process.stdout
        if pipe is None or pipe.closed:
            return
        while True:
            try:
                said = os.read(pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not said:
                self._show(child, [child.rest] if child.rest else [])
                self._deafen(child)
                return
            *complete, child.rest = (child.rest + said).split(b"\n")
            self._show(child, complete)

    def _show(self, child: Child, lines: list[bytes]) -> None:
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            child.lines = [*child.lines[-49:], text]
            if child.log is not None:
                child.log.write(line + b"\n")
            if text and child.service.shows(text):
                self.console.say(text, name=child.service.name)

    def _deafen(self, child: Child) -> None:
        if child.process.stdout is not None and not child.process.stdout.closed:
            with contextlib.suppress(KeyError):
                self.selector.unregister(child.process.stdout)
            child.process.stdout.close()

    def _revive(self) -> None:
        """Notice the dead, and start them again after a pause that doubles each time."""
        now = time.monotonic()
        for child in self.children:
            if child.restart_at is None and child.service.keep and child.process.poll() is not None:
                self._bury(child, now)
            elif child.restart_at is not None and now >= child.restart_at:
                self._start_again(child, now)

    def _start_again(self, child: Child, now: float) -> None:
        try:
            child.process = self._spawn(child.service)
        except (OSError, RuntimeError) as problem:
            child.restart_at = now + child.pause
            child.pause = min(child.pause * 2, LONGEST_PAUSE)
            self.console.say(f"{child.service.name} could not be started: {problem}")
            return
        child.restart_at, child.started = None, now
        self._listen(child)
        self.console.say(f"{child.service.name} started again (process {child.process.pid}).")

    def _bury(self, child: Child, now: float) -> None:
        self._hear(child)
        self._deafen(child)
        processes.end(child.process)  # whatever is left of its process group
        if not self.settled:
            raise self._failure(child)
        if now - child.started > CALM_AFTER:
            child.pause = FIRST_PAUSE
        child.restart_at = now + child.pause
        how = _how_it_ended(child.process.returncode)
        self.console.say(f"{child.service.name} {how}; it is started again in {child.pause:g} s.")
        child.pause = min(child.pause * 2, LONGEST_PAUSE)

    def _failure(self, child: Child) -> Failed:
        """What to say of a child that ended too early, with its last lines if they were not shown."""
        unseen = "".join(f"\n  {line}" for line in child.lines[-30:] if not child.service.shows(line))
        how, log = _how_it_ended(child.process.returncode), self.logs / f"{child.service.name}.log"
        return Failed(f"{child.service.name} {how}; see {log}{unseen}")

    def end_all(self) -> None:
        """End every child, the last started first, and nobody of their process groups is left."""
        for names in self._waves():
            wave = [child for child in self.children if child.service.name in names]
            for child in wave:
                with contextlib.suppress(ProcessLookupError):
                    child.process.send_signal(child.service.stop_signal)
            self._await_end(wave)
        self.console.flush()

    def _waves(self) -> list[set[str]]:
        """Servers last: the others may still want to write."""
        servers = {child.service.name for child in self.children if child.service.start is not None}
        return [{child.service.name for child in self.children} - servers, servers]

    def _await_end(self, wave: list[Child]) -> None:
        limit = time.monotonic() + max((child.service.grace for child in wave), default=0.0)
        before = self.asked_to_stop
        while any(child.process.poll() is None for child in wave) and time.monotonic() < limit:
            for key, _ in self.selector.select(0.05):
                if key.data is not None:
                    self._hear(key.data)
            if self.asked_to_stop > before:  # asked again: no more patience
                break
        for child in wave:
            if child.process.poll() is None:
                self.console.say(f"{child.service.name} does not end; it is killed.")
            processes.end(child.process, grace=0)
            self._hear(child)
            self._deafen(child)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with status {code}"
