"""Protocol pages: rules and cases to read, and the way of a draft from its author to the day it decides."""

import re
from datetime import UTC, date, datetime

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.utils import translation

from monitoring import pipeline, protocol_drafts, protocol_effect
from monitoring.models import AuditEntry, HipEvaluation
from monitoring.protocol_effect import Effect
from monitoring.web import protocol_versions
from monitoring.web.parameter_words import FAULTS, PARAMETERS, visits_of, visits_words
from patients import access, recording
from patients.models import Imaging, SymptomReport
from patients.vocabulary import Side
from schedules import adoption
from schedules.guideline.protocol import DEFAULT, WORDINGS, Protocol, Visit
from schedules.guideline.vignettes import vignettes
from schedules.models import ProtocolVersion
from tests.conftest import as_signed_in

MONDAY = datetime(2026, 3, 2, 10, tzinfo=UTC)
LESION = {"necrosis": True, "lesion_volume_percent": 12, "volume_method": "MRI_3D_SEGMENTATION"}


@pytest.fixture(autouse=True)
def _on_a_monday():
    with time_machine.travel(MONDAY, tick=False):
        yield


def signed_in(client, user):
    as_signed_in(client, user)
    client.staff = user
    return client


@pytest.fixture
def by(clinic, make_user):
    """`by("clinician", name=...)`: a browser of somebody new with this role."""
    cache.clear()
    return lambda *roles, **details: signed_in(Client(), make_user(clinic, *roles, **details))


@pytest.fixture
def watch(clinic, enrol, actor):
    """`watch()`: a patient with a silent lesion of 12 %, seen on 10 January."""

    def one():
        day, patient = date(2026, 1, 10), enrol(clinic)
        facts = [
            (Side.LEFT, Imaging(on=day, modality="MR", **LESION)),
            (Side.LEFT, Imaging(on=day, modality="XR", views=["AP_PELVIS", "FROG_LATERAL"])),
            (Side.LEFT, SymptomReport(on=day, source="clinician", symptomatic=False, pain_nrs=0)),
            (Side.RIGHT, Imaging(on=day, modality="MR", necrosis=False)),
        ]
        recording.record_facts(patient.pk, facts, by=actor)
        return patient

    return one


def typed(client, url, **changes):
    """What the draft's form holds, with these changes."""
    form = client.get(url).context["form"]
    return {name: form[name].value() for name in form.fields} | changes


def read(answer):
    text = re.sub(r"<[^>]+>", " ", answer.content.decode())
    return re.sub(r"\s+", " ", text.replace("&#x27;", "'"))


def test_a_draft_is_made_seen_submitted_approved_by_another_and_decides_on_its_day(clinic, by, watch):
    patients = [watch() for _number in range(3)]
    author, second = by("admin", name="Ruth Amsel"), by("clinician", name="Dr Lindqvist")

    made = author.post("/protocol/drafts/new/", {"note": "Small lesions are seen every four months."})
    url = made.url
    assert author.post(url, typed(author, url, standard_interval_months="4")).status_code == 302
    page = author.get(f"{url}effect/")
    assert "3 patients were looked at: everybody in your clinics." in read(page)
    assert "3 hips would move" in read(page) and "61 days earlier" in read(page)
    assert HipEvaluation.objects.filter(due_on=date(2026, 7, 10)).count() == 3, "looking changes nothing"
    assert AuditEntry.objects.filter(act="look", object="effect of onfh-small-lesion/2").count() == 3
    assert "Submitted." in read(author.post(f"{url}submitted/", typed(author, url), follow=True))

    assert author.post(f"{url}taken_up/").status_code == 403
    assert "waits for a second clinician" in read(second.get("/protocol/"))
    second.post(f"{url}taken_up/")
    assert second.post(f"{url}approved/", {"in_force_from": "2026-03-02"}).status_code == 422
    assert second.post(f"{url}approved/", {"in_force_from": "2026-03-09"}).status_code == 302
    assert "comes into force on 9 Mar 2026" in read(author.get("/protocol/"))

    with time_machine.travel(datetime(2026, 3, 9, 6, tzinfo=UTC), tick=False):
        assert pipeline.sweep(datetime(2026, 3, 9, 6, tzinfo=UTC)).changed == 3
        access.bind_clinics([clinic.pk])
        signed_in(author, author.staff)  # a week later
        assert "10 May 2026" in read(author.get(f"/patients/{patients[0].pk}/"))
        assert "onfh-small-lesion/2 is in force" in read(author.get("/protocol/"))
        history = read(author.get(url))
    with time_machine.travel(datetime(2026, 3, 10, 6, tzinfo=UTC), tick=False):
        signed_in(author, author.staff)
        assert "719d2c45623e… Retired" in read(author.get("/protocol/versions/")), "the first one"
    for words in ("Parameters changed Ruth Amsel", "Review begun Dr Lindqvist", "Approved Dr Lindqvist"):
        assert words in history


@pytest.fixture
def draft(by):
    """The address of an author's draft, and that author."""
    author = by("clinician")
    return author, author.post("/protocol/drafts/new/", {"note": "Another policy."}).url


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"standard_interval_months": "9"}, "Standard interval: must be 3 to 6, not 9"),
        ({"short_interval_months": "5", "standard_interval_months": "4"}, "must not exceed “Standard interval”"),
        ({"soon_days": "7"}, "must increase (Urgent, Soon, Review)"),
        ({"hhs_fall": "0"}, "Harris hip score has fallen by: must be above 0"),
        ({"decompression_visits": "6 weeks, 2 fortnights"}, "“2 fortnights” is not a number of weeks or months"),
        ({"decompression_visits": ""}, "must name at least one visit"),
        ({"baseline_days": "soon"}, "Enter a whole number."),
        ({"review_days": "9" * 5000}, "Enter a whole number."),
    ],
)
def test_what_is_out_of_bounds_is_said_at_its_parameter_and_nothing_is_kept(draft, change, words):
    author, url = draft
    answer = author.post(url, typed(author, url, **change))
    assert answer.status_code == 422
    assert words in read(answer)
    assert Protocol.from_json(ProtocolVersion.objects.latest("id").parameters).baseline_days == DEFAULT.baseline_days


def test_a_stale_form_keeps_what_was_typed_and_says_what_another_changed(draft, by):
    author, url = draft
    stale = typed(author, url, baseline_days="20", worsening_nrs="4", note="Mine.")
    admin = by("admin", name="Ruth Amsel")
    admin.post(url, typed(admin, url, worsening_nrs="3", review_days="27", decompression_visits="5 weeks, 3 months"))

    answer = author.post(url, stale)
    assert answer.status_code == 409
    said = read(answer)
    assert "Somebody else has changed this draft meanwhile" in said
    assert "Ruth Amsel: Parameters changed" in said and "(yours: 4 of 10)" in said
    kept = {"baseline_days": "20", "worsening_nrs": "4", "note": "Mine."}
    assert {name: answer.context["form"][name].value() for name in kept} == kept
    assert answer.context["form"]["review_days"].value() == "27", "what nobody typed here is what stands"

    form = answer.context["form"]
    assert author.post(url, {name: form[name].value() for name in form.fields}).status_code == 302
    now = Protocol.from_json(ProtocolVersion.objects.latest("id").parameters)
    assert (now.baseline_days, now.worsening_nrs, now.review_days) == (20, 4, 27)
    assert now.decompression_visits == (Visit("weeks", 5), Visit("months", 3))


def test_a_note_that_was_not_touched_here_stays_as_another_wrote_it(draft, by):
    author, url = draft
    stale = typed(author, url, baseline_days="20")
    admin = by("admin", name="Ruth Amsel")
    admin.post(url, typed(admin, url, note="Said better."))
    assert author.post(url, stale).status_code == 302, "no parameter was changed meanwhile"
    assert ProtocolVersion.objects.latest("id").note == "Said better."

    stale = typed(author, url, worsening_nrs="4", note="Mine.")
    admin.post(url, typed(admin, url, review_days="27", note="Said best."))
    answer = author.post(url, stale)
    assert "Said better. → Said best. (yours: Mine.)" in read(answer)
    assert answer.context["form"]["note"].value() == "Mine."

    answer = author.post(url, stale | {"note": "Said better."})
    assert answer.context["form"]["note"].value() == "Said best."


def test_what_was_typed_for_a_draft_that_was_submitted_meanwhile_is_shown(draft, by):
    author, url = draft
    stale = typed(author, url, baseline_days="20", note="Mine.")
    admin = by("admin")
    admin.post(f"{url}submitted/", typed(admin, url, worsening_nrs="3"))
    answer = author.post(url, stale)
    assert answer.status_code == 422 and answer.context["form"] is None
    said = read(answer)
    assert "Your changes were not kept" in said and "it is now “Submitted”" in said
    assert "20 days" in said and "Mine." in said


def test_a_form_of_which_nobody_knows_what_it_showed_is_refused(draft):
    author, url = draft
    answer = author.post(url, typed(author, url, seen="0" * 64))
    assert answer.status_code == 422 and "Open the page again." in read(answer)


def test_what_is_submitted_is_what_stands_in_the_form(draft):
    author, url = draft
    shown = author.get(url).content.decode()
    assert f'form="draft" formaction="{url}submitted/"' in shown and 'id="draft"' in shown
    answer = author.post(f"{url}submitted/", typed(author, url, standard_interval_months="4"), follow=True)
    assert "Submitted." in read(answer) and "Parameters changed" in read(answer)
    version = ProtocolVersion.objects.latest("id")
    assert (version.state, Protocol.from_json(version.parameters).standard_interval_months) == ("submitted", 4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"standard_interval_months": "9", "note": "Wider."}, "must be 3 to 6, not 9"),
        ({"note": "Wider."}, "Nothing differs from the version on which it is based."),
    ],
)
def test_what_cannot_be_submitted_is_not_kept_either_and_stays_typed(draft, change, words):
    author, url = draft
    answer = author.post(f"{url}submitted/", typed(author, url, **change))
    assert answer.status_code == 422 and words in read(answer)
    assert {name: answer.context["form"][name].value() for name in change} == change
    version = ProtocolVersion.objects.latest("id")
    assert (version.state, version.note) == ("draft", "Another policy.")


def test_a_return_wants_a_reason_and_the_author_reads_it(draft, by):
    author, url = draft
    author.post(url, typed(author, url, baseline_days="20"))
    author.post(f"{url}submitted/", typed(author, url))
    second = by("clinician")
    second.post(f"{url}taken_up/")
    assert second.post(f"{url}returned/", {"reason": " "}).status_code == 422
    second.post(f"{url}returned/", {"reason": "Twenty days are too few."})
    assert "Twenty days are too few." in read(author.get(url))
    assert author.get(url).context["form"] is not None, "it can be changed again"


def test_a_coordinator_reads_and_does_not_draft(draft, by):
    _author, url = draft
    coordinator = by("coordinator")
    assert coordinator.get(url).context["form"] is None
    assert coordinator.get("/protocol/drafts/new/").status_code == 403
    assert coordinator.post(url, {"note": "x"}).status_code in (403, 422)
    assert coordinator.post(f"{url}withdrawn/", {"reason": "x"}).status_code == 403
    assert [coordinator.get(f"{url}nowhere/").status_code, coordinator.post(f"{url}nowhere/").status_code] == [403, 403]


def test_every_case_is_shown_and_answered_as_worked_out(by):
    answer = by("coordinator").get("/protocol/cases/")
    assert f"{len(vignettes())} cases, all answered as expected." in read(answer)
    assert all(case.title in read(answer).replace("&quot;", '"') for case in vignettes())


def test_the_cases_under_a_draft_say_what_it_changes(draft):
    author, url = draft
    author.post(url, typed(author, url, standard_interval_months="4"))
    version = ProtocolVersion.objects.latest("id")
    text = read(author.get(f"/protocol/cases/?version={version.pk}"))
    assert "answered otherwise than under onfh-small-lesion/1" in text
    assert "Left hip: due 10 Jul 2026 10 May 2026" in text
    assert author.get("/protocol/cases/?version=999").status_code == 404


def test_two_versions_are_compared(draft):
    author, url = draft
    author.post(url, typed(author, url, baseline_days="20", hoos_jr_fall="7.5"))
    first, second = ProtocolVersion.objects.order_by("id").values_list("id", flat=True)
    text = read(author.get(f"/protocol/versions/?before={first}&after={second}"))
    assert "2 parameters differ" in text and "8.5 points 7.5 points" in text
    assert author.get("/protocol/versions/?before=0&after=x").status_code == 422


def test_the_rules_page_leads_to_the_cases_and_gives_bounds_and_grounds(by):
    page = by("coordinator").get("/protocol/")
    assert 'href="/protocol/cases/#12-deep-depression"' in page.content.decode()
    assert "Late collapse, depression above 2.0 mm fixed ARCO 2019" in read(page)


def test_another_clinics_hips_are_not_in_the_effect(draft, watch, other_clinic, make_user):
    author, url = draft
    author.post(url, typed(author, url, standard_interval_months="4"))
    watch()
    stranger = signed_in(Client(), make_user(other_clinic, "clinician"))
    assert "No hip would move" in read(stranger.get(f"{url}effect/"))


def test_a_large_registry_is_looked_at_in_parts(clinic, watch, make_user, monkeypatch):
    monkeypatch.setattr(protocol_effect, "CHUNK", 2)
    for _number in range(5):
        watch()
    viewer = access.viewer_for(make_user(clinic, "clinician"))
    closer = Protocol(version=2, standard_interval_months=4)
    effect = Effect()
    seen = []
    while not effect.is_whole or not seen:
        protocol_effect.look(effect, closer, viewer=viewer, now=MONDAY, enough=lambda: True)
        seen.append((effect.looked, effect.hips))
    assert seen == [(2, 2), (4, 4), (5, 5)]
    assert len({moved.patient_id for moved in effect.moved}) == 5
    assert effect.usual_days("earlier") == (61, 61) and effect.usual_days("later") is None


def test_whoever_is_enrolled_between_two_looks_makes_nobody_count_twice(clinic, watch, make_user, monkeypatch):
    monkeypatch.setattr(protocol_effect, "CHUNK", 2)
    viewer, closer = access.viewer_for(make_user(clinic, "clinician")), Protocol(version=2, standard_interval_months=4)
    effect = Effect()
    for _look in range(8):
        watch()
        protocol_effect.look(effect, closer, viewer=viewer, now=MONDAY, enough=lambda: True)
    seen = [moved.patient_id for moved in effect.moved]
    assert len(seen) == len(set(seen)) == effect.looked


def test_the_hips_are_listed_by_kind_and_page(draft, watch, monkeypatch):
    author, url = draft
    author.post(url, typed(author, url, standard_interval_months="4"))
    for _number in range(3):
        watch()
    monkeypatch.setattr(protocol_versions, "PAGE", 2)
    first, second = (author.get(f"{url}effect/?kind=earlier&page={page}") for page in (0, 1))
    assert "2 of 3" in read(first) and "page=1" in first.content.decode()
    assert "1 of 3" in read(second) and "page=0" in second.content.decode()
    assert "0 entries" in read(author.get(f"{url}effect/?kind=pathway"))
    assert author.get(f"{url}effect/?kind=sideways").status_code == 404
    assert author.post(f"{url}effect/").url == f"{url}effect/"


def test_without_the_cache_the_effect_is_looked_at_anew(draft, watch, settings):
    author, url = draft
    author.post(url, typed(author, url, standard_interval_months="4"))
    watch()
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert "1 hip would move" in read(author.get(f"{url}effect/"))


def test_a_painful_threshold_raises_and_clears_findings(clinic, watch, make_user, actor):
    patient = watch()
    pain = SymptomReport(on=date(2026, 2, 20), source="clinician", pain_nrs=1)
    recording.record_facts(patient.pk, [(Side.LEFT, pain)], by=actor)
    viewer = access.viewer_for(make_user(clinic, "clinician"))
    lenient = Protocol(version=2, symptomatic_nrs_min=3)
    effect = protocol_effect.look(Effect(), lenient, viewer=viewer, now=MONDAY, enough=lambda: False)
    assert effect.rules[("cleared", "R11")] == 1
    assert {"pathway", "cleared", "later"} <= set(effect.moved[0].move.kinds)


def test_the_effect_is_read_in_a_fixed_number_of_queries(draft, watch, django_assert_max_num_queries):
    author, url = draft
    author.post(url, typed(author, url, standard_interval_months="4"))
    for _number in range(6):
        watch()
    with django_assert_max_num_queries(45):
        author.get(f"{url}effect/")


def test_every_parameter_and_every_fault_has_its_words():
    own = {"name", "version"}
    assert set(PARAMETERS) == set(Protocol.__dataclass_fields__) - own
    assert set(FAULTS) == set(WORDINGS)


def test_visits_are_read_in_the_language_of_the_page():
    with translation.override("de"):
        assert visits_of("6 Wochen, 3 Monate") == (Visit("weeks", 6), Visit("months", 3))
        assert visits_of(visits_words(DEFAULT.decompression_visits)) == DEFAULT.decompression_visits


@pytest.mark.parametrize("text", ["6 weeks, 3 months", "6w,3m", "6 WEEKS , 3 Month"])
def test_visits_are_read_as_people_write_them(text):
    assert visits_of(text) == (Visit("weeks", 6), Visit("months", 3))
    assert visits_of(visits_words(DEFAULT.decompression_visits)) == DEFAULT.decompression_visits


def test_the_first_draft_adopts_the_built_in_protocol(draft):
    assert adoption.protocol_in_force(date(2026, 3, 2)) == DEFAULT
    assert [str(one) for one in ProtocolVersion.objects.order_by("id")] == [
        "onfh-small-lesion/1",
        "onfh-small-lesion/2",
    ]
    assert protocol_drafts.compare(*ProtocolVersion.objects.order_by("id").values_list("parameters", flat=True)) == {}
