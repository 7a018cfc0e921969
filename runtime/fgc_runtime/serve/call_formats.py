"""Calls of tools, as families of models write them: a table, and the grammar of a text that has to call.

A format is told by what a model's chat template shows the model; one that shows nothing is asked for plain JSON.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fgc_runtime.serve.call_elements import GLM, QWEN3_CODER, ElementForm
from fgc_runtime.serve.fields import Json
from fgc_runtime.serve.structure import MARKER, Structure, marked, quoted, schema_rule, sequence

_MAX_CALLS = 8  # in an answer that must call: a model that never ends would call on to the end of its context
_IDENTITY = "/[a-zA-Z0-9]{9}/"  # as Mistral's tokenizers want it


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call: `spec` as a request brings it."""

    name: str
    parameters: Json  # a JSON schema
    spec: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class CallFormat:
    """One family's way: `begin`, then `before` NAME `between` ARGUMENTS `after`, then `end`.

    With `id_mark` that mark and an identity of the call may stand behind NAME.

    Further calls follow behind `separator`, or without one as sections of their own. Without `begin`, only a whole
    answer is a call.
    """

    marks: tuple[str, ...]  # all are in the family's chat templates
    begin: str
    before: str = '{"name": "'
    between: str = '", "arguments": '
    after: str = "}"
    end: str = ""
    separator: str | None = None
    id_mark: str = ""
    is_parallel: bool = True
    elements: ElementForm | None = None  # what the model writes when it is free; a call that must come is JSON

    @property
    def opening(self) -> str:
        """The marker that tells a call from text; empty if there is none."""
        found = MARKER.match(self.begin)
        return found[0] if found is not None else ""

    @property
    def markers(self) -> set[str]:
        """Returns what may be special tokens, which an answer usually does not show."""
        written = self.begin + self.before + self.id_mark + self.between + self.after + self.end
        return {*MARKER.findall(written), "<|python_tag|>"}


# The order counts: the first one whose marks stand in the chat template.
FORMATS: Mapping[str, CallFormat] = {
    "mistral-id": CallFormat(  # tokenizers of v11
        ("[CALL_ID]", "[ARGS]"), "[TOOL_CALLS]", before="", id_mark="[CALL_ID]", between="[ARGS]", after=""
    ),
    "mistral": CallFormat(("[ARGS]",), "[TOOL_CALLS]", before="", between="[ARGS]", after=""),  # from v13 on
    "mistral-list": CallFormat(("[TOOL_CALLS]",), "[TOOL_CALLS][", end="]", separator=", "),
    "deepseek": CallFormat(  # V3 and R1
        ("<｜tool▁sep｜>", "```json"),
        "<｜tool▁calls▁begin｜>",
        before="<｜tool▁call▁begin｜>function<｜tool▁sep｜>",
        between="\n```json\n",
        after="\n```<｜tool▁call▁end｜>",
        end="<｜tool▁calls▁end｜>",
        separator="\n",
    ),
    "deepseek-v3.1": CallFormat(
        ("<｜tool▁sep｜>",),
        "<｜tool▁calls▁begin｜>",
        before="<｜tool▁call▁begin｜>",
        between="<｜tool▁sep｜>",
        after="<｜tool▁call▁end｜>",
        end="<｜tool▁calls▁end｜>",
        separator="",
    ),
    "qwen3-coder": CallFormat(("<function=",), "<tool_call>\n", end="\n</tool_call>", elements=QWEN3_CODER),
    "glm": CallFormat(("<arg_key>",), "<tool_call>\n", end="\n</tool_call>", elements=GLM),
    "hermes": CallFormat(("<tool_call>",), "<tool_call>\n", end="\n</tool_call>"),  # Qwen too
    "harmony": CallFormat(  # gpt-oss, as `channels.py` gives it
        ("<|channel|>commentary", "functions."),
        "<|channel|>commentary to=",
        before="functions.",
        between=" <|constrain|>json<|message|>",
        after="",
        is_parallel=False,
    ),
    "llama3": CallFormat(
        ('"parameters": ',),
        "",
        between='", "parameters": ',
        separator="; ",
        is_parallel=False,
    ),
}
PLAIN = CallFormat((), "", separator="\n", is_parallel=False)


def format_of(template: str | None) -> CallFormat:
    """Returns the format that a chat template shows its model."""
    text = template or ""
    return next((form for form in FORMATS.values() if all(mark in text for mark in form.marks)), PLAIN)


def calls_structure(
    form: CallFormat, tools: Sequence[Tool], *, is_parallel: bool | None, marker_token: Callable[[str], str | None]
) -> Structure:
    """Returns the grammar of a text of nothing but calls; `marker_token` names a marker that is one token."""
    rules = [schema_rule(f"arguments_{i}", tool.parameters, "tools") for i, tool in enumerate(tools)]
    for i, tool in enumerate(tools):
        named, between, after = (
            marked(part, marker_token) for part in (form.before + tool.name, form.between, form.after)
        )
        identity = (marked(form.id_mark, marker_token), _IDENTITY) if form.id_mark else ()
        parts = (named, *identity, between, f"arguments_{i}", after)
        rules.append(f"call_{i}: {sequence(parts)}\n")
    rules.append(f"call: {' | '.join(f'call_{i}' for i in range(len(tools)))}\n")
    is_several = form.is_parallel if is_parallel is None else is_parallel
    begin, end = marked(form.begin, marker_token), marked(form.end, marker_token)
    return Structure(_section(form, begin, end, num_more=_MAX_CALLS - 1 if is_several else 0), "".join(rules), "tools")


def _section(form: CallFormat, begin: str, end: str, *, num_more: int) -> str:
    if form.separator is None:
        first, next_one = sequence((begin, "call", end)), quoted("\n") if form.end else ""
        return f"{first} ({sequence((next_one, first))}){{0,{num_more}}}" if num_more else first
    more = f"({sequence((quoted(form.separator), 'call'))}){{0,{num_more}}}" if num_more else ""
    return sequence((begin, "call", more, end))
