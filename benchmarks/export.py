"""The longest list of the worklist as CSV and as Excel: when the first and the last bytes come, and the memory taken.

    DATA_DIR=/path .venv/bin/python benchmarks/export.py

Needs a migrated database with patients (benchmarks/simulate.py makes them). What is audited is rolled back. The
baseline is one page of the same list.
"""

import os
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, os.fspath(Path(__file__).resolve().parents[1]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from benchmarks.figures import note  # noqa: E402
from monitoring import worklist  # noqa: E402
from monitoring.web import exports  # noqa: E402
from patients import access  # noqa: E402
from patients.access import Viewer  # noqa: E402


def megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def measure(viewer: Viewer, kind: str, page: float) -> str:
    today, begin, first, size = worklist.today_for(viewer, timezone.now()), time.perf_counter(), 0.0, 0
    patients = worklist.everybody_in("all", viewer, worklist.Filters(), today)
    response = exports.export_rows(viewer, patients, tab="all", kind=kind, today=today, of="benchmark")
    for piece in response.streaming_content:
        first = first or time.perf_counter() - begin
        size += len(piece)
    took = time.perf_counter() - begin
    note("export", f"{kind}, {len(patients):,} rows, all", "s", took, baseline=page, against="a page of 50")
    note("export", f"{kind}, {len(patients):,} rows, first bytes", "s", first, baseline=page, against="a page of 50")
    return (
        f"{kind}: {len(patients):,} rows, first bytes {first:.1f} s, {size:,} bytes in {took:.1f} s, {megabytes()} MB"
    )


def main() -> None:
    with access.system_run("benchmark") as viewer:
        today, begin = worklist.today_for(viewer, timezone.now()), time.perf_counter()
        page = worklist.page_of("all", viewer, worklist.Filters(), today)
        took = time.perf_counter() - begin
        print(f"a page of {len(page.rows)} rows: {took:.2f} s, {megabytes()} MB")
        for kind in exports.KINDS:
            print(measure(viewer, kind, took))
        transaction.set_rollback(True)


if __name__ == "__main__":
    main()
