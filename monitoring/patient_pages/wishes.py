"""Contact wishes: how and in which language a patient is reached. Looking changes nothing; all can be undone."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.core import signing
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import override

from patients.models.patient import Channel
from patients.recording import amend_patient, set_consent, set_contact_wish
from schedules import links
from schedules.links import Purpose

from .door import Guest, is_one_click, opened_by, show
from .forms import CHANNELS, PURPOSES, WishesForm, initial_wishes, wishes_of

UNDO_WITHIN_SECONDS = 3600
# What holds of what was never asked about, and so what an undo goes back to: people are telephoned and written letters,
# and nothing for which they must have agreed was ever agreed to.
UNASKED = {Channel.TELEPHONE.value: True, Channel.LETTER.value: True}
HOW = "by the link in a mail"
Wanted = Mapping[str, Any]  # channel or purpose -> bool, "language" -> code; only what is to change


@opened_by(Purpose.WISHES)
def wishes(request: HttpRequest, guest: Guest) -> HttpResponse:
    """The form; once it is saved, the same form with a way back."""
    if request.method != "POST":
        return _form(guest, WishesForm(initial=initial_wishes(guest.patient)))
    if "undo" in request.POST:
        before = _before(guest, request.POST["undo"])
        _change(guest, before, HOW)
        return _form(guest, WishesForm(initial=initial_wishes(guest.patient)), undone=bool(before))
    form = WishesForm(request.POST)
    if not form.is_valid():
        return _form(guest, form, status=422)
    before = _change(guest, form.cleaned_data, HOW)
    shown = WishesForm(initial=initial_wishes(guest.patient))
    return _form(guest, shown, saved=True, undo=_undo(guest, before) if before else "")


@opened_by(Purpose.STOP)
def stop(request: HttpRequest, guest: Guest) -> HttpResponse:
    """Stop e-mail: asked by a page, done by a POST from its button or from a mail program's own."""
    if request.method != "POST":
        return show("stop", guest.clinic, stopped=wishes_of(guest.patient).get(Channel.EMAIL) is False)
    if "undo" in request.POST and not is_one_click(request):
        back = _change(guest, _before(guest, request.POST["undo"]), HOW)
        return show("stop", guest.clinic, undone=bool(back))
    before = _change(guest, {Channel.EMAIL.value: False}, "unsubscribed by the link in a mail")
    return show("stop", guest.clinic, done=True, undo=_undo(guest, before) if before else "", more=_wishes_url(guest))


def _form(guest: Guest, form: WishesForm, *, status: int = 200, **context: Any) -> HttpResponse:
    unreachable = not any(wishes_of(guest.patient).get(channel, True) for channel in CHANNELS)
    with override(guest.patient.language):
        return show("wishes", guest.clinic, form=form, unreachable=unreachable, status=status, **context)


@transaction.atomic
def _change(guest: Guest, wanted: Wanted, how: str) -> dict[str, Any]:
    """Make what differs as wanted, and return what it was before. None means: leave it."""
    now_allowed = wishes_of(guest.patient)
    before: dict[str, Any] = {}
    for asked in (*CHANNELS, *PURPOSES):
        allowed = wanted.get(asked)
        if allowed is not None and now_allowed.get(asked) != allowed:
            before[asked] = now_allowed.get(asked, UNASKED.get(asked, False))
            _record(guest, asked, allowed, how)
    language = wanted.get("language")
    if language and language != guest.patient.language:
        before["language"] = guest.patient.language
        amend_patient(guest.patient.pk, by=guest.by, changes={"language": language}, reason=how, now=guest.now)
        guest.patient.refresh_from_db()
    return before


def _record(guest: Guest, asked: str, allowed: bool, how: str) -> None:
    if asked in PURPOSES:
        set_consent(guest.patient.pk, by=guest.by, purpose=asked, allowed=allowed, how=how, on=guest.today)
    else:
        set_contact_wish(guest.patient.pk, by=guest.by, channel=asked, allowed=allowed, how=how, on=guest.today)


def _undo(guest: Guest, before: Wanted) -> str:
    return signing.dumps(dict(before), salt=_salt(guest))


def _before(guest: Guest, token: str) -> dict[str, Any]:
    """What was so before; nothing where an hour has gone by."""
    try:
        before: dict[str, Any] = signing.loads(token, salt=_salt(guest), max_age=UNDO_WITHIN_SECONDS)
    except signing.BadSignature:
        return {}
    return before


def _salt(guest: Guest) -> str:
    return f"monitoring.patient_pages.wishes:{guest.token}"


def _wishes_url(guest: Guest) -> str:
    """From one page to the other: good until tomorrow."""
    return links.url_of(replace(guest.link, purpose=Purpose.WISHES, expires_on=guest.today + timedelta(days=1)))
