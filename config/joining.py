"""Joining: the page behind an invitation's link, on which somebody becomes a member of a clinic's staff."""

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django import forms
from django.contrib import messages
from django.contrib.auth import password_validation
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from monitoring import invitations
from monitoring.invitations import InvitationClosed
from monitoring.models import Invitation
from patients.models import Role, User

KEY = "invitation_key"


class JoinForm(forms.Form):
    """Name and password of somebody new; the password is judged with what is known of the person."""

    use_required_attribute = False

    name = forms.CharField(
        label=gettext_lazy("Your name"),
        max_length=120,
        help_text=gettext_lazy("As colleagues know it; it stands beside what you record."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    password = forms.CharField(
        label=gettext_lazy("Password"),
        strip=False,
        max_length=256,
        help_text=gettext_lazy("12 characters or more. A few words that nobody would guess are easiest to remember."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )

    def __init__(self, *args: Any, email: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.email = email

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("password"):
            known = User(email=self.email, name=data.get("name", ""))
            try:
                password_validation.validate_password(data["password"], known)
            except forms.ValidationError as refused:
                self.add_error("password", refused)
        return data


@require_http_methods(["GET", "HEAD", "POST"])
def invitation(request: HttpRequest) -> HttpResponseBase:
    """The link's key moves from the address into the session, so that it stands in no history and no log."""
    if "key" in request.GET:
        request.session[KEY] = request.GET["key"][:200]
        return redirect("invitation")
    try:
        found = invitations.find_invitation(request.session.get(KEY, ""), now=timezone.now())
        return _asked(request, found)
    except InvitationClosed:
        request.session.pop(KEY, None)
        return render(request, "account/invitation_closed.html", status=410)


def _asked(request: HttpRequest, found: Invitation) -> HttpResponseBase:
    account = User.objects.filter(email=found.email).first()
    if account is None and not request.user.is_authenticated:
        return _join_as_new(request, found)
    if request.user == account:
        return _join_as_known(request, found)
    if not request.user.is_authenticated:
        return redirect_to_login(reverse("invitation"))
    return render(
        request, "account/invitation.html", {"invitation": found, "somebody_else": True, "roles": _roles(found)}
    )


def _join_as_new(request: HttpRequest, found: Invitation) -> HttpResponseBase:
    form = JoinForm(request.POST or None, email=found.email, initial={"name": found.name})
    if not form.is_valid():
        context = {"form": form, "invitation": found, "roles": _roles(found), "new": True}
        return render(request, "account/invitation.html", context, status=422 if form.is_bound else 200)
    user = invitations.accept_as_new(
        request.session[KEY], now=timezone.now(), request_id=getattr(request, "request_id", ""), **form.cleaned_data
    )
    request.session.pop(KEY, None)
    record_authentication(request, user, method="password", email=user.email)
    answer: HttpResponse = perform_login(request, user, email_verification="none", email=user.email)
    return answer


def _join_as_known(request: HttpRequest, found: Invitation) -> HttpResponseBase:
    if request.method != "POST" or not isinstance(request.user, User):
        return render(request, "account/invitation.html", {"invitation": found, "roles": _roles(found)})
    key, now = request.session.pop(KEY), timezone.now()
    invitations.accept(key, user=request.user, now=now, request_id=getattr(request, "request_id", ""))
    messages.success(request, _("You now work in %(clinic)s.") % {"clinic": found.clinic.name})
    return redirect("worklist")


def _roles(found: Invitation) -> str:
    return ", ".join(str(Role(role).label) for role in found.roles)
