"""Mail by a provider's HTTP interface, against a real server that answers, refuses, hangs up and keeps silent."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import pytest
from django.core.mail import EmailMultiAlternatives, get_connection

from config import mail_settings
from schedules import appointments, delivery, feedback, return_path
from schedules.answers import Ending
from schedules.channels import default_channel
from schedules.mail import compose
from schedules.models import Reminder
from schedules.provider_channel import ProviderChannel
from tests.schedules.conftest import NOON

POSTMARK_OK = {"ErrorCode": 0, "Message": "OK", "MessageID": "0a1b-2c3d", "To": "patient1@mail.example"}


@dataclass
class Provider:
    """The provider's side: what was posted and on how many connections; `answers` are given in turn, the last again."""

    port: int = 0
    posts: list[bytes] = field(default_factory=list)
    connections: int = 0
    answers: list[tuple[int, object]] = field(default_factory=lambda: [(200, POSTMARK_OK)])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"


class _Handler(BaseHTTPRequestHandler):
    provider: Provider
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.provider.connections += 1
        super().setup()

    def do_POST(self) -> None:
        self.provider.posts.append(self.rfile.read(int(self.headers["Content-Length"])))
        answers = self.provider.answers
        code, body = answers.pop(0) if len(answers) > 1 else answers[0]
        if body == "hang up":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        if body == "silence":
            time.sleep(0.8)
        text = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        with suppress(BrokenPipeError):  # who asked may have given up waiting
            self.wfile.write(text)

    def log_message(self, *told: object) -> None:
        """Nothing: the log is `posts`."""


@pytest.fixture
def provider() -> Iterator[Provider]:
    known = Provider()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"provider": known}))
    known.port = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield known
    server.shutdown()
    server.server_close()


KEYS = {
    "postmark": {"ANYMAIL_POSTMARK_SERVER_TOKEN": "token"},
    "mailgun": {"ANYMAIL_MAILGUN_API_KEY": "key", "ANYMAIL_MAILGUN_SENDER_DOMAIN": "clinic.example"},
    "sendgrid": {"ANYMAIL_SENDGRID_API_KEY": "key"},
    "brevo": {"ANYMAIL_BREVO_API_KEY": "key"},
    "mailjet": {"ANYMAIL_MAILJET_API_KEY": "key", "ANYMAIL_MAILJET_SECRET_KEY": "secret"},
}


@pytest.fixture
def use(settings, provider):
    """`use("postmark")`: mail goes by this provider, as the environment would say it."""

    def configure(name: str) -> None:
        environment = {"EMAIL_URL": f"{name}://", f"ANYMAIL_{name.upper()}_API_URL": provider.url, **KEYS[name]}
        for key, value in mail_settings.read(environment, default_url="", production=False).items():
            setattr(settings, key, value)
        settings.ANYMAIL = {**settings.ANYMAIL, "REQUESTS_TIMEOUT": (1, 0.4)}

    return configure


def a_mail() -> EmailMultiAlternatives:
    message = EmailMultiAlternatives(
        "Subject", "Text", "Clinic <appointments@clinic.example>", ["patient1@mail.example"]
    )
    message.attach_alternative("<p>Text</p>", "text/html")
    message.metadata = {"mail": "1-abc"}
    return message


def send(channel=None):
    opened = channel or default_channel()
    outcome = opened.send(a_mail())
    if channel is None:
        opened.close()
    return outcome


def test_a_provider_takes_mails_over_one_connection_and_names_them(use, provider):
    use("postmark")
    channel = default_channel()
    assert isinstance(channel, ProviderChannel)
    outcomes = [send(channel) for _ in range(3)]
    channel.close()
    assert {(one.ending, one.provider_id) for one in outcomes} == {(Ending.ACCEPTED, "0a1b-2c3d")}
    assert (len(provider.posts), provider.connections) == (3, 1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("postmark", POSTMARK_OK),
        ("mailgun", {"id": "<20270327@clinic.example>", "message": "Queued. Thank you."}),
        ("sendgrid", ""),
        ("brevo", {"messageId": "<20270327@smtp-relay.example>"}),
        ("mailjet", {"Messages": [{"Status": "success", "To": [{"Email": "patient1@mail.example", "MessageID": 7}]}]}),
    ],
)
def test_every_provider_gets_the_token_and_is_told_not_to_watch(use, provider, name, answer):
    use(name)
    provider.answers = [(200, answer)]
    outcome = send()
    assert outcome.ending == Ending.ACCEPTED
    assert outcome.provider_id
    posted = provider.posts[0].decode()
    assert "1-abc" in posted
    match name:
        case "postmark":
            assert (json.loads(posted)["TrackOpens"], json.loads(posted)["TrackLinks"]) == (False, "None")
        case "mailgun":
            assert 'name="o:tracking-opens"\r\n\r\nno' in posted or parse_qs(posted)["o:tracking-opens"] == ["no"]
            assert 'name="o:tracking-clicks"\r\n\r\nno' in posted or parse_qs(posted)["o:tracking-clicks"] == ["no"]
        case "sendgrid":
            assert json.loads(posted)["tracking_settings"] == {
                "click_tracking": {"enable": False},
                "open_tracking": {"enable": False},
            }
        case "mailjet":
            globals_ = json.loads(posted)["Globals"]
            assert (globals_["TrackOpens"], globals_["TrackClicks"]) == ("disabled", "disabled")


@pytest.mark.parametrize(
    ("code", "body", "ending"),
    [
        (400, {"message": "bad"}, Ending.TRY_LATER),
        (401, {"ErrorCode": 10, "Message": "Bad or missing Server API token."}, Ending.UNREACHABLE),
        (402, "", Ending.UNREACHABLE),
        (403, "", Ending.UNREACHABLE),
        (413, "", Ending.REJECTED),
        (422, {"ErrorCode": 400, "Message": "The Sender Signature is not confirmed."}, Ending.TRY_LATER),
        (429, {"ErrorCode": 429, "Message": "Rate limit exceeded"}, Ending.UNREACHABLE),
        (500, {"ErrorCode": 500, "Message": "Internal"}, Ending.TRY_LATER),
        (502, "<html>bad gateway</html>", Ending.IN_DOUBT),
        (503, "", Ending.UNREACHABLE),
        (504, "", Ending.IN_DOUBT),
        (200, "taken, said in words that nobody can read", Ending.IN_DOUBT),
        (200, "hang up", Ending.IN_DOUBT),
        (200, "silence", Ending.IN_DOUBT),
    ],
)
def test_what_an_answer_means(use, provider, code, body, ending):
    use("postmark")
    provider.answers = [(code, body)]
    outcome = send()
    assert (outcome.ending, outcome.address_bad) == (ending, False)
    assert outcome.reason
    assert len(provider.posts) == 1  # nothing is tried again blindly


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (300, "Invalid 'To' address: 'patient1@mail.example'."),
        (
            406,
            "You tried to send to recipient(s) that have been marked as inactive. Found inactive addresses: "
            "patient1@mail.example. Inactive recipients are ones that have generated a hard bounce.",
        ),
    ],
)
def test_an_address_that_the_provider_refuses_is_bad(use, provider, code, message):
    use("postmark")
    provider.answers = [(422, {"ErrorCode": code, "Message": message})]
    outcome = send()
    assert (outcome.ending, outcome.address_bad) == (Ending.REJECTED, True)


def test_a_recipient_that_the_provider_could_not_serve_is_tried_later(use, provider):
    use("mailjet")
    provider.answers = [(200, {"Messages": [{"Status": "error", "Errors": [{"ErrorMessage": "no"}]}]})]
    assert send().ending == Ending.TRY_LATER


@pytest.mark.parametrize("name", KEYS)
def test_every_provider_carries_every_mail_also_with_an_appointment(clinic, enrol, actor, use, provider, name):
    clinic.mail_name, clinic.address = "Klinik Süd", "Große Straße 1\n80331 München"
    clinic.save()
    patient = enrol(clinic, family_name="Müller-Østergård", language="de", email="patient1@mail.example")
    wanted = appointments.Wanted(starts_at=datetime.now(UTC) + timedelta(days=30), purpose="visit", place="Süd 2")
    appointments.book(patient.pk, wanted, by=actor)
    row = Reminder.objects.filter(appointment__isnull=False).first()
    row.sent_to = patient.email
    message = compose(row, patient, clinic)
    return_path.mark(message, row)
    use(name)
    provider.answers = [(500, "")]
    channel = default_channel()
    assert channel.send(message).reason.startswith("The provider said: 500")
    channel.close()
    assert b"appointment.ics" in provider.posts[0]
    assert b"unsubscribe" in provider.posts[0].lower()


def test_a_mail_that_a_provider_cannot_carry_fails_by_itself(use, provider):
    use("brevo")
    message = a_mail()
    message.extra_headers["X-Note"] = "für"
    outcome = default_channel().send(message)
    assert (outcome.ending, outcome.address_bad) == (Ending.REJECTED, False)
    assert "non-ASCII" in outcome.reason


def test_a_provider_that_is_away_is_unreachable(use, provider, settings):
    use("postmark")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        settings.ANYMAIL = {**settings.ANYMAIL, "POSTMARK_API_URL": f"http://127.0.0.1:{free.getsockname()[1]}/"}
        assert send().ending == Ending.UNREACHABLE
    settings.ANYMAIL = {**settings.ANYMAIL, "POSTMARK_API_URL": "https://no-such-host.invalid/"}
    assert send().ending == Ending.UNREACHABLE
    settings.ANYMAIL = {**settings.ANYMAIL, "POSTMARK_API_URL": provider.url.replace("http", "https")}
    assert send().ending == Ending.UNREACHABLE
    assert provider.posts == []


def test_the_channel_goes_on_after_a_lost_answer(use, provider):
    use("postmark")
    provider.answers = [(200, "hang up"), (200, POSTMARK_OK)]
    channel = ProviderChannel(get_connection())
    assert [send(channel).ending for _ in range(2)] == [Ending.IN_DOUBT, Ending.ACCEPTED]


@pytest.mark.usefixtures("planned_by_hand")
def test_a_reminder_goes_by_a_provider_and_its_doubt_ends_by_what_the_provider_tells(patient, follow, use, provider):
    use("postmark")
    provider.answers = [(200, "silence"), (200, {**POSTMARK_OK, "To": patient.email})]
    follow(patient)
    tally = delivery.drain(clock=lambda: NOON)
    row = Reminder.objects.get(state="uncertain")
    posted = json.loads(provider.posts[0])
    assert tally.states == {"uncertain": 1}
    assert posted["Metadata"] == {"mail": return_path.token_of(row)}
    assert posted["From"].endswith("<appointments@clinic.example>")
    report = feedback.Report(
        kind="delivered", at=NOON, provider="postmark", event_id="1", token=posted["Metadata"]["mail"]
    )
    feedback.record(report, now=NOON)
    row.refresh_from_db()
    assert row.state == "sent"


@pytest.mark.usefixtures("planned_by_hand")
def test_a_reminder_keeps_the_provider_s_name_for_it(patient, follow, use, provider):
    use("postmark")
    provider.answers = [(200, {**POSTMARK_OK, "To": patient.email})]
    follow(patient)
    assert delivery.drain(clock=lambda: NOON).states == {"sent": 1}
    assert Reminder.objects.get(state="sent").provider_id == "0a1b-2c3d"


@pytest.mark.usefixtures("planned_by_hand")
def test_nothing_of_the_patient_goes_to_the_provider_beside_the_mail(patient, follow, use, provider):
    use("postmark")
    provider.answers = [(200, {**POSTMARK_OK, "To": patient.email})]
    follow(patient)
    delivery.drain(clock=lambda: NOON)
    posted = json.loads(provider.posts[0])
    assert set(posted) <= {
        *("From", "To", "ReplyTo", "Subject", "TextBody", "HtmlBody", "Headers", "Metadata"),
        *("TrackOpens", "TrackLinks", "MessageStream"),
    }
    assert patient.record_number not in json.dumps(posted)


def test_keys_travel_in_headers_and_stand_in_no_outcome(use, provider):
    use("mailjet")
    provider.answers = [(401, {"ErrorCode": "x", "ErrorMessage": "no"})]
    outcome = send()
    assert base64.b64encode(b"key:secret").decode() not in outcome.reason
    assert outcome.ending == Ending.UNREACHABLE
