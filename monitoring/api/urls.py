"""Addresses of the API."""

from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from . import pages, views

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(permission_classes=(), authentication_classes=()), name="api_schema"),
    path("docs/", pages.documentation, name="api_docs"),
    path("v1/patients/", views.Patients.as_view(), name="api_patients"),
    path("v1/patients/<int:pk>/", views.OnePatient.as_view(), name="api_patient"),
    path("v1/patients/<int:pk>/hips/", views.PatientHips.as_view(), name="api_patient_hips"),
    path("v1/patients/<int:pk>/facts/", views.PatientFacts.as_view(), name="api_patient_facts"),
    path("v1/hips/", views.Hips.as_view(), name="api_hips"),
    path("v1/plans/", views.Plans.as_view(), name="api_plans"),
    path("v1/flags/", views.Flags.as_view(), name="api_flags"),
    path("v1/reviews/", views.Reviews.as_view(), name="api_reviews"),
    path("v1/reviews/<int:pk>/decide/", views.Decide.as_view(), name="api_decide"),
    path("v1/reminders/", views.Reminders.as_view(), name="api_reminders"),
    path("v1/assess", views.Assess.as_view(), name="api_assess"),
]
