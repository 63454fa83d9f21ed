"""Pages as a program sees them: the addresses and forms in a page's source, and what a form would send."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

ADDRESSES = ("href", "src", "action", "formaction", "hx-get", "hx-post", "cite", "poster", "data", "ping")
VOID = {"input", "img", "br", "hr", "meta", "link", "area", "base", "col", "embed", "source", "track", "wbr"}


@dataclass
class Field:
    name: str
    kind: str
    value: str
    choices: list[str] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass
class Form:
    action: str
    method: str
    fields: list[Field] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {one.name for one in self.fields}

    def sent(self, **changed: str) -> dict[str, list[str]]:
        """What a browser would send, with these fields changed."""
        known: dict[str, list[str]] = {}
        for one in self.fields:
            if one.kind in {"checkbox", "radio"} and "checked" not in one.attributes:
                continue
            if one.kind not in {"submit", "button", "file", "image", "reset"}:
                known.setdefault(one.name, []).append(one.value)
        return {name: values for name, values in known.items() if name} | {
            name: [value] for name, value in changed.items()
        }


class Page(HTMLParser):
    """`addresses`, `forms` and `tags` of a page's source."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.addresses: list[str] = []
        self.forms: list[Form] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.inline: list[str] = []  # scripts and styles written into the page
        self._form: Form | None = None
        self._select: Field | None = None
        self._inside = ""
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        known = {name: value or "" for name, value in attrs}
        self.tags.append((tag, known))
        self.addresses += [known[name] for name in ADDRESSES if known.get(name)]
        self._inside = tag if tag in {"script", "style"} and known.get("type") != "application/json" else ""
        if tag == "form":
            self._form = Form(known.get("action", ""), known.get("method", "get").lower())
            self.forms.append(self._form)
        elif tag in {"input", "textarea", "button"}:
            self._add(Field(known.get("name", ""), _kind(tag, known), known.get("value", ""), [], known), known)
        elif tag == "select":
            self._select = Field(known.get("name", ""), "select", "", [], known)
            self._add(self._select, known)
        elif tag == "option" and self._select is not None:
            value = known.get("value", "")
            self._select.choices.append(value)
            if "selected" in known or len(self._select.choices) == 1:
                self._select.value = value

    def _add(self, one: Field, known: dict[str, str]) -> None:
        if self._form is not None and "form" not in known:
            self._form.fields.append(one)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside and data.strip():
            self.inline.append(data)
        last = self._form.fields[-1] if self._form and self._form.fields else None
        if last is not None and last.kind == "textarea" and self.tags[-1][0] == "textarea":
            last.value += data


def _kind(tag: str, known: dict[str, str]) -> str:
    return known.get("type", "text").lower() if tag == "input" else "submit" if tag == "button" else tag


def local(addresses: list[str]) -> Iterator[str]:
    """Those that lead to this site, without the place in the page."""
    for address in addresses:
        path = address.partition("#")[0]
        if path.startswith("/") and not path.startswith("//"):
            yield path
