"""The stream and the command: a line in, an answer out, whatever the line; and neither needs a service."""

import json
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from schedules.guideline.protocol import DEFAULT
from schedules.guideline.stream import answer_lines
from schedules.guideline.telling import tell

from .builders import answer_to, record_of, seen, silent_lesion

ROOT = Path(__file__).resolve().parents[2]
RECORD = record_of((*silent_lesion(), seen("2026-03-03", 3)))


def line(**question: Any) -> bytes:
    return json.dumps(question).encode() + b"\n"


def answers(*lines: bytes) -> list[dict[str, Any]]:
    return [json.loads(text) for text in answer_lines(lines, DEFAULT)]


def test_each_line_has_its_answer_in_order() -> None:
    first, second = answers(line(record=RECORD, as_of="2026-03-05"), line(record=RECORD, as_of="2026-03-31"))
    assert (first["as_of"], second["as_of"]) == ("2026-03-05", "2026-03-31")
    assert first == answer_to(RECORD, "2026-03-05").to_json()


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (b"not json\n", "$"),
        (b"\n", "$"),
        (b"\xff\xfe\n", "$"),
        (b"[1]\n", "$"),
        (b"[" * 50_000 + b"\n", "$"),
        (b'{"record": {}, "record": {}, "as_of": "2026-01-01"}\n', "$"),
        (line(record=RECORD), "as_of"),
        (line(record=RECORD, as_of="2026-02-30"), "as_of"),
        (line(record=RECORD, as_of=None), "as_of"),
        (line(as_of="2026-02-01"), "record"),
        (line(record={"patient": {}}, as_of="2026-02-01"), "$.patient.enrolled_on"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[:40].decode(errors="replace").strip(),
)
def test_a_bad_line_gives_its_error_and_the_stream_goes_on(bad: bytes, path: str) -> None:
    error, answer = answers(bad, line(record=RECORD, as_of="2026-03-05"))
    assert [problem["path"] for problem in error["error"]["problems"]] == [path]
    assert answer["as_of"] == "2026-03-05"


def test_problems_of_the_day_and_of_the_record_come_together() -> None:
    [error] = answers(line(record={"patient": {}}, as_of="soon"))
    assert {problem["path"] for problem in error["error"]["problems"]} == {"$.patient.enrolled_on", "as_of"}


def test_numbers_leave_as_they_were_written() -> None:
    text = json.dumps({"record": RECORD, "as_of": "2026-03-05"})
    for written in ("12", "12.0", "12.34"):
        [answer] = answer_lines([text.replace('percent": 12', f'percent": {written}').encode()], DEFAULT)
        assert f'"volume_percent":{written},' in answer


def test_a_person_can_read_the_answer() -> None:
    text = tell(answer_to(RECORD, "2026-03-31"))
    for words in (
        "LEFT HIP: symptomatic, open",
        "SOON   R11 core decompression review since 2026-03-03, act by 2026-03-17",
        "Volume: 12 % (small)",
        "Next visit due 2026-04-10",
        "RIGHT HIP: contralateral watch",
    ):
        assert words in text
    assert "No visit is due." in tell(answer_to(record_of(silent_lesion(), died_on="2026-02-01"), "2026-03-01"))


@pytest.fixture
def record_file(tmp_path: Path) -> Path:
    path = tmp_path / "record.json"
    path.write_text(json.dumps(RECORD))
    return path


def test_the_command_answers_a_file(record_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("assess", str(record_file), "--as-of", "2026-03-05", "--json")
    assert json.loads(capsys.readouterr().out) == answer_to(RECORD, "2026-03-05").to_json()
    call_command("assess", str(record_file))
    assert f"as of {date.today().year}" in capsys.readouterr().out


def test_the_command_answers_a_stream(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(line(record=RECORD, as_of="2026-03-05") + b"oops\n" + line(record=RECORD, as_of="2026-03-06"))
    call_command("assess", "--jsonl", str(path))
    assert ["error" in json.loads(text) for text in capsys.readouterr().out.splitlines()] == [False, True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [('{"patient": {}}', r"\$\.patient\.enrolled_on: is missing"), ("{", "is not JSON"), (None, "No such file")],
)
def test_the_command_refuses_in_words(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "record.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(CommandError, match=message):
        call_command("assess", str(path), "--as-of", "2026-03-05")


def test_the_guideline_needs_no_framework_and_no_service() -> None:
    """With Django and every service's client made unimportable, a record is still read, evaluated and answered."""
    program = (
        "import sys\n"
        "for name in ('django', 'rest_framework', 'celery', 'redis', 'psycopg'): sys.modules[name] = None\n"
        "import pkgutil, importlib, schedules.guideline as guideline\n"
        "for module in pkgutil.iter_modules(guideline.__path__, 'schedules.guideline.'):\n"
        "    importlib.import_module(module.name)\n"
        "from schedules.guideline.stream import answer_lines\n"
        "from schedules.guideline.protocol import DEFAULT\n"
        "print(next(answer_lines([sys.stdin.buffer.readline()], DEFAULT)))\n"
    )
    question = line(record=RECORD, as_of="2026-03-05")
    run = subprocess.run([sys.executable, "-c", program], input=question, capture_output=True, cwd=ROOT, check=False)
    assert run.returncode == 0, run.stderr.decode()
    assert json.loads(run.stdout) == answer_to(RECORD, "2026-03-05").to_json()
