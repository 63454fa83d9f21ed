"""Second step: who must have more than a password, and who has none is led to set it up before anything else."""

from collections.abc import Callable
from datetime import timedelta

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring.web.entry import signed_in
from patients import access
from patients.models import Membership, Role, User

_OPEN = frozenset(  # what somebody may open who has yet to set it up
    {
        "second_step",
        "account_logout",
        "account_login",
        "account_reauthenticate",
        "set_language",
        "session",
        "kept_forms",
    }
)


def factors_of(user: AbstractBaseUser | AnonymousUser) -> QuerySet[Authenticator]:
    """What the person can take the second step with; recovery codes alone are none."""
    found: QuerySet[Authenticator] = Authenticator.objects.filter(user_id=user.pk)
    return found.exclude(type=Authenticator.Type.RECOVERY_CODES)


def free_roles() -> frozenset[Role]:
    """Who holds no other role may do without; and does well to have one."""
    return frozenset(map(Role, settings.MFA_FREE_ROLES))


def is_required(user: User) -> bool:
    """Whether the settings and a role ask for it: clinicians, administrators, superusers, and every role to come."""
    if not settings.MFA_REQUIRED:
        return False
    held = Membership.objects.filter(user_id=user.pk).exclude(role__in=free_roles())
    return user.is_superuser or held.exists()


def is_missing(request: HttpRequest) -> bool:
    """Whether the signed-in person needs a second step, has none, and the days of grace are over."""
    user = request.user
    if not settings.MFA_REQUIRED or not isinstance(user, User):
        return False
    viewer = access.viewer_of(request)
    free = free_roles()
    if not user.is_superuser and all(role in free for _clinic, role in viewer.roles):
        return False
    if timezone.now() < user.date_joined + timedelta(days=settings.MFA_GRACE_DAYS):
        return False
    return not factors_of(user).exists()


class RequireSecondStep:
    """Leads whoever lacks a second step to the page that sets it up, and nowhere else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(self, request: HttpRequest, view: object, args: object, named: object) -> HttpResponseBase | None:
        match = request.resolver_match
        name = (match.url_name if match else "") or ""
        if name in _OPEN or name.startswith("mfa_") or not is_missing(request):
            return None
        if "HX-Request" in request.headers:
            answer = HttpResponse(status=401)
            answer["HX-Redirect"] = reverse("second_step")
            return answer
        return redirect("second_step")


@signed_in
@require_GET
def page(request: HttpRequest) -> HttpResponse:
    """What to choose from; whoever has it already goes on."""
    if factors_of(request.user).exists():
        return redirect("mfa_index")
    insecure = not request.is_secure() and request.get_host().partition(":")[0] != "localhost"
    return render(request, "account/second_step.html", {"required": is_missing(request), "no_passkeys": insecure})
