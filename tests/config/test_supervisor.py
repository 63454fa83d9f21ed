"""The supervisor: restarts what dies, ends what it started, and never waits for somebody to read what it prints."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config.embedded import locations, processes
from config.embedded.ports import hold_port, port_of

pytestmark = pytest.mark.slow  # starts and kills whole trees of processes

SCRIPT = """
import sys
from pathlib import Path
from config.embedded.console import Console
from config.embedded.supervisor import Service, Stopped, Supervisor
folder = Path(sys.argv[1])
supervisor = Supervisor(Console(), folder=folder, logs=folder / "log")
for name, program in (argument.split("=", 1) for argument in sys.argv[2:]):
    supervisor.launch(Service(name, [sys.executable, "-c", program], grace=2.0))
supervisor.settled = True
try:
    while True:
        supervisor.turn()
except Stopped:
    pass
finally:
    supervisor.end_all()
    supervisor.console.say("all ended")
"""
SLEEPER = "import time; print('begun', flush=True); time.sleep(300)"
FAMILY = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', '''{SLEEPER}''']); time.sleep(300)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('begun', flush=True); time.sleep(300)"
)
CHATTERBOX = "import itertools\nfor n in itertools.count(): print('x' * 200, n)"

Run = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Run]:
    started: list[subprocess.Popen[str]] = []

    def run(**programs: str) -> "subprocess.Popen[str]":
        arguments = [f"{name}={program}" for name, program in programs.items()]
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(tmp_path), *arguments], cwd=locations.PROJECT, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()


def read_until(process: "subprocess.Popen[str]", wanted: str, times: int = 1) -> list[str]:
    assert process.stdout is not None
    lines: list[str] = []
    while sum(wanted in line for line in lines) < times:
        line = process.stdout.readline()
        assert line, lines
        lines.append(line)
    return lines


def all_gone(folder: Path) -> bool:
    return processes.wait_until(lambda: not processes.anyone_in(folder), seconds=10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_every_child_and_grandchild_ends_with_a_signal(supervise: Run, tmp_path: Path, number: int) -> None:
    process = supervise(one=SLEEPER, family=FAMILY)
    read_until(process, "begun", times=2)
    process.send_signal(number)
    read_until(process, "all ended")
    assert process.wait(10) == 0
    assert all_gone(tmp_path)


def test_a_child_that_ignores_sigterm_is_killed(supervise: Run, tmp_path: Path) -> None:
    process = supervise(stubborn=STUBBORN)
    read_until(process, "begun")
    process.terminate()
    assert any("stubborn does not end; it is killed" in line for line in read_until(process, "all ended"))
    assert all_gone(tmp_path)


def test_a_killed_supervisor_leaves_nothing(supervise: Run, tmp_path: Path) -> None:
    process = supervise(one=SLEEPER, two=SLEEPER)
    read_until(process, "begun", times=2)
    process.kill()
    assert all_gone(tmp_path)


def test_a_child_that_dies_is_started_again_ever_more_slowly(supervise: Run) -> None:
    lines = read_until(supervise(brief="print('hello')"), "brief started again", times=2)
    said = [line for line in lines if "it is started again in" in line]
    assert ["in 0.5 s" in said[0], "in 1 s" in said[1]] == [True, True]
    assert "ended with status 0" in said[0]


def test_lines_carry_the_name_of_who_said_them_without_colours_in_a_pipe(supervise: Run, tmp_path: Path) -> None:
    lines = read_until(supervise(speaker="print('hello', flush=True); import time; time.sleep(60)"), "hello")
    assert lines[-1] == "speaker  | hello\n"
    assert (tmp_path / "log" / "speaker.log").read_text() == "hello\n"


def test_a_reader_who_does_not_read_holds_up_nobody(supervise: Run, tmp_path: Path) -> None:
    process = supervise(chatterbox=CHATTERBOX)
    log = tmp_path / "log" / "chatterbox.log"
    assert processes.wait_until(lambda: log.exists() and log.stat().st_size > 2_000_000, seconds=20)
    process.terminate()
    began = time.monotonic()
    assert process.wait(15) == 0
    assert time.monotonic() - began < 10


def test_a_reader_who_leaves_stops_nothing(supervise: Run, tmp_path: Path) -> None:
    process = supervise(chatterbox=CHATTERBOX)
    read_until(process, "x")
    assert process.stdout is not None
    process.stdout.close()
    log = tmp_path / "log" / "chatterbox.log"
    size = log.stat().st_size
    assert processes.wait_until(lambda: log.stat().st_size > size + 500_000, seconds=20)
    assert process.poll() is None


def test_a_busy_port_is_moved_and_held() -> None:
    with hold_port(28_000) as first, hold_port(port_of(first)) as second, hold_port(port_of(first)) as third:
        assert len({port_of(first), port_of(second), port_of(third)}) == 3


def test_a_recycled_process_number_is_not_taken_for_ours(tmp_path: Path) -> None:
    assert processes.lives_in(os.getpid(), Path.cwd())
    assert not processes.lives_in(os.getpid(), tmp_path)
    assert processes.first_number_in(tmp_path / "missing.pid") is None
