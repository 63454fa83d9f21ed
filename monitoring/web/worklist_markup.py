"""Worklist markup: the cells of a row as HTML, written directly.

A page has fifty rows, and the nodes of a template for each of their cells were a third of its time. A row on which
something was done, or refused, has more in its last cell: there are few, and a template writes those.
"""

from dataclasses import dataclass
from functools import lru_cache
from html import escape

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from .finding_words import day_words
from .symptom_clock import SymptomClock
from .worklist_rows import RowWords


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


def ordinary(row: RowWords, look: Look) -> SafeString:
    """A row on which nothing was done just now."""
    act = menu(row, look) if look.may_work else ""
    return SafeString(
        f'<tr id="{row.id}" data-row tabindex="-1">{cells(row, look)}\n  <td class="act">{act}</td>\n</tr>\n'
    )


def cells(row: RowWords, look: Look) -> SafeString:
    """All cells but the last."""
    heads, why = look.heads, row.why
    clinic = f", {escape(row.clinic)}" if look.several_clinics else ""
    return SafeString(
        f'\n  <td class="tick"><input type="checkbox" name="selected" value="{row.pk}" form="bulk" data-select'
        f' aria-label="{escape(row.select)}"></td>'
        '\n  <th class="lead-cell" scope="row">'
        f'<a class="name" data-open href="{escape(row.url)}">{escape(row.name)}</a><span class="second">'
        f'<span class="nowrap">{escape(row.born)}</span>,'
        f' <span class="nowrap">{escape(row.number)}</span>{clinic}</span></th>'
        f'\n  <td class="{"" if row.hips else "none"}" data-label="{escape(heads.hip)}">{escape(row.hips)}</td>'
        f'\n  <td data-label="{escape(heads.why)}"><span class="why-line">{row.badge}'
        f'<span class="why-words">{escape(why.words)}</span></span>{_second(why.second)}'
        f"{clock(why.clock, get_language()) if why.clock else ''}{_second(_snoozed(row, look.tab))}</td>"
        f'\n  <td class="num{"" if row.late else " none"}" data-label="{escape(heads.late)}">{escape(row.late)}</td>'
        f'\n  <td class="{"" if row.next else "none"}" data-label="{escape(heads.next)}">{escape(row.next)}'
        f"{_second(row.since, 'second nowrap')}</td>"
        f'\n  <td class="{"" if row.last else "none"}" data-label="{escape(heads.last)}">{escape(row.last)}'
        f"{_second(row.last_second)}</td>"
    )


def menu(row: RowWords, look: Look) -> SafeString:
    """The menu of what can be done to the row; its forms arrive when it is opened."""
    outcome, name, where = escape(look.heads.outcome), escape(row.name), escape(f"{row.act_url}?{look.query}")
    return SafeString(
        '<details class="menu outcome" data-focus><summary class="button compact" data-key="o">'
        f'{outcome}<span class="vh"> {name}</span></summary>'
        f'<div class="sheet" data-arrives="{where}"><a href="{where}">{outcome}: {name}</a></div></details>'
    )


def _second(words: str, classes: str = "second") -> str:
    return f'<span class="{classes}">{escape(words)}</span>' if words else ""


def _snoozed(row: RowWords, tab: str) -> str:
    """Until when, where nothing else in the row says so."""
    if row.snoozed_until is None or tab == "snoozed" or row.why.status == "snoozed":
        return ""
    return _("Snoozed until %(day)s") % {"day": day_words(row.snoozed_until)}


@lru_cache(maxsize=1024)
def clock(drawn: SymptomClock, language: str | None) -> SafeString:
    """The component, rendered once for each number of days; its words are in `language`."""
    return render_to_string("components/clock.html", vars(drawn))
