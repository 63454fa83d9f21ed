"""The source itself: what must not be written in it, found by reading it as Python does."""

import ast
import functools
import importlib.util
import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT

OURS = ("config", "monitoring", "patients", "schedules")
TALKERS = ("monitoring/web/", "monitoring/api/", "monitoring/patient_pages/")
# Where a text is marked as safe, and why it is: files of ours, and mails that we have written ourselves.
SAFE_BY_HAND = {"config/styleguide.py", "config/embedded/mailbox.py", "monitoring/web/written.py"}
SAFE_IN_TEMPLATES = {
    "config/templates/components/field.html": "help texts are ours",
    "config/templates/components/bulk_bar.html": "a constant",
    "monitoring/templates/monitoring/worklist/bulk.html": "a constant",
}
UNSCOPED = {"Patient", "Hip", "ReviewCase", "Flag", "Plan", "Reminder"}  # rows of a clinic, in the talkers
MARKING = {"mark_safe", "SafeString"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_MODULES = {"pickle", "marshal", "shelve", "xml.etree", "xml.dom", "xml.sax", "telnetlib", "ftplib", "httpx"}
CALLERS = {"requests", "urllib.request", "urllib3", "http.client", "aiohttp"}
MAY_CALL = {  # who talks to the network without the one opener, and why that is right
    "schedules/outgoing.py": "is the one opener",
    "schedules/provider_channel.py": "the mail provider that the operator has set",
    "config/fault_reports.py": "the service that the operator has set",
    "config/run.py": "asks its own web server on the loopback",
}


def sources():
    for app in OURS:
        for path in sorted((PROJECT / app).rglob("*.py")):
            if "migrations" not in path.parts:
                yield str(path.relative_to(PROJECT)), path.read_text()


@functools.cache
def trees():
    return [(name, text, ast.parse(text)) for name, text in sources()]


def findings(judge):
    """What `judge(name, node)` says of any node, with its place, unless the line has a reason."""
    found = []
    for name, text, tree in trees():
        lines = text.splitlines()
        for node in ast.walk(tree):
            said = judge(name, node)
            if said and not re.search(
                r"noqa: S\d+|nosec", " ".join(lines[node.lineno - 1 : (node.end_lineno or node.lineno)])
            ):
                found.append(f"{name}:{node.lineno}: {said}")
    return found


def called(node):
    if isinstance(node, ast.Call):
        return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    return ""


def is_quoted(node):
    """A name or value that psycopg's `sql` quotes."""
    return called(node) in {"Identifier", "Literal", "Placeholder"}


def test_no_sql_is_put_together_from_values():
    def judge(name, node):
        if called(node) in {"execute", "executemany", "raw", "RawSQL"} and node.args:
            text = node.args[0]
            if name in {"patients/row_security.py", "patients/partitions.py"}:
                return ""  # of migrations: names of our own tables and of a role
            if isinstance(text, ast.JoinedStr) or (isinstance(text, ast.BinOp) and isinstance(text.op, ast.Mod)):
                return "SQL from values; use parameters"
            if isinstance(text, ast.Call) and called(text) == "format" and not all(map(is_quoted, text.args)):
                return "SQL from values; use parameters"
        return "extra() takes SQL" if called(node) == "extra" and isinstance(node.func, ast.Attribute) else ""

    assert findings(judge) == []


def test_no_text_is_marked_as_safe_but_where_it_is_ours():
    def judge(name, node):
        constant = isinstance(node, ast.Call) and all(isinstance(one, ast.Constant) for one in node.args)
        return "mark_safe" if called(node) in MARKING and name not in SAFE_BY_HAND and not constant else ""

    assert findings(judge) == []
    templates = [path for app in OURS for path in (PROJECT / app).rglob("*.html")]
    marked = {
        str(path.relative_to(PROJECT))
        for path in templates
        if re.search(r"\|\s*safe\b|autoescape off", path.read_text())
    }
    assert marked <= set(SAFE_IN_TEMPLATES), marked - set(SAFE_IN_TEMPLATES)


def test_talkers_ask_for_rows_of_the_viewers_clinics():
    """`Patient.objects.all()` and the like would rely on the database alone; a filter says whose they are."""

    def judge(name, node):
        if name == "monitoring/api/lists.py":  # `Listing` narrows what these give
            return ""
        if not name.startswith(TALKERS) or not isinstance(node, ast.Call):
            return ""
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        model = owner.value if isinstance(owner, ast.Attribute) and owner.attr == "objects" else None
        if isinstance(model, ast.Name) and model.id in UNSCOPED and called(node) in {"all", "create", "bulk_create"}:
            return f"{model.id}.objects.{called(node)}()"
        return ""

    assert findings(judge) == []


def test_nothing_is_run_that_came_as_data_and_no_dangerous_parser_is_used():
    def judge(name, node):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in FORBIDDEN_CALLS:
            return node.func.id
        if any(keyword.arg == "shell" for keyword in getattr(node, "keywords", [])) and isinstance(node, ast.Call):
            return "shell="
        return next((module for module in modules_of(node) if module.startswith(tuple(FORBIDDEN_MODULES))), "")

    assert findings(judge) == []


def test_the_network_is_called_through_the_one_opener():
    def judge(name, node):
        return next((m for m in modules_of(node) if m.startswith(tuple(CALLERS)) and name not in MAY_CALL), "")

    wrong = [one for one in findings(judge) if not one.endswith("urllib3.exceptions")]
    assert wrong == []


def modules_of(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_every_table_that_goes_out_leaves_no_formula_in_it():
    writers = [name for name, text, _tree in trees() if "csv.writer(" in text or "csv.DictWriter(" in text]
    assert len(writers) >= 5
    texts = {name: text for name, text, _tree in trees()}
    assert [name for name in writers if "harmless" not in texts[name]] == []


def test_a_view_that_needs_no_token_of_a_form_says_why():
    """CSRF is off only where another authority stands: a mail's link, a provider's signature."""
    exempt = {name for name, text, _tree in trees() if "csrf_exempt" in text}
    assert exempt <= {"monitoring/patient_pages/door.py", "monitoring/web/mail_events.py"}, exempt


@pytest.fixture(scope="module")
def scan():
    spec = importlib.util.spec_from_file_location("supply_chain", PROJECT / ".ci" / "supply_chain.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    "line",
    [
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "key = 'AKIA" + "ABCDEFGHIJKLMNOP'",
        "url = postgresql://hipwatch:" + "gT7vQx2pLm@db/hipwatch",
        "API_KEY = '" + "q8Zr3Lk1Vb7Yt5Xw2Nc9Hs4Jd6Fg0Pa'",
        "hw_" + "aB3" * 14 + "x_0a1b2c3d",
    ],
)
def test_a_secret_that_slips_in_is_found(scan, line):
    assert scan.secret_in(line)


@pytest.mark.parametrize(
    "line",
    [
        "password = 'correct horse battery'",
        "SECRET_KEY=",
        "smtp+tls://USER:PASSWORD@HOST:587",
        "token = secrets.token_urlsafe(32)",
    ],
)
def test_words_for_show_are_no_secrets(scan, line):
    assert not scan.secret_in(line)


def test_what_runs_has_hashes_and_a_licence_that_may_run_here(scan):
    lock = Path(scan.LOCK).read_text()
    assert all(
        scan.HASHED.search(block)
        for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE)
        if "==" in block[:60]
    )
    wrong = {name: scan.kinds_of(package) for name, package in scan.installed(scan.locked()).items()}
    assert {name: kinds for name, kinds in wrong.items() if not kinds or kinds - scan.MAY_RUN} == {}
