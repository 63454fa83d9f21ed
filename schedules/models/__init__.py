"""What is stored of schedules: one concept, one module."""

from .plan import Plan
from .protocol import ProtocolVersion
from .reminder import Reminder, ReminderEvent

__all__ = ["Plan", "ProtocolVersion", "Reminder", "ReminderEvent"]
