"""A component that is the same on every page is rendered once in each language."""

from django.template import engines
from django.utils import translation

TEMPLATE = "{% steady 'components/keyboard_help.html' %}{% steady 'components/shape.html' shape='tick' %}"
INCLUDED = (
    "{% include 'components/keyboard_help.html' only %}{% include 'components/shape.html' with shape='tick' only %}"
)


def test_it_is_what_an_include_gives_in_each_language():
    steady, included = (engines["django"].from_string(one) for one in (TEMPLATE, INCLUDED))
    said = set()
    for language in ("en", "de", "en", "de"):
        with translation.override(language):
            assert steady.render({"shape": "cross"}) == included.render({"shape": "cross"})
            said.add(steady.render())
    assert len(said) == 2
