"""Addresses of the pages about duplicates and merging."""

from django.urls import path

from . import merging

urlpatterns = [
    path("duplicates/", merging.duplicates, name="duplicates"),
    path("merges/<int:pk>/", merging.merge, name="merge"),
    path("patients/<int:pk>/merge/<int:other>/", merging.patient_merge, name="patient_merge"),
]
