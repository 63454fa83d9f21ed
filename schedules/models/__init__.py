"""What is stored of schedules: one concept, one module."""

from .appointment import Appointment, AppointmentEvent, CalendarFeed
from .plan import Plan
from .protocol import ProtocolVersion
from .reminder import Reminder, ReminderEvent

__all__ = [
    "Appointment",
    "AppointmentEvent",
    "CalendarFeed",
    "Plan",
    "ProtocolVersion",
    "Reminder",
    "ReminderEvent",
]
