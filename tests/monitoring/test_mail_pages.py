"""Mail settings and templates: what administrators choose, what staff see before patients do."""

from datetime import date, timedelta

import pytest
from django.utils import formats, timezone, translation

from monitoring.models import AuditEntry
from monitoring.web import mail_templates
from patients.models.clinic import PATIENT_LANGUAGES
from patients.recording import today_at
from schedules import mail_server
from schedules.mail import WORDINGS, telling_words, written_out
from schedules.models import DeliveryEvent, MessagePlan, Reminder
from tests.schedules.conftest import sink  # noqa: F401  a real mail server

KEPT = {
    "on_booking_prompt": "on", "days_booking_prompt": "30", "on_due": "on", "days_due": "0",
    "days_missed": "3", "on_second_missed": "on", "days_second_missed": "21",
    "mail_from": "9", "mail_until": "17", "volume_multiple": "4",
}  # fmt: skip


def test_an_administrator_chooses_what_is_mailed(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "admin"))
    assert 'value="42"' in client.get("/messages/settings/").content.decode(), "days before are positive numbers"
    assert client.post("/messages/settings/", KEPT).status_code == 302
    plan = MessagePlan.objects.get(clinic=clinic)
    assert plan.steps["booking_prompt"] == {"on": True, "days": -30}
    assert plan.steps["missed"] == {"on": False, "days": 3}
    assert (plan.mail_from, plan.mail_until, plan.volume_multiple) == (9, 17, 4)
    page = client.get("/messages/settings/").content.decode()
    assert 'value="30"' in page


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"days_booking_prompt": "71"}, "Enter a whole number from 21 to 70."),
        ({"mail_until": "12"}, "Leave at least 4 hours."),
        ({"mail_from": "17", "mail_until": "9"}, "This is not after 17 o'clock, when mail begins."),
        ({"volume_multiple": "1"}, "Enter a whole number from 2 to 20."),
        ({"days_due": "soon"}, "whole number"),
    ],
)
def test_what_is_out_of_bounds_is_said_and_nothing_is_kept(clinic, make_user, sign_in, wrong, words):
    answer = sign_in(make_user(clinic, "admin")).post("/messages/settings/", KEPT | wrong)
    assert answer.status_code == 422
    assert words in answer.content.decode().replace("&#x27;", "'")
    assert not MessagePlan.objects.exists()


def test_nobody_else_chooses_and_no_other_clinic_is_reached(clinic, other_clinic, make_user, sign_in):
    assert sign_in(make_user(clinic, "coordinator")).get("/messages/settings/").status_code == 403
    admin = make_user(clinic, "admin")
    assert sign_in(admin).post("/messages/settings/", KEPT | {"clinic": other_clinic.pk}).status_code == 404
    assert not MessagePlan.objects.exists()


def test_every_message_is_shown_in_every_language(clinic, make_user, sign_in, subtests):
    client = sign_in(make_user(clinic, "clinician"))
    for step in WORDINGS:
        for language, _name in PATIENT_LANGUAGES:
            with subtests.test(step.value, language=language):
                page = client.get(f"/messages/templates/{step.value}/{language}/")
                assert page.status_code == 200
                assert "frame-src 'self'" in page["Content-Security-Policy"]
                html = client.get(f"/messages/templates/{step.value}/{language}/html/?clinic={clinic.pk}")
                assert f'<html lang="{language}">' in html.content.decode()
                assert "Maria Example" in html.content.decode()
                assert telling_words(page.context["message"].body) == []


def test_the_example_is_of_a_day_that_fits_the_message(clinic):
    today = today_at(clinic, timezone.now())
    for step, days in (("booking_prompt", 42), ("due", 0), ("missed", -1), ("second_missed", -42)):
        with translation.override("en"):
            day = written_out(today + timedelta(days=days))
        assert mail_templates.sample(clinic, step, "en").body.startswith(day)


def test_only_the_mail_itself_may_be_framed_and_it_may_do_nothing(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    html = client.get("/messages/templates/due/en/html/")
    assert html["X-Frame-Options"] == "SAMEORIGIN"
    policy = html["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox" in policy
    assert "script-src" not in policy
    page = client.get("/messages/templates/due/en/")
    assert page["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page["Content-Security-Policy"]


def test_the_sender_is_shown_as_people_read_it(clinic, make_user, sign_in):
    clinic.mail_name = "Klinik Südstadt"
    clinic.save()
    page = sign_in(make_user(clinic, "coordinator")).get("/messages/templates/due/de/").content.decode()
    assert "Klinik Südstadt &lt;" in page
    assert "=?utf-8" not in page


def test_there_is_no_such_message(clinic, other_clinic, make_user, sign_in, client):
    assert client.get("/messages/templates/").url.startswith("/account/login/")
    staff = sign_in(make_user(clinic, "coordinator"))
    for path in ("due/it/", "nonsense/en/", f"due/en/html/?clinic={other_clinic.pk}"):
        assert staff.get(f"/messages/templates/{path}").status_code == 404


def test_a_test_goes_to_oneself_marked_as_such(clinic, make_user, sign_in, sink, settings):  # noqa: F811
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", sink.port, False
    user = make_user(clinic, "coordinator")
    answer = sign_in(user).post("/messages/templates/due/es/test/", {"to": "other@mail.example"})
    assert answer.status_code == 302
    assert sink.recipients == [user.email]
    (message,) = sink.arrived
    assert message["Subject"] == "TEST: Su próxima visita: Northside"
    assert message["List-Unsubscribe"] is None
    entry = AuditEntry.objects.get(act="send_test_mail")
    assert (entry.user_id, entry.object, entry.after["to"]) == (user.pk, "due", user.email)


def test_a_test_that_cannot_go_says_why(clinic, make_user, sign_in, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_USE_TLS = "127.0.0.1", 9, False
    answer = sign_in(make_user(clinic, "coordinator")).post("/messages/templates/due/en/test/", follow=True)
    assert "The test was not sent." in answer.content.decode()


def test_what_was_told_of_a_mail_stands_on_its_row(clinic, enrol, make_user, sign_in):
    patient = enrol(clinic)
    day = date(2026, 11, 20)
    row = Reminder.objects.create(
        clinic=clinic, patient=patient, cycle_on=day, due_on=day, step="missed", send_on=day,
        state="sent", sent_to=patient.email, decided_at=timezone.now(),
    )  # fmt: skip
    for number, kind in enumerate(("deferred", "delivered")):
        DeliveryEvent.objects.create(
            clinic=clinic, patient=patient, reminder=row, kind=kind, at=timezone.now(),
            provider="postmark", event_id=str(number), address=patient.email.upper(),
        )  # fmt: skip
    page = sign_in(make_user(clinic, "coordinator")).get("/messages/sent/").content.decode()
    assert "Delivered, " in page
    assert "Delayed" not in page


def test_a_bounce_mailbox_that_is_not_read_is_shown(clinic, make_user, sign_in, settings):
    client = sign_in(make_user(clinic, "coordinator"))
    assert "mailbox of returned mail" not in client.get("/messages/").content.decode()
    settings.BOUNCE_MAILBOX_URL = "imaps://u:p@mail.example/INBOX"
    assert "The mailbox of returned mail is not read." in client.get("/messages/").content.decode()


def test_the_page_says_since_when_the_mail_server_refuses_everything(clinic, make_user, sign_in):
    client = sign_in(make_user(clinic, "coordinator"))
    assert "has taken no mail" not in client.get("/messages/").content.decode()
    row = mail_server.leave_alone("It puts every mail off: 451", now=timezone.now())
    page = client.get("/messages/").content.decode()
    assert (
        f"has taken no mail since {formats.date_format(timezone.localtime(row.refusing_since), 'DATETIME_FORMAT')}"
        in page
    )
    assert "0 mails wait." in page
    assert "It puts every mail off: 451" in page
    system = sign_in(make_user(clinic, "admin")).get("/system/").content.decode()
    assert "The mail server has taken no mail since" in system


def test_what_goes_out_is_listed_by_the_day_that_is_shown(clinic, enrol, make_user, sign_in):
    now, today = timezone.now(), today_at(clinic, timezone.now())
    for place, (days, put_off) in enumerate([(1, 9), (2, 0), (3, 0)]):
        patient = enrol(clinic, family_name=f"Named{place}")
        Reminder.objects.create(
            clinic=clinic, patient=patient, cycle_on=today, due_on=today, step="due", send_on=today + timedelta(days),
            state="planned", not_before=now + timedelta(put_off) if put_off else None,
        )  # fmt: skip
    page = sign_in(make_user(clinic, "coordinator")).get("/messages/").content.decode()
    assert sorted(range(3), key=lambda place: page.index(f"Named{place}")) == [1, 2, 0]
