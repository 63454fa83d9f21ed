"""Rehearsal: with MAIL_REHEARSAL_TO set, every mail goes to that one address and to no patient.

Everything else is as in earnest: a reminder counts as sent, to the rehearsal's address. Links in the mail are those of
the patient, so rehearse with simulated people.
"""

from django.conf import settings
from django.core.mail import EmailMessage

from patients.models import Patient

MARK = "[REHEARSAL]"


def recipient() -> str:
    """The one address of the rehearsal, or "" in earnest."""
    return str(settings.MAIL_REHEARSAL_TO)


def addressee(patient: Patient) -> str:
    """Whom a mail to this patient goes to."""
    return recipient() or patient.email


def redirect(message: EmailMessage) -> None:
    """Give the mail the rehearsal's recipient and mark; in earnest nothing happens."""
    if not recipient():
        return
    message.to, message.cc, message.bcc = [recipient()], [], []
    message.subject = f"{MARK} {message.subject}"
    for name in ("List-Unsubscribe", "List-Unsubscribe-Post"):  # whoever rehearses must not stop a patient's mail
        message.extra_headers.pop(name, None)
