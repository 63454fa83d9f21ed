"""Worklist markup: the cells of a row as HTML, written directly.

A page has fifty rows, and the nodes of a template for each of their cells were a third of its time. A row on which
something was done, or refused, has more in its last cell: there are few, and a template writes those.
"""

from dataclasses import dataclass
from functools import lru_cache
from html import escape
from typing import Final

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from .finding_words import day_words
from .phrases import language
from .symptom_clock import SymptomClock
from .worklist_rows import RowWords
from .written import written


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of the columns, which each cell repeats for narrow screens."""

    hip: str
    why: str
    late: str
    next: str
    last: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Look:
    """What all rows of one list have in common."""

    tab: str
    heads: Heads
    several_clinics: bool
    query: str  # of every address in a row
    may_work: bool
    ticked: frozenset[int] = frozenset()


_ROW: Final = '<tr id="{id}" data-row tabindex="-1">{cells}\n  <td class="act">{act}</td>\n</tr>\n'
_CELLS: Final = (
    '\n  <td class="tick"><input type="checkbox" name="selected" value="{pk}" form="bulk" data-select{ticked}'
    ' aria-label="{select}"></td>'
    '\n  <th class="lead-cell" scope="row"><a class="name" data-open href="{url}">{name}</a><span class="second">'
    '<span class="nowrap">{born}</span>, <span class="nowrap">{number}</span>{clinic}</span></th>'
    '\n  <td class="{no_hips}" data-label="{head_hip}">{hips}</td>'
    '\n  <td data-label="{head_why}"><span class="why-line">{badge}<span class="why-words">{why}</span></span>'
    "{why_second}{clock}{snoozed}</td>"
    '\n  <td class="num {not_late}" data-label="{head_late}">{late}</td>'
    '\n  <td class="{no_next}" data-label="{head_next}">{next}{since}</td>'
    '\n  <td class="{no_last}" data-label="{head_last}">{last}{last_second}</td>'
)
_MENU: Final = (
    '<details class="menu outcome" data-focus><summary class="button compact" data-key="o">'
    '{outcome}<span class="vh"> {name}</span></summary>'
    '<div class="sheet" data-arrives="{where}"><a href="{where}">{outcome}: {name}</a></div></details>'
)


def ordinary(row: RowWords, look: Look) -> SafeString:
    """A row on which nothing was done just now."""
    return written(_ROW, id=row.id, cells=cells(row, look), act=menu(row, look) if look.may_work else "")


def cells(row: RowWords, look: Look) -> SafeString:
    """All cells but the last."""
    why = row.why
    return written(
        _under(look.heads),
        pk=row.pk,
        ticked=" checked" if row.pk in look.ticked else "",
        select=row.select,
        url=row.url,
        name=row.name,
        born=row.born,
        number=row.number,
        clinic=f", {row.clinic}" if look.several_clinics else "",
        no_hips="" if row.hips else "none",
        hips=row.hips,
        badge=row.badge,
        why=why.words,
        why_second=_second(why.second),
        clock=clock(why.clock, language()) if why.clock else "",
        snoozed=_second(_snoozed(row, look.tab)),
        not_late="" if row.late else "none",
        late=row.late,
        no_next="" if row.next else "none",
        next=row.next,
        since=_second(row.since, "second nowrap"),
        no_last="" if row.last else "none",
        last=row.last,
        last_second=_second(row.last_second),
    )


@lru_cache(maxsize=32)
def _under(heads: Heads) -> str:
    """The form of the cells with the heads of the columns in it, which are the same in each row."""
    form = _CELLS
    for name in ("hip", "why", "late", "next", "last"):
        head = escape(getattr(heads, name)).replace("{", "{{").replace("}", "}}")
        form = form.replace(f"{{head_{name}}}", head)
    return form


def menu(row: RowWords, look: Look) -> SafeString:
    """The menu of what can be done to the row; its forms arrive when it is opened."""
    return written(_MENU, outcome=look.heads.outcome, name=row.name, where=f"{row.act_url}?{look.query}")


def _second(words: str, classes: str = "second") -> SafeString | str:
    return written('<span class="{classes}">{words}</span>', classes=classes, words=words) if words else ""


def _snoozed(row: RowWords, tab: str) -> str:
    """Until when, where nothing else in the row says so."""
    if row.snoozed_until is None or tab == "snoozed" or row.why.status == "snoozed":
        return ""
    return _("Snoozed until %(day)s") % {"day": day_words(row.snoozed_until)}


@lru_cache(maxsize=1024)
def clock(drawn: SymptomClock, language: str | None) -> SafeString:
    """The component, rendered once for each number of days; its words are in `language`."""
    return render_to_string("components/clock.html", vars(drawn))
