"""How families of models write calls of tools: a table, and the grammar of a text that has to call.

A format is told by what a model's chat template shows the model; one that shows nothing is asked for plain JSON.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.structure import Structure, quoted, schema_rule, sequence

_MAX_CALLS = 8  # in an answer that must call: a model that never ends would call on to the end of its context
_MARKER = re.compile(r"<[^>\s]*>|\[[A-Z_]+\]")  # what a vocabulary may have as one token


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: `spec` as a request brings it."""

    name: str
    parameters: Json  # a JSON schema
    spec: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class CallFormat:
    """One family's way: `begin`, then `before` NAME `between` ARGUMENTS `after`, then `end`.

    Further calls follow behind `separator`, or without one as sections of their own. Without `begin`, only a whole
    answer is a call.
    """

    mark: str  # tells the family's chat templates
    begin: str
    before: str = '{"name": "'
    between: str = '", "arguments": '
    after: str = "}"
    end: str = ""
    separator: str | None = None
    is_parallel: bool = True

    @property
    def opening(self) -> str:
        """The marker that tells a call from text; empty if there is none."""
        found = _MARKER.match(self.begin)
        return found[0] if found is not None else ""

    @property
    def markers(self) -> set[str]:
        """What may be special tokens, which an answer usually does not show."""
        return {*_MARKER.findall(self.begin + self.between + self.end), "<|python_tag|>"}


# The order counts: the first one whose mark stands in the chat template.
FORMATS: Mapping[str, CallFormat] = {
    "mistral": CallFormat("[ARGS]", "[TOOL_CALLS]", before="", between="[ARGS]", after=""),  # tokenizers from v11 on
    "mistral-list": CallFormat("[TOOL_CALLS]", "[TOOL_CALLS][", end="]", separator=", "),
    "hermes": CallFormat("<tool_call>", "<tool_call>\n", end="\n</tool_call>"),  # Qwen too
    "llama3": CallFormat(
        '"parameters": ',
        "",
        between='", "parameters": ',
        separator="; ",
        is_parallel=False,
    ),
}
PLAIN = CallFormat("", "", separator="\n", is_parallel=False)


def format_of(template: str | None) -> CallFormat:
    """Returns the format that a chat template shows its model."""
    return next((form for form in FORMATS.values() if template is not None and form.mark in template), PLAIN)


def calls_structure(
    form: CallFormat, tools: Sequence[Tool], *, is_parallel: bool | None, special: Callable[[str], str | None]
) -> Structure:
    """Returns the grammar of a text of nothing but calls; `special` names a marker that is one special token."""
    rules = [schema_rule(f"arguments_{i}", tool.parameters, "tools") for i, tool in enumerate(tools)]
    for i, tool in enumerate(tools):
        between = _marked(form.between, special)
        parts = (quoted(form.before + tool.name), between, f"arguments_{i}", quoted(form.after))
        rules.append(f"call_{i}: {sequence(parts)}\n")
    rules.append(f"call: {' | '.join(f'call_{i}' for i in range(len(tools)))}\n")
    is_several = form.is_parallel if is_parallel is None else is_parallel
    begin, end = _marked(form.begin, special), _marked(form.end, special)
    return Structure(_section(form, begin, end, num_more=_MAX_CALLS - 1 if is_several else 0), "".join(rules), "tools")


def _section(form: CallFormat, begin: str, end: str, *, num_more: int) -> str:
    if form.separator is None:
        first, next_one = sequence((begin, "call", end)), quoted("\n") if form.end else ""
        return f"{first} ({sequence((next_one, first))}){{0,{num_more}}}" if num_more else first
    more = f"({quoted(form.separator)} call){{0,{num_more}}}" if num_more else ""
    return sequence((begin, "call", more, end))


def _marked(text: str, special: Callable[[str], str | None]) -> str:
    """Returns words as Lark: as a special token the marker that they begin with, if it is one, and the rest."""
    found = _MARKER.search(text)
    token = special(found[0]) if found is not None else None
    if token is None or found is None:
        return quoted(text) if text else ""
    return sequence((quoted(text[: found.start()]), token, quoted(text[found.end() :])))
