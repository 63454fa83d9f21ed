"""All benchmarks at one size, on a database of their own, into one table in Markdown and one in JSON.

    .venv/bin/python -m benchmarks [--hips 10000] [--to DATA_DIR/bench] [--only guideline,pages]

Makes a scratch folder with PostgreSQL and Valkey, simulates some patients, multiplies them to half as many as hips
(each has two), runs each program of this folder and writes bench.md and bench.json. What a program measures is in its
docstring. With --hips 1000000 most of the time goes into sweeping everybody three times and into the exports.
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks import figures, mail
from config.embedded import locations

PROJECT = Path(__file__).resolve().parents[1]
SIMULATED = 1000  # patients; all others are copies of them
LEAN_ABOVE = 100_000  # patients; more have no facts and history, of which lists know nothing
CLINICS = 50
MEASURED = ("reading", "evaluating", "record", "census", "sweep-today", "sweep-all")
MAKERS = ("simulate", "copies")  # of patients


@dataclass(frozen=True)
class Program:
    """One call of a file of this folder."""

    name: str
    arguments: tuple[str, ...] = ()
    needs_patients: bool = True

    @property
    def command(self) -> list[str]:
        return [sys.executable, os.fspath(PROJECT / "benchmarks" / f"{self.name}.py"), *self.arguments]


def programs(hips: int) -> list[Program]:
    """In this order: what is lived, multiplied, measured."""
    patients = max(hips // 2, 40)
    simulated = min(SIMULATED, max(patients // 2, 20))
    clinics = str(min(CLINICS, max(2, patients // 2000)))
    whole = min(patients, LEAN_ABOVE)
    rounds = "15" if hips >= 2000 else "2"
    lean = [Program("copies", ("--patients", str(patients), "--clinics", clinics, "--lean"))] * (patients > whole)
    return [
        Program("guideline", ("--patients", str(min(patients, 2000))), needs_patients=False),
        Program("duplicates", (str(max(patients // 10, 50)), str(patients)), needs_patients=False),
        Program("simulate", ("--patients", str(simulated), "--processes", "2", "--registry")),
        Program("evaluation", ("--only", "agree")),  # before a finding of a copy names facts of whom it was copied from
        Program("copies", ("--patients", str(whole), "--clinics", clinics)),
        Program("evaluation", ("--patients", str(min(patients, 5000)), "--only", *MEASURED)),
        *lean,
        Program("pages", ("--who", "one", "--rounds", rounds)),
        Program("pages", ("--who", "all", "--rounds", rounds, "--only", "worklist")),
        Program("export"),
        Program("scaling", ("--seconds", "10" if hips >= 2000 else "2")),
        Program(
            "mail",
            ("--mails", str(max(hips // 10, 100)), "--rounds", "3" if hips >= 2000 else "1"),
            needs_patients=False,
        ),
    ]


@contextlib.contextmanager
def registry() -> Iterator[tuple[dict[str, str], int]]:
    """An empty migrated database; the environment of programs that work on it, and PostgreSQL's version."""
    with mail.scratch_folder() as scratch:
        data = scratch / "data"
        environment = {**os.environ, "DATA_DIR": os.fspath(data), "DJANGO_SETTINGS_MODULE": "config.settings"}
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "HIPWATCH_ENV", "HIPWATCH_TESTING"):
            environment.pop(name, None)
        with mail.servers_running(data):
            _run([sys.executable, "manage.py", "migrate", "--database", "owner", "--verbosity", "0"], environment)
            with psycopg.connect(locations.admin_database_url(data)) as database:
                version = database.info.server_version
            yield environment, version


def _run(command: Sequence[str], environment: dict[str, str]) -> None:
    subprocess.run(command, cwd=PROJECT, env=environment, check=True)


def chosen_of(every: Sequence[Program], names: Sequence[str]) -> list[Program]:
    """Those of these names, or all; and those that make the patients whom they need."""
    wanted = [one for one in every if not names or one.name in names]
    makers = MAKERS if any(one.needs_patients for one in wanted) else ()
    return [one for one in every if one in wanted or one.name in makers]


def measure(hips: int, names: Sequence[str], file: Path) -> int:
    """Run the programs; their figures are added to `file`. Returns PostgreSQL's version."""
    with registry() as (environment, version):
        for program in chosen_of(programs(hips), names):
            print(f"== {' '.join((program.name, *program.arguments))}", flush=True)
            began = time.monotonic()
            _run(program.command, {**environment, "FIGURES": os.fspath(file)})
            print(f"   {time.monotonic() - began:.0f} s", flush=True)
    return version


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hips", type=int, default=10_000)
    parser.add_argument("--to", type=Path, default=locations.data_dir() / "bench", help="the folder of the tables")
    parser.add_argument("--only", default="", help="programs by name, with commas between them")
    chosen = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # the scratch folder goes then, too
    chosen.to.mkdir(parents=True, exist_ok=True)
    lines = chosen.to / "figures.jsonl"
    lines.unlink(missing_ok=True)
    before = os.getloadavg()[0]
    version = measure(chosen.hips, [name for name in chosen.only.split(",") if name], lines)
    found, circumstances = figures.read(lines), figures.circumstances(version)
    circumstances |= {"hips": chosen.hips, "load": f"{before:.1f} before, {os.getloadavg()[0]:.1f} after"}
    told = ", ".join(f"{name} {value}" for name, value in circumstances.items())
    (chosen.to / "bench.md").write_text(f"{told}\n\n{figures.table(found)}\n")
    rows = [{**one.__dict__, "ratio": one.ratio} for one in found]
    (chosen.to / "bench.json").write_text(json.dumps({"circumstances": circumstances, "figures": rows}, indent=1))
    lines.unlink(missing_ok=True)
    print(f"{told}\n\n{figures.table(found)}\n\n{chosen.to / 'bench.md'}, {chosen.to / 'bench.json'}")


if __name__ == "__main__":
    main()
