"""The baselines: each sends the mails of a file in a process of its own, with settings of its own.

Usage: python benchmarks/mailing/peers.py NAME MAILS [PROCESSES], with NAME one of PEERS. Queues the mails where that is
needed and prints `ready`; sends when it reads a line, and prints the seconds and the CPU seconds that this took.
"""

import json
import os
import resource
import smtplib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ["DJANGO_SETTINGS_MODULE"] = "peers_settings"

import django
from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.management import call_command

Send = Callable[[], object]


@dataclass(frozen=True)
class Mail:
    """One composed mail: its parts, and as it goes over the wire."""

    sender: str
    recipient: str
    subject: str
    text: str
    html: str
    headers: dict[str, str]
    wire: str

    def message(self) -> EmailMultiAlternatives:
        message = EmailMultiAlternatives(self.subject, self.text, self.sender, [self.recipient], headers=self.headers)
        message.attach_alternative(self.html, "text/html")
        return message


def read(path: Path) -> list[Mail]:
    with path.open() as lines:
        return [Mail(**json.loads(line)) for line in lines]


def raw(mails: list[Mail], processes: int) -> Send:
    """smtplib over one connection with mails that are bytes already: the limit."""
    wires = [(mail.recipient, mail.wire.encode()) for mail in mails]
    sender = settings.DEFAULT_FROM_EMAIL

    def send() -> None:
        with smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT) as client:
            for recipient, wire in wires:
                client.sendmail(sender, [recipient], wire)

    return send


def plain_django(mails: list[Mail], processes: int) -> Send:
    """Django's own backend over one connection, nothing stored."""
    messages = [mail.message() for mail in mails]
    return lambda: get_connection().send_messages(messages)


def post_office(mails: list[Mail], processes: int) -> Send:
    from post_office import mail as office
    from post_office.models import Email

    Email.objects.all().delete()
    for start in range(0, len(mails), 1000):
        office.send_many(
            [
                {
                    "sender": one.sender,
                    "recipients": [one.recipient],
                    "subject": one.subject,
                    "message": one.text,
                    "html_message": one.html,
                    "headers": one.headers,
                }
                for one in mails[start : start + 1000]
            ]
        )
    lock = os.path.join(os.environ["PEERS_FOLDER"], "post_office")
    return lambda: call_command("send_queued_mail", processes=processes, lockfile=lock)


def mailer(mails: list[Mail], processes: int) -> Send:
    from mailer.models import Message, MessageLog

    Message.objects.all().delete()
    MessageLog.objects.all().delete()
    get_connection("mailer.backend.DbBackend").send_messages([mail.message() for mail in mails])
    return lambda: call_command("send_mail")


PEERS = {"raw": raw, "django": plain_django, "post_office": post_office, "mailer": mailer}


def cpu_seconds() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main(name: str, path: str, processes: str = "1") -> None:
    django.setup()
    if name == "migrate":
        call_command("migrate", verbosity=0)
        return
    send = PEERS[name](read(Path(path)), int(processes))
    print("ready", flush=True)
    sys.stdin.readline()
    began, cpu = time.monotonic(), cpu_seconds()
    send()
    print(json.dumps({"seconds": time.monotonic() - began, "cpu": cpu_seconds() - cpu}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
