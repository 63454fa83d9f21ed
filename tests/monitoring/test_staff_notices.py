"""Staff notices: who gets a digest and when, sent once whatever dies, over a real mail server."""

import re
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connections, transaction
from django.utils import timezone

from monitoring import heartbeats, staff_notices
from monitoring.models import AuditEntry, NoticeChoice, StaffNotice
from monitoring.staff_notices import is_time, recover, send_due
from patients import access
from patients.models import Membership, User
from schedules.channels import BackendChannel, CarefulBackend
from schedules.mail import telling_words
from schedules.models import Reminder
from tests.conftest import PROJECT
from tests.schedules.conftest import channel, sink, wait_for  # noqa: F401  a real mail server

MONDAY = datetime(2027, 3, 29, 7, 30, tzinfo=UTC)  # 8:30 in London and 9:30 in Berlin, the day after the clocks changed


@pytest.fixture
def send(channel):  # noqa: F811
    """`send(at)`: what is due then is sent."""
    return lambda now=MONDAY, **options: send_due(channel, clock=lambda: now, **options)


@pytest.fixture
def uncertain_mail(enrol):
    """Something to say to whoever coordinates: a reminder that may or may not have arrived."""

    def make(clinic, **details):
        patient = enrol(clinic, **details)
        return Reminder.objects.create(
            clinic=clinic,
            patient=patient,
            cycle_on=date(2026, 1, 1),
            due_on=date(2026, 7, 1),
            step="due",
            send_on=date(2026, 7, 1),
            state="uncertain",
            reason="no answer",
        )

    return make


@pytest.fixture
def all_runs():
    """Every recurring run has just ended."""

    def at(now):
        for name in heartbeats.LATE_AFTER:
            heartbeats.finished(name, now)

    return at


@pytest.fixture
def ada(clinic, make_user, uncertain_mail):
    uncertain_mail(clinic)
    return make_user(clinic, "coordinator", name="Ada Okoye")


def states():
    return Counter(StaffNotice.objects.values_list("state", flat=True))


# ---- When


@pytest.mark.parametrize(
    ("zone", "now", "expected"),
    [
        ("Europe/London", datetime(2027, 3, 26, 6, 59, tzinfo=UTC), False),  # Friday, 6:59
        ("Europe/London", datetime(2027, 3, 26, 7, 0, tzinfo=UTC), True),
        ("Europe/London", datetime(2027, 3, 27, 9, 0, tzinfo=UTC), False),  # Saturday
        ("Europe/London", datetime(2027, 3, 28, 9, 0, tzinfo=UTC), False),  # Sunday: the clocks change
        ("Europe/London", datetime(2027, 3, 29, 5, 59, tzinfo=UTC), False),  # Monday, 6:59 in summer time
        ("Europe/London", datetime(2027, 3, 29, 6, 0, tzinfo=UTC), True),
        ("Europe/Berlin", datetime(2027, 3, 29, 5, 0, tzinfo=UTC), True),
        ("Europe/London", datetime(2026, 10, 26, 6, 30, tzinfo=UTC), False),  # Monday after winter time began
        ("Europe/London", datetime(2026, 10, 26, 7, 0, tzinfo=UTC), True),
        ("Europe/London", datetime(2027, 3, 26, 16, 59, tzinfo=UTC), True),
        ("Europe/London", datetime(2027, 3, 26, 17, 0, tzinfo=UTC), False),
        ("Pacific/Auckland", datetime(2027, 3, 28, 19, 0, tzinfo=UTC), True),  # Monday morning there, Sunday here
        ("Pacific/Auckland", datetime(2027, 4, 2, 19, 0, tzinfo=UTC), False),  # Saturday there, Friday here
    ],
)
def test_it_is_sent_on_weekdays_from_the_clinics_morning(clinic, zone, now, expected):
    clinic.time_zone = zone
    assert is_time(clinic, now) is expected


def test_each_person_gets_one_a_day(ada, clinic, send, sink):  # noqa: F811
    assert send().states == {"sent": 1}
    for hours in (0, 1, 5):
        assert send(MONDAY + timedelta(hours=hours)).states == {}
    assert sink.recipients == [ada.email]
    assert send(MONDAY + timedelta(days=1)).states == {"sent": 1}
    assert len(sink.arrived) == 2
    assert len({mail["Message-ID"] for mail in sink.arrived}) == 2


def test_nothing_goes_out_at_the_weekend_and_monday_says_what_is_open(ada, send, sink):  # noqa: F811
    saturday = MONDAY - timedelta(days=2)
    assert send(saturday).states == send(saturday + timedelta(days=1)).states == {}
    assert send().states == {"sent": 1}


def test_with_nothing_to_say_nothing_is_sent_and_that_is_kept(clinic, make_user, all_runs, send, sink):  # noqa: F811
    make_user(clinic, "coordinator")
    all_runs(MONDAY)
    assert send().states == {"nothing_to_say": 1}
    assert sink.arrived == []
    assert send().states == {}


# ---- To whom


@pytest.mark.parametrize("gone", ["deactivated", "no role", "deactivated after planning", "role lost after planning"])
def test_who_does_not_work_here_gets_none(gone, ada, clinic, send, sink):  # noqa: F811
    if "after" in gone:
        staff_notices.plan(clinic, now=MONDAY)
    if gone.startswith("deactivated"):
        User.objects.filter(pk=ada.pk).update(is_active=False)
    else:
        Membership.objects.filter(user=ada).delete()
    send()
    assert sink.arrived == []
    if "after" in gone:
        assert StaffNotice.objects.get().reason == staff_notices.NO_ROLE
    else:
        assert not StaffNotice.objects.exists()


def test_two_clinics_are_two_mails_each_of_its_own(ada, clinic, other_clinic, make_user, uncertain_mail, send, sink):  # noqa: F811
    Membership.objects.create(user=ada, clinic=other_clinic, role="coordinator")
    for _ in range(2):
        uncertain_mail(other_clinic)
    assert send().states == {"sent": 2}
    assert sink.recipients == [ada.email] * 2
    first, second = (mail.get_body(("plain",)).get_content() for mail in sink.arrived)
    assert f"clinic={clinic.pk}" in first and "1 mail may" in first and "2 mails may" not in first
    assert f"clinic={other_clinic.pk}" in second and "2 mails may" in second


def test_who_switched_it_off_gets_none(ada, send, sink):  # noqa: F811
    NoticeChoice.objects.create(user=ada, wanted="none")
    assert send().states == {"nothing_to_say": 1}
    assert StaffNotice.objects.get().reason == staff_notices.SWITCHED_OFF
    assert sink.arrived == []


def test_who_wants_escalations_only_gets_no_other(ada, clinic, make_user, send, sink):  # noqa: F811
    surgeon = make_user(clinic, "clinician", "admin")
    for user in (ada, surgeon):
        NoticeChoice.objects.create(user=user, wanted="escalations")
    assert send().states == {"nothing_to_say": 1, "sent": 1}
    assert sink.recipients == [surgeon.email]
    text = sink.arrived[0].get_body(("plain",)).get_content()
    assert "ESCALATED TO YOU" in text and "THE SYSTEM ITSELF" not in text


# ---- What


def test_what_arrives_is_in_two_forms_and_says_who_may_stop_it(ada, clinic, send, sink, settings):  # noqa: F811
    send()
    mail = sink.arrived[0]
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["List-Unsubscribe"] == f"<{settings.PUBLIC_URL}/notifications/>"
    assert mail["Content-Language"] == "en"
    assert str(mail["From"]).startswith("Northside <")
    text, html = mail.get_body(("plain",)).get_content(), mail.get_body(("html",)).get_content()
    for form in (text, html):
        assert "Dear Ada Okoye" in form and "1 mail may or may not have arrived" in form
        assert f"{settings.PUBLIC_URL}/messages/uncertain/?clinic={clinic.pk}" in form
    notice = StaffNotice.objects.get()
    assert (notice.sent_to, notice.message_id) == (ada.email, mail["Message-ID"])
    assert notice.counts["mail_uncertain"] == 1
    assert AuditEntry.objects.get(act="send_digest").actor == "system: digest"


def test_it_is_written_in_the_language_of_its_reader(ada, send, sink):  # noqa: F811
    User.objects.filter(pk=ada.pk).update(language="de")
    send()
    mail = sink.arrived[0]
    assert mail["Content-Language"] == "de"
    assert "29. März 2027" in mail.get_body(("plain",)).get_content()
    assert "unsicher" in mail.get_body(("html",)).get_content()


@pytest.mark.parametrize("language", ["en", "de"])
def test_no_patient_is_named_in_what_arrives(language, clinic, make_user, uncertain_mail, send, sink):  # noqa: F811
    row = uncertain_mail(clinic, family_name="Zwetschgenbaum", given_name="Roswitha", record_number="HW-99999")
    make_user(clinic, "coordinator", "admin", language=language, name="Ada Okoye")
    heartbeats.finished("mail", MONDAY)
    send()
    mail = sink.arrived[0]
    raw = "\n".join([*(f"{name}: {value}" for name, value in mail.items()), *(
        part.get_content() for part in mail.walk() if not part.is_multipart()
    )])  # fmt: skip
    for secret in ("Zwetschgenbaum", "Roswitha", "HW-99999", row.patient.email, "1990", "Hipwatch"):
        assert not re.search(rf"\b{re.escape(secret)}\b", raw)  # a random boundary may hold its digits
    shown = re.sub(r"https?://\S+|<style.*?</style>|<[^>]+>", " ", raw, flags=re.DOTALL)
    assert telling_words(shown) == []


def test_a_rehearsal_sends_it_to_the_one_address(ada, send, sink, settings):  # noqa: F811
    settings.MAIL_REHEARSAL_TO = "rehearsal@clinic.example"
    send()
    assert sink.recipients == ["rehearsal@clinic.example"]
    assert str(sink.arrived[0]["Subject"]).startswith("[REHEARSAL]")
    assert StaffNotice.objects.get().sent_to == "rehearsal@clinic.example"


def test_the_stop_switch_stops_mail_to_patients_only(ada, clinic, send):
    clinic.mail_stopped = True
    clinic.save()
    assert send().states == {"sent": 1}


# ---- Once


@pytest.mark.parametrize(
    ("answer", "state"),
    [("550 5.1.1 unknown", "failed"), ("451 later", "planned"), ("421 away", "planned")],
)
def test_what_the_server_says_decides(answer, state, ada, send, sink):  # noqa: F811
    sink.answers[ada.email] = answer
    send()
    notice = StaffNotice.objects.get()
    assert notice.state == state
    assert sink.arrived == []
    sink.answers.clear()
    send(MONDAY + timedelta(hours=1))
    assert len(sink.arrived) == (0 if state == "failed" else 1)


def test_three_transient_failures_are_enough(ada, send, sink):  # noqa: F811
    sink.answers[ada.email] = "451 later"
    for hours in range(5):
        send(MONDAY + timedelta(hours=hours))
    assert (StaffNotice.objects.get().state, len(sink.addressed)) == ("failed", 3)


def test_a_server_that_is_silent_after_the_dot_leaves_it_uncertain_and_it_is_not_repeated(ada, send, sink, monkeypatch):  # noqa: F811
    from schedules import channels

    monkeypatch.setattr(channels._SMTP, "after_dot", 0.3)
    sink.answers[f"data:{ada.email}"] = "silence"
    assert send().states == {"uncertain": 1}
    sink.answers.clear()
    assert send(MONDAY + timedelta(hours=2)).states == {}
    assert len(sink.arrived) == 1
    assert send(MONDAY + timedelta(days=1)).states == {"sent": 1}, "the next day says everything again"


def test_without_a_server_it_waits_and_is_not_counted(ada, send, sink):  # noqa: F811
    nobody = BackendChannel(CarefulBackend(host="127.0.0.1", port=1, timeout=2))
    tally = send_due(nobody, clock=lambda: MONDAY)
    assert tally.unreachable
    assert (StaffNotice.objects.get().state, StaffNotice.objects.get().attempts) == ("planned", 0)
    assert send(MONDAY + timedelta(minutes=5)).states == {"sent": 1}


def test_what_the_day_was_not_enough_for_is_shown_as_failed(ada, clinic, make_user, send):
    staff_notices.plan(clinic, now=MONDAY)
    assert recover(now=MONDAY + timedelta(hours=12)) == 0
    assert recover(now=MONDAY + timedelta(days=1)) == 1
    assert StaffNotice.objects.get().reason == staff_notices.DAY_OVER


def test_a_worker_that_died_leaves_it_uncertain_for_the_day(ada, clinic, send, sink):  # noqa: F811
    staff_notices.plan(clinic, now=MONDAY)
    StaffNotice.objects.update(
        state="sending", claimed_by="dead", lease_until=MONDAY + timedelta(minutes=15), sent_to=ada.email
    )
    assert send(MONDAY + timedelta(minutes=10)).states == {}
    send(MONDAY + timedelta(minutes=20))
    notice = StaffNotice.objects.get()
    assert (notice.state, notice.reason) == ("uncertain", staff_notices.WORKER_DIED)
    assert sink.arrived == []


def test_two_workers_at_once_send_each_once(committed_database, make_clinic, make_user, uncertain_mail, sink):  # noqa: F811
    with transaction.atomic():
        clinic = make_clinic("Northside Clinic")
        uncertain_mail(clinic)
        staff = [make_user(clinic, "coordinator").email for _ in range(12)]
    faults = []

    def work():
        try:
            send_due(BackendChannel(CarefulBackend(host="127.0.0.1", port=sink.port, timeout=5)), clock=lambda: MONDAY)
        except Exception as fault:
            faults.append(fault)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert sorted(sink.recipients) == sorted(staff)
    with access.system_run("test"):
        assert states() == {"sent": 12}


SEND = (
    "import django; django.setup(); from datetime import datetime, UTC; from monitoring.staff_notices import send_due;"
    f" send_due(clock=lambda: datetime.fromisoformat({MONDAY.isoformat()!r}))"
)


@pytest.mark.slow
def test_a_process_killed_while_it_sends_doubles_nothing(
    process_environment, make_clinic, make_user, uncertain_mail, tmp_path
):
    log = tmp_path / "arrived.log"
    log.touch()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.schedules.smtp_sink", str(log), "0.4"],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdout is not None
    environment = {**process_environment, "EMAIL_URL": f"smtp://127.0.0.1:{int(server.stdout.readline())}"}
    with transaction.atomic():
        clinic = make_clinic("Northside Clinic")
        uncertain_mail(clinic)
        staff = [make_user(clinic, "coordinator").email for _ in range(4)]
    try:
        victim = subprocess.Popen([sys.executable, "-c", SEND], cwd=PROJECT, env=environment)
        assert wait_for(lambda: bool(log.read_text()), 60), "the first mail is on its way"
        victim.kill()
        victim.wait()
        subprocess.run([sys.executable, "-c", SEND], cwd=PROJECT, env=environment, check=True, timeout=120)
    finally:
        server.kill()
        server.wait()
    time.sleep(0.1)
    arrived = [line.split()[0] for line in log.read_text().splitlines()]
    assert len(arrived) == len(set(arrived)), "nobody got two"
    recover(now=MONDAY + timedelta(hours=1))
    with access.system_run("test"):
        assert states() == {"sent": 3, "uncertain": 1}
        uncertain = StaffNotice.objects.get(state="uncertain")
    assert {*arrived, uncertain.sent_to} == set(staff)


# ---- The pages


def test_one_chooses_for_oneself_and_it_is_audited(ada, sign_in):
    client = sign_in(ada)
    page = client.get("/notifications/").content.decode()
    assert 'value="all"' in page and "Notifications" in page
    assert client.post("/notifications/", {"wanted": "escalations", "language": "de"}).status_code == 302
    ada.refresh_from_db()
    assert (staff_notices.wanted_by(ada), ada.language) == ("escalations", "de")
    entry = AuditEntry.objects.get(act="choose_notices")
    assert (entry.actor, entry.before["wanted"], entry.after["wanted"]) == ("Ada Okoye", "all", "escalations")


@pytest.mark.parametrize("wrong", [{"wanted": "some", "language": "en"}, {"wanted": "all", "language": "tlh"}, {}])
def test_a_choice_there_is_not_is_refused(wrong, ada, sign_in):
    answer = sign_in(ada).post("/notifications/", wrong | {"x": "1"})
    assert answer.status_code == 422
    assert not NoticeChoice.objects.exists()


def test_the_preview_is_the_mail_that_would_go_out_and_sends_nothing(ada, sign_in, sink):  # noqa: F811
    client = sign_in(ada)
    page = client.get("/notifications/preview/")
    assert "{&#x27;name&#x27;" not in page.text, "the tabs do not stand in the menu of the person"
    assert page.status_code == 200
    assert "1 mail may or may not have arrived" in page.content.decode()
    assert "1 mail may or may not have arrived" in client.get("/notifications/preview/html/").content.decode()
    assert not StaffNotice.objects.exists()
    assert sink.arrived == []


def test_the_preview_says_when_nothing_would_go_out(clinic, make_user, all_runs, sign_in):
    user = make_user(clinic, "coordinator")
    all_runs(timezone.now())
    assert "Nothing to say today" in sign_in(user).get("/notifications/preview/").content.decode()
    NoticeChoice.objects.create(user=user, wanted="none")
    assert "switched the digest off" in sign_in(user).get("/notifications/preview/").content.decode()


def test_no_other_clinics_digest_is_shown(ada, other_clinic, sign_in):
    assert sign_in(ada).get(f"/notifications/preview/?clinic={other_clinic.pk}").status_code == 404
    assert sign_in(ada).get(f"/notifications/preview/html/?clinic={other_clinic.pk}").status_code == 404


def test_administrators_see_which_digests_did_not_arrive(ada, clinic, make_user, sign_in):
    StaffNotice.objects.create(
        user=ada, clinic=clinic, day=timezone.now().date(), state="failed", reason="The server said: 550", actor="x"
    )
    page = sign_in(make_user(clinic, "admin")).get("/notifications/").content.decode()
    assert "did not reach their readers" in page and ada.email in page
    page = sign_in(make_user(clinic, "coordinator")).get("/notifications/").content.decode()
    assert "did not reach their readers" not in page and ada.email not in page


def test_who_is_not_signed_in_is_asked_to(client, clinic):
    assert client.get("/notifications/").status_code == 302
