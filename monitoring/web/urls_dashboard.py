"""Addresses of the dashboard, of the lists behind its numbers and of its files."""

from django.urls import path

from . import dashboard

urlpatterns = [
    path("dashboard/", dashboard.dashboard, name="dashboard"),
    path("dashboard/list/<slug:name>/", dashboard.list_behind, name="dashboard_list"),
    path("dashboard/files/<slug:name>.<slug:kind>", dashboard.plot_file, name="dashboard_file"),
    path("dashboard/<slug:section>/", dashboard.dashboard, name="dashboard_section"),
]
