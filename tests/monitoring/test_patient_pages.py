"""Patients' own pages over HTTP: who gets in by which link, what an answer sets off, and what nobody learns there."""

import re
import threading
from datetime import UTC, date, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.db import connection, connections, transaction
from django.db.utils import ProgrammingError
from django.test import Client
from django.utils import translation

from monitoring.models import AuditEntry, HipEvaluation, PatientLinkUse, ReviewCase
from monitoring.patient_pages import door, questions
from patients import access, recording
from patients.models import Clinic, Consent, ContactWish, Imaging, Patient, SymptomReport
from patients.vocabulary import Side
from schedules import links
from schedules.links import BadLink, Purpose
from schedules.models import Reminder

NOON = datetime(2026, 3, 5, 12, tzinfo=UTC)
STRONG_LEFT = {"where": "left", "strength-left": "8", "worse-left": "night", "weight-left": "yes"}
SECRETS = ("Adeyemi", "Marta", "RN-4711", "1990", "10 March", "March 10", "HW-", "Hip Clinic", "Northside Hip")
DISEASE = ("necro", "nekro", "osteo", "avn", "ARCO", "femoral", "lesion", "Hipwatch", "collapse", "surge")


@pytest.fixture(autouse=True)
def at_noon():
    cache.clear()
    with time_machine.travel(NOON, tick=False):
        yield


def reminder_for(patient, **details):
    return Reminder.objects.create(
        **{
            "clinic": patient.clinic,
            "patient": patient,
            "cycle_on": date(2026, 1, 10),
            "due_on": date(2026, 4, 10),
            "step": "due",
            "send_on": NOON.date(),
            "state": "planned",
            **details,
        }
    )


@pytest.fixture
def watched(clinic, enrol, actor):
    """A small silent lesion on the left, on record since January."""
    patient = enrol(clinic, family_name="Adeyemi", record_number="RN-4711")
    mri = Imaging(on=date(2026, 1, 10), modality="MR", necrosis=True, lesion_volume_percent=12,
                  volume_method="MRI_3D_SEGMENTATION")  # fmt: skip
    calm = SymptomReport(on=date(2026, 1, 10), source="clinician", symptomatic=False)
    recording.record_facts(patient.pk, [(Side.LEFT, mri), (Side.LEFT, calm)], by=actor)
    return patient


@pytest.fixture
def mail(watched):
    return reminder_for(watched)


class Visitor:
    """A browser without an account; the test sees every clinic again after each request."""

    def __init__(self, url, **headers):
        self.client, self.path, self.headers = Client(enforce_csrf_checks=True), url.split("8000")[-1], headers
        self.path = "/p/" + url.split("/p/")[1]

    def __call__(self, method="get", data=None):
        self.reply = getattr(self.client, method)(self.path, data or {}, headers=self.headers)
        access.bind_clinics(Clinic.objects.values_list("id", flat=True))
        return self.reply

    @property
    def page(self):
        return self.reply.content.decode()

    @property
    def state(self):
        return re.search(r'name="state" value="([^"]*)"', self.page)[1]

    def answer(self, **said):
        return self("post", {"state": self.state, **{key.replace("_", "-"): value for key, value in said.items()}})

    def walk(self, answers, note=""):
        self()
        for key, value in answers.items():
            self("post", {"state": self.state, key: value})
        return self("post", {"state": self.state, "note": note, "send": "1"})


@pytest.fixture
def visit(mail):
    return lambda purpose=Purpose.CHECK, row=None: Visitor(links.url_of(links.link_of(row or mail, purpose)))


def kept():
    return SymptomReport.objects.filter(origin="patient")


# ---- The symptom check


def test_answers_become_reports_of_both_hips_and_open_a_review_at_once(watched, visit):
    assert not ReviewCase.objects.filter(action="CORE_DECOMPRESSION_REVIEW").exists()
    reply = visit().walk(STRONG_LEFT, note="since the weekend")
    assert reply.status_code == 200
    reports = {row.hip.side: row for row in kept()}
    left, right = reports["left"], reports["right"]
    assert (left.symptomatic, left.pain_nrs, left.night_pain) == (True, 8, True)
    assert (left.sudden_worsening, left.cannot_bear_weight, left.note) == (False, False, "since the weekend")
    assert (right.symptomatic, right.pain_nrs, right.note) == (False, None, "")
    assert {(row.source, row.actor, row.on) for row in kept()} == {("patient", "patient, by link", NOON.date())}
    assert left.visit_id == right.visit_id is not None
    case = ReviewCase.objects.get(action="CORE_DECOMPRESSION_REVIEW")
    assert (case.hip.side, case.state) == ("left", "open")
    entry = AuditEntry.objects.get(act="answer_symptom_check")
    assert (entry.actor, entry.patient_id) == ("patient, by link", watched.pk) and entry.request_id


def test_it_asks_one_question_a_screen_and_each_side_that_hurts(visit):
    browser = visit()
    browser()
    titles = []
    answers = {"where": "both"}
    for side in ("right", "left"):
        answers |= {f"strength-{side}": "3", f"worse-{side}": "no", f"weight-{side}": "yes"}
    for key, value in answers.items():
        assert browser.page.count("<h1") == 1 and f'name="{key}"' in browser.page
        titles.append(re.search(r"<h1>(.*?)</h1>", browser.page)[1])
        browser("post", {"state": browser.state, key: value})
    assert len(set(titles)) == 7
    assert "Send your answers" in browser.page and all(title in browser.page for title in titles)


@pytest.mark.parametrize(
    ("changes", "severe"),
    [
        ({}, False),
        ({"strength-left": "7"}, True),
        ({"worse-left": "sudden"}, True),
        ({"worse-left": "night"}, True),
        ({"weight-left": "no"}, True),
    ],
)
def test_severe_answers_say_what_to_do_now(visit, changes, severe):
    mild = {"where": "left", "strength-left": "4", "worse-left": "no", "weight-left": "yes"}
    browser = visit()
    browser.walk({**mild, **changes})
    assert ("Please telephone us today" in browser.page) is severe
    assert ("emergency" in browser.page) is severe
    assert 'href="tel:+442079460000"' in browser.page


def test_the_page_says_in_the_patients_language_when_somebody_is_there(visit, watched):
    Patient.objects.filter(pk=watched.pk).update(language="de")
    Clinic.objects.filter(pk=watched.clinic_id).update(opening_hours="Mon-Fri", opening_hours_in="de: Mo-Fr 8-16 Uhr")
    browser = visit()
    browser()
    assert "Mo-Fr 8-16 Uhr" in browser.page and "Mon-Fri" not in browser.page


def test_no_pain_is_recorded_as_that_and_opens_nothing(visit, watched):
    browser = visit()
    browser.walk({"where": "none"})
    assert "nothing hurts" in browser.page
    assert list(kept().values_list("symptomatic", "pain_nrs", "night_pain")) == [(False, None, None)] * 2
    assert not ReviewCase.objects.filter(action="CORE_DECOMPRESSION_REVIEW").exists()
    assert not HipEvaluation.objects.filter(patient=watched, symptomatic=True).exists()


def test_one_can_go_back_and_change_an_answer(visit):
    browser = visit()
    browser()
    browser.answer(where="left")
    browser.answer(strength_left="9")
    browser("post", {"state": browser.state, "back": "1"})
    assert 'value="9" class="chosen"' in browser.page
    browser("post", {"state": browser.state, "back": "1"})
    assert "around your hips" in browser.page and 'name="back"' not in browser.page
    browser.answer(where="none")
    browser("post", {"state": browser.state, "note": ""})
    assert set(kept().values_list("symptomatic", flat=True)) == {False}


def test_a_screen_without_an_answer_asks_again(visit):
    browser = visit()
    browser()
    for wrong in ({}, {"where": "everywhere"}, {"strength_left": "3"}):
        reply = browser.answer(**wrong)
        assert reply.status_code == 422 and "Please choose an answer." in browser.page


def test_nothing_is_kept_before_the_last_screen(visit):
    browser = visit()
    browser()
    for key, value in STRONG_LEFT.items():
        browser("post", {"state": browser.state, key: value})
    assert not kept().exists() and not PatientLinkUse.objects.exists()


@pytest.mark.parametrize("state", ["", "nonsense", "eyJ3aGVyZSI6Im5vbmUifQ:1abc:forged"])
def test_answers_that_are_not_ours_begin_again(visit, state):
    browser = visit()
    browser("post", {"state": state, "note": ""})
    assert "around your hips" in browser.page and "begin again" in browser.page
    assert not kept().exists()


def test_answers_of_one_link_are_no_answers_to_another(visit, mail, watched):
    ours, other = visit(), visit(row=reminder_for(watched, step="missed"))
    ours()
    ours.answer(where="none")
    other("post", {"state": ours.state, "note": "", "send": "1"})
    assert "begin again" in other.page and not kept().exists()


def test_a_half_filled_page_of_yesterday_begins_again(visit):
    browser = visit()
    browser()
    browser.answer(where="none")
    with time_machine.travel(NOON + timedelta(hours=13), tick=False):
        browser("post", {"state": browser.state, "note": "", "send": "1"})
    assert "begin again" in browser.page and not kept().exists()


def test_a_note_that_is_too_long_keeps_what_was_typed(visit):
    browser = visit()
    reply = browser.walk({"where": "none"}, note="x" * 1001)
    assert reply.status_code == 422 and "x" * 1001 in browser.page
    assert not kept().exists()


# ---- Links that do not open


def test_a_used_link_thanks_and_records_nothing_more(visit):
    browser = visit()
    browser.walk(STRONG_LEFT)
    again = visit()
    for method in ("get", "post"):
        reply = again(method)
        assert reply.status_code == 410
        assert "You have answered already" in again.page and "+44 20 7946 0000" in again.page
    assert kept().count() == 2


def test_a_page_that_was_open_twice_answers_once(visit):
    first, second = visit(), visit()
    for browser in (first, second):
        browser()
        browser.answer(where="none")
    assert first("post", {"state": first.state, "send": "1"}).status_code == 200
    assert second("post", {"state": second.state, "send": "1"}).status_code == 410
    assert kept().count() == 2


@pytest.mark.parametrize("purpose", list(Purpose))
def test_an_old_link_says_so_with_the_clinics_number(visit, purpose, mail):
    last_day = NOON + timedelta(days=links.GOOD_FOR_DAYS[purpose])
    browser = visit(purpose)
    with time_machine.travel(last_day, tick=False):
        assert browser().status_code == 200
    for method in ("get", "post"):
        with time_machine.travel(last_day + timedelta(days=1), tick=False):
            assert browser(method).status_code == 410
        assert "This link is too old" in browser.page and "+44 20 7946 0000" in browser.page
    assert ContactWish.objects.get().allowed


@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_changed_link_opens_nothing_and_still_names_the_clinics_number(visit, mail, purpose, other_clinic, enrol):
    browser = visit(purpose)
    path = browser.path
    token = path.rsplit("/", 1)[1]
    clinic_id, patient_id, reminder_id, rest = token.split("-", 3)
    other = enrol(other_clinic)
    for changed in (
        token[:-1],
        token[:-1] + ("A" if token[-1] != "A" else "B"),
        f"{clinic_id}-{other.pk}-{reminder_id}-{rest}",
        f"{clinic_id}-{patient_id}-{reminder_id}-{int(rest.split('.')[0]) + 999}.{rest.split('.', 1)[1]}",
    ):
        browser.path = path.replace(token, changed)
        for method in ("get", "post"):
            assert browser(method).status_code == 404
            assert "This link does not work" in browser.page and "+44 20 7946 0000" in browser.page
    for nonsense in ("x", "1", "0-0-0-0.AAAA", "9" * 60, "-" * 9, "%00", "é", "..", "1-2-3-4-5.x"):
        browser.path = f"/p/{purpose}/{nonsense}"
        assert browser().status_code in {404, 400}
    assert ContactWish.objects.filter(patient=mail.patient).get().allowed and not kept().exists()


def test_a_link_opens_its_own_page_only(mail):
    for made_for in Purpose:
        token = links.sign(links.link_of(mail, made_for))
        for other in set(Purpose) - {made_for}:
            browser = Visitor(f"/p/{other}/{token}")
            assert browser("post", {"stop": "1"}).status_code == 404
    assert ContactWish.objects.get().allowed


def test_a_link_that_names_another_clinic_finds_nobody(mail, other_clinic):
    link = links.link_of(mail, Purpose.STOP)
    wrong = links.Link(Purpose.STOP, other_clinic.pk, link.patient_id, link.reminder_id, link.expires_on)
    browser = Visitor(links.url_of(wrong))
    assert browser("post", {"stop": "1"}).status_code == 404
    assert ContactWish.objects.get().allowed


def test_a_mail_of_somebody_else_opens_nothing(mail, clinic, enrol):
    other = enrol(clinic)
    link = links.link_of(mail, Purpose.STOP)
    wrong = links.Link(Purpose.STOP, clinic.pk, other.pk, link.reminder_id, link.expires_on)
    assert Visitor(links.url_of(wrong))("post", {"stop": "1"}).status_code == 404


def test_the_link_of_a_patient_who_died_opens_nothing(mail, visit, actor):
    recording.record_death(mail.patient_id, by=actor, died_on=NOON.date(), source="letter")
    browser = visit()
    assert browser("post").status_code == 410
    assert "+44 20 7946 0000" in browser.page and not kept().exists()


def test_looking_changes_nothing(visit):
    """Mail scanners open every link, with GET and HEAD, often."""
    before = (Patient.objects.values().get(), list(ContactWish.objects.values()), AuditEntry.objects.count())
    for purpose in Purpose:
        for method in ("get", "head", "get"):
            reply = visit(purpose)(method, {"stop": "1", "List-Unsubscribe": "One-Click", "where": "none"})
            assert reply.status_code == 200
            assert method == "get" or reply.content == b""
    assert (Patient.objects.values().get(), list(ContactWish.objects.values()), AuditEntry.objects.count()) == before
    assert not PatientLinkUse.objects.exists()
    assert visit()("put").status_code == visit()("delete").status_code == 405


# ---- What the pages tell


@pytest.mark.parametrize("language", ["en", "de", "es", "fr"])
def test_pages_name_neither_the_patient_nor_the_disease(visit, mail, language):
    Patient.objects.update(language=language)
    pages = []
    for purpose in Purpose:
        browser = visit(purpose)
        browser()
        pages.append(browser)
    walked = visit()
    walked()
    for key, value in STRONG_LEFT.items():
        pages.append(visit())
        pages[-1].reply = walked.reply
        walked("post", {"state": walked.state, key: value})
    pages.append(visit())
    pages[-1].reply = walked.reply
    walked("post", {"state": walked.state, "send": "1"})
    used, broken = visit(), visit()
    used()
    broken.path += "x"
    broken()
    for browser in (*pages, walked, used, broken):
        words = re.sub(r"<link[^>]*>|<input[^>]*>|<style.*?</style>|<[^>]+>", " ", browser.page)
        for secret in (*SECRETS, *DISEASE):
            assert secret.lower() not in words.lower(), (secret, words)
        assert "Northside" in words and "+44 20 7946 0000" in words
        assert mail.patient.email not in browser.page


def test_the_page_speaks_the_patients_language(visit):
    Patient.objects.update(language="de")
    browser = visit()
    reply = browser()
    assert 'lang="de"' in browser.page and reply["Content-Language"] == "de"
    assert "Hatten Sie in den letzten 7 Tagen" in browser.page
    browser.walk({"where": "none"})
    assert "Vielen Dank" in browser.page


def test_a_broken_link_speaks_the_browsers_language(visit):
    browser = visit()
    browser.headers = {"Accept-Language": "de"}
    browser.path += "x"
    browser()
    assert "Dieser Link funktioniert nicht" in browser.page


@pytest.mark.parametrize("language", ["de", "es", "fr"])
def test_every_sentence_is_translated(language):
    import ast
    from pathlib import Path

    folder = Path(questions.__file__).parent
    wanted = set()
    for source in folder.glob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_":
                wanted.add(ast.literal_eval(node.args[0]))
    for template in (folder.parent / "templates/monitoring/patient_pages").iterdir():
        text = template.read_text()
        wanted |= set(re.findall(r'{% translate "([^"]+)" %}', text))
        wanted |= {
            re.sub(r"{{ (\w+) }}", r"%(\1)s", block)
            for block in re.findall(r"{% blocktranslate[^%]*%}(.*?){% endblocktranslate %}", text)
        }
    assert len(wanted) > 60
    with translation.override(language):
        same = sorted(text for text in wanted - {"No"} if translation.gettext(text) == text)
    assert same == []


@pytest.mark.parametrize("purpose", list(Purpose))
def test_pages_are_kept_by_nobody_and_set_no_cookie(visit, purpose):
    for reply in (visit(purpose)(), visit(purpose)("post"), Visitor(f"/p/{purpose}/x")()):
        assert reply["Referrer-Policy"] == "no-referrer"
        assert "noindex" in reply["X-Robots-Tag"]
        assert reply["Cache-Control"] == "no-store"
        assert "script-src" in reply["Content-Security-Policy"]
        assert not reply.cookies


def test_a_member_of_staff_who_is_signed_in_sees_the_patients_page(visit, make_user, clinic, other_clinic):
    browser = visit(Purpose.STOP)
    user = make_user(other_clinic, "coordinator", name="Kim Staff")
    browser.client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    browser("post", {"stop": "1"})
    assert "Kim Staff" not in browser.page
    assert ContactWish.objects.get().allowed is False
    assert AuditEntry.objects.filter(act="set_contact_wish").latest("id").actor == "patient, by link"


# ---- Contact wishes


def test_wishes_are_shown_saved_and_undone(visit, mail):
    browser = visit(Purpose.WISHES)
    browser()
    browser("post", {"email": "no", "telephone": "yes", "letter": "", "language": "de"})
    wishes = {wish.channel: wish for wish in ContactWish.objects.all()}
    assert {channel: wish.allowed for channel, wish in wishes.items()} == {"email": False, "telephone": True}
    assert wishes["email"].how == "by the link in a mail"
    assert Patient.objects.get().language == "de"
    assert 'lang="de"' in browser.page, "it answers in the language that was just chosen"
    undo = re.search(r'name="undo" value="([^"]+)"', browser.page)[1]
    browser("post", {"undo": undo})
    assert Patient.objects.get().language == "en"
    assert ContactWish.objects.get(channel="email").allowed is True
    assert "as it was before" in browser.page
    assert {"set_contact_wish", "amend_patient"} <= set(
        AuditEntry.objects.filter(actor="patient, by link").values_list("act", flat=True)
    )


@pytest.mark.parametrize("answer", ["yes", "no"])
def test_an_undo_never_agrees_to_what_nobody_agreed_to(visit, mail, answer):
    browser = visit(Purpose.WISHES)  # e-mail was agreed to, nothing else was asked about
    asked = ("email", "telephone", "letter", "symptom_check", "research")
    browser("post", dict.fromkeys(asked, answer) | {"language": "en"})
    assert Consent.objects.filter(allowed=answer == "yes").count() == 2
    browser("post", {"undo": re.search(r'name="undo" value="([^"]+)"', browser.page)[1]})
    assert "as it was before" in browser.page
    assert not Consent.objects.filter(allowed=True).exists()
    wishes = dict(ContactWish.objects.values_list("channel", "allowed"))
    assert wishes == {"email": True, "telephone": True, "letter": True}


@pytest.mark.parametrize("rest", ["", "wishes", "wishes/", "questions/1-2-3.x/", "nothing/at/all"])
def test_a_broken_address_is_told_to_a_patient_and_not_to_staff(client, db, rest):
    reply = client.get(f"/p/{rest}")
    page = reply.content.decode()
    assert reply.status_code == 404 and "This link does not work" in page
    assert "Hipwatch" not in page and "worklist" not in page


def test_saving_what_is_so_already_writes_nothing(visit):
    before = AuditEntry.objects.count()
    browser = visit(Purpose.WISHES)
    browser("post", {"email": "yes", "language": "en"})
    assert AuditEntry.objects.count() == before and 'name="undo"' not in browser.page


def test_an_unknown_language_is_refused(visit):
    browser = visit(Purpose.WISHES)
    assert browser("post", {"email": "no", "language": "xx"}).status_code == 422
    assert ContactWish.objects.get().allowed


def test_wanting_nothing_is_told_what_it_means(visit):
    browser = visit(Purpose.WISHES)
    browser("post", {"email": "no", "telephone": "no", "letter": "no", "language": "en"})
    assert "cannot remind you" in browser.page


def test_an_undo_is_good_for_an_hour_and_for_its_own_link(visit, mail, watched):
    browser = visit(Purpose.STOP)
    browser("post", {"stop": "1"})
    undo = re.search(r'name="undo" value="([^"]+)"', browser.page)[1]
    other = visit(Purpose.STOP, reminder_for(watched, step="missed"))
    other("post", {"undo": undo})
    assert ContactWish.objects.get().allowed is False
    with time_machine.travel(NOON + timedelta(hours=2), tick=False):
        browser("post", {"undo": undo})
    assert ContactWish.objects.get().allowed is False
    browser("post", {"undo": undo})
    assert ContactWish.objects.get().allowed is True


def test_one_click_unsubscribes_without_cookie_or_token_and_twice_does_no_harm(visit, mail):
    for _ in range(2):
        reply = visit(Purpose.STOP)("post", {"List-Unsubscribe": "One-Click"})
        assert reply.status_code == 200
    wish = ContactWish.objects.get()
    assert (wish.allowed, wish.how) == (False, "unsubscribed by the link in a mail")
    assert AuditEntry.objects.filter(act="set_contact_wish").count() == 1


def test_the_stop_page_asks_first_and_leads_to_the_wishes(visit):
    browser = visit(Purpose.STOP)
    browser()
    assert "Do you want no more e-mails" in browser.page and ContactWish.objects.get().allowed
    browser("post", {"stop": "1"})
    more = re.search(r'href="([^"]*/p/wishes/[^"]+)"', browser.page)[1]
    assert Visitor(more)().status_code == 200
    browser()
    assert "not write you e-mails any more" in browser.page


# ---- Limits and the database


def test_thirty_posts_a_minute_of_one_address(visit):
    browser = visit()
    replies = [browser("post").status_code for _ in range(door.POSTS_A_MINUTE + 1)]
    assert set(replies[:-1]) == {200} and replies[-1] == 429
    assert "Please wait a minute" in browser.page
    assert browser().status_code == 200, "looking is not counted"
    assert Visitor("/p/stop/x")("post").status_code == 429
    one_click = visit(Purpose.STOP)
    assert one_click("post", {"List-Unsubscribe": "One-Click"}).status_code == 200, "a provider speaks for many"
    with time_machine.travel(NOON + timedelta(minutes=1), tick=False):
        assert browser("post").status_code == 200


def test_without_redis_everything_works(visit, settings):
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}}
    assert visit().walk({"where": "none"}).status_code == 200
    assert kept().count() == 2


def test_a_use_is_seen_by_its_own_clinic_only_and_cannot_be_taken_back(visit, clinic, other_clinic):
    visit().walk({"where": "none"})
    access.bind_clinics([other_clinic.pk])
    assert not PatientLinkUse.objects.exists()
    access.bind_clinics([clinic.pk])
    assert PatientLinkUse.objects.get().purpose == Purpose.CHECK
    for act in (PatientLinkUse.objects.all().delete, lambda: PatientLinkUse.objects.update(purpose="stop")):
        with pytest.raises(ProgrammingError), transaction.atomic():
            act()


def test_a_page_sees_the_clinic_of_its_link_only(visit, clinic, other_clinic, enrol, monkeypatch):
    enrol(other_clinic)
    seen = []
    original = door._open

    def watching(*args):
        reply = original(*args)
        seen.append(set(Patient.objects.values_list("clinic_id", flat=True)))
        return reply

    monkeypatch.setattr(door, "_open", watching)
    visit()()
    assert seen == [{clinic.pk}]


def test_a_double_tap_answers_once(committed_database, make_clinic, enrol, django_db_blocker):
    with django_db_blocker.unblock():
        with transaction.atomic():
            clinic = make_clinic("Northside Clinic")
            row = reminder_for(enrol(clinic))
        url = links.url_of(links.link_of(row, Purpose.CHECK))
        path = "/p/" + url.split("/p/")[1]
        page = Client().get(path).content.decode()
        state = re.search(r'name="state" value="([^"]*)"', page)[1]
        page = Client().post(path, {"state": state, "where": "none"}).content.decode()
        state = re.search(r'name="state" value="([^"]*)"', page)[1]
        start, codes = threading.Barrier(4), []

        def tap():
            try:
                start.wait()
                codes.append(Client().post(path, {"state": state, "send": "1"}).status_code)
            finally:
                connections.close_all()

        taps = [threading.Thread(target=tap) for _ in range(4)]
        for thread in taps:
            thread.start()
        for thread in taps:
            thread.join()
        assert sorted(codes) == [200, 410, 410, 410]
        with transaction.atomic():
            access.bind_clinics([clinic.pk])
            assert kept().count() == 2 and PatientLinkUse.objects.count() == 1
        connection.close()


# ---- Links


def test_links_carry_numbers_only_and_end_on_their_day(mail):
    for purpose in Purpose:
        link = links.link_of(mail, purpose)
        token = links.sign(link)
        assert links.read(token, purpose) == link
        assert re.fullmatch(r"[\d-]+\.[\w-]+", token)
        assert len(links.url_of(link)) < 120
    with pytest.raises(BadLink):
        links.read(links.sign(links.link_of(mail, Purpose.CHECK)), Purpose.STOP)


@pytest.mark.parametrize("token", ["", ".", "1-2-3", "é-1", "1" * 500, "1-2-3-99999999999.x", "a-b-c-d.e"])
def test_what_was_not_signed_is_no_link(token):
    with pytest.raises(BadLink):
        links.read(token, Purpose.STOP)
