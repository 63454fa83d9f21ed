"""URLs of the whole site."""

from importlib.util import find_spec

from django.urls import include, path

from config import health, styleguide

handler500 = "config.faults.server_error"

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("account/", include("allauth.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    path("styleguide/", styleguide.styleguide, name="styleguide"),
]
for prefix, module in (
    ("", "monitoring.web.urls_worklist"),
    ("", "monitoring.web.urls_patient"),
    ("", "monitoring.web.urls_review"),
    ("", "monitoring.web.urls_calendar"),
    ("", "monitoring.web.urls_tokens"),
    ("p/", "monitoring.patient_pages.urls"),
    ("api/", "monitoring.api.urls"),
):
    if find_spec(module):  # INTERIM while pages are being written
        urlpatterns.append(path(prefix, include(module)))
