"""Addresses of the pages about privacy."""

from django.urls import path

from . import research, retention, subject_access

urlpatterns = [
    path("patients/<int:pk>/everything/", subject_access.patient_everything, name="patient_everything"),
    path("administration/retention/", retention.retention, name="retention"),
    path("administration/retention/<int:pk>/", retention.retention_run, name="retention_run"),
    path("research/", research.research, name="research"),
]
