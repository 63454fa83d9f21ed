"""`make run` as somebody meets it: one command brings everything up, a signal takes all of it down again."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import run
from config.embedded import erase, locations, postgres, processes, redis

pytestmark = pytest.mark.slow
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def data() -> Iterator[Path]:
    top = Path(tempfile.mkdtemp(prefix="hw run ü "))
    top.chmod(0o755)
    yield top / "var"
    erase.erase(top / "var")
    shutil.rmtree(top)


@pytest.fixture
def start(data: Path) -> Iterator[Start]:
    """Starts the whole system, without the demonstration clinic, which has tests of its own."""
    started: list[subprocess.Popen[str]] = []
    kept = {
        name: value for name, value in os.environ.items() if not name.endswith("_URL") and name != "HIPWATCH_TESTING"
    }

    def begin(**environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "config.run"], cwd=locations.PROJECT, stdout=subprocess.PIPE, text=True,
            env={**kept, "DATA_DIR": str(data), "PORT": "28100", "HIPWATCH_DEMO": "0", **environment},
        )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        process.terminate()
        process.wait(60)


def read_until(process: "subprocess.Popen[str]", wanted: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if wanted in line:
            return "".join(lines)
    raise AssertionError("".join(lines))


def address_in(block: str) -> str:
    found = re.search(r"Address +(http://\S+)", block)
    assert found, block
    return found[1]


def nothing_runs(data: Path) -> bool:
    cluster = postgres.locate(data)
    return not processes.anyone_in(cluster.folder) and redis.server_pid(data) is None


def test_it_comes_up_survives_a_kill_with_its_data_and_ends_without_a_trace(start: Start, data: Path) -> None:
    first = start()
    block = read_until(first, "Stop ")
    with urllib.request.urlopen(address_in(block) + "healthz", timeout=30) as reply:
        assert json.load(reply)["status"] == "ok"
    second = start()
    assert second.wait(60) == 1
    assert f"Hipwatch already runs from {data} (process {first.pid}, {address_in(block)})" in read_until(
        second, "already"
    )

    family = _family_of(first.pid)
    assert len(family) > 10
    first.kill()
    assert processes.wait_until(lambda: nothing_runs(data), seconds=30)
    assert processes.wait_until(lambda: not family & _everyone().keys(), seconds=30)

    made = (data / "postgres" / "PG_VERSION").stat().st_mtime
    third = start()
    read_until(third, "Stop ")
    assert (data / "postgres" / "PG_VERSION").stat().st_mtime == made
    third.send_signal(signal.SIGINT)
    read_until(third, "nothing is left running")
    assert third.wait(10) == 0
    assert nothing_runs(data)
    assert not locations.socket_dir(data).exists()


def _everyone() -> dict[int, int]:
    """Every living process and its parent."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {int(pid): int(parent) for pid, parent, state in rows if not state.startswith("Z")}


def _family_of(ancestor: int) -> set[int]:
    """Every process below `ancestor`, children's children too."""
    parents, found = _everyone(), {ancestor}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {ancestor}


def test_numbers_become_words() -> None:
    assert (
        run.in_words({"hips_evaluated": 1480, "clinic": "North", "reviews_open": 5})
        == "1,480 hips evaluated, 5 reviews open"
    )


def test_the_summary_is_the_last_line_that_is_json() -> None:
    assert run.last_json(["{broken", '{"a": 1}', "[1]", '{"b": 2}', "done"]) == {"b": 2}
    assert run.last_json([]) == {}


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, True),
        ({"DATABASE_URL": "postgresql://x"}, False),
        ({"DATABASE_URL": "postgresql://x", "HIPWATCH_DEMO": "1"}, True),
    ],
)
def test_a_database_of_your_own_gets_no_synthetic_patients_unasked(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool
) -> None:
    for name in ("DATABASE_URL", "HIPWATCH_DEMO"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run.wants_demo() is wanted
