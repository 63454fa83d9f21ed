"""Django admin: every table to search and read, for superusers; nothing is written here that has an action of its own.

The database shows its rows as anywhere else: a superuser sees patients of the clinics in which they hold a role.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from django.apps import apps
from django.contrib import admin, messages
from django.contrib.admin import AdminSite, ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from monitoring import audit
from patients import access
from patients.models import Patient, User

from . import admin_patients

if TYPE_CHECKING:
    AnyAdmin = ModelAdmin[Any]
else:
    AnyAdmin = ModelAdmin

OWN_APPS = ("patients", "schedules", "monitoring")
SECRET = (
    "password",
    "nonce",
    "digest",
    "token",
    "secret",
    "content",
    "key",
    "data",
    "body",
)  # in names of fields no page shows
SHORT = (models.CharField, models.EmailField, models.SlugField)


class RegistryAdmin(AdminSite):
    """For active superusers, who come in by the sign-in of everybody."""

    site_header = _("Hipwatch: every table")
    site_title = _("Hipwatch")
    index_title = _("Tables to search and read")
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if request.user.is_authenticated and not self.has_permission(request):
            raise PermissionDenied
        answer: HttpResponse = secure_admin_login(super().login)(request, extra_context)  # type: ignore[no-untyped-call]
        return answer

    def logout(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_logout")

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:  # type: ignore[override]
        return redirect("account_change_password")


def _is_shown(field: "models.Field[Any, Any]") -> bool:
    return not any(word in field.name for word in SECRET) and not isinstance(field, models.BinaryField)


def _columns(model: type[models.Model]) -> list[str]:
    """What tells rows apart at a glance: the key and the first short fields."""
    plain = (*SHORT, models.DateField, models.BooleanField, models.IntegerField, models.ForeignKey)
    shown = [f.name for f in model._meta.concrete_fields if _is_shown(f) and isinstance(f, plain) and not f.primary_key]
    return ["pk", *shown[:7]]


def _searched(model: type[models.Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        if isinstance(field, SHORT) and _is_shown(field) and not field.choices:
            yield f"{field.name}__icontains"
        elif isinstance(field, models.ForeignKey) and field.related_model is Patient:
            yield f"{field.name}__record_number__iexact"
        elif isinstance(field, models.ForeignKey) and field.related_model is User:
            yield f"{field.name}__email__icontains"


def _filters(model: type[models.Model]) -> Iterator[str]:
    for field in model._meta.concrete_fields:
        if field.choices or isinstance(field, models.BooleanField) or field.name == "clinic":
            yield field.name


class ReadOnly(AnyAdmin):
    """Search, filters and one row at a time. Looking at a patient's row is audited like any other look."""

    list_per_page = 50
    list_max_show_all = 50
    show_full_result_count = False
    actions = None

    ordering = ["-pk"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.admin_site.has_permission(request)

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        found = super().get_object(request, object_id, from_field)
        viewer, patients = access.viewer_of(request), admin_patients.patients_of(found) if found is not None else []
        for patient in patients:
            access.check_gate(viewer, patient)
        clinic = getattr(found, "clinic_id", None)
        if clinic is not None:
            seen = [(clinic, patient) for patient in patients]
            audit.looked(viewer.actor, seen, f"Django admin, {self.opts.model_name}")
        return found

    def get_queryset(self, request: HttpRequest) -> "models.QuerySet[Any]":
        """Lists leave out what is restricted: their columns say what ails somebody. One row asks for the reason."""
        rows = super().get_queryset(request)
        is_of_one = request.resolver_match is not None and "object_id" in request.resolver_match.kwargs
        return rows if is_of_one else admin_patients.ungated(access.viewer_of(request), rows)

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Says why a list is empty to a superuser who works in no clinic."""
        if "clinic" in {field.name for field in self.opts.concrete_fields} and not access.viewer_of(request).clinic_ids:
            messages.info(request, _("You see rows of the clinics in which you hold a role, and you hold none."))
        answer: HttpResponse = super().changelist_view(request, extra_context)
        return answer

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """The row's earlier states where the database keeps them, else its entries in the audit."""
        events = next((m for m in _models() if getattr(m, "pgh_tracked_model", None) is self.model), None)
        if events is not None:
            listed = reverse(f"admin:{events._meta.app_label}_{events._meta.model_name}_changelist")
            return redirect(f"{listed}?pgh_obj__id__exact={object_id}")
        listed = reverse("admin:monitoring_auditentry_changelist")
        return redirect(f"{listed}?q={self.opts.model_name}-{object_id}")


class UserAdmin(ReadOnly):
    """Names, languages, and who is a superuser. Roles and closed accounts have their own pages."""

    CHANGED = ("name", "language", "is_superuser")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [field.name for field in User._meta.concrete_fields if field.name not in self.CHANGED]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody changes their own rights."""
        return self.admin_site.has_permission(request) and (obj is None or obj.pk != request.user.pk)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        was = User.objects.values(*form.changed_data).get(pk=obj.pk) if form.changed_data else {}
        super().save_model(request, obj, form, change)
        now = {name: getattr(obj, name) for name in was}
        by = access.viewer_of(request).actor
        audit.note(by, "change_account", object=f"user-{obj.pk}", before=was, after=now)


def _shown(model: type[models.Model]) -> dict[str, Any]:
    """What the lists and pages of this model show, are searched by and narrowed by."""
    columns = _columns(model)
    fields = model._meta.concrete_fields
    joined = [f.name for f in fields if isinstance(f, models.ForeignKey) and f.name in columns]
    return {
        "list_display": columns,
        "list_select_related": joined or False,
        "list_filter": list(_filters(model))[:6],
        "search_fields": list(_searched(model)),
        "fields": [field.name for field in fields if _is_shown(field)],
    }


def _models() -> list[type[models.Model]]:
    return [model for label in OWN_APPS for model in apps.get_app_config(label).get_models()]


def _plural(guessed: str) -> str:
    """What Django makes by adding an s, as it is spelt. The names of tables are English everywhere."""
    for wrong, right in (("ys", "ies"), ("chs", "ches"), ("shs", "shes"), ("sss", "sses"), ("uss", "uses")):
        if guessed.endswith(wrong):
            return guessed.removesuffix(wrong) + right
    return guessed


def register_all() -> None:
    """Every table of ours is there to read; API tokens too, without what would open anything."""
    for model in _models():
        if model._meta.proxy or admin.site.is_registered(model):
            continue
        model._meta.verbose_name_plural = _plural(str(model._meta.verbose_name_plural))
        page = UserAdmin if model is User else ReadOnly
        admin.site.register(model, type(f"{model.__name__}Admin", (page,), _shown(model)))
