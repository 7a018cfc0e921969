"""The API's description, OpenAPI 3.1, and a page that shows it; both made here, with no other host."""

import html
import json
from collections.abc import Mapping, Sequence

from fgc_runtime.serve import schemas
from fgc_runtime.serve.schemas import Schema

# Path, method, what it does, fields of the body, and those that a body must have.
ENDPOINTS: Sequence[tuple[str, str, str, Mapping[str, Schema] | None, Sequence[str]]] = (
    ("/v1/chat/completions", "post", "Answers a conversation.", schemas.CHAT, ("messages",)),
    ("/v1/completions", "post", "Continues a text.", schemas.COMPLETION, ("prompt",)),
    ("/v1/responses", "post", "Answers a conversation, in OpenAI's newer form.", schemas.RESPONSE, ("input",)),
    ("/v1/responses/{name}", "get", "Shows a response that is kept.", None, ()),
    ("/v1/responses/{name}", "delete", "Forgets a response.", None, ()),
    ("/v1/embeddings", "post", "Turns texts into vectors.", schemas.EMBEDDING, ("input",)),
    ("/v1/models", "get", "Lists the model, with its context as `max_model_len`.", None, ()),
    ("/v1/models/{name}", "get", "Shows a model.", None, ()),
    ("/tokenize", "post", "Gives the tokens of a prompt or of messages.", schemas.TOKENIZE, ()),
    ("/detokenize", "post", "Gives the text of tokens.", schemas.DETOKENIZE, ("tokens",)),
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
        "components": {"schemas": {"Error": schemas.ERROR}, "securitySchemes": schemes if needs_key else {}},
        "security": [{"key": []}] if needs_key else [],
    }


def _operation(path: str, summary: str, fields: Mapping[str, Schema] | None, required: Sequence[str]) -> Schema:
    refused = {"description": "refused", "content": {"application/json": {"schema": _reference("Error")}}}
    operation: dict[str, object] = {
        "summary": summary,
        "responses": {"200": {"description": "answered"}, "4XX": refused, "503": refused},
    }
    if "{name}" in path:
        operation["parameters"] = [{"name": "name", "in": "path", "required": True, "schema": {"type": "string"}}]
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
