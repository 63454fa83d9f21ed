"""Addresses of the API. Each is known with and without a slash at its end; one that is not known is told as JSON."""

from typing import Any

from django.http import Http404
from django.urls import path, re_path
from rest_framework.request import Request
from rest_framework.views import APIView

from . import assess, cases, lists, pages, patients, schema

ROUTES: list[tuple[str, type[APIView], str]] = [
    ("patients/", patients.Patients, "api_patients"),
    ("patients/<int:pk>/", patients.OnePatient, "api_patient"),
    ("patients/<int:pk>/contact-wishes/", patients.PatientWishes, "api_patient_wishes"),
    ("patients/<int:pk>/death/", patients.PatientDeath, "api_patient_death"),
    ("patients/<int:pk>/hips/", patients.PatientHips, "api_patient_hips"),
    ("patients/<int:pk>/facts/", patients.PatientFacts, "api_patient_facts"),
    ("patients/<int:pk>/facts/<slug:key>/withdraw/", patients.Withdraw, "api_withdraw"),
    ("hips/", lists.Hips, "api_hips"),
    ("plans/", lists.Plans, "api_plans"),
    ("flags/", lists.Flags, "api_flags"),
    ("reviews/", lists.Reviews, "api_reviews"),
    ("reviews/<int:pk>/", cases.Review, "api_review"),
    ("reviews/<int:pk>/notes/", cases.ReviewNotes, "api_review_notes"),
    ("reviews/<int:pk>/decide/", cases.Decide, "api_decide"),
    ("reminders/", lists.Reminders, "api_reminders"),
    ("assess", assess.Assess, "api_assess"),
]


class Unknown(APIView):
    """Any other address of the API."""

    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Http404


urlpatterns = [
    path("schema/", schema.Document.as_view(), name="api_schema"),
    path("schema.yaml", schema.YamlDocument.as_view(), name="api_schema_yaml"),
    path("docs/", pages.documentation, name="api_docs"),
    *(path(f"v1/{route}", view.as_view(), name=name) for route, view, name in ROUTES),
    *(
        path(f"v1/{route.rstrip('/') if route.endswith('/') else f'{route}/'}", view.as_view(schema=None))
        for route, view, _name in ROUTES
    ),
    re_path(r"^v1(/.*)?$", Unknown.as_view(schema=None)),
]
