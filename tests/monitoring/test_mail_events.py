"""What a mail provider posts: taken when it is the provider's, refused when forged, harmless when posted again."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.cache import cache

from config import mail_settings
from monitoring.web import mail_events
from patients.models import ContactWish
from schedules import return_path
from schedules.models import DeliveryEvent, Reminder

pytestmark = pytest.mark.usefixtures("nobody_refused_before")
AT = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
SECRET = "hooks:0123456789abcdef0123456789abcdef"
SIGNING_KEY = "key-0123456789"
ADDRESS = "patient1@mail.example"


@pytest.fixture
def nobody_refused_before(db):
    cache.clear()


@pytest.fixture
def sent(clinic, enrol) -> Reminder:
    patient = enrol(clinic, email=ADDRESS)
    patient.contact_wishes.update(on=AT.date())
    return Reminder.objects.create(
        clinic=clinic, patient=patient, cycle_on=AT.date(), due_on=AT.date(), step="missed", send_on=AT.date(),
        state="sent", sent_to=ADDRESS, message_id="<abc@clinic.example>", provider_id="0a1b-2c3d", decided_at=AT,
    )  # fmt: skip


KEYS = {
    "postmark": {"ANYMAIL_POSTMARK_SERVER_TOKEN": "t", "ANYMAIL_WEBHOOK_SECRET": SECRET},
    "mailgun": {"ANYMAIL_MAILGUN_API_KEY": "k", "ANYMAIL_MAILGUN_WEBHOOK_SIGNING_KEY": SIGNING_KEY},
    "brevo": {"ANYMAIL_BREVO_API_KEY": "k", "ANYMAIL_WEBHOOK_SECRET": SECRET},
    "mailjet": {"ANYMAIL_MAILJET_API_KEY": "k", "ANYMAIL_MAILJET_SECRET_KEY": "s", "ANYMAIL_WEBHOOK_SECRET": SECRET},
}


@pytest.fixture
def use(settings):
    """`use("postmark")`: this provider, as the environment of a server would say it."""

    def configure(name, **more):
        known = {"EMAIL_URL": f"{name}://", **KEYS.get(name, {}), **more}
        for key, value in mail_settings.read(known, default_url="", production=False).items():
            setattr(settings, key, value)
        settings.MAIL_WEBHOOKS = mail_settings.takes_webhooks(settings.MAIL_PROVIDER, settings.ANYMAIL)

    return configure


def post(client, provider, body, *, secret="", **headers):
    if secret:
        headers["HTTP_AUTHORIZATION"] = "Basic " + base64.b64encode(secret.encode()).decode()
    text = body if isinstance(body, bytes | str) else json.dumps(body)
    return client.post(f"/anymail/{provider}/tracking/", text, content_type="application/json", **headers)


def state_of(row):
    row.refresh_from_db()
    row.patient.refresh_from_db()
    return row.state


# ---- The providers' own words


def postmark_bounce(row, kind="HardBounce", **more):
    return {
        "RecordType": "Bounce", "ID": 901542550, "Type": kind, "TypeCode": 1, "Name": "Hard bounce", "Tag": "",
        "MessageID": "0a1b-2c3d", "Metadata": {"mail": return_path.token_of(row)}, "ServerID": 1234,
        "MessageStream": "outbound", "Description": "The server was unable to deliver your message.",
        "Details": "smtp;550 5.1.1 The email account that you tried to reach does not exist", "Email": row.sent_to,
        "From": "appointments@clinic.example", "BouncedAt": "2026-11-20T09:31:00Z", "DumpAvailable": True,
        "Inactive": True, "CanActivate": True, "Subject": "Your appointment", **more,
    }  # fmt: skip


def mailgun_event(row, event="failed", token="t1", **more):
    timestamp = str(int(AT.timestamp()))
    return {
        "signature": {
            "token": token, "timestamp": timestamp,
            "signature": hmac.new(SIGNING_KEY.encode(), f"{timestamp}{token}".encode(), hashlib.sha256).hexdigest(),
        },
        "event-data": {
            "event": event, "id": "G9Bn5sl1TC6nu79C8C0bwg", "timestamp": AT.timestamp(), "recipient": row.sent_to,
            "log-level": "error", "tags": [], "user-variables": {"mail": return_path.token_of(row)},
            "message": {"headers": {"to": row.sent_to, "message-id": "abc@clinic.example", "from": "x"}, "size": 867},
            **more,
        },
    }  # fmt: skip


def sendgrid_event(row, event="bounce", **more):
    return {
        "email": row.sent_to, "timestamp": int(AT.timestamp()), "event": event, "mail": return_path.token_of(row),
        "smtp-id": "<14c5d75ce93.dfd.64b469@ismtpd-555>", "sg_event_id": "6g4ZI7SA-xmRDv57GoPIPw==",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001", "anymail_id": "not-ours", **more,
    }  # fmt: skip


def test_postmark_s_hard_bounce_fails_the_mail_and_the_address(client, use, sent):
    use("postmark")
    assert post(client, "postmark", postmark_bounce(sent), secret=SECRET).status_code == 200
    assert state_of(sent) == "failed"
    assert sent.reason.startswith("The mail came back: 550 5.1.1 The email account")
    assert sent.patient.email_bounced_on is not None
    event = DeliveryEvent.objects.get()
    assert (event.kind, event.permanent, event.provider, event.address) == ("bounced", True, "postmark", ADDRESS)
    assert event.at == datetime(2026, 11, 20, 9, 31, tzinfo=UTC)


def test_postmark_s_soft_bounce_leaves_the_address(client, use, sent):
    use("postmark")
    post(client, "postmark", postmark_bounce(sent, "SoftBounce"), secret=SECRET)
    assert state_of(sent) == "failed"
    assert sent.patient.email_bounced_on is None


def test_postmark_s_delivery_and_complaint(client, use, sent):
    use("postmark")
    delivery = {
        "RecordType": "Delivery", "MessageID": "0a1b-2c3d", "Recipient": ADDRESS, "ServerID": 1, "Tag": "",
        "DeliveredAt": "2026-11-20T09:30:05Z", "Details": "250 2.0.0 OK", "MessageStream": "outbound",
        "Metadata": {"mail": return_path.token_of(sent)},
    }  # fmt: skip
    complaint = postmark_bounce(sent, "SpamComplaint", RecordType="SpamComplaint", ID=2)
    for body in (delivery, complaint, delivery):
        assert post(client, "postmark", body, secret=SECRET).status_code == 200
    assert [event.kind for event in DeliveryEvent.objects.all()] == ["delivered", "complained"]
    wish = ContactWish.objects.get(patient=sent.patient, channel="email")
    assert (wish.allowed, wish.how) == (False, "complaint reported by the mail provider")


@pytest.mark.parametrize(
    ("more", "permanent"),
    [
        ({"severity": "permanent", "reason": "bounce", "delivery-status": {"code": 550, "message": "No"}}, True),
        ({"severity": "permanent", "reason": "suppress-bounce", "delivery-status": {"code": 605}}, True),
        (
            {
                "severity": "permanent",
                "reason": "generic",
                "delivery-status": {"code": 552, "enhanced-code": "5.2.2", "message": "mailbox full"},
            },
            False,
        ),
    ],
)
def test_mailgun_s_failures(client, use, sent, more, permanent):
    use("mailgun")
    assert post(client, "mailgun", mailgun_event(sent, **more)).status_code == 200
    assert state_of(sent) == "failed"
    assert DeliveryEvent.objects.get().permanent is permanent


def test_mailgun_s_temporary_failure_is_a_delay(client, use, sent):
    use("mailgun")
    body = mailgun_event(sent, severity="temporary", reason="generic", **{"delivery-status": {"code": 451}})
    post(client, "mailgun", body)
    assert (state_of(sent), DeliveryEvent.objects.get().kind) == ("sent", "deferred")


def test_mailgun_s_list_of_who_complained_is_a_complaint(client, use, sent):
    use("mailgun")
    post(client, "mailgun", mailgun_event(sent, severity="permanent", reason="suppress-complaint"))
    assert DeliveryEvent.objects.get().kind == "complained"
    assert not ContactWish.objects.get(patient=sent.patient, channel="email").allowed


@pytest.fixture
def sendgrid(use):
    """SendGrid's key pair: its public half is ours; `sign(body)` gives the headers of a genuine post."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    use(
        "sendgrid",
        ANYMAIL_SENDGRID_API_KEY="k",
        ANYMAIL_SENDGRID_TRACKING_WEBHOOK_VERIFICATION_KEY=base64.b64encode(public).decode(),
    )

    def sign(body):
        signature = key.sign(b"1763631000" + body.encode(), ec.ECDSA(hashes.SHA256()))
        return {
            "HTTP_X_TWILIO_EMAIL_EVENT_WEBHOOK_SIGNATURE": base64.b64encode(signature).decode(),
            "HTTP_X_TWILIO_EMAIL_EVENT_WEBHOOK_TIMESTAMP": "1763631000",
        }

    return sign


def test_sendgrid_posts_many_events_at_once(client, sendgrid, sent):
    body = json.dumps(
        [
            sendgrid_event(sent, "processed", sg_event_id="1"),
            sendgrid_event(sent, "deferred", sg_event_id="2", response="451 try again", attempt="1"),
            sendgrid_event(sent, "open", sg_event_id="3", useragent="x", ip="192.0.2.1"),
            sendgrid_event(sent, "bounce", sg_event_id="4", type="bounce", status="5.1.1", reason="550 5.1.1 unknown"),
        ]
    )
    assert post(client, "sendgrid", body, **sendgrid(body)).status_code == 200
    assert state_of(sent) == "failed"
    assert [(event.kind, event.permanent) for event in DeliveryEvent.objects.order_by("id")] == [
        ("deferred", False),
        ("bounced", True),
    ]


@pytest.mark.parametrize(
    ("event", "more", "kind", "permanent"),
    [
        ("bounce", {"type": "blocked", "reason": "550 5.7.1 blocked"}, "bounced", False),
        ("dropped", {"reason": "Bounced Address"}, "bounced", True),
        ("dropped", {"reason": "Spam Reporting Address"}, "complained", False),
        ("dropped", {"reason": "Unsubscribed Address"}, "unsubscribed", False),
        ("spamreport", {}, "complained", False),
        ("unsubscribe", {}, "unsubscribed", False),
        ("delivered", {"response": "250 OK"}, "delivered", False),
    ],
)
def test_sendgrid_s_words(client, sendgrid, sent, event, more, kind, permanent):
    body = json.dumps([sendgrid_event(sent, event, **more)])
    assert post(client, "sendgrid", body, **sendgrid(body)).status_code == 200
    stored = DeliveryEvent.objects.get()
    assert (stored.kind, stored.permanent) == (kind, permanent)


@pytest.mark.parametrize(
    ("event", "kind", "permanent"),
    [("hard_bounce", "bounced", True), ("soft_bounce", "bounced", False), ("delivered", "delivered", False),
     ("invalid_email", "bounced", True), ("spam", "complained", False), ("unsubscribe", "unsubscribed", False)],
)  # fmt: skip
def test_brevo_s_words(client, use, sent, event, kind, permanent):
    use("brevo")
    body = {
        "event": event, "email": ADDRESS, "id": 1, "ts_epoch": int(AT.timestamp() * 1000), "reason": "550 no",
        "message-id": "<x@brevo>", "X-Mailin-custom": json.dumps({"mail": return_path.token_of(sent)}),
    }  # fmt: skip
    for _ in range(2):  # Brevo names no event, and posts some twice
        assert post(client, "brevo", body, secret=SECRET).status_code == 200
    stored = DeliveryEvent.objects.get()
    assert (stored.kind, stored.permanent) == (kind, permanent)


@pytest.mark.parametrize(
    ("event", "more", "kind", "permanent"),
    [
        ("sent", {}, "delivered", False),
        ("bounce", {"hard_bounce": True, "error": "user unknown"}, "bounced", True),
        ("bounce", {"hard_bounce": False, "error": "quota exceeded"}, "bounced", False),
        ("blocked", {"error": "preblocked"}, "bounced", False),
        ("spam", {"source": "JMRPP"}, "complained", False),
        ("unsub", {}, "unsubscribed", False),
    ],
)
def test_mailjet_s_words(client, use, sent, event, more, kind, permanent):
    use("mailjet")
    body = [{"event": event, "time": int(AT.timestamp()), "MessageID": 7, "email": ADDRESS,
             "Payload": json.dumps({"mail": return_path.token_of(sent)}), **more}]  # fmt: skip
    assert post(client, "mailjet", body, secret=SECRET).status_code == 200
    stored = DeliveryEvent.objects.get()
    assert (stored.kind, stored.permanent) == (kind, permanent)


# ---- Forged, repeated, unknown, too much


def test_a_wrong_password_or_none_is_refused(client, use, sent):
    use("postmark")
    for secret in ("", "hooks:wrong", "other:0123456789abcdef0123456789abcdef"):
        assert post(client, "postmark", postmark_bounce(sent), secret=secret).status_code == 400
    assert (state_of(sent), DeliveryEvent.objects.count()) == ("sent", 0)


def test_a_forged_signature_is_refused(client, use, sent):
    use("mailgun")
    body = mailgun_event(sent, severity="permanent", reason="bounce")
    body["signature"]["signature"] = "0" * 64
    assert post(client, "mailgun", body).status_code == 400
    assert state_of(sent) == "sent"


def test_a_changed_body_breaks_sendgrid_s_signature(client, sendgrid, sent):
    body = json.dumps([sendgrid_event(sent, "delivered")])
    assert post(client, "sendgrid", body.replace("delivered", "spamreport"), **sendgrid(body)).status_code == 400
    assert post(client, "sendgrid", body).status_code == 400
    assert not DeliveryEvent.objects.exists()


def test_a_replayed_post_changes_nothing(client, use, sent):
    use("mailgun")
    body = mailgun_event(sent, severity="permanent", reason="bounce", **{"delivery-status": {"code": 550}})
    assert [post(client, "mailgun", body).status_code for _ in range(3)] == [200] * 3
    assert DeliveryEvent.objects.count() == 1
    assert sent.events.filter(state="failed").count() == 1


def test_a_mail_that_is_not_known_is_answered_kindly_and_logged_without_data(client, use, sent, caplog):
    use("postmark")
    body = postmark_bounce(sent, Metadata={}, MessageID="elsewhere", Email="stranger@else.example")
    with caplog.at_level("INFO"):
        assert post(client, "postmark", body, secret=SECRET).status_code == 200
    assert "not known here" in caplog.text
    assert "stranger" not in caplog.text
    assert not DeliveryEvent.objects.exists()


def test_the_provider_s_name_finds_a_mail_without_a_token(client, use, sent):
    use("postmark")
    post(client, "postmark", postmark_bounce(sent, Metadata={}), secret=SECRET)
    assert state_of(sent) == "failed"


def test_another_recipient_s_event_changes_nothing_of_this_one(client, use, sent):
    use("postmark")
    post(client, "postmark", postmark_bounce(sent, Email="somebody@else.example"), secret=SECRET)
    assert (state_of(sent), sent.patient.email_bounced_on) == ("sent", None)


@pytest.mark.parametrize("body", ["", "no json", "[]", "7", '{"RecordType": 5}', '{"RecordType": "Inbound"}'])
def test_what_cannot_be_read_is_refused_or_left_aside_without_a_fault(client, use, sent, body):
    use("postmark")
    assert post(client, "postmark", body, secret=SECRET).status_code in (200, 400)
    assert not DeliveryEvent.objects.exists()


def test_only_the_provider_in_use_is_heard(client, use, sent):
    use("postmark")
    for provider in ("mailgun", "mandrill", "brevo", "postmark-inbound"):
        assert post(client, provider, "{}", secret=SECRET).status_code == 404
    assert client.post("/anymail/postmark/inbound/", "{}", content_type="application/json").status_code == 404


def test_without_a_secret_nothing_is_heard(client, use, sent, settings):
    use("postmark")
    settings.ANYMAIL = {key: value for key, value in settings.ANYMAIL.items() if key != "WEBHOOK_SECRET"}
    settings.MAIL_WEBHOOKS = mail_settings.takes_webhooks("postmark", settings.ANYMAIL)
    assert post(client, "postmark", postmark_bounce(sent)).status_code == 404
    assert state_of(sent) == "sent"


def test_with_a_mail_server_of_one_s_own_nothing_is_heard(client, db):
    assert post(client, "postmark", "{}").status_code == 404


def test_a_post_that_is_too_large_is_not_read(client, use, sent):
    use("postmark")
    assert post(client, "postmark", "x" * (mail_events.MOST_BYTES + 1), secret=SECRET).status_code == 413


def test_who_guesses_is_soon_not_heard_at_all(client, use, sent):
    use("postmark")
    guesses = [post(client, "postmark", "{}", secret=f"hooks:{number}").status_code for number in range(35)]
    assert guesses[0] == 400
    assert guesses[-1] == 429


def test_other_methods(client, use, db):
    use("postmark")
    assert client.head("/anymail/postmark/tracking/").status_code == 200
    assert client.get("/anymail/postmark/tracking/").status_code == 405


def test_a_fault_of_ours_is_said_so_that_the_provider_posts_again(client, use, sent, monkeypatch):
    use("postmark")
    client.raise_request_exception = False
    with monkeypatch.context() as broken:
        broken.setattr(mail_events.feedback, "record", lambda *told, **more: 1 / 0)
        assert post(client, "postmark", postmark_bounce(sent), secret=SECRET).status_code == 500
    assert post(client, "postmark", postmark_bounce(sent), secret=SECRET).status_code == 200
    assert state_of(sent) == "failed"


def test_addresses_beside_the_provider_s_own_are_not_found(client, use, db):
    use("postmark")
    client.raise_request_exception = False
    assert client.get("/anymail/nothing/here/").status_code == 404
    assert client.get("/anymail/").status_code == 404
