"""Processes that must not outlive us: the leash, who is still alive, and how to end one."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def die_with_parent(number: int) -> None:
    """Ask the kernel to send this process `number` when its parent ends, however it ends (Linux only)."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)


def leash(number: int = signal.SIGTERM) -> Callable[[], None]:
    """A preexec_fn that ties the child to this process. Call Popen from the main thread: the leash is the thread's."""
    parent = os.getpid()

    def hold() -> None:
        die_with_parent(number)
        if os.getppid() != parent:  # the parent died between fork and prctl
            os._exit(1)

    return hold


def lives_in(pid: int, folder: Path) -> bool:
    """Is `pid` a live process working in `folder`? A recycled process number is not mistaken for our server."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    if not Path("/proc/self").exists():
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return status != "Z" and os.path.samefile(f"/proc/{pid}/cwd", folder)
    except OSError:
        return False


def anyone_in(folder: Path) -> bool:
    """Does any process still work in `folder`? A killed server's children need a moment to notice."""
    return any(lives_in(int(entry.name), folder) for entry in Path("/proc").glob("[0-9]*"))


def first_number_in(path: Path) -> int | None:
    """The process number in a pid file, or None."""
    try:
        return int(path.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def end(process: "subprocess.Popen[bytes]", *, number: int = signal.SIGTERM, grace: float = 10.0) -> None:
    """Ask a child to end, then make it: nobody of its process group is left afterwards."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(number)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(grace)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_until(condition: Callable[[], bool], *, seconds: float, step: float = 0.05) -> bool:
    """Poll `condition`; True as soon as it holds, False when time is up."""
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(step)
    return True
