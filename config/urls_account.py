"""Addresses of the account pages that are our own; allauth has the others."""

from django.urls import path

from . import joining, second_step

urlpatterns = [
    path("invitation/", joining.invitation, name="invitation"),
    path("second-step/", second_step.page, name="second_step"),
]
