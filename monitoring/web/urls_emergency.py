"""Addresses of emergency access and of restricted records."""

from django.urls import path

from . import emergency

urlpatterns = [
    path("emergency/", emergency.emergency_open, name="emergency_open"),
    path("emergency/<int:pk>/end/", emergency.emergency_end, name="emergency_end"),
    path("administration/emergencies/", emergency.emergency_reviews, name="emergency_reviews"),
    path("administration/emergencies/<int:pk>/", emergency.emergency_review, name="emergency_review"),
    path("patients/restricted/", emergency.restricted_open, name="restricted_open"),
    path("patients/<int:pk>/gate/", emergency.restricted_gate, name="restricted_gate"),
    path("patients/<int:pk>/restriction/", emergency.patient_restriction, name="patient_restriction"),
]
