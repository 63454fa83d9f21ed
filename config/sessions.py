"""Sessions: they end after a while without a click and after a working day; what is sent too late is kept.

A session that has ended is emptied at once; a mark in the anonymous one that follows tells whose it was, so that a
form sent from an open page is kept for that person (`monitoring.kept_forms`) and re-presented after signing in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from monitoring import audit, kept_forms, secrecy
from monitoring.models import KeptForm
from monitoring.web.entry import signed_in
from monitoring.web.keeping import keep_and_lead, page_of
from patients.changes import Actor
from patients.models import User

BEGUN, SEEN, ENDED = "begun_at", "seen_at", "ended"
OPEN_TO_ALL = ("/account/", "/i18n/", "/p/", "/api/", "/anymail/", "/static/", "/metrics", "/healthz", "/readyz")
ASKS = "session"  # the page's question how long is left, which is no click


@dataclass(frozen=True, slots=True)
class Ending:
    """When a session ends if nobody clicks, and whether a click would put that off."""

    at: datetime
    can_be_put_off: bool


def begin(request: HttpRequest, now: datetime) -> None:
    """Somebody has signed in."""
    request.session[BEGUN] = request.session[SEEN] = now.timestamp()
    request.session.pop(ENDED, None)


def ending_of(request: HttpRequest) -> Ending | None:
    """None for somebody who is not signed in."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or SEEN not in request.session:
        return None
    idle = _moment(request.session[SEEN]) + settings.SESSION_IDLE
    at_most = _moment(request.session[BEGUN]) + settings.SESSION_LASTS
    return Ending(min(idle, at_most), can_be_put_off=idle < at_most)


def _moment(stamp: float) -> datetime:
    return datetime.fromtimestamp(stamp, UTC)


class SessionClock:
    """Ends sessions whose time has come, before anything is shown, and keeps what is sent afterwards."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.session.session_key and isinstance(request.user, User):
            now = timezone.now()
            ending = ending_of(request)
            if ending and ending.at <= now:
                _end(request, request.user, ending, now)
            else:
                _touch(request, now)
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, named: object) -> HttpResponseBase | None:
        """After the check for forged forms: keep what comes too late; forget what was kept and is sent now."""
        if request.method != "POST":
            return None
        if isinstance(request.user, User):
            if request.content_type == "application/x-www-form-urlencoded" and "kept_form" in request.POST:
                pk = request.POST["kept_form"]
                kept_forms.drop(request.user, int(pk) if pk.isdecimal() and len(pk) < 18 else 0)
            return None
        mark = request.session.get(ENDED)
        if not mark or request.path.startswith(OPEN_TO_ALL):
            return None
        owner = User.objects.filter(pk=mark["user"], is_active=True).first()
        if owner is None or timezone.now() - _moment(mark["at"]) > kept_forms.KEPT_FOR:
            return None
        return keep_and_lead(request, owner, reverse("account_login"))


def _touch(request: HttpRequest, now: datetime) -> None:
    """A click; written down once in a while only, so that pages do not each write."""
    stamp = now.timestamp()
    request.session.setdefault(BEGUN, stamp)
    match_asks = request.path == reverse(ASKS) and request.method != "POST"
    if not match_asks and stamp - request.session.get(SEEN, 0) > settings.SESSION_IDLE.total_seconds() / 30:
        request.session[SEEN] = stamp
        UserSession.objects.filter(session_key=request.session.session_key).update(last_seen_at=now)


def _end(request: HttpRequest, user: User, ending: Ending, now: datetime) -> None:
    request.session.flush()
    request.session[ENDED] = {"user": user.pk, "at": ending.at.timestamp(), "idle": ending.can_be_put_off}
    request.user = AnonymousUser()
    by = Actor(name=user.name or user.email, user_id=user.pk, request_id=getattr(request, "request_id", ""))
    audit.note(by, "session_ended", object=f"user-{user.pk}", reason="idle" if ending.can_be_put_off else "too long")


def end_too_many(request: HttpRequest, user: User) -> int:
    """Of one person's other sessions those stay that were used last; returns how many ended."""
    rows = UserSession.objects.filter(user=user).exclude(session_key=request.session.session_key or "")
    others = [one for one in rows.order_by("-last_seen_at", "-id") if one.exists()]  # this one may not be kept yet
    ending = others[max(settings.SESSIONS_AT_ONCE - 1, 0) :]
    by = Actor(name=user.name or user.email, user_id=user.pk, request_id=getattr(request, "request_id", ""))
    for one in ending:
        one.end()
        audit.note(by, "session_ended", object=f"user-{user.pk}", reason="too many at once")
    return len(ending)


# ---- Pages


@require_http_methods(["GET", "HEAD", "POST"])
def session(request: HttpRequest) -> HttpResponse:
    """How many seconds are left; a POST, as the button of the warning sends it, is a click."""
    ending = ending_of(request)
    if ending is None:
        return JsonResponse({"left": 0}, status=401)
    if (
        request.method == "POST"
        and "HX-Request" not in request.headers
        and "text/html" in request.headers.get("Accept", "")
    ):
        return redirect(page_of(request))
    left = (ending.at - timezone.now()).total_seconds()
    return JsonResponse({"left": max(0, int(left)), "more": ending.can_be_put_off})


@signed_in
@require_http_methods(["GET", "HEAD"])
def kept(request: HttpRequest) -> HttpResponse:
    """What was sent too late, to be sent now by the person who typed it."""
    rows = [row for row in map(_row, kept_forms.kept_for(_person(request), now=timezone.now())) if row]
    if not rows:
        return redirect("worklist")
    until = timezone.now() + kept_forms.KEPT_FOR
    return render(request, "account/kept_forms.html", {"rows": rows, "until": until})


def _row(form: KeptForm) -> dict[str, Any] | None:
    try:
        typed = kept_forms.read(form)
    except secrecy.Unreadable:
        return None
    shown = [(name, text) for name, text in typed.fields if text and len(text) < 2000]
    return {
        "pk": form.pk,
        "at": form.kept_at,
        "until": form.kept_at + kept_forms.KEPT_FOR,
        "typed": typed,
        "shown": shown,
    }


@signed_in
@require_POST
def drop(request: HttpRequest, pk: int) -> HttpResponse:
    if kept_forms.drop(_person(request), pk):
        messages.success(request, _("It is thrown away."))
    return redirect("kept_forms")


def _person(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise TypeError("Only somebody signed in has kept forms.")
    return request.user


def left_for_page(request: HttpRequest) -> dict[str, Any]:
    """For every page's frame: when one will be signed out, and how many seconds that is."""
    ending = ending_of(request)
    if ending is None:
        return {}
    left: timedelta = ending.at - timezone.now()
    return {"session_ends": {"at": ending.at, "left": int(left.total_seconds()), "more": ending.can_be_put_off}}
