"""Calls of tools whose arguments are elements of text, one for each: the ways of Qwen3-Coder and GLM.

Nothing is escaped: a value may hold the marks themselves, in code or in a text about calls. So a mark ends a value only
where a call goes on behind it, and whole calls in a value are passed over. A mark that a model leaves out is read as if
it were there, if what stands around it leaves no doubt.
"""

import ast
import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from fgc_runtime.serve.fields import Json

_SECTION, _SECTION_END = "<tool_call>", "</tool_call>"


@dataclass(frozen=True, slots=True)
class ElementCall:
    """A call so far: `arguments` is JSON text, or the beginning of it; the text goes on at `end`."""

    name: str
    arguments: str
    end: int


@dataclass(frozen=True, slots=True)
class ElementForm:
    """One family's way, in patterns: `head` NAME, then each time `key` VALUE `close`, then `end`.

    `inner` begins a call within a value. `named` is the head of a tool's call where that alone begins a call, without
    the mark of a section. With `is_on_lines` a value stands on lines of its own; without it, line ends around a value
    belong to it.
    """

    head: str
    key: str
    close: str
    end: str
    inner: str
    named: str | None = None
    is_on_lines: bool = False

    def call(self, text: str, start: int, schemas: Mapping[str, Json], *, is_finished: bool) -> ElementCall | None:
        """Returns the call that begins at `start`, as far as it is certain; None if none begins there."""
        head = re.compile(self.head).match(text, start)
        if head is None:
            return None
        schema, listed, end = schemas.get(head[1]), dict[str, str](), head.end()
        goes_on = re.compile(f"{self.key}|{self.end}|{_SECTION_END}")
        while (found := goes_on.search(text, end)) is not None and found[1] is not None:
            others = _properties(schema).keys() - listed.keys() - {found[1]}
            bounds = self._value_bounds(text, found.end(), others, is_finished=is_finished)
            if bounds is None:
                return ElementCall(head[1], _object(listed), len(text))
            written, is_unclosed = text[found.end() : bounds[0]], bounds[0] == bounds[1]
            if self.is_on_lines or is_unclosed:
                written = written.removesuffix("\n")
            value = _value(written, _properties(schema).get(found[1]))
            listed.setdefault(found[1], value)  # of a key that comes again a stream has told the first value
            end = bounds[1]
        is_closed = found is not None or (is_finished and listed and not text[end:].strip())
        return ElementCall(
            head[1], _object(listed) + "}" * bool(is_closed), len(text) if found is None else found.end()
        )

    def _value_bounds(
        self, text: str, start: int, others: Collection[str], *, is_finished: bool
    ) -> tuple[int, int] | None:
        """Returns where a value ends and where its call goes on; None if that is not certain yet.

        `others` are arguments that may follow.
        """
        depth, ending = 0, r"|\Z" if is_finished else ""
        goes_on = re.compile(rf"\s*(?:{self.key}|{self.end}|{_SECTION_END}{ending})")
        is_over = re.compile(rf"\s*(?:{_SECTION_END}\s*)?(?:{_SECTION}{ending})")
        marks = re.compile(f"(?P<inner>{self.inner})|(?P<close>{self.close})|(?P<end>{self.end})|{self.key}")
        for mark in marks.finditer(text, start):
            if mark["inner"] or (mark["end"] and depth):
                depth += 1 if mark["inner"] else -1
            elif depth:
                continue
            elif mark["close"]:
                if goes_on.match(text, mark.end()):
                    return mark.start(), mark.end()
            elif is_over.match(text, mark.end()) if mark["end"] else _is_next(mark, others):
                return mark.start(), mark.start()  # what closes the value was left out
        if not is_finished:
            return None
        # A call in the value that has no end hides the value's own.
        last = re.compile(rf"{self.close}(?={goes_on.pattern})|(?={self.end}\s*{_SECTION_END})").search(text, start)
        return None if last is None else last.span()


def _is_next(key: re.Match[str], others: Collection[str]) -> bool:
    """Returns True if a key begins the next argument, and is no part of a value."""
    return key[key.lastindex or 0] in others and key.string[: key.start()].endswith("\n")


QWEN3_CODER = ElementForm(
    head=r"\s*<function=([^>\s]+)>",
    key=r"<parameter=([^>\s]+)>\n?",
    close="</parameter>",
    end="</function>",
    inner=r"<function=[^>\s]+>",
    named="<function={}>",
    is_on_lines=True,
)
GLM = ElementForm(
    head=r"\s*([\w.-]+)\s*(?=<arg_key>|</tool_call>)",
    key=r"<arg_key>([^<]*)</arg_key>\s*<arg_value>",
    close="</arg_value>",
    end=_SECTION_END,
    inner=_SECTION,
)


def _object(listed: Mapping[str, str]) -> str:
    """Returns a JSON object of values in JSON, without its end."""
    return "{" + ", ".join(f"{json.dumps(name)}: {value}" for name, value in listed.items())


def _properties(schema: Json) -> Mapping[str, Json]:
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return properties if isinstance(properties, Mapping) else {}


def _value(text: str, schema: Json) -> str:
    """Returns an argument as JSON: what is written, if that has a type that the schema allows, else a text."""
    types = set(_types(schema))
    for read in (json.loads, _python) if types - {"string"} else ():
        try:
            value = read(text)
            written = json.dumps(value, ensure_ascii=False, allow_nan=False)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            continue
        if _type_of(value) in types or (_type_of(value) == "integer" and "number" in types):
            return written
    return json.dumps(text, ensure_ascii=False)


def _python(text: str) -> Json:
    """Reads what Python writes otherwise than JSON, as models of code do. Raises what `ast.literal_eval` raises."""
    value = ast.literal_eval(text)
    if value is not None and not isinstance(value, bool | dict | list):
        raise ValueError("numbers and texts are those of JSON")
    found: Json = value
    return found


def _types(schema: Json) -> Iterator[str]:
    """Yields the types that a schema allows, as far as it says."""
    if not isinstance(schema, Mapping):
        return
    given = schema.get("type")
    yield from [given] if isinstance(given, str) else [str(each) for each in given] if isinstance(given, list) else []
    listed = schema.get("enum")
    yield from map(_type_of, listed if isinstance(listed, list) and given is None else [])
    for name in ("anyOf", "oneOf", "allOf"):
        several = schema.get(name)
        for each in several if isinstance(several, list) else []:
            yield from _types(each)
    if "$ref" in schema:  # whatever stands there
        yield from ("object", "array", "number", "integer", "boolean", "null")


def _type_of(value: Json) -> str:
    if isinstance(value, bool) or value is None:
        return "null" if value is None else "boolean"
    kinds = ((int, "integer"), (float, "number"), (str, "string"), (Mapping, "object"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "array")
