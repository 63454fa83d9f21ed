"""The cases: whole histories with the answer worked out by hand, beside the guideline and beside the repository."""

import os
from pathlib import Path
from typing import Any

import pytest

from schedules.guideline.protocol import DEFAULT
from schedules.guideline.vignettes import FOLDER, read_vignette, run, vignettes

GIVEN = Path(
    os.environ.get("HIPWATCH_VIGNETTES") or Path(__file__).resolve().parents[2] / ".." / "shared" / "vignettes"
)


def cases(folder: Path) -> list[Any]:
    return [pytest.param(path, id=path.stem) for path in sorted(folder.glob("*.json"))]


@pytest.mark.parametrize("path", cases(FOLDER))
def test_case(path: Path) -> None:
    assert run(read_vignette(path), DEFAULT).differences == ()


def test_every_case_says_what_it_is_about_and_why() -> None:
    assert len(vignettes()) >= 8
    assert [case.name for case in vignettes() if not (case.title and case.why)] == []


@pytest.mark.skipif(not GIVEN.is_dir(), reason="the vignettes are not beside this repository")
@pytest.mark.parametrize("path", cases(GIVEN))
def test_given_vignette(path: Path) -> None:
    assert run(read_vignette(path), DEFAULT).differences == ()
