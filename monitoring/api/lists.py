"""Lists of the registry: hips, plans, flags, reviews and reminders of the token's clinic."""

from typing import Any

from django.db.models import QuerySet

from patients.models import Decision
from patients.vocabulary import Action
from schedules.guideline.pathways import Pathway
from schedules.guideline.rules import RULES, Urgency
from schedules.guideline.windows import Status
from schedules.models import Plan, Reminder

from ..models import Flag, HipEvaluation, ReviewCase
from .columns import Row
from .entry import viewer_of
from .listing import ID, Listing, listed
from .serializers import DecisionOut, FlagOut, HipOut, PlanOut, ReminderOut, ReviewOut

PATHWAYS = [str(pathway) for pathway in Pathway]
ACTIONS = [str(action) for action in Action]
URGENCIES = [str(urgency) for urgency in Urgency]
ANY = "any"


@listed
class Hips(Listing):
    """Hips by status and pathway: what is overdue, what is due."""

    serializer_class = HipOut
    filters = {"status": [str(status) for status in Status], "pathway": PATHWAYS, "patient": ID}
    columns = {"answer": "answer"}
    joined_last = True

    def rows(self) -> QuerySet[HipEvaluation]:
        return HipEvaluation.objects.all()


@listed
class Plans(Listing):
    """Follow-up windows, one a cycle; `state=current` are those in force."""

    serializer_class = PlanOut
    filters = {"state": list(Plan.State.values), "pathway": PATHWAYS, "patient": ID}

    def rows(self) -> QuerySet[Plan]:
        return Plan.objects.all()


@listed
class Flags(Listing):
    """Findings; those that stand, unless `state` says otherwise."""

    serializer_class = FlagOut
    filters = {
        "state": ["open", "closed", ANY],
        "rule": sorted(RULES),
        "action": ACTIONS,
        "urgency": URGENCIES,
        "patient": ID,
    }
    default = {"state": "open"}

    def rows(self) -> QuerySet[Flag]:
        return Flag.objects.all()

    def narrowed(self, rows: QuerySet[Flag], asked: dict[str, Any]) -> QuerySet[Flag]:
        state = asked.pop("state", "open")
        if state != ANY:
            rows = rows.filter(closed_at__isnull=state == "open")
        return rows.filter(**asked)


@listed
class Reviews(Listing):
    """Cases that ask for a clinician; the open ones, unless `state` says otherwise."""

    serializer_class = ReviewOut
    filters = {"state": [*ReviewCase.State.values, ANY], "action": ACTIONS, "urgency": URGENCIES, "patient": ID}
    default = {"state": ReviewCase.State.OPEN.value}
    columns = {"assigned_to": "assigned_to__name", "decision": "decision_id"}
    joined_last = True

    def rows(self) -> QuerySet[ReviewCase]:
        return ReviewCase.objects.all()

    def narrowed(self, rows: QuerySet[ReviewCase], asked: dict[str, Any]) -> QuerySet[ReviewCase]:
        chosen = {**self.default, **asked}
        return rows.filter(**{name: value for name, value in chosen.items() if value != ANY})

    def told(self, page: list[Row]) -> list[Row]:
        """With the decisions, which only closed cases have."""
        rows = super().told(page)
        known = Decision.objects.filter(clinic__in=viewer_of(self.request).clinic_ids)
        decided = known.in_bulk([row["decision"] for row in rows if row["decision"]])
        return [row | {"decision": row["decision"] and DecisionOut(decided[row["decision"]]).data} for row in rows]


@listed
class Reminders(Listing):
    """Reminder mails with their states; never their texts."""

    serializer_class = ReminderOut
    filters = {"state": list(Reminder.State.values), "step": list(Reminder.Step.values), "patient": ID}

    def rows(self) -> QuerySet[Reminder]:
        return Reminder.objects.all()
