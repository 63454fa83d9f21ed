"""Addresses of the account pages that are our own; allauth has the others."""

from django.urls import path

from . import joining

urlpatterns = [
    path("invitation/", joining.invitation, name="invitation"),
]
