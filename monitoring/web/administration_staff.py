"""Staff pages: who works in the administrator's clinics, with which roles, and whose account is open."""

from collections import defaultdict
from typing import Any, Final

from allauth.mfa.models import Authenticator
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from patients import access
from patients.access import Viewer
from patients.models import Clinic, Membership, Role, User

from .. import invitations, staff_roles
from .administration import administrator, sections_of
from .entry import signed_in
from .forms.staff import ReasonForm, RolesForm, StaffForm
from .worklist_filters import with_query

PAGE: Final = 50
STATES: Final = {
    "": gettext_lazy("Everybody"),
    "active": gettext_lazy("Active"),
    "invited": gettext_lazy("Never signed in"),
    "closed": gettext_lazy("Deactivated"),
}
_IN_STATE: Final = {
    "": Q(),
    "active": Q(is_active=True, last_login__isnull=False),
    "invited": Q(is_active=True, last_login__isnull=True),
    "closed": Q(is_active=False),
}
_FACTORS: Final = {"totp": gettext_lazy("code from an app"), "webauthn": gettext_lazy("passkey")}
_TONES: Final = {"active": ("good", "tick"), "invited": ("info", "ring"), "closed": ("plain", "dashed")}


@signed_in
@require_GET
def staff_list(request: HttpRequest) -> HttpResponse:
    """By name; `?q=` searches names and addresses, `?state=` and `?clinic=` narrow, `?after=` goes on."""
    viewer = administrator(request)
    kept = {name: request.GET.get(name, "").strip()[:200] for name in ("q", "state", "clinic")}
    mine = {str(clinic.pk): clinic for clinic in access.administered_clinics(viewer).order_by("name", "id")}
    kept["state"] = kept["state"] if kept["state"] in STATES else ""
    kept["clinic"] = kept["clinic"] if kept["clinic"] in mine else ""
    kept = {name: value for name, value in kept.items() if value}
    found = _found(viewer, kept)
    total, after = found.count(), request.GET.get("after", "")
    page = list(_behind(found, after).order_by("name", "id")[: PAGE + 1])
    more, page = len(page) > PAGE, page[:PAGE]
    url = reverse("staff")
    context = {
        "tabs": sections_of(viewer, "staff"),
        "actions": [{"text": _("Invite staff"), "url": reverse("staff_new"), "kind": "primary"}] if mine else [],
        "query": kept.get("q", ""),
        "clinic": kept.get("clinic", ""),
        "clinic_choices": list(mine.values()) if len(mine) > 1 else [],
        "state": kept.get("state", ""),
        "states": [{"code": code, "name": name} for code, name in STATES.items()],
        "narrowed": bool(kept),
        "invitations": [] if kept or after else _invitations(viewer),
        "rows": _rows(page, set(mine)),
        "total": total,
        "first_url": with_query(url, kept) if after else "",
        "next_url": with_query(url, {**kept, "after": str(page[-1].pk)}) if more else "",
    }
    return render(request, "monitoring/administration/staff.html", context)


def _invitations(viewer: Viewer) -> list[dict[str, Any]]:
    """Who has not answered yet, those first who were invited last."""
    now = timezone.now()
    return [
        {
            "invitation": one,
            "roles": ", ".join(str(Role(role).label) for role in one.roles),
            "old": one.expires_at <= now,
        }
        for one in invitations.open_for(viewer)[:PAGE]
    ]


def _found(viewer: Viewer, kept: dict[str, str]) -> QuerySet[User]:
    found = staff_roles.staff_for(viewer).filter(_IN_STATE[kept.get("state", "")])
    for word in kept.get("q", "").split():
        found = found.filter(Q(name__icontains=word) | Q(email__icontains=word))
    if clinic := kept.get("clinic"):
        found = found.filter(Exists(Membership.objects.filter(user=OuterRef("pk"), clinic=int(clinic))))
    return found


def _behind(found: QuerySet[User], mark: str) -> QuerySet[User]:
    """Those after the person with this id, by name; a mark that is none begins anew."""
    last = User.objects.filter(pk=int(mark)).first() if mark.isdecimal() and len(mark) < 18 else None
    return found.filter(Q(name__gt=last.name) | Q(name=last.name, pk__gt=last.pk)) if last else found


def state_of(user: User) -> str:
    if not user.is_active:
        return "closed"
    return "active" if user.last_login else "invited"


def _rows(page: list[User], mine: set[str]) -> list[dict[str, Any]]:
    roles: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    held = Membership.objects.filter(user__in=page).select_related("clinic").order_by("clinic__name", "role")
    for one in held:
        if str(one.clinic_id) in mine:
            roles[one.user_id][one.clinic.name].append(str(one.get_role_display()))
    factors = _factors_of(page)
    return [
        {
            "user": user,
            "url": reverse("staff_person", args=[user.pk]),
            "roles": [f"{clinic}: {', '.join(names)}" for clinic, names in roles[user.pk].items()],
            "second": factors.get(user.pk, ""),
            **_state_words(user),
        }
        for user in page
    ]


def _state_words(user: User) -> dict[str, Any]:
    state = state_of(user)
    tone, shape = _TONES[state]
    return {"state": STATES[state], "tone": tone, "shape": shape}


def _factors_of(users: list[User]) -> dict[int, str]:
    """Second factors in words by user; recovery codes alone are none."""
    kinds: dict[int, dict[str, str]] = defaultdict(dict)
    for user_id, kind in Authenticator.objects.filter(user__in=users).values_list("user_id", "type").order_by("type"):
        if kind in _FACTORS:
            kinds[user_id][kind] = str(_FACTORS[kind])
    return {user_id: ", ".join(words.values()) for user_id, words in kinds.items()}


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def staff_new(request: HttpRequest) -> HttpResponse:
    """Invite somebody into a clinic by mail; they hold the roles once they accept."""
    viewer = administrator(request)
    clinics = access.administered_clinics(viewer).order_by("name", "id")
    form = StaffForm(request.POST or None, clinics=clinics, initial={"clinic": request.GET.get("clinic")})
    if form.is_valid():
        given = form.cleaned_data
        try:
            invited = invitations.invite(by=viewer, now=timezone.now(), **given)
        except ValidationError as refused:
            for name, faults in refused.error_dict.items():
                form.add_error(name if name in form.fields else None, faults)
        else:
            words = {"name": invited.name, "clinic": given["clinic"]}
            messages.success(request, _("%(name)s is invited to %(clinic)s; the link is on its way.") % words)
            return redirect("staff")
    context = {"tabs": sections_of(viewer, "staff"), "form": form}
    return render(request, "monitoring/administration/staff_new.html", context, status=422 if form.is_bound else 200)


@signed_in
@require_POST
def invitation(request: HttpRequest, pk: int) -> HttpResponse:
    """Send an invitation again, with a new link, or take it back."""
    viewer = administrator(request)
    one = get_object_or_404(invitations.open_for(viewer), pk=pk)
    again = request.POST.get("act") == "resend"
    try:
        (invitations.resend if again else invitations.revoke)(one, by=viewer, now=timezone.now())
    except invitations.InvitationClosed:
        messages.info(request, _("The invitation was answered or taken back meanwhile."))
    else:
        words = _("A new link is on its way to %(name)s.") if again else _("The invitation of %(name)s opens nothing.")
        messages.success(request, words % {"name": one.name})
    return redirect("staff")


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def person(request: HttpRequest, pk: int) -> HttpResponse:
    """One person's account and roles, each clinic's a form of its own."""
    viewer = administrator(request)
    user = get_object_or_404(staff_roles.staff_for(viewer), pk=pk)
    sent = request.POST.get("act", "") if request.method == "POST" else ""
    forms = {
        clinic.pk: _RolesOfClinic(request, viewer, user, clinic, sent == f"roles-{clinic.pk}")
        for clinic in access.administered_clinics(viewer).order_by("name", "id")
    }
    account = ReasonForm(request.POST if sent in {"deactivate", "reactivate"} else None, prefix="account")
    done = ""
    if account.is_bound:
        done = _open_or_close(viewer, user, sent, account)
    for one in forms.values():
        done = done or one.keep()
    if done:
        messages.success(request, done)
        still = staff_roles.staff_for(viewer).filter(pk=pk).exists()
        return redirect("staff_person", pk) if still else redirect("staff")
    bound = [one.form for one in forms.values() if one.form.is_bound] + [account] * account.is_bound
    context = {
        "tabs": sections_of(viewer, "staff"),
        "person": user,
        "facts": _facts(user),
        "is_self": user.pk == viewer.actor.user_id,
        "places": list(forms.values()),
        "account": account,
        "may_close": staff_roles.may_open_or_close(user, viewer),
        "form": bound[0] if bound else None,
        "audit_url": with_query(reverse("audit_search"), {"object": f"user-{user.pk}"}),
    }
    return render(request, "monitoring/administration/person.html", context, status=422 if bound else 200)


class _RolesOfClinic:
    """One clinic's part of a person's page."""

    def __init__(self, request: HttpRequest, viewer: Viewer, user: User, clinic: Clinic, sent: bool) -> None:
        self.viewer, self.user, self.clinic = viewer, user, clinic
        held = staff_roles.roles_in(user, clinic.pk)
        self.form = RolesForm(request.POST if sent else None, held=held, prefix=f"roles-{clinic.pk}")
        self.names = [str(role.label) for role in held]
        self.open = bool(held) or sent

    def keep(self) -> str:
        """What came of it, in words; nothing where it was not sent or is refused."""
        if not self.form.is_valid():
            return ""
        given = self.form.cleaned_data
        try:
            changed = staff_roles.change_roles(self.user, self.clinic.pk, viewer=self.viewer, **given)
        except ValidationError as refused:
            self.form.add_error(None, refused)
            return ""
        words = {"name": self.user, "clinic": self.clinic}
        return _("The roles of %(name)s in %(clinic)s are changed.") % words if changed else _("Nothing was changed.")


def _open_or_close(viewer: Viewer, user: User, act: str, form: ReasonForm) -> str:
    if not form.is_valid():
        return ""
    change = staff_roles.deactivate if act == "deactivate" else staff_roles.reactivate
    try:
        change(user, reason=form.cleaned_data["reason"], viewer=viewer)
    except ValidationError as refused:
        form.add_error(None, refused)
        return ""
    if act == "deactivate":
        return _("The account of %(name)s is closed; nobody signs in with it any more.") % {"name": user}
    return _("The account of %(name)s is open again.") % {"name": user}


def _facts(user: User) -> list[dict[str, Any]]:
    last = date_format(timezone.localtime(user.last_login), "DATETIME_FORMAT") if user.last_login else _("never")
    return [
        {"term": _("E-mail address"), "value": user.email},
        {"term": _("Account"), "value": STATES[state_of(user)]},
        {"term": _("Last sign-in"), "value": last},
        {"term": _("Second step"), "value": _factors_of([user]).get(user.pk) or _("none")},
        {"term": _("Since"), "value": date_format(timezone.localtime(user.date_joined), "DATE_FORMAT")},
    ]
