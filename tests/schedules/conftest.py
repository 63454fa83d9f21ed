"""Fixtures: a real SMTP server that answers as it is told, and patients whose follow-up is due."""

import asyncio
import email
import email.policy
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller

NOON = datetime(2027, 3, 27, 12, tzinfo=UTC)  # a Saturday, the day before the clocks change in Europe
DUE_ON = NOON.date()


@dataclass
class Sink:
    """An SMTP server's side of the story.

    `answers`: what to say to a recipient or, with "data:" before it, to the whole mail; to every "ehlo", "mail", "rcpt"
    and "data". `asked`: how often it was asked whether it would take a mail to its sender.
    """

    port: int = 0
    arrived: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)  # of the envelopes
    addressed: list[str] = field(default_factory=list)
    connections: int = 0
    answers: dict[str, str] = field(default_factory=dict)
    close_after: int = 0
    pipelining: bool = False
    asked: int = 0

    async def handle_HELO(self, server: Any, session: Any, envelope: Any, hostname: str) -> str:
        session.host_name = hostname
        return self.answers.get("ehlo", "250 OK")

    async def handle_EHLO(
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        if "ehlo" in self.answers:
            return [self.answers["ehlo"]]
        return ["250-PIPELINING", *responses] if self.pipelining else responses

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if self.close_after and getattr(session, "served", 0) >= self.close_after:  # between two mails, as servers do
            server.transport.abort()
        if "mail" in self.answers:
            return self.answers["mail"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address == envelope.mail_from:
            self.asked += 1
        else:
            self.addressed.append(address)
        answer = self.answers.get(address, self.answers.get("rcpt", "250 OK"))
        if answer == "hang up":
            server.transport.abort()
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        answer = self.answers.get(f"data:{envelope.rcpt_tos[0]}", self.answers.get("data", "250 OK"))
        if answer == "hang up before keeping":
            server.transport.abort()
            return "421 gone"
        if answer.startswith(("250", "hang up", "silence")):
            self.recipients.append(envelope.rcpt_tos[0])
            self.senders.append(envelope.mail_from)
            message = email.message_from_bytes(envelope.content, policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.arrived.append(message)
        if answer == "hang up":
            server.transport.abort()
        if answer == "silence":
            await asyncio.sleep(1.0)
            return "250 OK"
        session.served = getattr(session, "served", 0) + 1
        return answer if answer != "hang up" else "250 OK"


@pytest.fixture
def sink() -> Iterator[Sink]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    handler = Sink(port=port)
    controller = Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
    controller.start()
    handler.connections = 0
    yield handler
    controller.stop()


@pytest.fixture
def channel(sink: Sink) -> Iterator[Any]:
    from schedules.channels import BackendChannel, CarefulBackend

    opened = BackendChannel(CarefulBackend(host="127.0.0.1", port=sink.port, timeout=5))
    yield opened
    opened.close()


@pytest.fixture
def planned_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording evaluates nothing: these tests say themselves which window a patient has."""
    from monitoring import pipeline
    from patients import changes

    monkeypatch.setattr(changes, "_listeners", [one for one in changes._listeners if one is not pipeline.on_change])


@pytest.fixture
def follow(planned_by_hand: None) -> Callable[..., Any]:
    """`follow(patient, due_on)`: one hip's current plan, and the reminders that it calls for."""
    from patients.changes import Actor
    from schedules.models import Plan
    from schedules.plans import PatientWindow
    from schedules.reminders import reconcile_reminders

    def plan_and_reconcile(
        patient: Any, due_on: date | None = DUE_ON, *, now: datetime = NOON, cycle_on: date | None = None
    ) -> Any:
        hip = patient.hips.order_by("side").first()
        Plan.objects.filter(hip=hip, state="current").update(state="closed")
        window = None
        if due_on is not None:
            days = {
                "opens_on": due_on - timedelta(days=28),
                "due_on": due_on,
                "overdue_on": due_on + timedelta(days=28),
            }
            cycle = cycle_on or date(2026, 9, 27)
            later = {
                "escalate_on": due_on + timedelta(60),
                "trace_on": due_on + timedelta(90),
                "gap_on": due_on + timedelta(300),
            }
            fixed = {
                "clinic_id": patient.clinic_id,
                "patient": patient,
                "pathway": "watch",
                "because": "test",
                "protocol": "t/1",
            }
            Plan.objects.update_or_create(
                hip=hip, cycle_on=cycle, defaults={**fixed, **days, **later, "state": "current"}
            )
            window = PatientWindow(patient_id=patient.pk, clinic_id=patient.clinic_id, cycle_on=cycle, **days)
        reconcile_reminders({patient.pk: window}, actor=Actor.system("test"), now=now)
        return window

    return plan_and_reconcile


@pytest.fixture
def drain(channel: Any) -> Callable[..., Any]:
    """`drain(at=NOON)`: send what is due then."""
    from schedules import delivery

    def send(at: datetime = NOON, **options: Any) -> Any:
        return delivery.drain(channel, clock=lambda: at, **options)

    return send


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True
