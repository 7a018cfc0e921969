"""The text of an answer in, words and calls of tools out, also of a text that still grows.

What is found only grows with the text: a tail that may begin a call is held back until it is known.
"""

import json
import re
from dataclasses import dataclass

from fgc_runtime.serve.call_formats import CallFormat

_OBJECT_HEAD = re.compile(r'\{\s*"name"\s*:\s*"([^"\\]*)"\s*,\s*"(?:arguments|parameters)"\s*:\s*(?=[{"])')
_PROGRAM = "<|python_tag|>"
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*(?P<close>")?|[{}\[\]]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that the model wrote; the arguments are JSON text, or the beginning of it."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a text says: words for the reader, and calls."""

    content: str
    calls: tuple[Call, ...] = ()


class CallReader:
    """Reads answers of one format. `names` are the tools that there are."""

    def __init__(self, form: CallFormat, names: frozenset[str]) -> None:
        self._opening = form.opening
        self._is_object = bool(form.before)
        self._head = _OBJECT_HEAD if form.before else re.compile(rf"([\w.-]+)\s*{re.escape(form.between)}\s*(?=\{{)")
        self._names = names

    def read(self, text: str, *, is_finished: bool) -> Said:
        """Returns what the text says so far; all of it if it is finished."""
        if not self._opening:
            return self._read_whole(text, is_finished=is_finished)
        start = text.find(self._opening)
        if start < 0:
            return Said(text if is_finished else text[: len(text) - _num_held(text, self._opening)].rstrip())
        calls = self._calls(text, start + len(self._opening))
        return Said(text if is_finished and not calls else text[:start].rstrip(), calls)

    def _read_whole(self, text: str, *, is_finished: bool) -> Said:
        """Reads an answer that has nothing in front of its calls but space, or Llama's marker of a program."""
        begun = text.lstrip().removeprefix(_PROGRAM).lstrip()
        if begun and not begun.startswith(("{", "[")) and (is_finished or not _PROGRAM.startswith(begun)):
            return Said(text)
        calls = self._calls(text, 0)
        if calls and calls[0].name in self._names:
            return Said("", calls)
        return Said(text if is_finished or calls else "")

    def _calls(self, text: str, start: int) -> tuple[Call, ...]:
        calls: list[Call] = []
        while (found := self._call(text, start)) is not None:
            calls.append(found[0])
            start = found[1]
        return tuple(calls)

    def _call(self, text: str, start: int) -> tuple[Call, int] | None:
        """Returns the next call from `start` on and where it ends; None if there is none, or not enough of it."""
        found, opened = self._head.search(text, start), text.find("{", start)
        if found is not None and (not self._is_object or found.start() == opened):
            return _headed(text, found[1], found.end())
        end = _value_end(text, opened) if self._is_object and opened >= 0 else None
        call = None if end is None else _whole_call(text[opened:end])  # its fields come in another order
        return None if call is None or end is None else (call, end)


def _headed(text: str, name: str, start: int) -> tuple[Call, int] | None:
    """Reads arguments that begin at `start`; those in a string that holds JSON are known when it ends."""
    end = _value_end(text, start)
    if text[start] == '"':
        return None if end is None else (Call(name, _unquoted(text[start:end])), end)
    return Call(name, text[start:end]), len(text) if end is None else end


def _num_held(text: str, opening: str) -> int:
    """Returns the length of the longest tail that `opening` may continue."""
    longest = min(len(text), len(opening) - 1)
    return next((n for n in range(longest, 0, -1) if opening.startswith(text[-n:])), 0)


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
