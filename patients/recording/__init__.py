"""Recording: the only writers of what is known of a patient. Each is one transaction, names its actor and announces it.

Facts are added; a correction supersedes with a reason; a fact entered in error is withdrawn and its row kept.
Every writer takes the patient's row lock first and raises the record's version, so that a standing evaluation of a
lower version is known to be stale.
"""

from .common import Problems, RecordingRefused, StaleRecord, lock_patient, today_at
from .facts import (
    Recorded,
    end_follow_up,
    record_decision,
    record_facts,
    reopen_follow_up,
    withdraw_fact,
    withdraw_facts,
)
from .merging import approve_merge, corrects_a_copy, facts_since, propose_merge, reject_merge, undo_merge
from .people import (
    amend_patient,
    detail_problems,
    enrol_patient,
    record_bounce,
    record_death,
    record_exposure,
    set_consent,
    set_contact_wish,
    withdraw_death,
    withdraw_exposure,
)

__all__ = [
    "Problems",
    "Recorded",
    "RecordingRefused",
    "StaleRecord",
    "amend_patient",
    "approve_merge",
    "corrects_a_copy",
    "detail_problems",
    "end_follow_up",
    "enrol_patient",
    "facts_since",
    "lock_patient",
    "propose_merge",
    "record_bounce",
    "record_death",
    "record_decision",
    "record_exposure",
    "record_facts",
    "reject_merge",
    "reopen_follow_up",
    "set_consent",
    "set_contact_wish",
    "today_at",
    "undo_merge",
    "withdraw_death",
    "withdraw_exposure",
    "withdraw_fact",
    "withdraw_facts",
]
