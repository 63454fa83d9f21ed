"""Which pages there are, read from the URL configuration: a route nobody has thought of here is an error."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver, reverse

NO_PAGES = {  # name: why it is not looked at as a page
    "healthz": "answers machines",
    "readyz": "answers machines",
    "metrics": "answers machines",
    "ending_confirm": "takes POST only",
    "set_language": "takes POST only",
    "account_email": "addresses are the administrator's to change",
    "account_set_password": "leads on to the change of password",
    "account_confirm_login_code": "no codes are mailed here",
    "account_reset_password_from_key_done": "shown in the test of a forgotten password",
    "mfa_authenticate": "asked only in the middle of a sign-in with two steps",
    "mfa_deactivate_totp": "there is nothing to deactivate before it is activated",
    "mfa_view_recovery_codes": "there are none before the second step is activated",
    "mfa_generate_recovery_codes": "there are none before the second step is activated",
    "mfa_download_recovery_codes": "a file",
    "mfa_reauthenticate": "asked only of who has a second step",
    "mfa_login_webauthn": "answers scripts",
    "session": "answers scripts",
    "session_end": "takes POST only",
    "staff_sign_in": "takes POST only",
    "kept_forms": "leads on where nothing was sent too late; see tests/config/test_signin_sessions.py",
    "kept_form_drop": "takes POST only",
    "mfa_reauthenticate_webauthn": "asked only of who has a key",
    "mfa_edit_webauthn": "there is no key before one is added",
    "mfa_remove_webauthn": "there is no key before one is added",
    "account_confirm_email": "no addresses are confirmed by mail here",
    "search": "takes POST only",
    "visit_draft": "takes POST only",
    "visit_draft_discard": "takes POST only",
    "worklist_bulk": "takes POST only",
    "worklist_undo": "takes POST only",
    "worklist_view_rename": "takes POST only",
    "worklist_view_remove": "takes POST only",
    "worklist_outcome": "takes POST only",
    "worklist_snooze": "takes POST only",
    "worklist_unsnooze": "takes POST only",
    "worklist_export": "a file",
    "patient_audit_file": "a file",
    "review_assign": "takes POST only",
    "review_opinion": "takes POST only",
    "review_comment": "takes POST only",
    "mail_switch": "takes POST only",
    "mail_held": "takes POST only",
    "mail_template_test": "takes POST only",
    "mail_template_html": "a mail, looked at inside the page of its template",
    "token_revoke": "takes POST only",
    "webhook_act": "takes POST only",
    "staff_invitation": "takes POST only",
    "emergency_end": "takes POST only",
    "emergency_review": "takes POST only",
    "restricted_gate": "leads on where the record is not restricted; see tests/monitoring/test_emergency.py",
    "administration": "leads on to the first page of the administration",
    "audit_file": "a file",
    "notifications_preview_html": "a mail, looked at inside the page of its preview",
    "message_resolve": "takes POST only",
    "letters_print": "takes POST only",
    "letters_back": "takes POST only",
    "letters_pdf": "a file",
    "calendar_feed": "a file",
    "appointment_settle": "takes POST only",
    "import_template": "a file",
    "dashboard_file": "a file",
    "protocol_step": "takes POST only",
    "mail_events": "takes the mail provider's posts only",
    "import_problems": "a file",
    "api_schema": "a file",
    "api_schema_yaml": "a file",
    "patient_check": "opened by a link from a mail; see tests/monitoring/test_patient_pages.py",
    "patient_wishes": "opened by a link from a mail",
    "patient_nothing": "a broken link, told as an unknown one",
    "patient_unknown": "a broken link, told as an unknown one",
    "patient_stop": "opened by a link from a mail",
}
# Whoever holds the mail's link needs no session, nor whoever has a broken one.
BY_LINK = {"patient_check", "patient_wishes", "patient_stop", "patient_nothing", "patient_unknown"}
SIGNED_OUT = {
    "invitation",
    "account_login",
    "account_signup",
    "account_inactive",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key",
    "account_email_verification_sent",
    *BY_LINK,
}


@dataclass(frozen=True)
class Samples:
    """What the routes with arguments are asked for."""

    patient: int
    case: int
    fact: str
    batch: int
    appointment: int
    protocol: int = 1
    saved: int = 1  # an import that can be undone
    person: int = 1  # a member of staff
    clinic: int = 1
    other: int = 2  # another patient of the same clinic
    merge: int = 1
    run: int = 1  # of retention
    tokens: dict[str, str] = field(default_factory=dict)  # of the links in a patient's mail, by purpose


def _of_patient(name: str, *more: Any) -> Callable[[Samples], list[str]]:
    return lambda samples: [reverse(name, args=[samples.patient, *more])]


def _tabs(name: str, tabs: Callable[[], Any], *, of_patient: bool = False) -> Callable[[Samples], list[str]]:
    return lambda samples: [reverse(name, args=[*([samples.patient] if of_patient else []), tab]) for tab in tabs()]


def _by_link(name: str, purpose: str) -> Callable[[Samples], list[str]]:
    return lambda samples: [reverse(name, args=[samples.tokens.get(purpose, "unknown")])]


def _patient_tabs() -> list[str]:
    from monitoring.web.patient import TABS

    return [tab for tab, _name in TABS if tab != "overview" and tab]


def _worklist_tabs() -> list[str]:
    from monitoring.worklist import TABS

    return list(TABS)


def _dashboard_sections() -> list[str]:
    from monitoring.web.dashboard_plots import SECTIONS

    return [section for section in SECTIONS if section]


def _dashboard_lists() -> list[str]:
    from monitoring.web.dashboard_lists import LISTS

    return list(LISTS)


def _message_tabs() -> list[str]:
    from monitoring.web.messages import TABS

    return list(TABS)


SAMPLES: dict[str, Callable[[Samples], list[str]]] = {
    "account_reset_password_from_key": lambda samples: [reverse("account_reset_password_from_key", args=["1", "x-y"])],
    "worklist_tab": _tabs("worklist_tab", _worklist_tabs),
    "worklist_act": _of_patient("worklist_act"),
    "patient": _of_patient("patient"),
    "visit_new": _of_patient("visit_new"),
    "patient_edit": _of_patient("patient_edit"),
    "patient_contact": _of_patient("patient_contact"),
    "patient_death": _of_patient("patient_death"),
    "patient_whatif": _of_patient("patient_whatif"),
    "patient_audit": _of_patient("patient_audit"),
    "patient_restriction": _of_patient("patient_restriction"),
    "patient_seen": _of_patient("patient_seen"),
    "patient_letter": _of_patient("patient_letter"),
    "patient_print": _of_patient("patient_print"),
    "hip_end": _of_patient("hip_end", "left"),
    "hip_reopen": _of_patient("hip_reopen", "right"),
    "finding_decide": _of_patient("finding_decide", "left", "MEASURE_VOLUME"),
    "fact_withdraw": lambda samples: [reverse("fact_withdraw", args=[samples.patient, samples.fact])],
    "fact_correct": lambda samples: [reverse("fact_correct", args=[samples.patient, samples.fact])],
    "patient_tab": _tabs("patient_tab", _patient_tabs, of_patient=True),
    "retention_run": lambda samples: [reverse("retention_run", args=[samples.run])],
    "patient_everything": _of_patient("patient_everything"),
    "patient_merge": lambda samples: [reverse("patient_merge", args=[samples.patient, samples.other])],
    "merge": lambda samples: [reverse("merge", args=[samples.merge])],
    "review_case": lambda samples: [reverse("review_case", args=[samples.case])],
    "messages_tab": _tabs("messages_tab", _message_tabs),
    "dashboard_section": _tabs("dashboard_section", _dashboard_sections),
    "dashboard_list": _tabs("dashboard_list", _dashboard_lists),
    "mail_template": lambda samples: [reverse("mail_template", args=["due", "de"])],
    "patient_check": _by_link("patient_check", "questions"),
    "patient_wishes": _by_link("patient_wishes", "wishes"),
    "patient_stop": _by_link("patient_stop", "stop"),
    "calendar_week": lambda samples: [reverse("calendar_week", args=[date(2026, 11, 23)])],
    "calendar_month": lambda samples: [reverse("calendar_month", args=[date(2026, 11, 1)])],
    "appointment_book": _of_patient("appointment_book"),
    "appointment_move": lambda samples: [reverse("appointment_move", args=[samples.appointment])],
    "appointment_cancel": lambda samples: [reverse("appointment_cancel", args=[samples.appointment])],
    "protocol_draft": lambda samples: [reverse("protocol_draft", args=[samples.protocol])],
    "protocol_effect": lambda samples: [reverse("protocol_effect", args=[samples.protocol])],
    "protocol_step": lambda samples: [reverse("protocol_step", args=[samples.protocol, "submitted"])],
    "staff_person": lambda samples: [reverse("staff_person", args=[samples.person])],
    "clinic_edit": lambda samples: [reverse("clinic_edit", args=[samples.clinic])],
    "import_batch": lambda samples: [reverse("import_batch", args=[pk]) for pk in (samples.batch, samples.saved)],
    "import_columns": lambda samples: [reverse("import_columns", args=[samples.batch])],
    "import_undo": lambda samples: [reverse("import_undo", args=[samples.saved])],
}


def _routes(patterns: Any, before: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if pattern.namespace == "admin":  # Django's own pages; see tests/config/test_admin_site.py
                continue
            yield from _routes(pattern.url_patterns, before + str(pattern.pattern))
        else:
            yield before + str(pattern.pattern), pattern


def routes() -> dict[str, bool]:
    """Every named route outside the API, and whether it takes arguments."""
    return {str(pattern.name): bool(re.search(r"<|\(", path)) for path, pattern in _of_pages()}


def views() -> Iterator[tuple[str, Callable[..., Any]]]:
    """The same with what answers it."""
    return ((str(pattern.name), pattern.callback) for _path, pattern in _of_pages())


def _of_pages() -> Iterator[tuple[str, URLPattern]]:
    found = _routes(get_resolver().url_patterns)
    return (one for one in found if not one[0].startswith(("api/v1", "api/^")))


def unknown() -> list[str]:
    """Routes with arguments for which there is neither a sample nor a reason to leave them out."""
    return sorted(name for name, has_arguments in routes().items() if has_arguments and name not in SAMPLES | NO_PAGES)


def pages(samples: Samples, *, signed_in: bool) -> list[str]:
    """The address of every page that can be looked at by somebody signed in, or by a stranger."""
    found = []
    for name, has_arguments in routes().items():
        if name in NO_PAGES or (name in SIGNED_OUT) == signed_in:
            continue
        found += SAMPLES[name](samples) if has_arguments else [reverse(name)]
    return found
