"""Addresses of patients' own pages; `schedules.links` makes them."""

from django.urls import path

from schedules.links import Purpose

from . import check, door, wishes

urlpatterns = [
    path(f"{Purpose.CHECK}/<str:token>", check.check, name="patient_check"),
    path(f"{Purpose.WISHES}/<str:token>", wishes.wishes, name="patient_wishes"),
    path(f"{Purpose.STOP}/<str:token>", wishes.stop, name="patient_stop"),
    path("", door.unknown, name="patient_nothing"),
    path("<path:rest>", door.unknown, name="patient_unknown"),
]
