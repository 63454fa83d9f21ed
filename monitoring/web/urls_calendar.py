"""URLs of the calendar, of appointments and of the feeds."""

from datetime import date

from django.urls import path, register_converter

from . import appointments, calendar


class DayConverter:
    """2026-11-24; what is no day is no address."""

    regex = r"\d{4}-\d{2}-\d{2}"

    def to_python(self, value: str) -> date:
        day = date.fromisoformat(value)
        if not 1900 <= day.year < 2200:  # weeks and months around it are days as well
            raise ValueError(value)
        return day

    def to_url(self, value: date) -> str:
        return value.isoformat()


register_converter(DayConverter, "day")

urlpatterns = [
    path("calendar/", calendar.week, name="calendar"),
    path("calendar/week/<day:on>/", calendar.week, name="calendar_week"),
    path("calendar/month/", calendar.month, name="calendar_this_month"),
    path("calendar/month/<day:on>/", calendar.month, name="calendar_month"),
    path("calendar/feed/", calendar.feed_address, name="calendar_feed_address"),
    path("calendar/feed/<str:token>.ics", calendar.feed, name="calendar_feed"),
    path("patients/<int:pk>/appointments/new/", appointments.book, name="appointment_book"),
    path("appointments/<int:pk>/move/", appointments.move, name="appointment_move"),
    path("appointments/<int:pk>/cancel/", appointments.cancel, name="appointment_cancel"),
    path("appointments/<int:pk>/settle/", appointments.settle, name="appointment_settle"),
]
