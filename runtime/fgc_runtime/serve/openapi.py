"""The API's description, OpenAPI 3.1, and a page that shows it; both made here, with no other host.

The ranges are those that `requests.py` and its neighbours check.
"""

import html
import json
from collections.abc import Mapping, Sequence

from fgc_runtime.serve.requests import MAX_CHOICES, MAX_STOPS, MAX_TOP_LOGPROBS

Schema = Mapping[str, object]
_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": ["boolean", "null"]}
_OBJECT: Schema = {"type": "object"}
_IDS: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}, "minItems": 1}


def _integer(low: int, high: int | None = None) -> Schema:
    return {"type": ["integer", "null"], "minimum": low, **({} if high is None else {"maximum": high})}


def _number(low: float, high: float) -> Schema:
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def _list(item: Schema) -> Schema:
    return {"type": ["array", "null"], "items": item}


_TEXTS: Schema = {
    "anyOf": [
        _TEXT,
        {"type": "array", "items": _TEXT, "minItems": 1},
        _IDS,
        {"type": "array", "items": _IDS, "minItems": 1},
    ]
}
_MODEL: Mapping[str, Schema] = {"model": {"type": ["string", "null"], "description": "may be left out"}}
_SHARED: Mapping[str, Schema] = {
    **_MODEL,
    "max_tokens": _integer(-1),
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _integer(-1),
    "min_p": _number(0, 1),
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "repetition_penalty": _number(0.01, 100),
    "n": _integer(1, MAX_CHOICES),
    "stop": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": _TEXT, "maxItems": MAX_STOPS}]},
    "stop_token_ids": _list({"type": "integer", "minimum": 0}),
    "min_tokens": _integer(0),
    "ignore_eos": _FLAG,
    "seed": {"type": ["integer", "null"]},
    "logit_bias": {"type": ["object", "null"], "additionalProperties": _number(-100, 100)},
    "stream": _FLAG,
    "stream_options": {"type": ["object", "null"], "properties": {"include_usage": _FLAG}},
    "response_format": {
        "type": ["object", "null"],
        "properties": {"type": {"enum": ["text", "json_object", "json_schema"]}, "json_schema": _OBJECT},
        "required": ["type"],
    },
    "structured_outputs": {
        "type": ["object", "null"],
        "properties": {"json": {}, "regex": _TEXT, "choice": _list(_TEXT), "grammar": _TEXT, "json_object": _FLAG},
    },
}
_MESSAGE: Schema = {
    "type": "object",
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {"anyOf": [{"type": ["string", "null"]}, {"type": "array", "items": _OBJECT}]},
        "name": {"type": ["string", "null"]},
        "tool_calls": _list(_OBJECT),
        "tool_call_id": {"type": ["string", "null"]},
    },
    "required": ["role"],
}
_CONVERSATION: Mapping[str, Schema] = {
    "messages": {"type": "array", "items": _MESSAGE, "minItems": 1},
    "tools": _list(_OBJECT),
    "tool_choice": {"anyOf": [{"enum": ["none", "auto", "required", None]}, _OBJECT]},
    "parallel_tool_calls": _FLAG,
    "chat_template_kwargs": {"type": ["object", "null"]},
    "add_generation_prompt": _FLAG,
    "continue_final_message": _FLAG,
}
_COMPLETION = {**_SHARED, "prompt": _TEXTS, "echo": _FLAG, "logprobs": _integer(0, MAX_TOP_LOGPROBS)}
_CHAT = {**_SHARED, **_CONVERSATION, "logprobs": _FLAG, "top_logprobs": _integer(0, MAX_TOP_LOGPROBS)}
_CHAT |= {"max_completion_tokens": _integer(-1)}
_RESPONSE: Mapping[str, Schema] = {
    **{name: _SHARED[name] for name in ("model", "temperature", "top_p", "stream")},
    "input": {"anyOf": [_TEXT, {"type": "array", "items": _OBJECT, "minItems": 1}]},
    "instructions": {"type": ["string", "null"]},
    "previous_response_id": {"type": ["string", "null"]},
    "max_output_tokens": _integer(1),
    "tools": _list(_OBJECT),
    "tool_choice": _CONVERSATION["tool_choice"],
    "parallel_tool_calls": _FLAG,
    "text": {"type": ["object", "null"]},
    "store": _FLAG,
    "metadata": {"type": ["object", "null"]},
}
_EMBEDDING: Mapping[str, Schema] = {
    **_MODEL,
    "input": _TEXTS,
    "encoding_format": {"enum": ["float", "base64", None]},
    "dimensions": _integer(1),
    "pooling": {"enum": ["mean", "last", "cls", "max", None]},
    "normalize": _FLAG,
}
_TOKENIZE: Mapping[str, Schema] = {**_MODEL, **_CONVERSATION, "prompt": _TEXT, "add_special_tokens": _FLAG}
_DETOKENIZE: Mapping[str, Schema] = {**_MODEL, "tokens": {"type": "array", "items": {"type": "integer"}}}

# Path, method, what it does, fields of the body, and those that a body must have.
ENDPOINTS: Sequence[tuple[str, str, str, Mapping[str, Schema] | None, Sequence[str]]] = (
    ("/v1/chat/completions", "post", "Answers a conversation.", _CHAT, ("messages",)),
    ("/v1/completions", "post", "Continues a text.", _COMPLETION, ("prompt",)),
    ("/v1/responses", "post", "Answers a conversation, in OpenAI's newer form.", _RESPONSE, ("input",)),
    ("/v1/responses/{name}", "get", "Shows a response that is kept.", None, ()),
    ("/v1/responses/{name}", "delete", "Forgets a response.", None, ()),
    ("/v1/embeddings", "post", "Turns texts into vectors.", _EMBEDDING, ("input",)),
    ("/v1/models", "get", "Lists the model, with its context as `max_model_len`.", None, ()),
    ("/v1/models/{name}", "get", "Shows a model.", None, ()),
    ("/tokenize", "post", "Gives the tokens of a prompt or of messages.", _TOKENIZE, ()),
    ("/detokenize", "post", "Gives the text of tokens.", _DETOKENIZE, ("tokens",)),
    ("/tokenizer_info", "get", "Describes the tokenizer and its chat template.", None, ()),
    ("/health", "get", "Says whether the engine runs.", None, ()),
    ("/ready", "get", "Says whether requests are taken.", None, ()),
    ("/metrics", "get", "Counts and times, as Prometheus text.", None, ()),
)


def description(version: str, *, needs_key: bool) -> Schema:
    """Returns the OpenAPI document."""
    paths: dict[str, dict[str, object]] = {}
    for path, method, summary, fields, required in ENDPOINTS:
        paths.setdefault(path, {})[method] = _operation(path, summary, fields, required)
    schemes = {"key": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "fgc serve", "version": version},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}, "securitySchemes": schemes if needs_key else {}},
        "security": [{"key": []}] if needs_key else [],
    }


_ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}


def _operation(path: str, summary: str, fields: Mapping[str, Schema] | None, required: Sequence[str]) -> Schema:
    refused = {"description": "refused", "content": {"application/json": {"schema": _reference("Error")}}}
    operation: dict[str, object] = {
        "summary": summary,
        "responses": {"200": {"description": "answered"}, "4XX": refused, "503": refused},
    }
    if "{name}" in path:
        operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": _TEXT}]
    if fields is not None:
        schema = {"type": "object", "properties": fields, "required": list(required), "additionalProperties": False}
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return operation


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>fgc serve: API</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
h2 {{ font: 600 1.1rem ui-monospace, monospace; margin-top: 2rem }}
td {{ padding: .1rem 1rem .1rem 0; vertical-align: top }} code {{ font: .9rem ui-monospace, monospace }}
</style>
<h1>{title}</h1>
<p>OpenAI's API, with extensions. <a href="/openapi.json">openapi.json</a> describes it for programs.</p>
{parts}
</html>
"""


def page(model_name: str) -> str:
    """Returns the description for people, as HTML."""
    return _PAGE.format(title=html.escape(f"{model_name}: API"), parts="\n".join(map(_part, ENDPOINTS)))


def _part(endpoint: tuple[str, str, str, Mapping[str, Schema] | None, Sequence[str]]) -> str:
    path, method, summary, fields, required = endpoint
    rows = "".join(_row(name, schema, name in required) for name, schema in (fields or {}).items())
    table = f"<table>{rows}</table>" if rows else ""
    return f"<h2>{method.upper()} {html.escape(path)}</h2><p>{html.escape(summary)}</p>{table}"


def _row(name: str, schema: Schema, is_required: bool) -> str:
    shown = html.escape(json.dumps(schema))
    mark = " (required)" if is_required else ""
    return f"<tr><td><code>{html.escape(name)}</code>{mark}</td><td><code>{shown}</code></td></tr>"
