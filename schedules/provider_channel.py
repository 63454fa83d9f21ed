"""Provider channel: mail handed over to a mail provider's HTTP interface, and what its answers mean for the mail.

A provider that took a mail and whose answer was lost would send it again when asked again. So whatever fails after the
request may have been read is in doubt, as with a mail server.
"""

from contextlib import suppress

import requests
from anymail.exceptions import (
    AnymailAPIError,
    AnymailConfigurationError,
    AnymailInvalidAddress,
    AnymailRecipientsRefused,
    AnymailSerializationError,
    AnymailUnsupportedFeature,
)
from anymail.message import AnymailStatus
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError, ProxyError, SSLError

from .answers import Ending, Outcome
from .channels import Wire

OURS = (401, 402, 403, 404, 405)  # the key, the account or the address of the interface: no fault of the mail
BUSY = (429, 503)
ANSWER_LOST = (502, 504)  # said by what stands before the provider, which may have taken the mail
TOO_LARGE = 413
NOT_CONNECTED = (NewConnectionError, NameResolutionError, ConnectTimeoutError, ProxyError, SSLError)
NOT_TAKEN = frozenset({"failed", "invalid", "rejected"})


class ProviderChannel:
    """One HTTP session of an anymail backend, kept between mails. `send` never raises."""

    takes_wire = False
    following: Wire | None = None

    def __init__(self, backend: BaseEmailBackend) -> None:
        self.backend = backend

    def send(self, message: EmailMessage | Wire) -> Outcome:
        if isinstance(message, Wire):
            raise TypeError("A provider takes no bytes.")
        try:
            _reduce(message)
            self.backend.open()
            self.backend.send_messages([message])
        except Exception as fault:
            outcome = judge(fault)
            if outcome.ending in (Ending.UNREACHABLE, Ending.IN_DOUBT):
                self.close()
            return outcome
        return _taken(message.anymail_status)  # type: ignore[attr-defined]  # set by the backend

    def is_well(self) -> bool | None:
        """A provider takes no mail that is taken back again, so it cannot be asked."""
        return None

    def close(self) -> None:
        with suppress(Exception):
            self.backend.close()


def _reduce(message: EmailMessage) -> None:
    """Leave out what most providers cannot carry: a calendar part beside text and HTML. Its file stays attached."""
    if isinstance(message, EmailMultiAlternatives):
        message.alternatives = [one for one in message.alternatives if one[1] == "text/html"]


def _taken(status: AnymailStatus) -> Outcome:
    """The request went well; the provider says of each recipient whether it keeps the mail."""
    if status.status and status.status <= NOT_TAKEN:
        return Outcome(Ending.TRY_LATER, "The provider did not take it.")
    named = status.message_id if isinstance(status.message_id, str) else ""
    return Outcome(Ending.ACCEPTED, provider_id=named[:200])


def judge(fault: Exception) -> Outcome:
    """What an exception of an anymail backend means for the mail."""
    match fault:
        case AnymailRecipientsRefused():
            return Outcome(Ending.REJECTED, "The provider sends nothing to this address.", address_bad=True)
        case AnymailInvalidAddress():
            return Outcome(Ending.REJECTED, "The provider cannot read an address of this mail.")
        case AnymailUnsupportedFeature() | AnymailSerializationError():
            return Outcome(Ending.REJECTED, f"The provider cannot carry this mail: {fault.args[0]}"[:200])
        case AnymailConfigurationError():
            return Outcome(Ending.UNREACHABLE, f"The provider is not set up: {type(fault).__name__}")
        case AnymailAPIError() if fault.status_code is not None:
            return _by_status(fault.status_code, fault)
        case requests.RequestException():
            return _by_connection(fault)
        case _:
            return Outcome(Ending.UNWRITABLE, type(fault).__name__)


def _by_status(code: int, fault: AnymailAPIError) -> Outcome:
    """What the provider refuses may be a setting of ours, which would refuse every mail: so it is tried three times."""
    said = f"The provider said: {code} {_words(fault)}".strip()[:200]
    if code < 400 or code in ANSWER_LOST:  # below 400: taken, in words that cannot be read
        return Outcome(Ending.IN_DOUBT, said)
    if code in OURS or code in BUSY:
        return Outcome(Ending.UNREACHABLE, said, code=code)
    return Outcome(Ending.REJECTED if code == TOO_LARGE else Ending.TRY_LATER, said, code=code)


def _by_connection(fault: requests.RequestException) -> Outcome:
    kind = next((name for name in type(fault).__mro__ if name.__module__.startswith("requests")), type(fault)).__name__
    if isinstance(fault, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.ProxyError):
        return Outcome(Ending.UNREACHABLE, f"The provider cannot be reached: {kind}")
    if isinstance(fault, requests.ConnectionError) and _never_connected(fault):
        return Outcome(Ending.UNREACHABLE, f"The provider cannot be reached: {kind}")
    return Outcome(Ending.IN_DOUBT, f"No answer came after it was handed over: {kind}")


def _never_connected(fault: BaseException) -> bool:
    """Whether some cause beneath is that no connection came about."""
    seen: list[object] = [fault]
    for one in seen:  # grows as causes are found
        if isinstance(one, NOT_CONNECTED):
            return True
        if isinstance(one, BaseException):
            beneath = (one.__cause__, getattr(one, "reason", None), *one.args)
            seen += [cause for cause in beneath if isinstance(cause, BaseException) and cause not in seen]
    return False


def _words(fault: AnymailAPIError) -> str:
    """The provider's own words: the text of its answer, at most a sentence or two."""
    text = getattr(getattr(fault, "response", None), "text", "") or ""
    return " ".join(str(text).split())[:150]
