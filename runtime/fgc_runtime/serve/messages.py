"""The messages of a request in, a conversation out: roles, text parts, calls of tools and what tools answered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from fgc_runtime.serve.call_formats import Tool
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json, as_list, as_text, wrong_type

# Parameters of transformers' `apply_chat_template`, and what it gives a template itself.
_RESERVED = {"conversation", "messages", "tools", "documents", "chat_template", "add_generation_prompt"}
_RESERVED |= {"continue_final_message", "tokenize", "padding", "truncation", "max_length", "return_tensors"}
_RESERVED |= {"return_dict", "return_assistant_tokens_mask", "tokenizer_kwargs", "self"}
# Parts of a message that a model of texts cannot read.
_UNSUPPORTED = ("function_call", "audio", "images", "videos", "audios", "files")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str
    name: str | None
    tool_calls: tuple[Json, ...] = ()
    tool_call_id: str | None = None
    thoughts: Mapping[str, str] = field(default_factory=dict)  # what templates of reasoning models read, by its name


@dataclass(frozen=True, slots=True)
class Conversation:
    """Messages with the tools that they may call, and how a chat template renders them."""

    messages: tuple[Message, ...]
    adds_prompt: bool = True
    continues: bool = False
    tools: tuple[Tool, ...] = ()
    template_arguments: Mapping[str, Json] = field(default_factory=dict)

    @property
    def num_chars(self) -> int:
        """Characters of what is said and thought, without names and marks."""
        texts = (text for message in self.messages for text in (message.content, *message.thoughts.values()))
        return sum(map(len, texts))


def conversation(fields: Fields, tools: tuple[Tool, ...] = ()) -> Conversation:
    """Reads messages, and how the template is to render them. Raises RequestError."""
    messages = as_list(fields.required("messages"), "messages")
    if not messages:
        raise invalid("Invalid 'messages': expected at least one message.", param="messages", code="empty_array")
    continues = fields.flag("continue_final_message") or False
    adds_prompt = fields.flag("add_generation_prompt")
    if continues and adds_prompt:
        message = "'continue_final_message' and 'add_generation_prompt' exclude each other."
        raise invalid(message, param="continue_final_message")
    read = tuple(_message(each, f"messages[{i}]") for i, each in enumerate(messages))
    if continues and read[-1].tool_calls:
        message = "'continue_final_message' goes on with a text, and the final message calls tools."
        raise invalid(message, param="continue_final_message", code="invalid_value")
    adds_prompt = not continues if adds_prompt is None else adds_prompt
    return Conversation(read, adds_prompt, continues, tools, _template_arguments(fields))


def _template_arguments(fields: Fields) -> dict[str, Json]:
    """Reads what goes to the chat template by name, such as `enable_thinking`; its own variables stay its own."""
    effort, given = fields.text("reasoning_effort"), fields.inner("chat_template_kwargs")
    if effort not in (None, "none"):
        values = {} if given is None else {name: given.get(name) for name in given.names()}
        given = Fields({"reasoning_effort": effort, **values}, path="chat_template_kwargs")
    for name in sorted(given.names() & _RESERVED) if given is not None else ():
        message = f"'chat_template_kwargs.{name}' has a field of its own in a request, or none."
        raise invalid(message, param=f"chat_template_kwargs.{name}", code="invalid_value")
    return {} if given is None else {name: given.get(name) for name in given.names()}


def _message(value: Json, path: str) -> Message:
    fields = Fields(value, path=path)
    role = as_text(fields.required("role"), fields.at("role"))
    if role not in ("system", "developer", "user", "assistant", "tool"):
        message = f"Invalid '{fields.at('role')}': {role!r} is not supported; use system, user, assistant or tool."
        raise invalid(message, param=fields.at("role"), code="invalid_value")
    for name in _UNSUPPORTED:
        if fields.get(name):
            raise invalid(f"'{fields.at(name)}' is not supported by this server.", param=fields.at(name))
    says_nothing = role == "assistant" and fields.get("content") is None
    content = "" if says_nothing else _content(fields.required("content"), fields.at("content"))
    calls = as_list(fields.get("tool_calls") or [], fields.at("tool_calls"))
    if calls and role != "assistant":
        message = f"Invalid '{fields.at('tool_calls')}': only the assistant calls tools."
        raise invalid(message, param=fields.at("tool_calls"), code="invalid_value")
    read = tuple(_tool_call(call, f"{fields.at('tool_calls')}[{i}]") for i, call in enumerate(calls))
    return Message(role, content, fields.text("name"), read, fields.text("tool_call_id"), _thoughts(fields))


def _thoughts(fields: Fields) -> dict[str, str]:
    """Reads what the assistant thought; vLLM's `reasoning` is what most templates call `reasoning_content`."""
    found = {name: text for name in _THOUGHTS if (text := fields.text(name)) is not None}
    if "reasoning" in found:
        found.setdefault("reasoning_content", found["reasoning"])
    return found


def _tool_call(value: Json, path: str) -> Json:
    """A call with its arguments as an object, which templates write in their own way."""
    fields = Fields(value, path=path)
    function = Fields(fields.required("function"), path=fields.at("function"))
    name = as_text(function.required("name"), function.at("name"))
    text = function.text("arguments") or "{}"
    try:
        arguments: Json = json.loads(text)
    except (ValueError, RecursionError):
        arguments = text
    return {
        "id": fields.text("id"),
        "type": "function",
        "function": {"name": name, "arguments": arguments if isinstance(arguments, dict) else text},
    }


def _content(value: Json, path: str) -> str:
    """Returns a string, or text parts, each on a line of its own as with vLLM and llama.cpp."""
    if isinstance(value, str):
        return as_text(value, path)
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of text parts", value)
    return "\n".join(_text_part(Fields(part, path=f"{path}[{i}]")) for i, part in enumerate(value))


def _text_part(fields: Fields) -> str:
    if fields.get("type") != "text":
        message = f"Invalid '{fields.at('type')}': only parts of type 'text' are supported."
        raise invalid(message, param=fields.at("type"), code="invalid_value")
    return as_text(fields.required("text"), fields.at("text"))
