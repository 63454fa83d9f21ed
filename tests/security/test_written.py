"""What is written by our own function is, letter for letter, what Django's `format_html` writes."""

from django.utils.html import format_html
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from hypothesis import given
from hypothesis import strategies as st

from monitoring.web.written import written

FORM = '<td class="{classes}" data-label="{head}">{words}{second}</td>'
PARTS = st.one_of(
    st.text(),
    st.text(alphabet="&<>\"'ab;#"),
    st.integers(),
    st.none(),
    st.dates(),
    st.sampled_from([mark_safe("<b>&amp;</b>"), gettext_lazy("Due"), gettext_lazy("<due>")]),
)


@given(classes=PARTS, head=PARTS, words=PARTS, second=PARTS)
def test_every_part_is_escaped_as_django_does(classes, head, words, second):
    parts = {"classes": classes, "head": head, "words": words, "second": second}
    assert written(FORM, **parts) == format_html(FORM, **parts)


def test_what_was_typed_opens_no_tag_and_no_attribute():
    cell = written(FORM, classes='" onclick="', head="'", words="<script>", second=mark_safe("<br>"))
    assert cell == '<td class="&quot; onclick=&quot;" data-label="&#x27;">&lt;script&gt;<br></td>'
    assert written("<b>{cell}</b>", cell=cell) == f"<b>{cell}</b>"
