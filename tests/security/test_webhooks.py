"""Webhooks: another system learns of new flags and reviews, knows that it was us, and learns nothing of whom."""

import json
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from standardwebhooks import Webhook, WebhookVerificationError

from monitoring import webhook_delivery, webhooks
from monitoring.models import AuditEntry, Flag, ReviewCase, WebhookDelivery, WebhookEndpoint
from monitoring.webhooks import EndpointRefused
from patients import access, recording
from patients.models import SymptomReport
from patients.vocabulary import Side
from schedules import outgoing

State = WebhookDelivery.State


class Receiver(ThreadingHTTPServer):
    """Keeps what it was told, and answers as it is told itself."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answers)
        self.heard, self.answer, self.leads_to = [], 204, ""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/hook"


class Answers(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append((dict(self.headers), body))
        self.send_response(self.server.answer)
        if self.server.leads_to:
            self.send_header("Location", self.server.leads_to)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_words):
        pass


@pytest.fixture
def receiver(settings):
    settings.OUTGOING_ALLOWED = ["127.0.0.0/8"]
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def admin(clinic, make_user):
    return access.viewer_for(make_user(clinic, "admin"))


@pytest.fixture
def endpoint(clinic, admin, receiver):
    made, made.shown = webhooks.make(
        clinic=clinic, name="EHR", url=receiver.url, events=["flag.opened", "review.opened"], viewer=admin
    )
    return made


@pytest.fixture
def pain(patient, actor):
    """New pain: a flag and a review are opened."""

    def report():
        day = timezone.now().date() - timedelta(days=2)
        said = SymptomReport(on=day, source="patient", symptomatic=True, pain_nrs=4, pain_site="groin")
        recording.record_facts(patient.pk, [(Side.LEFT, said)], by=actor)

    return report


def deliver(after=timedelta(0)):
    """One run of the worker; the test's transaction sees every clinic again afterwards."""
    return webhook_delivery.deliver_due(clock=lambda: timezone.now() + after)


def test_new_pain_is_told_once_signed_and_by_numbers_alone(endpoint, receiver, pain, patient):
    pain()
    opened = Flag.objects.filter(closed_at__isnull=True).count() + ReviewCase.objects.count()
    assert opened >= 1 and deliver() == {State.DELIVERED: opened} and deliver() == {}
    assert len(receiver.heard) == opened
    for headers, body in receiver.heard:
        said = Webhook(endpoint.shown).verify(body, headers)
        assert set(said) == {"type", "timestamp", "data"} and said["data"]["patient"] == patient.pk
        assert all(isinstance(number, int) for number in said["data"].values())
        assert patient.family_name not in body.decode() and patient.record_number not in body.decode()
    assert len({headers["webhook-id"] for headers, _body in receiver.heard}) == opened


def test_a_forged_body_is_told_by_its_signature(endpoint, receiver, pain):
    pain()
    deliver()
    headers, body = receiver.heard[0]
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.shown).verify(body.replace(b"flag", b"flog"), headers)


def test_two_secrets_count_for_a_day_after_a_rotation(endpoint, receiver, pain, admin):
    renewed = webhooks.rotate(endpoint, viewer=admin)
    pain()
    deliver()
    headers, body = receiver.heard[-1]
    for secret in (endpoint.shown, renewed):
        Webhook(secret).verify(body, headers)
    row = WebhookDelivery.objects.first()
    later = timezone.now() + timedelta(hours=25)
    fresh = WebhookEndpoint.objects.get(pk=endpoint.pk)
    assert len(webhooks.headers_of(row, fresh, body, later)["webhook-signature"].split()) == 1
    assert renewed not in fresh.secret and endpoint.shown not in fresh.former_secret, "kept encrypted"


def test_what_fails_is_tried_again_later_and_given_up_in_the_end(endpoint, receiver, pain, admin):
    receiver.answer = 500
    pain()
    assert deliver() == {State.WAITING: 1}, "one failure, and the endpoint is left alone in this run"
    heard = len(receiver.heard)
    WebhookDelivery.objects.update(attempts=len(webhook_delivery.BACK_OFF))
    for _turn in range(WebhookDelivery.objects.count()):
        deliver(timedelta(days=2))
    rows = WebhookDelivery.objects.all()
    assert {row.state for row in rows} == {State.GIVEN_UP} and {row.reason for row in rows} == {
        "The receiver said 500."
    }
    receiver.answer = 204
    assert webhooks.send_again(endpoint, viewer=admin) == rows.count()
    assert deliver(timedelta(days=3)) == {State.DELIVERED: rows.count()} and len(receiver.heard) > heard


def test_a_receiver_that_is_gone_is_told_nothing_any_more(endpoint, receiver, pain):
    receiver.answer = 410
    pain()
    deliver()
    endpoint.refresh_from_db()
    assert endpoint.ended_at and not endpoint.secret
    assert not WebhookDelivery.objects.filter(state=State.WAITING).exists() and len(receiver.heard) == 1


def test_a_redirect_is_not_followed(endpoint, receiver, pain):
    receiver.answer, receiver.leads_to = 302, receiver.url + "/elsewhere"
    pain()
    deliver()
    assert len(receiver.heard) == 1 and WebhookDelivery.objects.filter(reason="The receiver said 302.").exists()


def test_a_worker_that_died_leaves_a_lease_that_ends(endpoint, receiver, pain):
    pain()
    webhook_delivery.plan(timezone.now())
    claimed, _endpoint = webhook_delivery._claim("a worker that dies", set(), timezone.now())
    others = WebhookDelivery.objects.count() - 1
    assert deliver() == ({State.DELIVERED: others} if others else {})
    assert deliver(timedelta(minutes=3)) == {State.DELIVERED: 1}
    assert WebhookDelivery.objects.get(pk=claimed.pk).attempts == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://100.64.0.1/",
        "http://93.184.216.34/",
        "https://user:pw@93.184.216.34/",
        "ftp://93.184.216.34/",
        "file:///etc/passwd",
        "https://93.184.216.34:port/",
        "https://no-such-host.invalid/",
        "https://93.184.216.34/\nHost: x",
        "gopher",
        "",
    ],
)
def test_no_address_inside_is_called(url, clinic, admin):
    with pytest.raises(outgoing.NotAllowed):
        outgoing.judge(url)
    with pytest.raises(EndpointRefused):
        webhooks.make(clinic=clinic, name="x", url=url, events=["flag.opened"], viewer=admin)


def test_the_name_is_not_resolved_again_between_judging_and_calling(monkeypatch, receiver, settings):
    """A name server may answer differently the second time: the connection goes to the address that was judged."""
    asked = []

    def once(host, *_more, **_named):
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "10.0.0.1", 0))]

    monkeypatch.setattr("schedules.outgoing.socket.getaddrinfo", once)
    to = outgoing.judge(f"http://rebinding.example:{receiver.server_port}/x")
    assert to.address == "127.0.0.1" and asked == ["rebinding.example"]


def test_an_administrator_makes_rotates_and_ends_a_webhook_on_its_page(clinic, make_user, sign_in, receiver):
    desk = sign_in(make_user(clinic, "admin"))
    form = {"name": "EHR", "clinic": clinic.pk, "url": receiver.url, "events": ["flag.opened"]}
    made = desk.post("/webhooks/", form).content.decode()
    endpoint = WebhookEndpoint.objects.get()
    assert "whsec_" in made and "whsec_" not in desk.get("/webhooks/").content.decode()
    assert "whsec_" in desk.post(f"/webhooks/{endpoint.pk}/rotate/").content.decode()
    desk.post(f"/webhooks/{endpoint.pk}/end/")
    assert "Ended by an administrator" in desk.get("/webhooks/").content.decode()
    acts = list(AuditEntry.objects.filter(object=f"webhook-{endpoint.pk}").order_by("id").values_list("act", flat=True))
    assert acts == ["make_webhook", "rotate_webhook", "end_webhook"]
    refused = desk.post("/webhooks/", {**form, "url": "https://10.0.0.1/"})
    assert refused.status_code == 422 and "private network" in refused.content.decode()


def test_webhooks_are_the_administrators_of_their_own_clinic(clinic, other_clinic, make_user, sign_in, endpoint):
    clinician = access.viewer_for(make_user(clinic, "clinician"))
    stranger = access.viewer_for(make_user(other_clinic, "admin"))
    for viewer in (clinician, stranger):
        with pytest.raises(PermissionDenied):
            webhooks.rotate(endpoint, viewer=viewer)
        assert not webhooks.endpoints_for(viewer).exists()
    desk = sign_in(make_user(other_clinic, "admin"))
    assert desk.post(f"/webhooks/{endpoint.pk}/end/").status_code == 404
    assert json.loads(
        webhooks.body_of(WebhookDelivery(endpoint=endpoint, event="flag.opened", opened_at=timezone.now()))
    )


@pytest.mark.parametrize(
    ("host", "may"),
    [
        ("ehr.example.org", True), ("EHR.Example.org.", True), ("a.clinic.example", True), ("b.a.clinic.example", True),
        ("clinic.example", False), ("evilclinic.example", False), ("ehr.example.org.evil.example", False),
        ("127.0.0.1", False), ("localhost", False),
    ],
)  # fmt: skip
def test_where_hosts_are_named_no_other_is_called_nor_looked_up(settings, host, may):
    settings.OUTGOING_HOSTS = ["ehr.example.org", ".clinic.example"]
    with pytest.raises(outgoing.NotAllowed) as refused:  # none of these exists
        outgoing.judge(f"https://{host}/hook")
    assert ("There is no host of this name" in str(refused.value)) == may
