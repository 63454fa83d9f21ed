"""Addresses of the review, messages and import pages."""

from django.urls import path

from . import import_columns, import_undo, imports, letters, mail_settings, mail_templates, messages, review

urlpatterns = [
    path("review/", review.queue, name="reviews"),
    path("review/<int:pk>/", review.case_page, name="review_case"),
    path("review/<int:pk>/assign/", review.assign, name="review_assign"),
    path("review/<int:pk>/opinion/", review.opinion, name="review_opinion"),
    path("review/<int:pk>/comment/", review.comment, name="review_comment"),
    path("messages/", messages.message_list, name="messages"),
    path("messages/mail/<int:clinic_id>/", messages.switch, name="mail_switch"),
    path("messages/held/<int:clinic_id>/", messages.decide_held, name="mail_held"),
    path("messages/<int:pk>/resolve/", messages.resolve, name="message_resolve"),
    path("messages/letters/", letters.to_print, name="letters"),
    path("messages/letters/print/", letters.print_now, name="letters_print"),
    path("messages/letters/<uuid:batch>/", letters.pdf, name="letters_pdf"),
    path("messages/letters/<uuid:batch>/back/", letters.take_back, name="letters_back"),
    path("messages/settings/", mail_settings.mail_settings, name="mail_settings"),
    path("messages/templates/", mail_templates.mail_templates, name="mail_templates"),
    path("messages/templates/<slug:step>/<slug:language>/", mail_templates.mail_templates, name="mail_template"),
    path(
        "messages/templates/<slug:step>/<slug:language>/html/",
        mail_templates.mail_template_html,
        name="mail_template_html",
    ),
    path(
        "messages/templates/<slug:step>/<slug:language>/test/",
        mail_templates.mail_template_test,
        name="mail_template_test",
    ),
    path("messages/<slug:tab>/", messages.message_list, name="messages_tab"),
    path("import/", imports.import_list, name="imports"),
    path("import/template.csv", imports.template, name="import_template"),
    path("import/<int:pk>/", imports.import_batch, name="import_batch"),
    path("import/<int:pk>/columns/", import_columns.import_columns, name="import_columns"),
    path("import/<int:pk>/undo/", import_undo.import_undo, name="import_undo"),
    path("import/<int:pk>/problems.csv", imports.problems, name="import_problems"),
]
