"""Addresses of the pages for API tokens and webhooks."""

from django.urls import path

from . import tokens, webhooks

urlpatterns = [
    path("tokens/", tokens.token_list, name="tokens"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="token_revoke"),
    path("webhooks/", webhooks.webhook_list, name="webhooks"),
    path("webhooks/<int:pk>/<slug:act>/", webhooks.act, name="webhook_act"),
]
