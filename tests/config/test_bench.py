"""`make bench`, at the size of a handful: every program runs, and their figures come into one table."""

import json
import os
import subprocess
import sys

import pytest

from benchmarks.figures import Figure, table
from tests.conftest import PROJECT

PROGRAMS = {"guideline", "duplicates", "simulate", "agree", "reading", "evaluating", "record", "census", "sweep-all"}


@pytest.mark.slow
def test_all_benchmarks_come_into_one_table(tmp_path):
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    only = "guideline,duplicates,evaluation,pages,export"  # mail has a test of its own kind: its run checks each mail
    command = [sys.executable, "-m", "benchmarks", "--hips", "300", "--to", os.fspath(tmp_path), "--only", only]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads((tmp_path / "bench.json").read_text())
    figures = found["figures"]
    assert PROGRAMS | {"pages", "export"} <= {one["name"] for one in figures}
    assert all(one["ours"] == 0 for one in figures if one["name"] == "agree"), (
        "and no answer is another than a fresh one"
    )
    assert {"Python", "PostgreSQL", "Django", "cores", "load", "hips"} <= found["circumstances"].keys()
    rows = (tmp_path / "bench.md").read_text().splitlines()
    assert sum(row.startswith("| ") for row in rows) == len(figures) + 1


def test_a_figure_is_told_with_its_baseline_and_ratio():
    row = table([Figure("census", "200 hips", "s", 0.5, baseline=0.01, against="count(*)", load=2.0)]).splitlines()[-1]
    assert row == "| census | 200 hips | 0.5 | s | 0.01 count(*) | 50 |  | 2 |"
