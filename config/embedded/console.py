"""What the supervisor prints: lines with a name before them, never waiting for a reader."""

import contextlib
import os
import select
import sys
from collections import deque
from typing import TextIO

COLOURS = ("36", "33", "35", "32", "34", "31", "96", "93")
KEPT_LINES = 5_000
CHUNK = 4096  # a pipe that reports room takes this much without blocking


class Console:
    """Writes to `stream`. If nobody reads it, lines are dropped rather than letting every child wait."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.waiting: deque[bytes] = deque()
        self.dropped = 0
        self.colours = self.stream.isatty() and not os.environ.get("NO_COLOR")
        self.names: list[str] = []

    def say(self, line: str = "", *, name: str = "hipwatch") -> None:
        """Print one line as `name`."""
        self._add(f"{self._prefix(name)} {line}\n")

    def plain(self, text: str) -> None:
        """Print text that stands for itself."""
        self._add(text.rstrip("\n") + "\n")

    def _prefix(self, name: str) -> str:
        if name not in self.names:
            self.names.append(name)
        label = f"{name:<9}|"
        colour = COLOURS[self.names.index(name) % len(COLOURS)]
        return f"\x1b[{colour}m{label}\x1b[0m" if self.colours else label

    def _add(self, text: str) -> None:
        if len(self.waiting) >= KEPT_LINES:
            self.waiting.popleft()
            self.dropped += 1
        self.waiting.append(text.encode("utf-8", "backslashreplace"))
        self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        while self.waiting and self._has_room():
            if self.dropped:
                self.waiting.appendleft(f"... {self.dropped} lines were dropped because nobody read them\n".encode())
                self.dropped = 0
            line = self.waiting.popleft()
            if len(line) > CHUNK:
                self.waiting.appendleft(line[CHUNK:])
                line = line[:CHUNK]
            try:
                os.write(self.stream.fileno(), line)
            except OSError:  # the reader has gone; the log files are still written
                self._forget_reader()

    def _has_room(self) -> bool:
        poll = select.poll()
        poll.register(self.stream.fileno(), select.POLLOUT)
        return any(event & (select.POLLOUT | select.POLLERR) for _, event in poll.poll(0))

    def _forget_reader(self) -> None:
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())
