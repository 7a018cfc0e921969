"""The form of an answer, as a request asks for it: a schema, a pattern, a list or a grammar, as Lark text.

Knows no tokenizer. The dialect of Lark is llguidance's: `%json {...}` stands for a text that fits a schema.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fgc_runtime.serve.faults import RequestError, invalid
from fgc_runtime.serve.fields import Fields, Json, as_list, as_text, wrong_type
from fgc_runtime.serve.narrowing import narrowed

# JSON is written with at most one space in each gap: an endless run of spaces would fit any schema.
# The other options are said too, so that a schema's own `x-guidance` does not loosen what is checked.
_JSON_OPTIONS: Mapping[str, Json] = {"whitespace_pattern": " ?", "lenient": False, "coerce_one_of": False}
MARKER = re.compile(r"<[^<>\s]*>|\[/?[A-Z_]+\]")  # what a vocabulary may have as one token
_MAX_CHARS = 1_000_000
_MAX_DEPTH = 120  # llguidance reads 128 levels, of which some are around a schema
_MAX_CHOICES = 10_000
_SLASH = re.compile(r"(?<!\\)((?:\\\\)*)/")
_GUIDED = ("json", "regex", "choice", "grammar")
# What a `response_format` has beside its type; llama.cpp and others have the schema there, without a name around it.
_FORMS: Mapping[str, Sequence[str]] = {"json_object": ("schema",), "json_schema": ("json_schema", "schema")}


@dataclass(frozen=True, slots=True)
class Structure:
    """A Lark grammar without its `start:`; `param` is the field of the request that asked for it."""

    rule: str  # the right side of `start`
    rules: str  # what it refers to
    param: str

    @property
    def lark(self) -> str:
        return f"{self.rules}\nstart: {self.rule}\n"


def schema_rule(name: str, schema: Json, param: str) -> str:
    """Returns the rule `name` of a text that fits the schema. Raises RequestError if it is no schema."""
    if schema is False:
        raise invalid(f"Invalid '{param}': the schema admits no value.", param=param, code="invalid_schema")
    if not isinstance(schema, Mapping) and schema is not True:
        raise wrong_type(param, "an object", schema)
    if _is_too_deep(schema):
        message = f"Invalid '{param}': values lie more than {_MAX_DEPTH} deep in each other."
        raise invalid(message, param=param, code="invalid_schema")
    whole = {**(narrowed(schema) if isinstance(schema, Mapping) else {}), "x-guidance": _JSON_OPTIONS}
    return f"{name}: %json {json.dumps(whole)}\n"


def _is_too_deep(schema: Json) -> bool:
    """Returns True if values lie more than `_MAX_DEPTH` deep in each other; found without recursion."""
    level: list[Any] = [schema]
    for _ in range(_MAX_DEPTH):
        level = [inner for item in level if isinstance(item, Mapping | list) for inner in _inside(item)]
        if not level:
            return False
    return True


def _inside(item: Mapping[str, Any] | list[Any]) -> Iterable[Any]:
    return item.values() if isinstance(item, Mapping) else item


def quoted(text: str) -> str:
    """Returns a text as Lark writes it."""
    return json.dumps(text, ensure_ascii=False)


def asked_structure(fields: Fields) -> Structure | None:
    """Reads `response_format`, or vLLM's `structured_outputs` and `guided_*`. Raises RequestError."""
    found = [each for each in (_response_format(fields), _structured_outputs(fields), *_guided(fields)) if each]
    if len(found) > 1:
        message = f"'{found[0].param}' and '{found[1].param}' exclude each other."
        raise invalid(message, param=found[1].param, code="invalid_value")
    return found[0] if found else None


def _response_format(fields: Fields) -> Structure | None:
    form = fields.inner("response_format")
    if form is None:
        return None
    kind = as_text(form.required("type"), form.at("type"))
    for name in sorted(form.names() - {"type", *_FORMS.get(kind, ())}):
        if form.get(name) is not None:  # it would be left undone
            raise invalid(f"Unknown parameter: '{form.at(name)}'.", param=form.at(name), code="unknown_parameter")
    match kind:
        case "text":
            return None
        case "json_object":
            schema = form.get("schema")
            return _json({"type": "object"}, form.at("type")) if schema is None else _json(schema, form.at("schema"))
        case "json_schema" if form.get("json_schema") is None and form.get("schema") is not None:
            return _json(form.get("schema"), form.at("schema"))
        case "json_schema":
            named = Fields(form.required("json_schema"), path=form.at("json_schema"))
            return _json(named.required("schema"), named.at("schema"))
        case kind:
            message = f"Invalid '{form.at('type')}': {kind!r}; there are text, json_object and json_schema."
            raise invalid(message, param=form.at("type"), code="invalid_value")


def _structured_outputs(fields: Fields) -> Structure | None:
    wanted = fields.inner("structured_outputs")
    if wanted is None:
        return None
    for name in sorted(wanted.names() - {*_GUIDED, "json_object"}):
        if wanted.get(name) is not None:
            raise invalid(f"Unknown parameter: '{wanted.at(name)}'.", param=wanted.at(name), code="unknown_parameter")
    found = [_of_kind(kind, value, wanted.at(kind)) for kind in _GUIDED if (value := wanted.get(kind)) is not None]
    if wanted.flag("json_object"):
        found.append(_json({"type": "object"}, wanted.at("json_object")))
    if len(found) != 1:
        message = f"'structured_outputs' takes exactly one of {', '.join(_GUIDED)}, json_object."
        raise invalid(message, param="structured_outputs", code="invalid_value")
    return found[0]


def _guided(fields: Fields) -> list[Structure]:
    named = ((kind, f"guided_{kind}") for kind in _GUIDED)
    return [_of_kind(kind, value, name) for kind, name in named if (value := fields.get(name)) is not None]


def _of_kind(kind: str, value: Json, param: str) -> Structure:
    match kind:
        case "json":
            return _json(_parsed(value, param), param)
        case "regex":
            pattern = _SLASH.sub(r"\1\\/", _text(value, param)).replace("\n", "\\n")
            return Structure(f"/{pattern}/", "", param)
        case "choice":
            listed = as_list(value, param)
            if len(listed) > _MAX_CHOICES:
                message = f"Invalid '{param}': expected at most {_MAX_CHOICES} texts, but got {len(listed)} instead."
                raise invalid(message, param=param, code="array_above_max_length")
            texts = [_text(text, f"{param}[{i}]") for i, text in enumerate(listed)]
            if not texts:
                raise invalid(f"Invalid '{param}': expected at least one text.", param=param, code="empty_array")
            return Structure(" | ".join(map(quoted, texts)), "", param)
        case _:
            return _own_grammar(_text(value, param), param)


def _own_grammar(text: str, param: str) -> Structure:
    """A user's grammar has a `start` of its own."""
    begun = re.search(r"^start\b", text, re.MULTILINE)
    if begun is None:
        message = f"Invalid '{param}': a Lark grammar has a rule `start:`."
        raise invalid(message, param=param, code="invalid_grammar")
    return Structure("own_start", text[: begun.start()] + "own_start" + text[begun.end() :], param)


def _json(schema: Json, param: str) -> Structure:
    return Structure("answer", schema_rule("answer", schema, param), param)


def _parsed(value: Json, param: str) -> Json:
    """A schema may come as an object or as its text."""
    if not isinstance(value, str):
        return value
    try:
        parsed: Json = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise invalid(f"Invalid '{param}': {error}", param=param, code="invalid_schema") from None
    return parsed


def _text(value: Json, param: str) -> str:
    text = as_text(value, param)
    if len(text) > _MAX_CHARS:
        raise invalid(f"Invalid '{param}': longer than {_MAX_CHARS} characters.", param=param, code="string_too_long")
    return text


def cannot_follow(structure: Structure, reason: str) -> RequestError:
    """Returns the refusal of a grammar or schema that cannot be followed."""
    return invalid(f"Invalid '{structure.param}': {reason}.", param=structure.param, code="unsupported_schema")


def either(first: Structure, second: Structure) -> Structure:
    """Returns the structure of a text that has one of two."""
    return Structure(f"({first.rule}) | ({second.rule})", first.rules + second.rules, first.param)


def sequence(parts: Sequence[str]) -> str:
    """Returns Lark's sequence of parts, without those that are empty."""
    return " ".join(part for part in parts if part not in ("", '""'))


def marked(text: str, marker_token: Callable[[str], str | None]) -> str:
    """Returns words as Lark: each marker among them that is one token as that, and the rest.

    `marker_token` names the token of a marker.
    """
    parts, begin = [], 0
    for found in MARKER.finditer(text):
        token = marker_token(found[0])
        if token is not None:
            parts += [quoted(text[begin : found.start()]), token]
            begin = found.end()
    return sequence((*parts, quoted(text[begin:])))
