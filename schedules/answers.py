"""Answers: what a mail server says, or fails to say, and what that means for the mail."""

import re
import smtplib
from dataclasses import dataclass
from enum import IntEnum, StrEnum

CLOSING = 421
TOO_LARGE = 552  # by the size that is told with the sender
OUR_ADDRESS = ("5.1.7", "5.1.8")  # enhanced status codes (RFC 3463) that speak of the sender's address
OF_ONE_MAIL = ("5.1.", "5.2.", "5.3.4")  # of the recipient's address or mailbox, or of this mail's size
# How servers that give no enhanced code tell who may send through them: then the mailbox may well exist.
_RIGHTS = re.compile(r"relay|rcpthosts|authent|not permitted|access denied|sender|policy|block|blacklist|spam", re.I)


class Ending(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"  # for good
    TRY_LATER = "try_later"  # the server puts it off, or was lost over it
    UNREACHABLE = "unreachable"  # the server's fault or ours, not this mail's
    NOT_TRIED = "not_tried"  # nobody asked a server
    UNWRITABLE = "unwritable"  # this mail cannot be put into words that a server takes
    IN_DOUBT = "in_doubt"  # handed over, and no answer came


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one mail. `address_bad`: the server knows no such mailbox.

    `code`: the server's, where it gave one. `after_recipient`: it had taken the recipient and spoke of the whole mail.
    `may_mean_us`: refused for good in words that need not be about this mail or its receiver.
    `provider_id`: the name under which a provider will tell what becomes of the mail later.
    """

    ending: Ending
    reason: str = ""
    address_bad: bool = False
    provider_id: str = ""
    code: int = 0
    after_recipient: bool = False
    may_mean_us: bool = False


class InDoubt(Exception):
    """The connection failed after the whole mail was written and before its server answered."""


class Stage(IntEnum):
    """What the server has not answered yet."""

    SENDER = 1
    RECIPIENT = 2
    CONTENT = 3


def is_farewell(fault: Exception, stage: Stage) -> bool:
    """The server ends the connection and says nothing of the mail."""
    if isinstance(fault, smtplib.SMTPResponseException):
        return stage == Stage.SENDER and fault.smtp_code == CLOSING
    return isinstance(fault, smtplib.SMTPServerDisconnected | ConnectionError)


def judge(fault: Exception, stage: Stage = Stage.RECIPIENT) -> Outcome:
    """What an exception of a mail backend means for the mail. `stage`: how far the mail had come."""
    match fault:
        case InDoubt():
            return Outcome(Ending.IN_DOUBT, f"No answer came after it was handed over: {words_of(fault)}")
        case smtplib.SMTPRecipientsRefused():
            code, text = next(iter(fault.recipients.values()))
            return _by_code(code, text, stage, bad_address=is_unknown_mailbox(code, text))
        case smtplib.SMTPSenderRefused() if fault.smtp_code == TOO_LARGE:
            return _by_code(fault.smtp_code, fault.smtp_error, Stage.CONTENT, bad_address=False)
        case smtplib.SMTPSenderRefused() if fault.smtp_code >= 500:
            said = _said(fault.smtp_code, fault.smtp_error)
            return Outcome(Ending.UNREACHABLE, f"Our address is refused. {said}", code=fault.smtp_code)
        case smtplib.SMTPResponseException():
            enhanced = _enhanced(fault.smtp_error)
            bad_address = enhanced.startswith("5.1.") and enhanced not in OUR_ADDRESS
            return _by_code(fault.smtp_code, fault.smtp_error, stage, bad_address=bad_address)
        case OSError() if not isinstance(fault, smtplib.SMTPException) or isinstance(
            fault, smtplib.SMTPServerDisconnected
        ):
            lost = Ending.UNREACHABLE if stage == Stage.SENDER else Ending.TRY_LATER
            return Outcome(lost, words_of(fault), after_recipient=stage == Stage.CONTENT)
        case _:
            return Outcome(Ending.UNWRITABLE, words_of(fault))


def _by_code(code: int, text: bytes | str, stage: Stage, *, bad_address: bool) -> Outcome:
    said, after_recipient = _said(code, text), stage == Stage.CONTENT
    if 500 <= code < 600:
        ours = not bad_address and code != TOO_LARGE and may_mean_us(text)
        return Outcome(Ending.REJECTED, said, bad_address, code=code, after_recipient=after_recipient, may_mean_us=ours)
    if stage == Stage.SENDER:  # it has not even heard whom the mail is for
        return Outcome(Ending.UNREACHABLE, said, code=code)
    return Outcome(Ending.TRY_LATER, said, code=code, after_recipient=after_recipient)


def is_unknown_mailbox(code: int, text: bytes | str) -> bool:
    """Blocked, full or forbidden is not unknown: only a dead address may stop later mail.

    `text` is what the server said, beginning with its enhanced status code where it gave one.
    """
    if enhanced := _enhanced(text):
        return enhanced.startswith(("5.1.", "5.2.1")) and enhanced not in OUR_ADDRESS
    return code in (550, 551, 553) and not _RIGHTS.search(_text(text))


def may_mean_us(text: bytes | str) -> bool:
    """Whether a refusal for good, not of an unknown mailbox, may be what every mail of ours would get."""
    enhanced = _enhanced(text)
    return enhanced in OUR_ADDRESS or not enhanced.startswith(OF_ONE_MAIL)


def _text(said: bytes | str) -> str:
    return " ".join((said.decode("utf-8", "replace") if isinstance(said, bytes) else said).split())


def _enhanced(said: bytes | str) -> str:
    """The enhanced status code (RFC 3463) that the answer begins with, or ""."""
    first = _text(said).partition(" ")[0]
    return first if first.count(".") == 2 and first.replace(".", "").isdigit() else ""


def _said(code: int, text: bytes | str) -> str:
    return f"The server said: {code} {_text(text)}"[:200]


def words_of(fault: Exception) -> str:
    return f"{type(fault).__name__} {_text(str(fault))}".strip()[:150]
