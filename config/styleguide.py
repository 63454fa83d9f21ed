"""Style guide: every component of the pages with made-up data, for staff who build or judge them."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from django import forms
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

STATUSES = (
    ("Hips", ("upcoming", "open", "due", "overdue", "gap")),
    (
        "Hips elsewhere",
        (
            "in_review",
            "snoozed",
            "booked",
            "incomplete",
            "never_started",
            "unreachable",
            "not_assessed",
            "not_affected",
        ),
    ),
    ("Hips no longer followed", ("ended", "replaced", "deceased")),
    ("Messages", ("planned", "sending", "sent", "failed", "uncertain", "refused", "expired")),
    ("Protocols", ("draft", "submitted", "under_review", "approved", "in_force", "retired")),
    ("Work in the background", ("running", "done", "undone")),
)


@dataclass(frozen=True)
class Heartbeat:
    finished_at: datetime
    behind: int
    late: bool
    words: str


@dataclass(frozen=True)
class Row:
    """A worklist row as the table shows it."""

    id: str
    name: str
    born: str
    number: str
    hip: str
    why: str
    status: str
    late: str
    next: str
    since: str
    last: str
    clock: dict[str, Any] | None = None
    acted: bool = False
    second: str = ""
    outcomes: tuple[tuple[str, str], ...] = field(
        default=(("reached", "Reached"), ("no_answer", "No answer"), ("booked", "Booked"), ("declined", "Declined"))
    )


ROWS = (
    Row(
        "row-1",
        "Marta Berg",
        "4 Mar 1981",
        "HW-00231",
        "left",
        "New groin pain since 3 Nov 2026; review by 17 Nov",
        "in_review",
        "",
        "Surgeon",
        "since 3 Nov",
        "Called 4 Nov",
        clock={"used": 7, "total": 183, "words": "7 of 183 days used", "tone": ""},
    ),
    Row(
        "row-2",
        "Jon Adeyemi",
        "9 Jan 1963",
        "HW-00118",
        "both",
        "Radiograph due 1 Oct 2026",
        "overdue",
        "40 d",
        "Coordinator",
        "since 15 Oct",
        "No answer, twice",
        second="3-month interval: age over 40, bone marrow oedema",
    ),
    Row(
        "row-3",
        "Ana-Lucía Fernández de la Vega",
        "23 Dec 1990",
        "HW-00407",
        "right",
        "No complete follow-up for 8 months",
        "gap",
        "97 d",
        "Administrator",
        "since 4 Nov",
        "Mail bounced 2 Nov",
        second="Standard interval, 6 months",
    ),
    Row(
        "row-4",
        "Peter Osei",
        "30 Jun 1975",
        "HW-00352",
        "left",
        "Frog-lateral view missing on 2 Nov 2026",
        "incomplete",
        "",
        "Radiography",
        "since 2 Nov",
        "Seen 2 Nov",
    ),
    Row(
        "row-5",
        "Ingrid Solheim",
        "17 Feb 1958",
        "HW-00019",
        "right",
        "Radiograph due 20 Nov 2026",
        "open",
        "",
        "Coordinator",
        "since 6 Nov",
        "Reached 10 Nov",
        acted=True,
        second="Booked for 19 Nov",
    ),
)

FINDING = {
    "title": "Core decompression review",
    "sentence": "A small lesion before collapse that begins to hurt is reviewed for core decompression.",
    "urgency": "SOON",
    "since": date(2026, 11, 3),
    "act_by": date(2026, 11, 17),
    "because": (
        "Small lesion of 12 % (5.9 cm³), ARCO I, before collapse; "
        "symptomatic since 3 Nov 2026 with pain 4 of 10, none on 1 Sep 2026."
    ),
    "rule": "R10",
    "protocol": "protocol 3, in force since 1 Jun 2026",
    "evidence": [
        {"text": "Symptom report of 3 Nov 2026: pain 4 of 10, groin", "url": "#facts"},
        {"text": "MRI of 2 Jun 2025: 12 % by segmentation", "url": "#facts"},
        {"text": "Radiographs of 1 Jun 2026: no crescent, no depression", "url": "#facts"},
    ],
    "sources": [{"text": "Follow-up guideline, small lesions", "url": "#facts", "grade": "expert consensus"}],
    "actions": [
        {"text": "Decide", "url": "#finding", "kind": "primary", "key": "d"},
        {"text": "Ask for a second opinion", "url": "#finding"},
    ],
}
DATA_FINDING = {
    "title": "Measure the volume",
    "sentence": "A diseased hip without a measured volume cannot be given a size band.",
    "urgency": "DATA",
    "since": date(2026, 6, 1),
    "because": "No lesion volume measured on MRI; the visual estimate of 1 Jun 2026 does not count.",
    "rule": "R22",
    "protocol": "protocol 3",
    "evidence": [{"text": "MRI of 1 Jun 2026", "url": "#facts"}],
    "sources": [],
}
LEFT_HIP = {
    "side": "left",
    "status": "in_review",
    "summary": "Symptomatic, small lesion 12 % (5.9 cm³), ARCO I",
    "pathway": "3-month interval: symptomatic; bone marrow oedema on MRI",
    "url": "#hips",
    "decided": [{"text": "Decided 3 Nov 2026: Observe; visit; by 17 Nov 2026", "url": "#facts", "late": True}],
    "facts": [
        {"term": "Next radiograph", "value": "1 Dec 2026", "note": "window 1 to 15 Dec"},
        {"term": "Last complete", "value": "1 Jun 2026", "url": "#facts"},
        {"term": "Harris hip score", "value": "81", "note": "96 on 2 Jun 2025"},
        {"term": "JIC type", "value": None},
    ],
    "findings": [FINDING],
}
RIGHT_HIP = {
    "side": "right",
    "status": "not_affected",
    "summary": "Clear on MRI of 2 Jun 2025",
    "pathway": "Watched because the other side is affected; MRI again by 2 Jun 2026",
    "url": "#hips",
    "facts": [{"term": "Next MRI", "value": "2 Jun 2027"}, {"term": "Pain", "value": "none", "note": "1 Sep 2026"}],
    "findings": [],
}
PATIENT = {
    "name": "Marta Berg",
    "born": "4 Mar 1981 (45)",
    "number": "HW-00231",
    "clinic": "Northside Hip Clinic",
    "clinician": "Dr Lindqvist",
    "contact": "E-mail works, wished",
    "language": "German",
    "url": "#banner",
}
TABS = [
    {"name": "New symptoms and reviews", "url": "#tabs", "count": 7, "current": True, "alert": True},
    {"name": "Overdue", "url": "#tabs", "count": 31},
    {"name": "Due and open", "url": "#tabs", "count": 44},
    {"name": "Never started", "url": "#tabs", "count": 3},
    {"name": "Incomplete", "url": "#tabs", "count": 9},
    {"name": "Cannot be reached", "url": "#tabs", "count": 5},
    {"name": "Snoozed", "url": "#tabs", "count": 0},
    {"name": "All", "url": "#tabs", "count": 240},
]
BARS = {
    "title": "31 hips are overdue, 3 of them by more than 90 days",
    "note": "Hips whose window has closed without a complete follow-up, on 10 Nov 2026.",
    "columns": ["Days late", "Hips"],
    "rows": [["1 to 14", 12], ["15 to 30", 9], ["31 to 90", 7], ["over 90", 3]],
    "downloads": [{"text": "CSV", "url": "#plot"}, {"text": "SVG", "url": "#plot"}],
}
SURVIVAL = {
    "title": "Without symptoms after 3 years: 84 % of very small lesions, 61 % of small ones",
    "note": "Kaplan-Meier with 95 % band; ticks are hips whose watch ended earlier. Made-up data.",
    "columns": ["Months", "Very small", "At risk", "Small", "At risk"],
    "rows": [
        [0, "100 %", 64, "100 %", 92],
        [12, "91 %", 58, "77 %", 71],
        [24, "85 %", 41, "67 %", 49],
        [36, "84 %", 22, "61 %", 27],
    ],
}
TIMELINE_ROWS = [
    ["2 Jun 2025", "both", "MRI: left 12 %, 5.9 cm³; right clear"],
    ["1 Dec 2025", "left", "Radiographs, AP and frog-lateral; ARCO I; window kept"],
    ["1 Jun 2026", "left", "Radiographs, AP and frog-lateral; ARCO I; window kept"],
    ["3 Nov 2026", "left", "Pain 4 of 10"],
]


class SampleForm(forms.Form):
    """One field of each kind, as forms of the pages use them."""

    seen_on = forms.DateField(
        label="Seen on", help_text="For example 3 Nov 2026", widget=forms.DateInput(attrs={"type": "date"})
    )
    pain = forms.IntegerField(label="Pain", help_text="0 is none, 10 the worst imaginable", min_value=0, max_value=10)
    volume = forms.DecimalField(
        label="Lesion volume", help_text="Share of the femoral head, from MRI", required=False, max_value=100
    )
    stage = forms.ChoiceField(
        label="Stage", choices=[("", ""), ("I", "ARCO I"), ("II", "ARCO II"), ("IIIA", "ARCO IIIA")]
    )
    crescent = forms.ChoiceField(
        label="Crescent sign",
        choices=[("absent", "Absent"), ("present", "Present"), ("indeterminate", "Cannot be judged")],
        widget=forms.RadioSelect,
    )
    views = forms.MultipleChoiceField(
        label="Views",
        choices=[("AP", "AP"), ("FROG_LATERAL", "Frog-lateral"), ("CROSS_TABLE", "Cross-table")],
        widget=forms.CheckboxSelectMultiple,
        required=False,
    )
    night_pain = forms.BooleanField(
        label="Wakes at night from pain", required=False, help_text="Shortens the review to 7 days"
    )
    reason = forms.CharField(label="Reason", widget=forms.Textarea(attrs={"rows": 3}), required=False)


class SampleFilter(forms.Form):
    """A list's filters."""

    clinic = forms.ChoiceField(choices=[("", "All clinics"), ("north", "Northside")], required=False)
    late = forms.IntegerField(label="Days late, at least", required=False, min_value=0)


def drawing(name: str) -> SafeString:
    """A drawing of the style guide as it stands in its file."""
    return mark_safe(render_to_string(f"styleguide/{name}.svg"))  # noqa: S308 - our own file, no data in it


def sample_context() -> dict[str, Any]:
    """Everything the style guide shows."""
    good = Heartbeat(datetime(2026, 11, 10, 2, 10, tzinfo=UTC), 0, False, "Sweep finished 10 Nov, 02:10; none behind")
    late = Heartbeat(datetime(2026, 11, 8, 2, 10, tzinfo=UTC), 212, True, "Last sweep 8 Nov, 02:10; 212 hips behind")
    return {
        "statuses": STATUSES,
        "sample_heartbeat": good,
        "late_heartbeat": late,
        "rows": ROWS,
        "owners": [("me", "A. Okoye"), ("surgeon", "Dr Lindqvist"), ("admin", "R. Haas")],
        "next_on": date(2026, 11, 24),
        "finding": FINDING,
        "data_finding": DATA_FINDING,
        "hips": [RIGHT_HIP, LEFT_HIP],
        "patient": PATIENT,
        "alerts": [
            {
                "text": "1 review open: left hip, new groin pain since 3 Nov 2026. Decide by 17 Nov.",
                "tone": "bad",
                "url": "#finding",
            }
        ],
        "banner_actions": [
            {"text": "Record a visit", "url": "#banner", "kind": "primary", "key": "v"},
            {"text": "Letter", "url": "#banner"},
        ],
        "tabs": TABS,
        "header_actions": [{"text": "Import", "url": "#header"}, {"text": "Export", "url": "#header"}],
        "chips": [
            {"label": "Clinic", "value": "Northside", "remove_url": "#filters"},
            {"label": "Owner", "value": "me", "remove_url": "#filters"},
            {"label": "Days late", "value": "30 or more", "remove_url": "#filters"},
        ],
        "filter_form": SampleFilter(auto_id="id_f_%s"),
        "saved_views": [
            {"name": "My Monday list", "url": "#filters", "current": True},
            {"name": "German letters", "url": "#filters"},
        ],
        "bulk_acts": [
            {"value": "assign", "text": "Assign"},
            {"value": "send", "text": "Send now"},
            {"value": "letters", "text": "Print letters"},
            {"value": "export", "text": "Export"},
        ],
        "facts": LEFT_HIP["facts"],
        "empty_form": SampleForm(initial={"crescent": "absent"}, auto_id="id_a_%s"),
        "wrong_form": SampleForm(
            {"seen_on": "", "pain": "14", "crescent": "absent", "stage": "I", "views": ["AP"]}, auto_id="id_b_%s"
        ),
        "timeline": drawing("timeline"),
        "timeline_columns": ["Day", "Hip", "What"],
        "timeline_rows": TIMELINE_ROWS,
        "bars": BARS | {"svg": drawing("bars")},
        "survival": SURVIVAL | {"svg": drawing("survival")},
        "empty_actions": [
            {"text": "Enrol a patient", "url": "#empty", "kind": "primary"},
            {"text": "Import a file", "url": "#empty"},
        ],
        "no_match_actions": [{"text": "Lift all filters", "url": "#empty"}],
        "failed_actions": [{"text": "Try again", "url": "#empty"}],
        "sample_messages": [
            {"level_tag": "success", "text": "Outcome recorded for Ingrid Solheim."},
            {"level_tag": "warning", "text": "2 of 12 letters have no address and were left out."},
        ],
    }


@login_required
def styleguide(request: HttpRequest) -> HttpResponse:
    """The page itself. Raises PermissionDenied for people who are not staff."""
    if not getattr(request.user, "is_staff", False):
        raise PermissionDenied
    return render(request, "styleguide.html", sample_context())
