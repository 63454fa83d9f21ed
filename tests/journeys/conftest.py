"""Fixtures: the running site on a committed registry, and a headless Chromium that watches what the pages do."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from tests.journeys.site import CHROMIUM, Watch, web_server
from tests.schedules.test_worker_kill import awake_zone


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """A browser. Playwright keeps an event loop in this thread, which Django must be told not to fear."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}; CHROMIUM names another one")
    from playwright.sync_api import sync_playwright

    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def server(environment_of_processes: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One web server for all of these tests: each finds the database as empty as if it were the first."""
    with web_server(environment_of_processes, tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def site(server: str, committed_database: str, environment_of_processes: dict[str, str]) -> str:
    with closing(redis.Redis.from_url(environment_of_processes["REDIS_URL"])) as kept:
        kept.flushdb()  # rows of another test had the same numbers
    return server


@pytest.fixture
def watch(site: str) -> Iterator[Watch]:
    """Whatever the browser complains of fails the test at its end."""
    watching = Watch(site)
    yield watching
    assert not watching.problems, "\n".join(watching.problems)


@pytest.fixture
def open_browser(chromium: Any, watch: Watch) -> Iterator[Callable[..., Any]]:
    """`open_browser(width=320)`: a page with cookies of its own."""
    contexts = []

    def new(*, width: int = 1280, height: int = 900, **options: Any) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, locale="en-GB", reduced_motion="reduce", **options
        )
        context.set_default_timeout(15_000)
        watch.over(context)
        contexts.append(context)
        return context.new_page()

    yield new
    for context in contexts:
        context.close()


class Registry:
    """Two clinics with staff and a few patients, every fact written by the recording actions."""

    def __init__(self, make_clinic: Any, make_user: Any, enrol: Any, actor: Any) -> None:
        self.enrol, self.actor = enrol, actor
        self.clinic = make_clinic("Northside Hip Clinic", time_zone=awake_zone())
        self.other_clinic = make_clinic("Southside Hip Clinic", time_zone=awake_zone())
        self.today = datetime.now(UTC).astimezone(self.clinic.zone).date()
        self.coordinator = make_user(self.clinic, "coordinator", name="Ada Okoye")
        self.clinician = make_user(self.clinic, "clinician", name="Dr Lindqvist")
        self.admin = make_user(self.clinic, "admin", name="Ruth Amsel")
        self.stranger = make_user(self.other_clinic, "coordinator", name="Finn Holm")
        self.everything = make_user(self.clinic, "coordinator", "clinician", "admin", name="Ida Brandt", is_staff=True)

    def watched(self, *, days_ago: int, clinic: Any = None, **details: Any) -> Any:
        """A patient with a small silent lesion on the left, seen so many days ago and due six months after that."""
        from patients import recording
        from patients.models import Imaging, Staging, SymptomReport
        from patients.vocabulary import Side

        day: date = self.today - timedelta(days=days_ago)
        patient = self.enrol(clinic or self.clinic, by=self.actor, enrolled_on=day, **details)
        lesion = {"necrosis": True, "lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}
        facts = [
            (Side.LEFT, Imaging(on=day, modality="MR", **lesion)),
            (Side.LEFT, Imaging(on=day, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
            (Side.LEFT, Staging(on=day, system="ARCO", version="2019", code="I")),
            (Side.LEFT, SymptomReport(on=day, source="clinician", symptomatic=False, pain_nrs=0)),
            (Side.RIGHT, Imaging(on=day, modality="MR", necrosis=False)),
        ]
        recording.record_facts(patient.pk, facts, by=self.actor)
        return patient

    def hurts(self, patient: Any, *, days_ago: int = 2) -> None:
        from patients import recording
        from patients.models import SymptomReport
        from patients.vocabulary import Side

        pain = SymptomReport(
            on=self.today - timedelta(days=days_ago), source="patient", symptomatic=True, pain_nrs=4, pain_site="groin"
        )
        recording.record_facts(patient.pk, [(Side.LEFT, pain)], by=self.actor)


@pytest.fixture
def registry(
    committed_database: str, make_clinic: Any, make_user: Any, enrol: Any, actor: Any
) -> Callable[[], Registry]:
    """`registry()`: two clinics and their staff. Call it in the transaction that commits them and their patients."""
    return lambda: Registry(make_clinic, make_user, enrol, actor)
