"""Mail events: where the mail provider posts what became of mails. Only the one that the settings name is heard.

There is no session and no patient's page here: the provider's signature, or its password, is the authority, and without
either being set nothing is taken. Each event is a transaction of its own, so a repeated post goes on where it stopped.
"""

import logging
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from anymail.exceptions import AnymailConfigurationError, AnymailNotSupportedWarning, AnymailWebhookValidationFailure
from anymail.signals import AnymailTrackingEvent
from anymail.webhooks.base import AnymailCoreWebhookView
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from rest_framework.throttling import BaseThrottle

from schedules import feedback
from schedules.provider_events import report_of

from ..api.throttling import count_call

log = logging.getLogger(__name__)
VIEWS = {  # in anymail.webhooks
    "brevo": "BrevoTrackingWebhookView",
    "mailgun": "MailgunTrackingWebhookView",
    "mailjet": "MailjetTrackingWebhookView",
    "postmark": "PostmarkTrackingWebhookView",
    "sendgrid": "SendGridTrackingWebhookView",
}
MOST_BYTES = 1024 * 1024  # the largest batch that a provider posts is three quarters of this
REFUSED_A_MINUTE = 30  # of one address; what is genuine is never too much
METHODS = ["POST", "HEAD"]


class Unreadable(ValueError):
    """The provider's post is not what it should be."""


@csrf_exempt
def receive(request: HttpRequest, provider: str) -> HttpResponse:
    """Take a provider's post: 200 also for mails that are not known here, so that it is not posted for days."""
    if provider not in VIEWS or provider != settings.MAIL_PROVIDER or not settings.MAIL_WEBHOOKS:
        return HttpResponse(status=404)
    if request.method == "HEAD":  # some providers ask so whether the address is right
        return HttpResponse()
    if request.method != "POST":
        return HttpResponse(status=405, headers={"Allow": ", ".join(METHODS)})
    if int(request.META.get("CONTENT_LENGTH") or 0) > MOST_BYTES:
        return HttpResponse(status=413)
    if _refused_lately(request, 0) > REFUSED_A_MINUTE:
        return HttpResponse(status=429, headers={"Retry-After": "60"})
    try:
        events = _events(request, provider)
    except AnymailWebhookValidationFailure:
        _refused_lately(request, 1)
        log.warning("a post in the name of the mail provider was refused: its signature or password is wrong")
        return HttpResponse(status=400)
    except Unreadable as fault:
        log.warning("a post of the mail provider cannot be read: %s", fault)
        return HttpResponse(status=400)
    _record(events, provider)
    return HttpResponse()


def _events(request: HttpRequest, provider: str) -> Sequence[AnymailTrackingEvent]:
    """The events of a post whose signature holds. Raises AnymailWebhookValidationFailure, Unreadable."""
    view: Any = _view(provider)  # anymail says no types
    view.setup(request)
    view.run_validators(request)
    try:
        events: Sequence[AnymailTrackingEvent] = view.parse_events(request)
    except (ValueError, KeyError, TypeError, AttributeError, AnymailConfigurationError) as fault:
        raise Unreadable(type(fault).__name__) from fault
    return events


def _view(provider: str) -> AnymailCoreWebhookView:
    make: Callable[[], AnymailCoreWebhookView] = getattr(import_module(f"anymail.webhooks.{provider}"), VIEWS[provider])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AnymailNotSupportedWarning)  # said at every post; see docs/operations.md
        return make()


def _record(events: Sequence[AnymailTrackingEvent], provider: str) -> None:
    unknown = 0
    for event in events:
        now = timezone.now()
        report = report_of(event, provider, now=now)
        if report is not None and feedback.record(report, now=now) == feedback.Result.UNKNOWN:
            unknown += 1
    log.info("%s told of %d mails, %d of them not known here", provider, len(events), unknown)


def _refused_lately(request: HttpRequest, more: int) -> int:
    """How many posts of this address were refused within the minute, after counting `more`."""
    address = BaseThrottle().get_ident(request)  # type: ignore[arg-type]  # reads request.META only
    return count_call(f"mail-events-{address}", int(timezone.now().timestamp()) // 60, by=more)
