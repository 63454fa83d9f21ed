"""Routes: which permission each page and each call of the API asks for. One table; a route without a row is refused.

A row says what is needed in at least one clinic to get an answer at all. In which clinic it must be held, the action
decides when it knows whose row it is about: another clinic's row does not exist (404).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from patients.access import Permission, Viewer

READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Special(StrEnum):
    ANYONE = "anyone"  # strangers too: what decides is a link, a signature or the page itself
    ACCOUNT = "account"  # whoever has signed in: it is about themselves
    SUPERUSER = "superuser"
    STYLE = "style"  # who builds or judges pages


Needed = Permission | Special


@dataclass(frozen=True, slots=True)
class Row:
    """To see the page, and to send something to it: any one of these is enough."""

    see: tuple[Needed, ...]
    send: tuple[Needed, ...]

    def needed(self, method: str) -> tuple[Needed, ...]:
        return self.see if method in READING else self.send


def _rows(names: Iterable[str], *see: Needed, send: Needed | None = None) -> dict[str, Row]:
    return {name: Row(see, (send,) if send else see) for name in names}


ANYONE, ACCOUNT, SUPERUSER, STYLE = Special
READ, RECORD, WORK, DECIDE, IMPORT, ADMINISTER, AUDIT, RESEARCH, RESTRICTED = Permission

PAGES: Final[dict[str, Row]] = {
    **_rows(("healthz", "readyz", "metrics", "set_language", "mail_events"), ANYONE),
    **_rows(("invitation", "session", "calendar_feed"), ANYONE),
    **_rows(("patient_check", "patient_wishes", "patient_stop", "patient_nothing", "patient_unknown"), ANYONE),
    **_rows(("api_docs", "api_schema", "api_schema_yaml"), ANYONE),
    **_rows(("worklist", "notifications", "search"), ACCOUNT),
    **_rows(("second_step", "profile", "session_end", "kept_forms", "kept_form_drop"), ACCOUNT),
    "styleguide": Row((STYLE,), (STYLE,)),
    # The registry
    **_rows(("worklist_tab", "worklist_export", "worklist_bulk"), READ),
    **_rows(("worklist_views", "worklist_view_rename", "worklist_view_remove"), READ),
    **_rows(("worklist_act", "worklist_outcome", "worklist_undo", "worklist_snooze", "worklist_unsnooze"), WORK),
    **_rows(("patients", "patient", "patient_tab", "patient_whatif", "patient_print"), READ),
    **_rows(("patient_audit", "patient_audit_file", "patient_seen"), AUDIT, DECIDE),
    **_rows(("patient_enrol", "patient_edit", "patient_contact", "patient_death", "hip_end"), RECORD),
    **_rows(("visit_new", "visit_draft", "visit_draft_discard", "fact_withdraw", "fact_correct"), RECORD),
    **_rows(("duplicates", "patient_merge", "merge"), RECORD),
    **_rows(("hip_reopen", "finding_decide"), DECIDE),
    "patient_letter": Row((WORK,), (WORK,)),
    "research": Row((RESEARCH,), (RESEARCH,)),
    "reviews": Row((READ,), (READ,)),
    "review_case": Row((READ,), (DECIDE,)),
    **_rows(("review_assign", "review_opinion", "review_comment"), WORK),
    **_rows(("calendar", "calendar_week", "calendar_this_month", "calendar_month"), READ),
    **_rows(("calendar_feed_address", "notifications_preview", "notifications_preview_html"), READ),
    **_rows(("appointment_book", "appointment_move", "appointment_cancel", "appointment_settle"), WORK),
    **_rows(("messages", "messages_tab", "letters", "letters_pdf"), READ),
    **_rows(("mail_templates", "mail_template", "mail_template_html"), READ),
    **_rows(("message_resolve", "letters_print", "letters_back", "mail_held", "mail_template_test"), WORK),
    **_rows(("mail_switch", "mail_settings"), ADMINISTER),
    **_rows(("dashboard", "dashboard_section", "dashboard_list", "dashboard_file"), READ),
    **_rows(("protocol", "protocol_cases", "protocol_versions"), READ),
    **_rows(("protocol_effect",), READ),
    "protocol_draft": Row((READ,), (DECIDE, ADMINISTER)),
    **_rows(("protocol_draft_new", "protocol_step"), DECIDE, ADMINISTER),
    **_rows(("imports", "import_template", "import_batch", "import_columns", "import_undo", "import_problems"), IMPORT),
    **_rows(("emergency_open",), DECIDE),
    "emergency_end": Row((ACCOUNT,), (ACCOUNT,)),  # one's own
    **_rows(("restricted_gate", "restricted_open"), READ),
    # Administration
    **_rows(("patient_restriction",), ADMINISTER),
    "emergency_reviews": Row((AUDIT, SUPERUSER), (AUDIT, SUPERUSER)),
    "emergency_review": Row((ADMINISTER,), (ADMINISTER,)),
    **_rows(("administration",), ADMINISTER, AUDIT, SUPERUSER),
    **_rows(
        ("staff", "staff_new", "staff_person", "staff_invitation", "clinics", "clinic_edit"), ADMINISTER, SUPERUSER
    ),
    "clinic_new": Row((SUPERUSER,), (SUPERUSER,)),
    **_rows(("audit_search", "audit_file"), AUDIT, SUPERUSER),
    **_rows(("tokens", "token_revoke", "webhooks", "webhook_act", "system", "staff_sign_in"), ADMINISTER),
    **_rows(("endings", "ending_confirm"), ADMINISTER),
    **_rows(("patient_everything", "retention", "retention_run"), ADMINISTER),
}

CALLS: Final[dict[str, Row]] = {
    **_rows(("api_patients", "api_patient", "api_patient_wishes", "api_patient_death"), READ, send=RECORD),
    **_rows(("api_patient_facts", "api_withdraw"), READ, send=RECORD),
    **_rows(("api_patient_hips", "api_hips", "api_plans", "api_flags", "api_reviews", "api_reminders"), READ),
    **_rows(("api_review",), READ),
    "api_review_notes": Row((READ,), (WORK,)),
    "api_decide": Row((READ,), (DECIDE,)),
    "api_assess": Row((ANYONE,), (ANYONE,)),  # keeps and shows nothing of anybody
}

# What is sent here gives rights or data away, or cannot be undone by one person in a minute: whoever sends it proves
# again who they are, unless they have just done so. Emergency access is not here: it must not wait, and is loud.
PROVED: Final = frozenset(
    {
        *("staff_new", "staff_person", "staff_sign_in", "staff_invitation", "clinic_edit", "clinic_new", "tokens"),
        *("webhooks", "webhook_act", "mail_switch", "mail_settings", "protocol_step", "import_undo"),
        *("patient_restriction", "patient_everything", "retention", "retention_run", "research"),
        *("patient_merge", "merge"),
    }
)
PROVED_TO_READ: Final = frozenset({"audit_file"})  # and the worklist of everybody as a file, which its page decides

# Packages whose routes decide by themselves whom they answer: signing in, second steps, sessions, Django's admin.
THEIR_OWN: Final = ("account_", "mfa_", "usersessions_", "admin:")


def row_of(name: str) -> Row | None:
    """The row of a page by the route's name; None for one that nobody has thought of."""
    if name.startswith(THEIR_OWN):
        return Row((ANYONE,), (ANYONE,))
    return PAGES.get(name)


def asks_for_proof(name: str, method: str) -> bool:
    """Whether somebody who has not lately signed in proves first who they are; what is sent is kept meanwhile."""
    return name in PROVED_TO_READ or (method == "POST" and name in PROVED)


def opens(viewer: Viewer, name: str) -> bool:
    """Whether the page would open to somebody who is signed in; what does not is offered nowhere."""
    return may(viewer, PAGES[name].see, signed_in=True)


def may(viewer: Viewer, needed: tuple[Needed, ...], *, signed_in: bool, builds_pages: bool = False) -> bool:
    """Whether any one of what is needed is the viewer's."""
    return any(_has(viewer, one, signed_in, builds_pages) for one in needed)


def _has(viewer: Viewer, one: Needed, signed_in: bool, builds_pages: bool) -> bool:
    if isinstance(one, Permission):
        return viewer.may_anywhere(one)
    return {
        Special.ANYONE: True,
        Special.ACCOUNT: signed_in,
        Special.SUPERUSER: viewer.superuser,
        Special.STYLE: builds_pages,
    }[one]
