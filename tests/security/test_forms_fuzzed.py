"""Every form of the staff's pages, filled in by chance: whatever is typed, the server answers and does not fail."""

from collections import Counter

import pytest
from django.db import transaction
from django.test import Client
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from monitoring.models import ReviewCase
from patients import access
from patients.models import Clinic
from tests.journeys import addresses
from tests.security.pages import Page
from tests.security.test_crawl import kind_of, world  # noqa: F401

QUICK = ("edit", "contact", "death", "visit", "enrol", "appointments", "end", "letter", "tokens", "webhooks")
LEFT_ALONE = ("/account/logout", "/i18n/", "/search/")  # one signs out, two only lead elsewhere
NASTY = ["", " ", "\x00", "\ud7ff\U0001f9b4", "x" * 5000, "'; DROP TABLE patients_patient; --", "<script>x</script>"]
NASTY += ["=1+1", "{{7*7}}", "%s%n", "../../etc/passwd", "null", "\u202e", "İ", "ß" * 200]
NUMBERS = ["-1", "0", "1", "99999999999999999999", "1e400", "NaN", "Infinity", "1,5", "0x10", "١٢", "", "1.0000000001"]
DATES = [
    "2026-02-30",
    "0001-01-01",
    "9999-12-31",
    "10000-01-01",
    "2026-13-01",
    "yesterday",
    "",
    "2026-01-05",
    "1900-01-01",
]
DATES += ["2026-01-05T10:00", "2026-03-29T02:30", "23:61", "2026-W05"]


def values_of(field):
    """What may be typed into a field, or sent in its place."""
    nasty = st.sampled_from(NASTY) | st.text(max_size=40).filter(lambda text: "\ud800" not in text)
    if field.choices:
        return st.sampled_from(field.choices) | nasty
    if field.kind in {"date", "time", "datetime-local", "week", "month"}:
        return st.sampled_from(DATES) | st.dates().map(str) | nasty
    if field.kind in {"number", "range"}:
        return st.sampled_from(NUMBERS) | st.integers().map(str) | st.floats().map(str) | nasty
    if field.kind in {"checkbox", "radio", "hidden"}:
        return st.just(field.value) | st.just(field.value) | nasty
    return nasty | st.sampled_from(NUMBERS + DATES)


@st.composite
def fillings(draw, form):
    """What is sent: each field of the form left out, as it stands, or with a value made up."""
    sent = {}
    for field in form.fields:
        if not field.name or field.kind in {"file", "reset"}:
            continue
        choice = draw(st.integers(0, 9))
        if choice > 1 or field.name == "csrfmiddlewaretoken":
            sent.setdefault(field.name, []).append(field.value if choice < 5 else draw(values_of(field)))
    return sent


@pytest.fixture
def desk(clinic, make_user):
    client = Client(raise_request_exception=False)
    user = make_user(clinic, "coordinator", "clinician", "admin")
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


def see_all():
    access.bind_clinics(Clinic.objects.values_list("id", flat=True))


def forms_of(desk, paths):
    """Each kind of form on these pages, once."""
    found = {}
    for path in paths:
        page = desk.get(path)
        see_all()
        if page.status_code == 200 and "text/html" in page.headers.get("Content-Type", ""):
            for form in Page(page.content.decode()).forms:
                action = (form.action or path).partition("#")[0]
                if form.method == "post" and not action.startswith(LEFT_ALONE):
                    found.setdefault((kind_of(action), frozenset(form.names)), (action, form))
    return list(found.values())


def fuzz(desk, action, form, examples):
    """Send the form so often; nothing that it does lasts. Returns what was answered."""
    codes = Counter()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(sent=fillings(form))
    def send(sent):
        with transaction.atomic():
            answer = desk.post(action, sent)
            see_all()
            transaction.set_rollback(True)
        codes[answer.status_code] += 1
        assert answer.status_code < 500, f"{action} fails on {sent}"

    send()
    return codes


def fuzz_all(desk, forms, examples):
    codes, faults = Counter(), []
    for action, form in forms:
        try:
            codes += fuzz(desk, action, form, examples)
        except AssertionError as fault:
            faults.append(str(fault)[:1500])
    print(f"\n{len(forms)} forms, {sum(codes.values())} times: {dict(sorted(codes.items()))}")
    assert not faults, "\n\n".join(faults)
    return codes


@pytest.fixture
def pages(world):  # noqa: F811
    case = ReviewCase.objects.filter(patient=world).first()
    samples = addresses.Samples(world.pk, case.pk, "imaging-1", 1, 1)
    return addresses.pages(samples, signed_in=True)


@pytest.mark.slow
def test_the_forms_most_used_take_anything(pages, desk):
    quick = [path for path in pages if path.rstrip("/").split("/")[-1] in QUICK or "/appointments/" in path]
    forms = forms_of(desk, quick)
    codes = fuzz_all(desk, forms, 2)
    assert len(forms) >= 8 and codes[422] + codes[200] > 0


@pytest.mark.slow
def test_every_form_takes_anything(pages, desk):
    forms = forms_of(desk, pages)
    codes = fuzz_all(desk, forms, 12)
    assert len(forms) >= 25 and codes[422] and codes[302]
