"""The container image and the compose project say what the settings read, and every file and command in them exists."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.conf import settings
from django.core.management import get_commands
from django.urls import resolve

from config import mail_settings
from config.celery import app as celery

PROJECT = Path(__file__).resolve().parents[2]


class OnceOnly(yaml.SafeLoader):
    """Compose refuses a file in which a key stands twice in one mapping; PyYAML alone takes the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        own = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        twice = {key for key in own if own.count(key) > 1}
        if twice:
            raise yaml.constructor.ConstructorError(None, None, f"stands twice: {sorted(twice)}", node.start_mark)
        return super().construct_mapping(node, deep)


COMPOSE: dict[str, Any] = yaml.load((PROJECT / "docker-compose.yml").read_text(), OnceOnly)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("hipwatch:")}
DOCKERFILE = (PROJECT / "Dockerfile").read_text()
IN_THE_IMAGE = {"HIPWATCH_ENV", "STATIC_ROOT", "DATA_DIR"}
NOT_FOR_A_SERVER = {
    "HIPWATCH_TESTING": "the tests say so",
    "DEBUG": "production refuses it",
    "PORT": "the port of `make run`; compose publishes another",
    "ALLOWED_HOSTS": "follows from PUBLIC_URL",
    "SSL_REDIRECT": "stays on",
    "CELERY_BROKER": "is REDIS_URL",
    "HIPWATCH_PROCESS": "config/wsgi.py sets it",
}
FILLED = {
    "SECRET_KEY": "only-for-this-test-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFG",
    "PUBLIC_URL": "https://registry.example",
    "EMAIL_URL": "smtp+tls://mail.example:587",
    "MAIL_FROM": "appointments@clinic.example",
    "POSTGRES_PASSWORD": "postgres1",
    "HIPWATCH_OWNER_PASSWORD": "owner1",
    "HIPWATCH_APP_PASSWORD": "app1",
    "REDIS_PASSWORD": "valkey1",
}


def names_read_by(path: Path) -> set[str]:
    """The variables that a module takes from its environment by a literal name."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            of = ast.unparse(node.func)
            if re.fullmatch(r"env(\.(bool|int|list|float))?|os\.environ\.(get|pop)|environment\.get", of):
                found.add(node.args[0].value)
    return found


def names_read() -> set[str]:
    modules = ("settings", "mail_settings", "serving", "embedded/locations")
    by_settings = set().union(*(names_read_by(PROJECT / f"config/{name}.py") for name in modules))
    of_providers = {
        mail_settings.PREFIX + name
        for provider in mail_settings.PROVIDERS.values()
        for name in (*provider.keys, *provider.secrets, *provider.more)
    }
    return by_settings | of_providers


def interpolated(value: str | None, name: str) -> str | None:
    """As compose fills in `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; without a value it passes NAME on."""
    if value is None:
        return FILLED.get(name)
    filled = re.sub(r"\$\{(\w+)(?::-([^}]*))?(?::\?[^}]*)?\}", lambda hit: FILLED.get(hit[1], hit[2] or ""), str(value))
    return filled.replace("$$", "$")


def environment_of(service: str) -> dict[str, str]:
    given = {name: interpolated(value, name) for name, value in SERVICES[service]["environment"].items()}
    return {name: value for name, value in given.items() if value is not None}


def words_of(command: str | list[str]) -> list[str]:
    return command.split() if isinstance(command, str) else command


def test_a_server_can_set_everything_that_the_settings_read() -> None:
    for name, service in OURS.items():
        offered = set(service["environment"]) | IN_THE_IMAGE
        assert names_read() - offered - set(NOT_FOR_A_SERVER) <= {"DATABASE_OWNER_URL"}, name
        assert offered - names_read() - {"WORKER"} == set(), name
    assert "DATABASE_OWNER_URL" in SERVICES["migrate"]["environment"]


def test_only_migrations_know_the_owner() -> None:
    knowing = {name for name, service in SERVICES.items() if "HIPWATCH_OWNER_PASSWORD" in json.dumps(service)}
    assert knowing == {"migrate", "postgres"}


def test_the_example_names_every_variable_and_has_no_secret() -> None:
    named = re.findall(r"^#?([A-Z_]+)=(.*)$", (PROJECT / ".env.example").read_text(), re.MULTILINE)
    passed = {name for service in OURS.values() for name, value in service["environment"].items() if value is None}
    asked = set(re.findall(r"(?<!\$)\$\{(\w+)", (PROJECT / "docker-compose.yml").read_text()))
    assert sorted(name for name, _value in named) == sorted(asked | passed)
    assert {name for name, value in named if not value} >= set(FILLED)


@pytest.mark.slow
@pytest.mark.parametrize("service", sorted(OURS))
def test_the_settings_start_with_what_compose_gives(service: str) -> None:
    asked = (
        "import django, json; django.setup(); from django.conf import settings as s;"
        "print(json.dumps([s.DATABASES['default']['USER'], s.DATABASES['owner']['USER'], s.CELERY_BROKER_URL,"
        " s.ALLOWED_HOSTS, s.PRODUCTION]))"
    )
    environment = {"PATH": os.environ["PATH"], "DJANGO_SETTINGS_MODULE": "config.settings", **environment_of(service)}
    reply = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, env=environment, capture_output=True, text=True, check=False
    )
    assert reply.returncode == 0, reply.stderr
    owner = "hipwatch_owner" if service == "migrate" else "hipwatch_app"
    wanted = ["hipwatch_app", owner, "redis://:valkey1@valkey:6379/0", ["registry.example"], True]
    assert json.loads(reply.stdout) == wanted


@pytest.mark.parametrize("missing", sorted(FILLED))
def test_compose_asks_for_every_secret(missing: str) -> None:
    assert f"${{{missing}:?" in (PROJECT / "docker-compose.yml").read_text()


def test_every_command_exists() -> None:
    written = re.findall(r"^CMD (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)[-1]
    image_command = json.loads(written.replace("\\\n", ""))
    for name, service in OURS.items():
        program, *arguments = words_of(service.get("command", image_command))
        assert (Path(sys.executable).parent / program).exists(), name
        if program == "python":
            assert arguments[0] == "manage.py"
            assert arguments[1] in get_commands()


def test_every_queue_has_a_worker_and_one_clock_runs() -> None:
    taken: set[str] = set()
    for name, service in OURS.items():
        words = words_of(service.get("command", ""))
        if "worker" in words:
            taken.add(words[words.index("--queues") + 1])
            assert words[words.index("--hostname") + 1] == f"{service['environment']['WORKER']}@%h", name
    used = {celery.conf.task_default_queue, *(route["queue"] for route in celery.conf.task_routes.values())}
    assert taken == used | {
        entry["options"]["queue"] for entry in celery.conf.beat_schedule.values() if "queue" in entry["options"]
    }
    assert [name for name, service in OURS.items() if "beat" in words_of(service.get("command", ""))] == ["beat"]


def test_the_health_check_of_the_image_asks_an_address_that_answers_without_tls() -> None:
    found = re.search(r"^HEALTHCHECK .*?CMD (\[.*?\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert found
    program, _c, code = json.loads(found[1])
    assert program == "python"
    compile(code, "HEALTHCHECK", "exec")
    path = re.search(r"http://127\.0\.0\.1:8000(/\w+)", code)
    assert path
    assert resolve(path[1]).url_name == "healthz"
    assert any(re.match(exempt, path[1].lstrip("/")) for exempt in settings.SECURE_REDIRECT_EXEMPT)


def test_every_file_that_is_copied_or_mounted_exists_and_reaches_the_build() -> None:
    allowed = {line[1:] for line in (PROJECT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.MULTILINE))
    assert copied == allowed
    mounted = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    files = {path for path in mounted if path.startswith("./")}
    assert files
    assert mounted - files == set(COMPOSE["volumes"])
    assert all((PROJECT / path).is_file() for path in files)
    assert all((PROJECT / path).exists() for path in copied)


def test_images_are_pinned_and_nothing_runs_as_root() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert len(set(bases)) == 1
    for image in {bases[0], *(service["image"] for service in SERVICES.values())}:
        assert re.search(r":\d+\.\d+", image), image
    assert re.findall(r"^USER (\S+)", DOCKERFILE, re.MULTILINE) == ["10001:10001"]
    for name, service in SERVICES.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name
        assert name in OURS or re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name


def test_the_databases_have_no_way_out() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    held = {name for name, service in SERVICES.items() if "outside" not in service["networks"]}
    assert held >= {"postgres", "valkey"}
    assert all("inside" in service["networks"] for service in SERVICES.values())
