"""How form fields become HTML: as Django's widget templates write them, but without a template for each option.

The form of a visit has 134 fields and some 400 options. Django's templates include one another three deep for each,
which was a third of that page's time. What is not named here is left to the templates.
"""

from collections.abc import Callable, Mapping
from typing import Any

from django.forms.renderers import TemplatesSetting
from django.forms.utils import flatatt
from django.http import HttpRequest
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

Widget = Mapping[str, Any]


class Renderer(TemplatesSetting):
    """`FORM_RENDERER`: the commonest widgets written directly, all others by their templates."""

    def render(self, template_name: str, context: dict[str, Any], request: HttpRequest | None = None) -> str:
        write = WRITERS.get(template_name)
        return write(context["widget"]) if write else super().render(template_name, context, request)


def _input(widget: Widget) -> SafeString:
    return format_html(
        '<input type="{}" name="{}"{}{}>', widget["type"], widget["name"], _value(widget), flatatt(widget["attrs"])
    )


def _value(widget: Widget) -> SafeString:
    value = widget["value"]
    return SafeString("") if value is None else format_html(' value="{}"', str(value))


def _select(widget: Widget) -> SafeString:
    groups = [
        format_html('<optgroup label="{}">{}</optgroup>', name, _options(options)) if name else _options(options)
        for name, options, _ in widget["optgroups"]
    ]
    return format_html('<select name="{}"{}>{}</select>', widget["name"], flatatt(widget["attrs"]), _joined(groups))


def _options(options: list[Widget]) -> SafeString:
    return format_html_join(
        "\n",
        '<option value="{}"{}>{}</option>',
        ((str(option["value"]), flatatt(option["attrs"]), option["label"]) for option in options),
    )


def _choices(widget: Widget) -> SafeString:
    """Radio buttons or check boxes, each in its label."""
    attrs = widget["attrs"]
    outer = {key: attrs[key] for key in ("id", "class") if attrs.get(key)}
    groups = [
        format_html("<div><label>{}</label>{}</div>", name, _choice_lines(options)) if name else _choice_lines(options)
        for name, options, _ in widget["optgroups"]
    ]
    return format_html("<div{}>{}</div>", flatatt(outer), _joined(groups))


def _joined(parts: list[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((part,) for part in parts))


def _choice_lines(options: list[Widget]) -> SafeString:
    return format_html_join("\n", "<div>{}</div>", ((_choice(option),) for option in options))


def _choice(option: Widget) -> SafeString:
    if not option["wrap_label"]:
        return _input(option)
    name = option["attrs"].get("id")
    return format_html(
        "<label{}>{} {}</label>", flatatt({"for": name} if name else {}), _input(option), option["label"]
    )


FOLDER = "django/forms/widgets"
INPUTS = ("text", "number", "email", "url", "tel", "search", "date", "time", "datetime", "hidden", "checkbox")
WRITERS: dict[str, Callable[[Widget], SafeString]] = {
    **{f"{FOLDER}/{name}.html": _input for name in INPUTS},
    f"{FOLDER}/select.html": _select,
    f"{FOLDER}/radio.html": _choices,
    f"{FOLDER}/checkbox_select.html": _choices,
}
