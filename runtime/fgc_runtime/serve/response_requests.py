"""The body of `/v1/responses` in, the body of a chat that asks the same out.

What the two APIs call differently is renamed; the chat's checks apply then. An error names the field of the chat, but
for those in `_RENAMED`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fgc_runtime.serve.defaults import Defaults
from fgc_runtime.serve.faults import Fault, RequestError, invalid
from fgc_runtime.serve.fields import Fields, Json, as_list, as_text, wrong_type
from fgc_runtime.serve.requests import ChatRequest, chat_request

_RENAMED = {"reasoning_effort": "reasoning.effort"}
_RENAMED |= {"max_completion_tokens": "max_output_tokens", "messages": "input", "response_format": "text.format"}
_OWN = {"input", "instructions", "previous_response_id", "max_output_tokens", "text", "include", "truncation"}
_OWN |= {"reasoning", "background", "conversation", "prompt", "max_tool_calls", "context_management", "tools"}
_OWN |= {"tool_choice", "top_logprobs", "stream_options"}
_SCORES = "message.output_text.logprobs"
# Fields that must say what is done anyway.
_NEUTRAL: Mapping[str, tuple[Json, ...]] = {
    "background": (False,),
    "conversation": (),
    "prompt": (),
    "max_tool_calls": (),
    "context_management": (),
    "truncation": ("disabled",),
}


@dataclass(frozen=True, slots=True)
class ResponseRequest:
    """`said` is what the model reads, but for instructions: what a next turn goes on from."""

    chat: ChatRequest
    said: tuple[Json, ...]
    body: Mapping[str, Json]  # as it came: a response repeats much of it
    is_kept: bool
    previous: str | None


def previous_id(body: Json) -> str | None:
    """Returns which response a request goes on from."""
    return Fields(body).text("previous_response_id")


def response_request(body: Json, earlier: Sequence[Json] = (), defaults: Defaults | None = None) -> ResponseRequest:
    """Reads a request; `earlier` are the messages of the response that it goes on from. Raises RequestError."""
    fields = Fields(body)
    for name, values in _NEUTRAL.items():
        value = fields.get(name)
        if value is not None and value not in values:
            raise invalid(f"'{name}' is not supported by this server.", param=name, code="unsupported_parameter")
    said = (*earlier, *_messages(fields.required("input")))
    try:
        chat = chat_request(_chat_body(fields, said), defaults or Defaults())
    except RequestError as error:
        raise RequestError(_renamed(error.fault)) from None
    if chat.wishes.num_choices > 1:
        raise invalid("'n' is not known: a response is one text.", param="n", code="unknown_parameter")
    given = body if isinstance(body, Mapping) else {}
    is_kept = fields.flag("store") is not False
    return ResponseRequest(chat, said, given, is_kept, fields.text("previous_response_id"))


def _chat_body(fields: Fields, said: Sequence[Json]) -> dict[str, Json]:
    chat = {name: fields.get(name) for name in fields.names() - _OWN}
    instructions = fields.text("instructions")
    system: list[Json] = [] if instructions is None else [{"role": "system", "content": instructions}]
    chat["messages"] = system + list(said)
    chat["max_completion_tokens"] = fields.get("max_output_tokens")
    chat["tools"] = [_tool(tool, f"tools[{i}]") for i, tool in enumerate(as_list(fields.get("tools") or [], "tools"))]
    chat["tool_choice"] = fields.get("tool_choice")
    if (reasoning := fields.inner("reasoning")) is not None:
        chat["reasoning_effort"] = reasoning.get("effort")
    if (form := fields.inner("text")) is not None and form.get("format") is not None:
        chat["response_format"] = _format(Fields(form.get("format"), path="text.format"))
    wanted = as_list(fields.get("include") or [], "include")
    if _SCORES in wanted:
        chat |= {"logprobs": True, "top_logprobs": fields.get("top_logprobs")}
    return chat


def _format(form: Fields) -> Json:
    if form.get("type") != "json_schema":
        return {"type": form.get("type")}
    return {"type": "json_schema", "json_schema": {name: form.get(name) for name in form.names() - {"type"}}}


def _tool(value: Json, path: str) -> Json:
    fields = Fields(value, path=path)
    if fields.get("type") != "function":
        message = f"Invalid '{fields.at('type')}': only tools of type 'function' are supported."
        raise invalid(message, param=fields.at("type"), code="invalid_value")
    return {"type": "function", "function": {name: fields.get(name) for name in fields.names() - {"type"}}}


def _messages(value: Json) -> list[Json]:
    """Messages of an input; calls that follow each other become one turn of the assistant."""
    if isinstance(value, str):
        return [{"role": "user", "content": as_text(value, "input")}]
    messages: list[Json] = []
    for i, item in enumerate(as_list(value, "input")):
        message = _message(Fields(item, path=f"input[{i}]"))
        if message is not None and not _joined(messages, message):
            messages.append(message)
    return [message for message in messages if not _is_thought(message)]


def _joined(messages: list[Json], message: Mapping[str, Json]) -> bool:
    """Adds a message to the assistant's turn before it: its calls, or an answer to what it thought."""
    last, calls = messages[-1] if messages else None, message.get("tool_calls")
    if not isinstance(last, dict) or last.get("role") != "assistant" or message["role"] != "assistant":
        return False
    if _is_thought(last):
        messages[-1] = {**last, **message}
        return True
    if not isinstance(calls, list):
        return False
    earlier = last.get("tool_calls")
    messages[-1] = {**last, "tool_calls": [*(earlier if isinstance(earlier, list) else []), *calls]}
    return True


def _is_thought(message: Json) -> bool:
    """Returns True for thoughts without an answer."""
    return isinstance(message, dict) and message.get("content", "") is None and not message.get("tool_calls")


def _message(fields: Fields) -> dict[str, Json] | None:
    """The message of an item; None for an item that a model does not read, such as hidden thoughts."""
    match fields.get("type"):
        case None | "message":
            role = as_text(fields.required("role"), fields.at("role"))
            return {"role": role, "content": _content(fields.required("content"), fields.at("content"))}
        case "function_call":
            name, arguments = fields.required("name"), fields.get("arguments")
            call = {"id": fields.get("call_id"), "function": {"name": name, "arguments": arguments}}
            return {"role": "assistant", "content": None, "tool_calls": [call]}
        case "function_call_output":
            content = _content(fields.required("output"), fields.at("output"))
            return {"role": "tool", "tool_call_id": fields.get("call_id"), "content": content}
        case "reasoning":
            texts = [_thought(part, fields) for part in as_list(fields.get("content") or [], fields.at("content"))]
            return {"role": "assistant", "content": None, "reasoning_content": "".join(texts)} if texts else None
        case kind:
            message = f"Invalid '{fields.at('type')}': items of type {kind!r} are not supported."
            raise invalid(message, param=fields.at("type"), code="invalid_value")


def _thought(part: Json, item: Fields) -> str:
    return as_text(Fields(part, path=item.at("content")).required("text"), item.at("content"))


def _content(value: Json, path: str) -> Json:
    if isinstance(value, str):
        return value
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of text parts", value)
    parts: list[Json] = []
    for i, part in enumerate(value):
        fields = Fields(part, path=f"{path}[{i}]")
        if fields.get("type") not in ("input_text", "output_text", "text"):
            message = f"Invalid '{fields.at('type')}': only parts of text are supported."
            raise invalid(message, param=fields.at("type"), code="invalid_value")
        parts.append({"type": "text", "text": fields.required("text")})
    return parts


def _renamed(fault: Fault) -> Fault:
    if fault.param is None:
        return fault
    root, separator, rest = fault.param.partition(".")
    root, bracket, index = root.partition("[")
    name = _RENAMED.get(root, root)
    param = f"{name}{bracket}{index}{separator}{rest}"
    return replace(fault, param=param, message=fault.message.replace(f"'{fault.param}'", f"'{param}'"))
