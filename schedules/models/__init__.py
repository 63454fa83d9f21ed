"""What is stored of schedules: one concept, one module."""

from .appointment import Appointment, AppointmentEvent, CalendarFeed
from .delivery_event import DeliveryEvent
from .mail_server import MailServer
from .message_plan import MessagePlan
from .plan import Plan
from .protocol import ProtocolStep, ProtocolVersion
from .reminder import Reminder, ReminderEvent
from .substitute import Substitute

__all__ = [
    "Appointment",
    "AppointmentEvent",
    "CalendarFeed",
    "DeliveryEvent",
    "MailServer",
    "MessagePlan",
    "Plan",
    "ProtocolStep",
    "ProtocolVersion",
    "Reminder",
    "ReminderEvent",
    "Substitute",
]
