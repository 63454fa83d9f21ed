"""Fixtures: a real PostgreSQL, a database a worker cloned from one that was migrated once, and people to act in it.

Tests connect as the application's role, which row-level security binds. `db` undoes each test by rolling back; tests
of several processes or transactions take `committed_database`, which is emptied afterwards.
"""

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from django.template import Context, Template
from django.test.signals import template_rendered
from django.utils import translation
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql

from config import collecting
from tests.services import Services, ensure_services

PROJECT = Path(__file__).resolve().parents[1]
SHARED = PROJECT.parent / "shared"

hypothesis_settings.register_profile(
    "suite",
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=bool(os.environ.get("CI")),
)
hypothesis_settings.load_profile("suite")


def _fingerprint() -> str:
    digest = hashlib.sha256(" ".join(settings.INSTALLED_APPS).encode())  # packages bring tables, too
    used = (path for app in ("patients", "schedules", "monitoring") for path in (PROJECT / app).rglob("*_sql.py"))
    others = [PROJECT / name for name in ("patients/row_security.py", "patients/partitions.py", "requirements.txt")]
    for path in sorted([*PROJECT.glob("*/migrations/*.py"), *used, *others]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _template(services: Services) -> str:
    """The migrated database from which each worker's is cloned; made once for each state of the migrations."""
    name = f"hipwatch_template_{_fingerprint()}"
    with (services.data / "template.lock").open("a") as lock, closing(_admin(services)) as admin:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = {row[0] for row in admin.execute("SELECT datname FROM pg_database")}
        if name in known:
            return name
        draft = f"{name}_draft"
        for old in known:
            if old.startswith("hipwatch_template_"):
                admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(old)))
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER hipwatch_owner").format(sql.Identifier(draft)))
        connections["owner"].settings_dict["NAME"] = draft
        call_command("migrate", database="owner", verbosity=0)
        connections["owner"].close()
        admin.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(draft), sql.Identifier(name)))
    return name


def _admin(services: Services, database: str | None = None) -> "psycopg.Connection[Any]":
    return psycopg.connect(services.admin_url_of(database) if database else services.admin_url, autocommit=True)


NEEDS_DATABASE = frozenset({"db", "transactional_db", "committed_database"})


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, so that no worker is left alone with one at the end; then those that need the database.

    The first half goes to one worker, which migrates the template, while the other has tests that need no database.
    """
    items.sort(key=lambda item: ("slow" not in item.keywords, NEEDS_DATABASE.isdisjoint(_fixtures(item))))


def _fixtures(item: pytest.Item) -> list[str]:
    return getattr(item, "fixturenames", [])


def pytest_collection_finish() -> None:
    """All is imported by now."""
    collecting.settle(in_bulk=True)


@pytest.fixture(scope="session")
def services() -> Services:
    """PostgreSQL and Valkey, real."""
    return ensure_services()


@pytest.fixture(scope="session")
def django_db_setup(services: Services, django_db_blocker: Any, worker_id: str) -> Iterator[None]:
    """This worker's own database, as the application's role sees it."""
    name = f"hipwatch_test_{worker_id}_{os.getpid()}"
    with django_db_blocker.unblock():
        template = _template(services)
        with closing(_admin(services)) as admin:
            admin.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER hipwatch_owner").format(
                    sql.Identifier(name), sql.Identifier(template)
                )
            )
        connections.close_all()  # whatever asked something earlier asked another database
        for alias in connections:
            connections[alias].settings_dict["NAME"] = name
    yield
    with django_db_blocker.unblock():
        connections.close_all()
        with closing(_admin(services)) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def worker_id(request: pytest.FixtureRequest) -> str:
    return getattr(request.config, "workerinput", {}).get("workerid", "main")


@pytest.fixture(autouse=True)
def _own_redis(services_in_use: Services | None, worker_id: str, settings: Any) -> None:
    """Parallel workers share the server, not the numbered database."""
    if services_in_use is not None:
        number = 1 + int(worker_id[2:]) if worker_id.startswith("gw") else 1
        settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": services_in_use.redis_url(number)}}


@pytest.fixture(scope="session", autouse=True)
def _pages_told_of_once(django_test_environment: None) -> Iterator[None]:
    """Django's tests keep a copy of the context of every template that is included; ours need the page's own."""

    def render(template: Template, context: Context) -> str:
        if context.template is template:
            template_rendered.send(sender=template, template=template, context=context)
        return template.nodelist.render(context)

    instrumented, Template._render = Template._render, render
    yield
    Template._render = instrumented


@pytest.fixture(autouse=True)
def _no_walk_through_static_files(settings: Any) -> None:
    """Each test client makes its own middleware; the one of static files would read their folders every time."""
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.fixture(autouse=True)
def _own_language() -> None:
    """A page in another language leaves it switched on in this thread."""
    translation.deactivate()


@pytest.fixture
def services_in_use(request: pytest.FixtureRequest) -> Services | None:
    """The services, for tests that use the database; the guideline's tests need none."""
    if {"db", "committed_database", "services"} & set(request.fixturenames):
        result: Services = request.getfixturevalue("services")
        return result
    return None


def as_signed_in(client: Any, user: Any) -> Any:
    """The client with a session in which the user has signed in by password just now."""
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    session = client.session
    session["begun_at"] = session["seen_at"] = time.time()
    session["account_authentication_methods"] = [{"method": "password", "at": time.time(), "reauthenticated": True}]
    session["account_authentication_methods_user"] = str(user.pk)
    session.save()
    return client


KEPT = ("django_migrations", "django_content_type", "auth_permission")


@pytest.fixture
def committed_database(services: Services, django_db_setup: None, django_db_blocker: Any) -> Iterator[str]:
    """The database with real commits, for other processes and threads; yields its name and is emptied afterwards."""
    name = str(connections["default"].settings_dict["NAME"])
    with django_db_blocker.unblock():
        yield name
        connections.close_all()
    with closing(_admin(services, name)) as admin:
        admin.execute("SET session_replication_role = replica")
        tables = admin.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL(%s)", [list(KEPT)]
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(row[0]) for row in tables)
        admin.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(names))


@pytest.fixture(scope="session")
def environment_of_processes(services: Services, django_db_setup: None, worker_id: str) -> dict[str, str]:
    """The environment of a real process, such as a Celery worker, that works on this worker's database."""
    number = int(worker_id[2:]) if worker_id.startswith("gw") else 0
    name = str(connections["default"].settings_dict["NAME"])
    return {
        **os.environ,
        "HIPWATCH_TESTING": "1",
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DATA_DIR": os.fspath(services.data),
        "DATABASE_URL": services.app_url(name),
        "DATABASE_OWNER_URL": services.owner_url(name),
        "REDIS_URL": services.redis_url(33 + number),
        "CELERY_BROKER": services.broker_url(17 + number),
    }


@pytest.fixture
def process_environment(environment_of_processes: dict[str, str], committed_database: str) -> dict[str, str]:
    """The same, for a test whose rows are committed and gone afterwards."""
    return environment_of_processes


@pytest.fixture
def actor() -> Any:
    from patients.changes import Actor

    return Actor(name="Ada Okoye")


def _clinic(name: str, **details: Any) -> Any:
    from patients import access
    from patients.models import Clinic

    clinic = Clinic.objects.create(
        **{
            "name": name,
            "mail_name": name.split()[0],
            "telephone": "+44 20 7946 0000",
            "reply_to": "desk@clinic.example",
            **details,
        }
    )
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))
    return clinic


@pytest.fixture
def clinic(db: None) -> Any:
    """A clinic whose rows this test's transaction sees."""
    return _clinic("Northside Hip Clinic")


@pytest.fixture
def other_clinic(db: None, clinic: Any) -> Any:
    return _clinic("Southside Hip Clinic", time_zone="Europe/Berlin", language="de")


@pytest.fixture
def make_clinic() -> Callable[..., Any]:
    """For committed tests: makes a clinic and binds the running transaction to all clinics."""
    return _clinic


@pytest.fixture
def enrol(actor: Any) -> Callable[..., Any]:
    """Enrols a patient with sensible details: `enrol(clinic, enrolled_on=..., **details)`."""
    from patients import recording

    numbers = iter(range(1, 100_000))

    def enrol_one(clinic: Any, **details: Any) -> Any:
        number = next(numbers)
        known = {
            "enrolled_on": date(2026, 1, 10),
            "record_number": f"T-{number:05d}",
            "family_name": f"Berg{number}",
            "given_name": "Marta",
            "born_on": date(1990, 3, 10),
            "email": f"patient{number}@mail.example",
            "contact_wishes": {"email": (True, "on paper")},
        }
        return recording.enrol_patient(clinic, by=details.pop("by", actor), **{**known, **details})

    return enrol_one


@pytest.fixture
def patient(clinic: Any, enrol: Callable[..., Any]) -> Any:
    return enrol(clinic)


@pytest.fixture
def make_user() -> Callable[..., Any]:
    """`make_user(clinic, "coordinator", ...)`: a member of staff with these roles in that clinic."""
    from patients.models import Membership, User

    numbers = iter(range(1, 10_000))

    def make(clinic: Any, *roles: str, **details: Any) -> Any:
        number = next(numbers)
        name = details.pop("name", f"Staff {number}")
        user = User.objects.create_user(f"staff{number}@clinic.example", "correct horse battery", name=name, **details)
        for role in roles:
            Membership.objects.create(user=user, clinic=clinic, role=role)
        return user

    return make


@pytest.fixture(autouse=True)
def _long_sessions(settings: Any) -> None:
    """Tests travel through time; those of the time-outs set their own."""
    settings.SESSION_IDLE = settings.SESSION_LASTS = timedelta(days=36_500)


@pytest.fixture
def sign_in(client: Any) -> Callable[[Any], Any]:
    """`sign_in(user)` gives a test client with the session of somebody who has just signed in."""

    def sign(user: Any) -> Any:
        return as_signed_in(client, user)

    return sign
