"""What is stored of monitoring: one concept, one module."""

from .account import AccountMail, Invitation, KeptForm
from .audit import AuditEntry, AuditSeal
from .census import Census
from .ending_check import EndingCheck
from .evaluation import EvaluationReceipt, EvaluationRun, HipEvaluation, PatientEvaluation, SweepShare, Unevaluated
from .flag import Flag
from .heartbeat import Heartbeat
from .imports import ImportBatch, ImportMapping, ImportRow
from .patient_link import PatientLinkUse
from .retention import RetentionRule, RetentionRun
from .review import CaseNote, ReviewCase
from .staff_notice import NoticeChoice, StaffNotice
from .standing import Standing
from .system_figure import SystemFigure
from .tokens import ApiToken, IdempotentReply
from .visit_draft import VisitDraft
from .webhook import WebhookDelivery, WebhookEndpoint
from .worklist import ContactAttempt, SavedView, Snooze

__all__ = [
    "AccountMail",
    "ApiToken",
    "AuditEntry",
    "AuditSeal",
    "CaseNote",
    "Census",
    "ContactAttempt",
    "EndingCheck",
    "EvaluationReceipt",
    "EvaluationRun",
    "Flag",
    "Heartbeat",
    "HipEvaluation",
    "IdempotentReply",
    "ImportBatch",
    "ImportMapping",
    "ImportRow",
    "Invitation",
    "KeptForm",
    "NoticeChoice",
    "PatientEvaluation",
    "PatientLinkUse",
    "RetentionRule",
    "RetentionRun",
    "ReviewCase",
    "SavedView",
    "Snooze",
    "StaffNotice",
    "Standing",
    "SweepShare",
    "SystemFigure",
    "Unevaluated",
    "VisitDraft",
    "WebhookDelivery",
    "WebhookEndpoint",
]
