"""Addresses of the pages about the mail that staff get."""

from django.urls import path

from . import notifications

urlpatterns = [
    path("notifications/", notifications.settings_page, name="notifications"),
    path("notifications/preview/", notifications.preview, name="notifications_preview"),
    path("notifications/preview/html/", notifications.preview_html, name="notifications_preview_html"),
]
