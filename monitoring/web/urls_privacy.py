"""Addresses of the pages about privacy."""

from django.urls import path

from . import research, subject_access

urlpatterns = [
    path("patients/<int:pk>/everything/", subject_access.patient_everything, name="patient_everything"),
    path("research/", research.research, name="research"),
]
