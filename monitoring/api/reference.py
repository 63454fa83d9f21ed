"""Reference: the OpenAPI document as a person reads it: calls by subject, their fields, answers and curl lines.

Nothing here knows a view or a page; the document is the only source.
"""

import json
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

Schema = Mapping[str, Any]
_PREFIX = "#/components/schemas/"
_METHODS = ("get", "post", "put", "patch", "delete")
_LIMITS = ("minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "pattern", "default")
_FORMATS = {
    "date": "2026-03-05",
    "date-time": "2026-03-05T09:30:00Z",
    "email": "ebba@mail.example",
    "uri": "https://hipwatch.example/",
}


@dataclass(frozen=True)
class Type:
    """What a value may be, in the words of JSON Schema; the shapes among them; the only values there are."""

    words: str
    shapes: tuple[str, ...] = ()
    values: tuple[str, ...] = ()

    def parts(self) -> list[tuple[str, bool]]:
        """Word by word, and whether it is the name of a shape."""
        return [(word, word in self.shapes) for word in self.words.split()]


@dataclass(frozen=True)
class Field:
    """A parameter or a property. `place` says where a parameter is sent."""

    name: str
    type: Type
    required: bool
    description: str = ""
    limits: tuple[str, ...] = ()
    place: str = ""


@dataclass(frozen=True)
class Shape:
    """An object that has a name of its own."""

    name: str
    description: str
    fields: tuple[Field, ...]

    def names(self) -> set[str]:
        return {name for field in self.fields for name in field.type.shapes}


@dataclass(frozen=True)
class Example:
    name: str
    json: str


@dataclass(frozen=True)
class Answer:
    """One status. `type` is of its body."""

    status: str
    description: str
    type: Type | None = None
    example: Example | None = None


@dataclass(frozen=True)
class Operation:
    """One method of one path. `scopes` is empty where no token is needed; `errors` are statuses."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scopes: tuple[str, ...]
    parameters: tuple[Field, ...]
    body: Shape | None
    examples: tuple[Example, ...]
    answers: tuple[Answer, ...]
    errors: tuple[str, ...]
    curl: str

    def fields(self) -> tuple[Field, ...]:
        return (*self.parameters, *(self.body.fields if self.body else ()))

    def names(self) -> set[str]:
        """The shapes that its tables name."""
        types = [field.type for field in self.fields()] + [answer.type for answer in self.answers if answer.type]
        return {name for type_ in types for name in type_.shapes}

    def words(self) -> str:
        texts = [self.id, self.method, self.path, self.summary, self.description, *self.scopes, *self.names()]
        return " ".join(
            [*texts, *(text for field in self.fields() for text in (field.name, field.description))]
        ).casefold()


@dataclass(frozen=True)
class Subject:
    """Calls of one tag."""

    name: str
    operations: tuple[Operation, ...]


@dataclass(frozen=True)
class Reference:
    title: str
    version: str
    subjects: tuple[Subject, ...]
    shapes: tuple[Shape, ...]
    errors: tuple[Answer, ...]
    problem: Example | None

    def operations(self) -> Iterator[Operation]:
        for subject in self.subjects:
            yield from subject.operations


def reference_of(document: Schema, *, base: str, samples: Mapping[str, Any]) -> Reference:
    """The whole page. `base` is the address of the site, `samples` a fitting value for a field of that name."""
    reader = _Reader(document["components"]["schemas"], base.rstrip("/"), samples)
    subjects: dict[str, list[Operation]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = reader.operation(path, method, item[method])
                subjects.setdefault(next(iter(item[method].get("tags", [])), ""), []).append(operation)
    listed = tuple(Subject(name, tuple(operations)) for name, operations in sorted(subjects.items()))
    info = document["info"]
    found = Reference(info["title"], info["version"], listed, reader.shapes(), reader.errors(), reader.problem())
    return replace(found, shapes=_reached(found.operations(), found.shapes))


def narrowed(whole: Reference, query: str) -> Reference:
    """What every word of the query is found in, with all shapes that it names."""
    words = query.casefold().split()
    if not words:
        return whole
    subjects = [
        Subject(subject.name, tuple(one for one in subject.operations if all(word in one.words() for word in words)))
        for subject in whole.subjects
    ]
    kept = tuple(subject for subject in subjects if subject.operations)
    found = replace(whole, subjects=kept)
    return replace(found, shapes=_reached(found.operations(), whole.shapes))


def _reached(operations: Iterable[Operation], shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """The shapes that these calls name, and those that these name in turn."""
    known = {shape.name: shape for shape in shapes}
    reached: set[str] = set()
    waiting = {name for operation in operations for name in operation.names()}
    while waiting:
        reached |= waiting
        waiting = {name for shape in waiting for name in known[shape].names()} - reached
    return tuple(shape for shape in shapes if shape.name in reached)


class _Reader:
    """Reads one document. What each error means is told once, as its first call tells it."""

    def __init__(self, schemas: Schema, base: str, samples: Mapping[str, Any]) -> None:
        self.schemas, self.base, self.samples = schemas, base, samples
        self.meanings: dict[str, str] = {}

    def errors(self) -> tuple[Answer, ...]:
        return tuple(Answer(status, meaning) for status, meaning in sorted(self.meanings.items()))

    def shapes(self) -> tuple[Shape, ...]:
        return tuple(
            Shape(name, _prose(schema.get("description", "")), self.fields(schema))
            for name, schema in sorted(self.schemas.items())
            if "properties" in schema
        )

    def problem(self) -> Example | None:
        schema = self.schemas.get("ProblemOut")
        return Example("", _json(self.sample(schema))) if schema else None

    def operation(self, path: str, method: str, said: Schema) -> Operation:
        content: Schema = said.get("requestBody", {}).get("content", {})
        asked: Schema = next(iter(content.values()), {})
        examples = self._examples(asked) if content else ()
        answers = tuple(self._answer(status, answer) for status, answer in sorted(said["responses"].items()))
        errors = {one.status for one in answers if one.description == self._meaning(one)}
        summary = said.get("summary") or said["operationId"]
        description = said.get("description", "")
        return Operation(
            id=said["operationId"],
            method=method.upper(),
            path=path,
            summary=_prose(summary),
            description="" if description.rstrip(".") == summary else _prose(description),
            scopes=_scopes(said.get("security", ())),
            parameters=tuple(self._parameter(parameter) for parameter in said.get("parameters", ())),
            body=self._body(asked["schema"]) if "schema" in asked else None,
            examples=examples,
            answers=tuple(answer for answer in answers if answer.status not in errors),
            errors=tuple(sorted(errors)),
            curl=self._curl(path, method, said, examples),
        )

    def _meaning(self, answer: Answer) -> str | None:
        """What this error means everywhere. None for what is no error."""
        return self.meanings.setdefault(answer.status, answer.description) if answer.status >= "400" else None

    def _parameter(self, said: Schema) -> Field:
        merged = {**said["schema"], **({"description": said["description"]} if "description" in said else {})}
        return replace(self._field(said["name"], merged, required=said.get("required", False)), place=said["in"])

    def _body(self, schema: Schema) -> Shape:
        name, target = self._followed(schema)
        return Shape(name, target.get("description", ""), self.fields(target))

    def _answer(self, status: str, said: Schema) -> Answer:
        content = next(iter(said.get("content", {}).values()), None)
        if content is None:
            return Answer(status, said.get("description", ""))
        examples = self._examples(content) if status.startswith("2") else ()
        return Answer(status, said.get("description", ""), self.type(content["schema"]), next(iter(examples), None))

    def _examples(self, content: Schema) -> tuple[Example, ...]:
        """Those that the document gives, else one made of samples."""
        given = tuple(Example(e.get("summary", ""), _json(e["value"])) for e in content.get("examples", {}).values())
        return given or (Example("", _json(self.sample(content["schema"]))),)

    def _curl(self, path: str, method: str, said: Schema, examples: Sequence[Example]) -> str:
        parts = ["curl" if method == ("post" if examples else "get") else f"curl -X {method.upper()}"]
        places = [parameter for parameter in said.get("parameters", ()) if parameter["in"] == "path"]
        filled = path.format(**{place["name"]: self.sample(place["schema"], place["name"]) for place in places})
        parts[0] += f" {shlex.quote(self.base + filled)}"
        if _scopes(said.get("security", ())):
            parts.append('-H "Authorization: Bearer $TOKEN"')
        if examples:
            parts += ['-H "Content-Type: application/json"', f"-d {shlex.quote(examples[0].json)}"]
        return " \\\n  ".join(parts)

    # What a schema says

    def fields(self, schema: Schema) -> tuple[Field, ...]:
        """Those that must be there first; beneath an object without a name its own, as `bmi[].value`."""
        required = schema.get("required", ())
        rows: list[Field] = []
        for name, said in sorted(schema["properties"].items(), key=lambda item: item[0] not in required):
            rows.append(self._field(name, said, required=name in required))
            mark, inner = self._nameless(said)
            rows += [replace(field, name=f"{name}{mark}.{field.name}") for field in self.fields(inner)] if inner else []
        return tuple(rows)

    def _nameless(self, schema: Schema) -> tuple[str, Schema | None]:
        name, target = self._followed(schema)
        if target.get("type") == "array":
            mark, inner = self._nameless(target.get("items", {}))
            return f"[]{mark}", inner
        return "", target if "properties" in target and not name else None

    def _field(self, name: str, schema: Schema, *, required: bool) -> Field:
        _name, target = self._followed(schema)
        type_ = self.type(schema)
        own = "" if type_.shapes or type_.values else target.get("description", "")
        limits = tuple(f"{limit}: {_plain(source[limit])}" for source, limit in _limits(schema, target))
        return Field(name, type_, required, _prose(schema.get("description") or own), limits)

    def _followed(self, schema: Schema) -> tuple[str, Schema]:
        """The schema at the end of its references, and the last name on the way there."""
        name = ""
        while True:
            if "$ref" in schema:
                name = schema["$ref"].removeprefix(_PREFIX)
                schema = self.schemas[name]
            elif "properties" not in schema and "$ref" in next(iter(schema.get("allOf", ())), {}):
                schema = schema["allOf"][0]
            else:
                return name, schema

    def type(self, schema: Schema) -> Type:
        name, target = self._followed(schema)
        if "properties" in target:
            return Type(name or "object", (name,) if name else ())
        choices = target.get("oneOf") or target.get("anyOf")
        if choices:
            return _either([self.type(choice) for choice in choices if choice.get("maxLength") != 0])
        if target.get("type") == "array":
            inner = self.type(target.get("items") or next(iter(target.get("prefixItems", ())), {}))
            return replace(inner, words=f"array of {inner.words}")
        values = target.get("enum", [target["const"]] if "const" in target else [])
        return Type(
            _type_words(target, values), (), tuple(_plain(value) for value in values if value not in (None, ""))
        )

    # An example of it

    def sample(self, schema: Schema, name: str = "") -> Any:
        """A value that fits: the document's own example, a sample of this name, or the simplest there is."""
        _name, target = self._followed(schema)
        if self.samples.get(name, "") is None and "null" in self.type(schema).words.split(" or "):
            return None
        for said in (schema, target):
            if "examples" in said:
                return said["examples"][0]
        if "properties" in target:
            return {
                key: self.sample(said, key) for key, said in target["properties"].items() if key in self._shown(target)
            }
        if choices := target.get("oneOf") or target.get("anyOf"):
            return self.sample(next(c for c in choices if self.type(c).words != "null"), name)
        if target.get("type") == "array":
            return [self.sample(target.get("items") or next(iter(target.get("prefixItems", ())), {}), name)]
        if "const" in target:
            return target["const"]
        if values := [value for value in target.get("enum", ()) if value not in (None, "")]:
            return self.samples[name] if self.samples.get(name) in values else values[0]
        return self._scalar(target, name)

    def _shown(self, target: Schema) -> set[str]:
        """What must be there; everything where nothing must."""
        return set(target.get("required", ())) or set(target["properties"])

    def _scalar(self, target: Schema, name: str) -> Any:
        types = target.get("type", "object")
        kind = next((one for one in types if one != "null"), "null") if isinstance(types, list) else types
        known = self.samples.get(name)
        if _is_a(known, kind) and len(str(known)) <= target.get("maxLength", len(str(known))):
            return known
        if kind == "string":
            return _FORMATS.get(target.get("format", ""), name.replace("_", " ") or "text")
        least = target.get("minimum", 1)
        return {"integer": least, "number": least, "boolean": True, "null": None}.get(kind, {})


def _is_a(value: Any, kind: str) -> bool:
    wanted = {"string": str, "integer": int, "number": int | float, "boolean": bool}.get(kind)
    return wanted is not None and isinstance(value, wanted) and isinstance(value, bool) == (kind == "boolean")


def _either(kinds: Sequence[Type]) -> Type:
    """One of several, as `string or null`."""
    types = dict.fromkeys(kind.words for kind in kinds)
    shapes = dict.fromkeys(name for kind in kinds for name in kind.shapes)
    values = dict.fromkeys(value for kind in kinds for value in kind.values)
    return Type(" or ".join(types), tuple(shapes), tuple(values))


def _type_words(target: Schema, values: Sequence[Any]) -> str:
    types = target.get("type") or list(dict.fromkeys(_type_of(value) for value in values)) or ["object"]
    listed = [types] if isinstance(types, str) else types
    format_ = target.get("format")
    return " or ".join(f"{one} ({format_})" if format_ and one != "null" else one for one in listed)


def _type_of(value: Any) -> str:
    names: dict[Any, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
    return names.get(type(value), "object")


def _limits(schema: Schema, target: Schema) -> Iterator[tuple[Schema, str]]:
    for limit in _LIMITS:
        source = schema if limit in schema else target
        if source.get(limit) not in (None, ""):
            yield source, limit


def _scopes(security: Iterable[Schema]) -> tuple[str, ...]:
    """The scopes that a token must have; none where an anonymous call is among the ways in."""
    ways = list(security)
    if {} in ways:
        return ()
    return tuple(dict.fromkeys(scope for way in ways for scopes in way.values() for scope in scopes))


def _prose(text: str) -> str:
    """Without the list of values that the document repeats in words, and with quotes for its marks of code."""
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("* `")).strip()
    return re.sub(r"`([^`\n]*)`", r"“\1”", kept)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
