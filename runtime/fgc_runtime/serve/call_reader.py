"""The text of an answer in, words and calls of tools out, also of a text that still grows.

What is found only grows with the text: a tail that may begin a call is held back until it is known.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fgc_runtime.serve.call_elements import ElementForm
from fgc_runtime.serve.call_formats import CallFormat
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.thoughts import num_held

_OBJECT_HEAD = re.compile(r'\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=[{"])')
_NEXT_OBJECT = re.compile(r"\s*+(?:[,;]\s*+)?\{")
_PROGRAM = "<|python_tag|>"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<close>")?|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model wrote; the arguments are JSON text, or the beginning of it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """The content of a text: words for the reader, calls, and what the model thought before."""

    content: str
    calls: tuple[Call, ...] = ()
    thoughts: str = ""


class CallReader:
    """Reads answers of one format. `tools` are those that there are, with their schemas.

    Of `max_calls` and more the first count.
    """

    def __init__(self, form: CallFormat, tools: Mapping[str, Json], *, max_calls: int | None = None) -> None:
        self._max_calls = max_calls
        self._elements = form.elements
        self._is_object = form.before.startswith("{")
        self._head = _named_head(form)
        self._tools = tools
        self._openings = _openings(form, tools)
        lines = "|".join(map(re.escape, self._openings[1:]))
        self._opened = re.compile(re.escape(form.opening) + (rf"|^[ \t]*(?={lines})" if lines else ""), re.MULTILINE)
        self._is_sectioned = self._is_object and form.separator is None and not lines

    def read(self, text: str, *, is_finished: bool) -> Said:
        """Returns what the text says so far; all of it if it is finished."""
        if not self._openings:
            return self._read_whole(text, is_finished=is_finished)
        opened = self._opened.search(text)
        if opened is None:
            held = 0 if is_finished else max(num_held(text, opening) for opening in self._openings)
            return Said(text if is_finished else text[: len(text) - held].rstrip())
        calls = self._calls(text, opened.end(), is_finished=is_finished)
        return Said(text if is_finished and not calls else text[: opened.start()].rstrip(), calls)

    def _read_whole(self, text: str, *, is_finished: bool) -> Said:
        """Reads an answer that has nothing in front of its calls but space, or Llama's marker of a program."""
        begun = text.lstrip().removeprefix(_PROGRAM).lstrip()
        if begun and not begun.startswith(("{", "[")) and (is_finished or not _PROGRAM.startswith(begun)):
            return Said(text)
        calls = self._calls(text, 0, is_finished=is_finished)
        if calls and calls[0].name in self._tools:
            return Said("", calls)
        return Said(text if is_finished or calls else "")

    def _calls(self, text: str, start: int, *, is_finished: bool) -> tuple[Call, ...]:
        calls: list[Call] = []
        at: int | None = start
        while at is not None and len(calls) != self._max_calls:
            found = self._call(text, at, is_finished=is_finished)
            if found is None:
                break
            calls.append(found[0])
            at = self._next(text, found[1])
        return tuple(calls)

    def _next(self, text: str, end: int) -> int | None:
        """Returns where to look for the call behind one: what follows a section is words, up to the next section."""
        if not self._is_sectioned or _NEXT_OBJECT.match(text, end):
            return end
        opened = self._opened.search(text, end)
        return None if opened is None else opened.end()

    def _call(self, text: str, start: int, *, is_finished: bool) -> tuple[Call, int] | None:
        """Returns the next call from `start` on and where it ends; None if there is none, or not enough of it."""
        if self._elements is not None:
            return self._element_call(text, start, self._elements, is_finished=is_finished)
        if not self._is_object:
            found = self._head.search(text, start)
            return None if found is None else _headed(text, found[1], found.end())
        return _object_call(text, text.find("{", start))

    def _element_call(self, text: str, start: int, form: ElementForm, *, is_finished: bool) -> tuple[Call, int] | None:
        """Reads a call in elements, or in JSON as one that must come is; a section without either is passed over."""
        while True:
            opened = _NEXT_OBJECT.match(text, start)
            if opened is not None:
                found = _object_call(text, opened.end() - 1)
                if found is not None or _value_end(text, opened.end() - 1) is None:
                    return found
            call = form.call(text, start, self._tools, is_finished=is_finished)
            if call is not None:
                return Call(call.name, call.arguments), call.end
            section = self._opened.search(text, start)
            if section is None:
                return None
            start = section.end()


def _named_head(form: CallFormat) -> re.Pattern[str]:
    """Returns the pattern of what stands before a call's arguments, with its name."""
    before = rf"{re.escape(form.before)}\s*+" if form.before else r"(?<![\w.-])"  # a run of blanks is read once
    identity = rf"(?:{re.escape(form.id_mark)}\s*+[\w-]*+\s*+)?" if form.id_mark else ""
    return re.compile(rf"{before}([\w.-]++)\s*+{identity}{re.escape(form.between.strip())}\s*+(?=\{{)")


def _openings(form: CallFormat, tools: Iterable[str]) -> list[str]:
    """Returns what tells a call from text: a section's mark, then what does so at the beginning of a line."""
    named = None if form.elements is None else form.elements.named
    return [*filter(None, [form.opening]), *(named.format(name) for name in tools if named is not None)]


def _object_call(text: str, start: int) -> tuple[Call, int] | None:
    """Reads the call that the JSON object at `start` is; None if there is none, or not enough of it."""
    if start < 0:
        return None
    end, head = _value_end(text, start), _OBJECT_HEAD.match(text, start)
    headed = None if head is None else _headed(text, head[1], head.end())
    if headed is not None:
        return headed[0], len(text) if end is None else end
    call = None if end is None else _whole_call(text[start:end])  # its fields come in another order
    return None if call is None or end is None else (call, end)


def _headed(text: str, name: str, start: int) -> tuple[Call, int] | None:
    """Reads arguments that begin at `start`; those in a string that holds JSON are known when it ends."""
    end = _value_end(text, start)
    if text[start] == '"':
        return None if end is None else (Call(name, _unquoted(text[start:end])), end)
    return Call(name, text[start:end]), len(text) if end is None else end


def _value_end(text: str, start: int) -> int | None:
    """Returns where the JSON object, list or string that begins at `start` ends; None if it goes on."""
    depth = 0
    for found in _TOKEN.finditer(text, start):
        if found[0][0] != '"':
            depth += 1 if found[0] in "{[" else -1
        elif found["close"] is None:
            return None
        if depth <= 0:
            return found.end()
    return None


def _whole_call(text: str) -> Call | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    name = value.get("name") if isinstance(value, dict) else None
    if not isinstance(name, str):
        return None
    arguments = value.get("arguments", value.get("parameters"))
    given = {} if arguments is None else arguments
    return Call(name, given if isinstance(given, str) else json.dumps(given, ensure_ascii=False))


def _unquoted(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text
