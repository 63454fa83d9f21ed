"""URLs of the whole site."""

from django.contrib import admin
from django.urls import include, path

from config import health, metrics, sign_in_notes, styleguide
from monitoring.web import ending_checks, mail_events, system

sign_in_notes.connect()  # wherever somebody can sign in

handler500 = "config.faults.server_error"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("account/", include("config.urls_account")),
    path("metrics", metrics.metrics, name="metrics"),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
    path("", include("monitoring.web.urls_worklist")),
    path("", include("monitoring.web.urls_merging")),
    path("", include("monitoring.web.urls_privacy")),
    path("", include("monitoring.web.urls_emergency")),
    path("", include("monitoring.web.urls_patient")),
    path("", include("monitoring.web.urls_review")),
    path("", include("monitoring.web.urls_protocol")),
    path("", include("monitoring.web.urls_calendar")),
    path("", include("monitoring.web.urls_tokens")),
    path("", include("monitoring.web.urls_administration")),
    path("", include("monitoring.web.urls_notifications")),
    path("", include("monitoring.web.urls_dashboard")),
    path("system/", system.system, name="system"),
    path("endings/", ending_checks.ending_list, name="endings"),
    path("endings/<int:pk>/confirm/", ending_checks.confirm, name="ending_confirm"),
    path("p/", include("monitoring.patient_pages.urls")),
    path("anymail/<str:provider>/tracking/", mail_events.receive, name="mail_events"),
    path("api/", include("monitoring.api.urls")),
]
