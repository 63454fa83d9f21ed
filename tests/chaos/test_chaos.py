"""The short chaos run: real processes are killed, cut, flushed and lied to; nothing is lost, doubled or unaudited."""

import json
import os
import subprocess
import sys

import pytest

from tests.chaos.reckoning import read_log
from tests.conftest import PROJECT


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_while_everything_breaks(tmp_path):
    told = tmp_path / "figures.json"
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--mails",
        "300",
        "--together",
        "1,10",
        "--calm",
        "2",
        "--json",
        os.fspath(told),
    ]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    run = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=1200)
    assert told.exists(), run.stderr[-4000:]
    rounds = json.loads(told.read_text())
    broken = [f"{name}: {one}" for name, figures in rounds.items() for one in figures if not one["holds"]]
    assert broken == [], run.stderr[-4000:]
    names = {one["name"] for one in rounds["k=1"]}
    assert rounds.keys() == {"k=1", "k=10"} and {"R1", "R4", "R6", "R8", "R10", "W1", "W3", "C1"} <= names


def test_the_log_of_the_mail_server_is_read_word_by_word(tmp_path):
    log = tmp_path / "arrived.log"
    lines = [
        "kept a@mail.example <1@x> plain",
        "kept a@mail.example <1@x> ambiguous",
        "kept d@clinic.example <2@x> plain",
        "refused b@x.example",
        "dropped c@x.example",
    ]
    log.write_text("\n".join(lines))
    found = read_log(log)
    assert found.kept == {"<1@x>": 2} and found.ambiguous == {"<1@x>": 1}
    assert found.refused == {"b@x.example": 1} and (found.dropped, found.to_staff) == (1, 1)
