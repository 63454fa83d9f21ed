"""Addresses of the pages about privacy."""

from django.urls import path

from . import research

urlpatterns = [
    path("research/", research.research, name="research"),
]
