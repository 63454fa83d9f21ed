"""URLs of the worklist and of the list of patients."""

from django.urls import path

from . import patients_list, sealed_words, worklist, worklist_acts, worklist_bulk, worklist_views

urlpatterns = [
    path("", worklist.show, name="worklist"),
    path("worklist/bulk/", worklist_bulk.bulk, name="worklist_bulk"),
    path("worklist/views/", worklist_views.views, name="worklist_views"),
    path("worklist/views/<int:pk>/rename/", worklist_views.rename, name="worklist_view_rename"),
    path("worklist/views/<int:pk>/remove/", worklist_views.remove, name="worklist_view_remove"),
    path("worklist/undo/<int:pk>/", worklist_acts.undo, name="worklist_undo"),
    path("worklist/<int:pk>/act/", worklist_acts.act, name="worklist_act"),
    path("worklist/<int:pk>/outcome/", worklist_acts.outcome, name="worklist_outcome"),
    path("worklist/<int:pk>/snooze/", worklist_acts.snooze, name="worklist_snooze"),
    path("worklist/<int:pk>/unsnooze/", worklist_acts.unsnooze, name="worklist_unsnooze"),
    path("worklist/<slug:tab>/", worklist.show, name="worklist_tab"),
    path("worklist/<slug:tab>/export.<slug:kind>", worklist.export, name="worklist_export"),
    path("search/", sealed_words.search, name="search"),
    path("patients/", patients_list.patients, name="patients"),
]
