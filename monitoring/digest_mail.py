"""Digest mail: the words of a digest, as text and HTML, in its reader's language. It names no patient."""

from datetime import datetime
from email.utils import formataddr
from typing import Any

import css_inline
from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.crypto import salted_hmac
from django.utils.formats import time_format
from django.utils.translation import gettext, ngettext, override

from patients.models import Clinic, User
from schedules.mail import sender_address, written_out

from .digest import Digest, Group, Item, Kind, Reason, Section
from .escalation import Rung

_CSS = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


def compose(user: User, clinic: Clinic, digest: Digest, *, now: datetime) -> EmailMultiAlternatives:
    """The mail of one digest, ready to be handed over, in the language of its reader."""
    with override(user.language):
        name = " ".join(clinic.mail_name.split())
        context = {
            "subject": _subject(name, digest),
            "language": user.language,
            "clinic": name,
            "reader": " ".join(user.name.split()),
            "heading": gettext("What is yours today"),
            "day": written_out(digest.day),
            "as_of": _moment(now, clinic),
            "since": _moment(digest.since, clinic),
            "sections": _sections(digest),
            "open_url": _url(reverse("worklist")),
            "settings_url": _url(reverse("notifications")),
        }
        text = render_to_string("monitoring/mail/digest.txt", context)
        html = _CSS.inline(render_to_string("monitoring/mail/digest.html", context))
        message = EmailMultiAlternatives(
            subject=str(context["subject"]),
            body=text.strip() + "\n",
            from_email=formataddr((name, sender_address())),
            to=[user.email],
            headers={
                "Message-ID": message_id(user, clinic, digest),
                "Auto-Submitted": "auto-generated",
                "X-Auto-Response-Suppress": "All",
                "Content-Language": user.language,
                "List-Unsubscribe": f"<{context['settings_url']}>",
            },
        )
    message.attach_alternative(html, "text/html")
    return message


def message_id(user: User, clinic: Clinic, digest: Digest) -> str:
    """The same for every copy of the same digest; it reveals nothing."""
    key = f"{user.pk}|{clinic.pk}|{digest.day}"
    domain = sender_address().rpartition("@")[2] or "localhost"
    return f"<{salted_hmac('monitoring.digest_mail', key, algorithm='sha256').hexdigest()[:40]}@{domain}>"


def _url(path: str) -> str:
    return f"{settings.PUBLIC_URL}{path}"


def _moment(at: datetime, clinic: Clinic) -> str:
    there = at.astimezone(clinic.zone)
    return gettext("%(day)s, %(time)s") % {"day": written_out(there.date()), "time": time_format(there, "H:i")}


def _subject(clinic: str, digest: Digest) -> str:
    escalated, new = digest.total(Section.ESCALATED), digest.total(Section.NEW)
    parts = [gettext("%(n)d escalated to you") % {"n": escalated}] * bool(escalated)
    parts += [gettext("%(n)d new") % {"n": new}] * bool(new)
    said = ", ".join(parts) or gettext("what is open")
    return gettext("%(clinic)s: %(said)s") % {"clinic": clinic, "said": said}


def _sections(digest: Digest) -> list[dict[str, Any]]:
    titles = {
        Section.ESCALATED: gettext("Escalated to you"),
        Section.NEW: gettext("New since the last digest"),
        Section.PROMISED: gettext("Promised for today or before"),
        Section.OPEN: gettext("Open"),
        Section.MAIL: gettext("Mail to patients"),
        Section.RUNNING: gettext("The system itself"),
    }
    return [
        {"title": titles[section], "groups": [_group(group) for group in groups]}
        for section in Section
        if (groups := digest.only(section).groups)
    ]


def _group(group: Group) -> dict[str, Any]:
    return {
        "words": words_of(group.kind, group.count),
        "url": _url(group.path),
        "note": _stand_in(group.instead_of),
        "items": [{"words": f"#{item.number}, {_item(item)}", "url": _url(item.path)} for item in group.items],
        "more": gettext("and %(n)d more") % {"n": group.more} if group.more else "",
    }


def words_of(kind: Kind, n: int) -> str:
    """So many of a kind in words, in the language that is active."""
    words = {
        Kind.OVERDUE_ESCALATED: ngettext("%(n)d overdue follow-up", "%(n)d overdue follow-ups", n),
        Kind.CASES_ESCALATED: ngettext(
            "%(n)d case that has been undecided for too long", "%(n)d cases that have been undecided for too long", n
        ),
        Kind.CASES_NEW: ngettext("%(n)d new case for you", "%(n)d new cases for you", n),
        Kind.OVERDUE_NEW: ngettext("%(n)d patient has become overdue", "%(n)d patients have become overdue", n),
        Kind.PROMISES: ngettext("%(n)d patient to come back to", "%(n)d patients to come back to", n),
        Kind.CASES_MINE: ngettext("%(n)d case assigned to you", "%(n)d cases assigned to you", n),
        Kind.CASES_OPINION: ngettext(
            "%(n)d case on which your opinion is asked", "%(n)d cases on which your opinion is asked", n
        ),
        Kind.CASES_UNASSIGNED: ngettext("%(n)d case that nobody has taken", "%(n)d cases that nobody has taken", n),
        Kind.LEFT_TO_ME: ngettext("%(n)d overdue patient left to you", "%(n)d overdue patients left to you", n),
        Kind.OVERDUE: ngettext("%(n)d patient is overdue", "%(n)d patients are overdue", n),
        Kind.DUE: ngettext("%(n)d patient is due or may be booked", "%(n)d patients are due or may be booked", n),
        Kind.NEVER_STARTED: ngettext("%(n)d patient has never started", "%(n)d patients have never started", n),
        Kind.INCOMPLETE: ngettext("%(n)d incomplete record", "%(n)d incomplete records", n),
        Kind.CALLS: ngettext("%(n)d call to make", "%(n)d calls to make", n),
        Kind.UNREACHABLE: ngettext(
            "%(n)d patient cannot be reached by mail", "%(n)d patients cannot be reached by mail", n
        ),
        Kind.MAIL_UNCERTAIN: ngettext(
            "%(n)d mail may or may not have arrived", "%(n)d mails may or may not have arrived", n
        ),
        Kind.MAIL_HELD: ngettext(
            "%(n)d mail waits until somebody has looked", "%(n)d mails wait until somebody has looked", n
        ),
        Kind.LETTERS: ngettext("%(n)d letter to print", "%(n)d letters to print", n),
        Kind.RUNS_LATE: ngettext("%(n)d recurring run is late", "%(n)d recurring runs are late", n),
        Kind.CENSUS_WRONG: ngettext("%(n)d census does not add up", "%(n)d censuses do not add up", n),
        Kind.ENDINGS_UNREAD: ngettext(
            "%(n)d ended follow-up to read again after a year", "%(n)d ended follow-ups to read again after a year", n
        ),
        Kind.DIGESTS_LOST: ngettext(
            "%(n)d digest of the last week did not reach its reader",
            "%(n)d digests of the last week did not reach their readers",
            n,
        ),
    }
    return words[kind] % {"n": n}


def _item(item: Item) -> str:
    words = {
        Reason.DUE_LONG_AGO: gettext("since %(day)s, %(days)d days after it was due"),
        Reason.GAP: gettext("since %(day)s, a gap in follow-up"),
        Reason.UNDECIDED: gettext("asked since %(day)s, not decided"),
        Reason.OVERDUE: gettext("overdue since %(day)s"),
        Reason.OPENED: gettext("asked since %(day)s"),
        Reason.PROMISED: gettext("promised for %(day)s"),
    }
    return words[item.reason] % {"day": written_out(item.since) if item.since else "?", "days": item.days}


def _stand_in(rung: Rung | None) -> str:
    if rung is None:
        return ""
    return {
        Rung.COORDINATOR: gettext("Nobody is coordinator of this clinic, so this comes to you."),
        Rung.CLINICIAN: gettext("Nobody is clinician of this clinic, so this comes to you."),
        Rung.ADMIN: gettext("Nobody is administrator of this clinic, so this comes to you."),
    }[rung]
