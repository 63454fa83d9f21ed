"""Addresses of the account pages that are our own; allauth has the others."""

from django.urls import path
from django.views.generic import RedirectView

from . import joining, profile, second_step, sessions

urlpatterns = [
    path("", profile.page, name="profile"),
    path("email/", RedirectView.as_view(pattern_name="profile"), name="account_email"),  # administrators change it
    path("sessions/<int:pk>/end/", profile.end_session, name="session_end"),
    path("invitation/", joining.invitation, name="invitation"),
    path("session/", sessions.session, name="session"),
    path("kept/", sessions.kept, name="kept_forms"),
    path("kept/<int:pk>/discard/", sessions.drop, name="kept_form_drop"),
    path("second-step/", second_step.page, name="second_step"),
]
