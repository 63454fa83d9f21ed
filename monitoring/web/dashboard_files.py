"""Dashboard files: a plot as numbers for a spreadsheet, or as a picture that stands alone. Each export is audited."""

import csv
import io
from collections.abc import Callable, Mapping
from textwrap import wrap
from typing import Final

import typst
from django.http import HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _

from .. import audit
from ..spreadsheets import harmless
from .dashboard_asked import Asked
from .dashboard_plots import STEP_COLUMNS, Cell, Plot
from .finding_words import day_words

LINE_HEIGHT: Final = 18
CHARACTERS: Final = 70  # of a title in a line of the picture
PIXELS_PER_INCH: Final = 216
# The style sheet's light colours by class: a picture has no style sheet.
_STYLE: Final = (
    "text{fill:#14181d;font:500 12px 'DejaVu Sans','Noto Sans',sans-serif}.quiet{fill:#4c5866;font-weight:400}"
    ".title{font-size:14px;font-weight:700}.axis,.grid{stroke:#dbe1e8;fill:none}.axis{stroke:#8a95a1}"
    ".bar{fill:#0b57a4}.bar-bad{fill:#c62828}.bar-open{fill:#ffffff;stroke:#0b57a4;stroke-width:1.5}"
    ".line{fill:none;stroke:#0b57a4;stroke-width:2.25;stroke-linejoin:round}"
    ".line-2{stroke:#b36b00;stroke-dasharray:7 3}.line-3{stroke:#1b7f43;stroke-dasharray:2 3}"
    ".line-4{stroke:#c62828;stroke-dasharray:9 3 2 3}.ribbon{fill:#0b57a4;fill-opacity:.15;stroke:none}"
    ".ribbon-2{fill:#b36b00}.ribbon-3{fill:#1b7f43}.ribbon-4{fill:#c62828}"
    ".stripe{fill:none;stroke:#ffffff;stroke-width:1.5}.dot{fill:#0b57a4;stroke:#ffffff}.dot-open{fill:#ffffff;stroke:#0b57a4;stroke-width:1.5}"
    ".target{fill:none;stroke:#14181d;stroke-width:1.25;stroke-dasharray:5 4}"
)


class NothingToDraw(ValueError):
    """The plot has no drawing: too little is known."""


def answer(asked: Asked, plot: Plot, kind: str) -> HttpResponse:
    """The plot as a file. Raises KeyError for another kind, NothingToDraw for a picture of nothing."""
    make, content_type = KINDS[kind]
    response = HttpResponse(make(asked, plot), content_type=content_type)
    name = f"hipwatch-{plot.name}-{asked.scope.today.isoformat()}.{kind}"
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    for clinic_id in asked.scope.clinic_ids:
        audit.note(
            asked.viewer.actor, "export", clinic_id=clinic_id, object=f"dashboard {plot.name}", after={"format": kind}
        )
    return response


def as_csv(asked: Asked, plot: Plot) -> bytes:
    """UTF-8 with a byte order mark. Shares are of 1, dates as 2026-11-22; a curve's file holds its steps."""
    file = io.StringIO()
    writer = csv.writer(file)
    rows = plot.more or plot.rows
    writer.writerow(STEP_COLUMNS if plot.more else plot.columns)
    writer.writerows([_raw(cell) for cell in row] for row in rows)
    return f"\ufeff{file.getvalue()}".encode()


def _raw(cell: Cell) -> object:
    return harmless(cell.raw) if isinstance(cell.raw, str) else cell.raw


def as_svg(asked: Asked, plot: Plot) -> bytes:
    """The drawing with its title, whose numbers it shows and of which day, on white."""
    drawing = plot.drawing
    if drawing is None:
        raise NothingToDraw(plot.empty)
    title = wrap(plot.title, CHARACTERS)
    note = wrap(plot.note, CHARACTERS + 18)
    head = LINE_HEIGHT * (len(title) + 1) + 8
    height = head + drawing.height + LINE_HEIGHT * len(note) + 12
    quiet = [(head - 10, "quiet", origin(asked))]
    quiet += [(head + drawing.height + LINE_HEIGHT * (n + 1) - 4, "quiet", words) for n, words in enumerate(note)]
    words = [(LINE_HEIGHT * (n + 1), "title", line) for n, line in enumerate(title)] + quiet
    picture = format_html(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="-12 0 {} {}" width="{}" height="{}" role="img"'
        ' aria-labelledby="title desc"><title id="title">{}</title><desc id="desc">{}</desc><style>{}</style>'
        '<rect x="-12" y="0" width="{}" height="{}" fill="#ffffff"/>{}<g transform="translate(0 {})">{}</g></svg>',
        drawing.width + 24,
        height,
        drawing.width + 24,
        height,
        plot.title,
        drawing.words,
        _STYLE,
        drawing.width + 24,
        height,
        format_html_join("", '<text class="{1}" x="0" y="{0}">{2}</text>', words),
        head,
        drawing.body,
    )
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{picture}\n'.encode()


def origin(asked: Asked) -> str:
    """Whose numbers, of which day, and that nobody in them exists where that is so."""
    words = _("%(clinics)s, as of %(day)s") % {"clinics": asked.names, "day": day_words(asked.scope.today)}
    return _("%(words)s; synthetic patients") % {"words": words} if asked.synthetic else words


def as_png(asked: Asked, plot: Plot) -> bytes:
    """The same picture in dots, for slides and documents that take no SVG."""
    page = b'#set page(width: auto, height: auto, margin: 0pt)\n#image(bytes(sys.inputs.drawing), format: "svg")\n'
    made = typst.compile(page, format="png", ppi=PIXELS_PER_INCH, sys_inputs={"drawing": as_svg(asked, plot).decode()})
    if not isinstance(made, bytes):
        raise TypeError("One page makes one picture.")
    return made


KINDS: Final[Mapping[str, tuple[Callable[[Asked, Plot], bytes], str]]] = {
    "csv": (as_csv, "text/csv; charset=utf-8"),
    "svg": (as_svg, "image/svg+xml"),
    "png": (as_png, "image/png"),
}
