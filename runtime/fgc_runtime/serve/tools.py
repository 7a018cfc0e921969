"""The tools of a request in: which functions the model knows, and whether it may, must or must not call one."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from fgc_runtime.serve.call_formats import Tool
from fgc_runtime.serve.faults import RequestError, invalid
from fgc_runtime.serve.fields import Fields, Json, as_list, as_text, wrong_type

MAX_TOOLS = 128
_NAME = re.compile(r"[\w.-]{1,128}", re.ASCII)
_MODES = ("none", "auto", "required")


@dataclass(frozen=True, slots=True)
class ToolWishes:
    """`tools` are what the model is told of, `callable` what an answer that must call may call."""

    tools: tuple[Tool, ...]
    callable: tuple[Tool, ...]
    mode: Literal["auto", "required"]
    is_parallel: bool | None


def asked_tools(fields: Fields) -> ToolWishes | None:
    """Reads `tools`, `tool_choice` and `parallel_tool_calls`; None if no tool may be called. Raises RequestError."""
    listed = as_list(fields.get("tools") or [], "tools")
    if len(listed) > MAX_TOOLS:
        message = f"Invalid 'tools': expected at most {MAX_TOOLS}, but got {len(listed)} instead."
        raise invalid(message, param="tools", code="array_above_max_length")
    tools = tuple(_tool(value, f"tools[{i}]") for i, value in enumerate(listed))
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise invalid("Invalid 'tools': two have the same name.", param="tools", code="invalid_value")
    is_parallel, choice = fields.flag("parallel_tool_calls"), fields.get("tool_choice")
    mode, callable_names = _choice(choice, names)
    if is_parallel is None and _is_named(choice):
        is_parallel = False  # who names a function wants one call of it
    if mode == "none" or (mode == "auto" and not tools):
        return None
    callable_tools = tuple(tool for tool in tools if tool.name in callable_names)
    return ToolWishes(tools, callable_tools, "auto" if mode == "auto" else "required", is_parallel)


def _tool(value: Json, path: str) -> Tool:
    fields = Fields(value, path=path)
    if as_text(fields.required("type"), fields.at("type")) != "function":
        message = f"Invalid '{fields.at('type')}': only tools of type 'function' are supported."
        raise invalid(message, param=fields.at("type"), code="invalid_value")
    function = Fields(fields.required("function"), path=fields.at("function"))
    name = as_text(function.required("name"), function.at("name"))
    if not _NAME.fullmatch(name):
        message = f"Invalid '{function.at('name')}': letters, digits, '_', '-' and '.', at most 128."
        raise invalid(message, param=function.at("name"), code="invalid_value")
    function.text("description")
    function.flag("strict")
    parameters = function.get("parameters")
    if parameters is None:
        parameters = {"type": "object", "properties": {}}
    elif not isinstance(parameters, dict):
        raise wrong_type(function.at("parameters"), "an object", parameters)
    given = fields.get("function")
    spec = {**(given if isinstance(given, dict) else {}), "parameters": parameters}
    return Tool(name, _object_schema(parameters), {"type": "function", "function": spec})


def _object_schema(parameters: dict[str, Json]) -> dict[str, Json]:
    """Arguments are an object, also where a schema does not say so."""
    return parameters if "type" in parameters or "$ref" in parameters else {**parameters, "type": "object"}


def _choice(value: Json, names: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Returns the mode and the names that may be called."""
    if value is None:
        return "auto", names
    if isinstance(value, str):
        if value not in _MODES:
            message = f"Invalid 'tool_choice': {value!r}; there are none, auto, required and a named function."
            raise invalid(message, param="tool_choice", code="invalid_value")
        if value == "required" and not names:
            raise _without_tools()
        return value, names
    choice = Fields(value, path="tool_choice")
    if not _is_named(value):
        allowed = Fields(choice.required("allowed_tools"), path="tool_choice.allowed_tools")
        listed = as_list(allowed.required("tools"), allowed.at("tools"))
        mode = as_text(allowed.get("mode") or "auto", allowed.at("mode"))
        return ("required" if mode == "required" else "auto"), [_named(tool, names) for tool in listed]
    return "required", [_named(value, names)]


def _is_named(choice: Json) -> bool:
    return isinstance(choice, dict) and choice.get("type") != "allowed_tools"


def _named(value: Json, names: Sequence[str]) -> str:
    choice = Fields(value, path="tool_choice")
    function = choice.inner("function")
    name = as_text((function or choice).required("name"), "tool_choice.function.name")
    if not names:
        raise _without_tools()
    if name not in names:
        message = f"Invalid 'tool_choice': there is no tool {name!r} in 'tools'."
        raise invalid(message, param="tool_choice", code="invalid_value")
    return name


def _without_tools() -> RequestError:
    return invalid("'tool_choice' needs 'tools'.", param="tool_choice", code="invalid_value")
