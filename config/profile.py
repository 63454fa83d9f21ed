"""Profile: a person's own account. Name and language, and the ways to all that has a page of its own."""

from typing import Any

from allauth.usersessions.models import UserSession
from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from monitoring import sign_ins, staffing
from monitoring.web.entry import signed_in
from patients import access
from patients.models import Clinic, Role, User
from patients.models.clinic import LANGUAGES

from . import own_language, second_step


class ProfileForm(forms.Form):
    use_required_attribute = False

    name = forms.CharField(
        label=gettext_lazy("Your name"),
        max_length=120,
        help_text=gettext_lazy("As colleagues know it; it stands beside what you record."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    language = forms.ChoiceField(label=gettext_lazy("Language of your pages and mails"), choices=LANGUAGES)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    user = _own(request)
    form = ProfileForm(request.POST or None, initial={"name": user.name, "language": user.language})
    if form.is_valid():
        staffing.change_own_details(user, by=access.viewer_of(request).actor, **form.cleaned_data)
        with translation.override(user.language):
            messages.success(request, _("Kept."))
        answer = redirect("profile")
        own_language.keep_in_browser(answer, user)
        return answer
    context = {
        "form": form,
        "roles": _roles(request),
        "factors": second_step.factors_of(user).count(),
        "required": second_step.is_required(user),
        "sessions": len(UserSession.objects.purge_and_list(user)),
    }
    return render(request, "account/profile.html", context, status=422 if form.is_bound else 200)


def _roles(request: HttpRequest) -> list[dict[str, Any]]:
    viewer = access.viewer_of(request)
    names = dict(Clinic.objects.filter(id__in=viewer.clinic_ids).values_list("id", "name"))
    held: dict[int, list[str]] = {}
    for clinic, role in viewer.roles:
        held.setdefault(clinic, []).append(str(Role(role).label))
    return [{"clinic": names[clinic], "roles": ", ".join(roles)} for clinic, roles in held.items() if clinic in names]


@signed_in
@require_POST
def end_session(request: HttpRequest, pk: int) -> HttpResponse:
    if sign_ins.end_session(pk, user=_own(request), by=access.viewer_of(request)):
        messages.success(request, _("That browser is signed out."))
    return redirect("usersessions_list")


def _own(request: HttpRequest) -> User:
    if not isinstance(request.user, User):
        raise Http404("Nobody is signed in.")
    return request.user
