"""A crawl of the site as each role: every page that links lead to, every form on it, and what a forged one gets."""

import re
from collections import deque
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from monitoring.models import ReviewCase
from patients import access, recording
from patients.models import Clinic, Imaging, Role, Staging, SymptomReport
from patients.vocabulary import Side
from tests.security.pages import Page, local
from tests.security.test_web import has_headers

MOST_PAGES = 90  # of one role
OF_ONE_KIND = 3  # addresses that differ in numbers or in what follows the question mark only
LEAVE = ("/account/logout/", "/i18n/", "/static/")  # a crawler that signs out sees nothing more
ALLOWED_INLINE = re.compile(r"^\s*$")
PASSWORDS = {"current-password", "new-password", "off", "one-time-code"}


@pytest.fixture
def world(clinic, other_clinic, enrol, actor):
    """One patient with a case, and another clinic's."""
    day = timezone.now().date() - timedelta(days=200)
    patient = enrol(clinic, enrolled_on=day)
    facts = [
        (Side.LEFT, Imaging(on=day, modality="MR", necrosis=True, lesion_volume_percent=12)),
        (Side.LEFT, Staging(on=day, system="ARCO", version="2019", code="I")),
        (Side.LEFT, SymptomReport(on=day, source="clinician", symptomatic=False, pain_nrs=0)),
    ]
    recording.record_facts(patient.pk, facts, by=actor)
    pain = SymptomReport(on=day + timedelta(days=90), source="patient", symptomatic=True, pain_nrs=4, pain_site="groin")
    recording.record_facts(patient.pk, [(Side.LEFT, pain)], by=actor)
    assert ReviewCase.objects.exists()
    enrol(other_clinic)
    return patient


def kind_of(path):
    """The address with its numbers and what follows the question mark left out."""
    return re.sub(r"\d+(-\d+)*", "#", path.partition("?")[0]), "?" in path


class Crawl:
    """Walks from the first page, by links and by forms that ask with GET, nearest first."""

    def __init__(self, client):
        self.client, self.faults, self.posts, self.seen = client, [], {}, 0
        self.kinds, self.known = {}, {"/"}
        self.waiting = deque(["/", "/no/such/page/", "/account/login/", "/account/password/reset/"])

    def walk(self):
        while self.waiting and self.seen < MOST_PAGES:
            path = self.waiting.popleft()
            answer = self.client.get(path)
            access.bind_clinics(Clinic.objects.values_list("id", flat=True))
            self.seen += 1
            self._judge(path, answer)
            if answer.status_code in {301, 302, 303}:
                self._go_on([answer.url])
            elif "text/html" in answer.headers.get("Content-Type", ""):
                self._read(path, answer)
        return self

    def _judge(self, path, answer):
        if answer.status_code >= 500:
            self.faults.append(f"{path}: {answer.status_code}")
        try:
            if "html_preview" not in path and not path.endswith(
                "/html/"
            ):  # a mail in its frame has a policy of its own
                has_headers(answer)
        except (AssertionError, KeyError) as fault:
            self.faults.append(f"{path}: headers: {fault}")
        if "no-store" not in answer.headers.get("Cache-Control", ""):
            self.faults.append(f"{path}: may be stored")
        for cookie in answer.cookies.values():
            if not cookie["samesite"] or (not cookie["httponly"]):
                self.faults.append(f"{path}: cookie {cookie.key} is open")

    def _read(self, path, answer):
        page = Page(answer.content.decode())
        self._look_at(path, page)
        self._go_on(page.addresses)
        for form in page.forms:
            action = (form.action or path).partition("#")[0]
            if form.method == "post":
                self.posts.setdefault(kind_of(action), (action, form))
                if "csrfmiddlewaretoken" not in form.names:
                    self.faults.append(f"{path}: the form to {action} has no token")

    def _look_at(self, path, page):
        framed = path.endswith("/html/")
        for tag, attributes in page.tags:
            inline = [name for name in attributes if name.startswith("on") or (name == "style" and not framed)]
            if inline:
                self.faults.append(f"{path}: <{tag} {inline}>")
            if attributes.get("type") == "password" and attributes.get("autocomplete") not in PASSWORDS:
                self.faults.append(f"{path}: a password says autocomplete={attributes.get('autocomplete')}")
            if attributes.get("target") == "_blank" and "noopener" not in attributes.get("rel", ""):
                self.faults.append(f"{path}: opens a window that reaches back")
        foreign = [one for one in page.addresses if one.startswith(("http://", "//", "javascript:", "data:text"))]
        inline = [words for words in page.inline if not framed and not ALLOWED_INLINE.match(words)]
        if foreign or inline:
            self.faults.append(f"{path}: {foreign} {inline}")

    def _go_on(self, addresses):
        for path in local([one if one.startswith("/") else "" for one in addresses]):
            kind = kind_of(path)
            if path in self.known or path.startswith(LEAVE) or self.kinds.get(kind, 0) >= OF_ONE_KIND:
                continue
            self.known.add(path)
            self.kinds[kind] = self.kinds.get(kind, 0) + 1
            self.waiting.append(path)


def signed_in(user, **options):
    client = Client(raise_request_exception=False, **options)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.mark.slow
@pytest.mark.parametrize("role", [*Role.values, "stranger"])
def test_every_page_that_a_role_reaches_is_as_it_must_be(role, world, clinic, make_user):
    user = make_user(clinic, *([] if role == "stranger" else [role]))
    crawl = Crawl(signed_in(user)).walk()
    print(f"\n{role}: {crawl.seen} pages, {len(crawl.posts)} kinds of forms")
    assert not crawl.faults, "\n".join(crawl.faults)
    assert crawl.seen > (3 if role == "stranger" else 8)

    forged = signed_in(user, enforce_csrf_checks=True)
    for action, form in crawl.posts.values():
        answer = forged.post(
            action, {name: value for name, value in form.sent().items() if name != "csrfmiddlewaretoken"}
        )
        assert answer.status_code == 403, f"{action} takes a form without its token: {answer.status_code}"


def test_the_pages_of_somebody_who_is_signed_out_are_as_they_must_be(db):
    crawl = Crawl(Client(raise_request_exception=False)).walk()
    assert not crawl.faults, "\n".join(crawl.faults)
    assert crawl.seen >= 4 and crawl.posts
