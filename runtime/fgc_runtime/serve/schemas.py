"""The fields of each endpoint's body: their names and ranges are checked by these tables and described by them."""

from collections.abc import Mapping

MAX_CHOICES = 128
MAX_TOP_LOGPROBS = 20
MAX_STOPS = 16
# How tokens are chosen: the least and the greatest value, both allowed.
SAMPLING_RANGES: Mapping[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "min_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "repetition_penalty": (0.01, 100),
}

Schema = Mapping[str, object]
_TEXT: Schema = {"type": "string"}
_NULLABLE: Schema = {"type": ["string", "null"]}
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
    **{name: _number(low, high) for name, (low, high) in SAMPLING_RANGES.items()},
    "top_k": _integer(-1),
    "n": _integer(1, MAX_CHOICES),
    "stop": {"anyOf": [_NULLABLE, {"type": "array", "items": _TEXT, "maxItems": MAX_STOPS}]},
    "stop_token_ids": _list({"type": "integer", "minimum": 0}),
    "min_tokens": _integer(0),
    "ignore_eos": _FLAG,
    "seed": {"type": ["integer", "null"]},
    "logit_bias": {"type": ["object", "null"], "additionalProperties": _number(-100, 100)},
    "stream": _FLAG,
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": _FLAG, "continuous_usage_stats": _FLAG},
    },
    "response_format": {
        "type": ["object", "null"],
        "properties": {
            "type": {"enum": ["text", "json_object", "json_schema"]},
            "json_schema": _OBJECT,
            "schema": _OBJECT,
        },
        "required": ["type"],
    },
    "structured_outputs": {
        "type": ["object", "null"],
        "properties": {"json": {}, "regex": _TEXT, "choice": _list(_TEXT), "grammar": _TEXT, "json_object": _FLAG},
    },
    "guided_json": {"type": ["object", "string", "null"]},
    "guided_regex": _NULLABLE,
    "guided_choice": _list(_TEXT),
    "guided_grammar": _NULLABLE,
}


def _object(required: Mapping[str, Schema], **others: Schema) -> Schema:
    return {"type": "object", "properties": {**required, **others}, "required": list(required)}


def _parts(*kinds: str) -> Schema:
    """Returns what a message says: a text, or parts of text of these kinds."""
    part = _object({"type": {"enum": list(kinds)}, "text": _TEXT})
    return {"anyOf": [_TEXT, {"type": "array", "items": part}]}


_NAME: Schema = {"type": "string", "pattern": r"^[A-Za-z0-9_.\-]{1,128}$"}
_FUNCTION: Schema = {"enum": ["function"]}
_CALL = _object({"function": _object({"name": _TEXT}, arguments=_NULLABLE)}, id=_NULLABLE)
_MESSAGE: Schema = {
    "anyOf": [
        _object(
            {"role": {"enum": ["system", "developer", "user", "tool"]}, "content": _parts("text")},
            name=_NULLABLE,
            tool_call_id=_NULLABLE,
        ),
        _object(
            {"role": {"enum": ["assistant"]}},
            content={"anyOf": [{"type": "null"}, _parts("text")]},
            tool_calls=_list(_CALL),
            reasoning_content=_NULLABLE,
        ),
    ]
}
_ITEM: Schema = {
    "anyOf": [
        _object({"role": {"enum": ["user", "assistant"]}, "content": _parts("input_text", "output_text", "text")}),
        _object({"type": {"enum": ["function_call"]}, "name": _TEXT}, call_id=_NULLABLE, arguments=_NULLABLE),
        _object({"type": {"enum": ["function_call_output"]}, "output": _TEXT}, call_id=_NULLABLE),
        _object({"type": {"enum": ["reasoning"]}}, content=_list(_object({"text": _TEXT}))),
    ]
}
_TOOL = _object({"type": _FUNCTION, "function": _object({"name": _NAME}, description=_NULLABLE, parameters=_OBJECT)})
_CONVERSATION: Mapping[str, Schema] = {
    "messages": {"type": "array", "items": _MESSAGE, "minItems": 1},
    "tools": _list(_TOOL),
    "tool_choice": {"anyOf": [{"enum": ["none", "auto", "required", None]}, _OBJECT]},
    "parallel_tool_calls": _FLAG,
    "chat_template_kwargs": {"type": ["object", "null"]},
    "add_generation_prompt": _FLAG,
    "continue_final_message": _FLAG,
    "reasoning_effort": _NULLABLE,
}
COMPLETION: Mapping[str, Schema] = {
    **_SHARED,
    "prompt": _TEXTS,
    "echo": _FLAG,
    "logprobs": _integer(0, MAX_TOP_LOGPROBS),
    "best_of": _integer(1, MAX_CHOICES),
    "suffix": _NULLABLE,
    "add_special_tokens": _FLAG,
}
CHAT: Mapping[str, Schema] = {
    **_SHARED,
    **_CONVERSATION,
    "logprobs": _FLAG,
    "top_logprobs": _integer(0, MAX_TOP_LOGPROBS),
    "max_completion_tokens": _integer(-1),
    "separate_reasoning": _FLAG,
    "include_reasoning": _FLAG,
}
RESPONSE: Mapping[str, Schema] = {
    **{name: _SHARED[name] for name in ("model", "temperature", "top_p", "stream")},
    "input": {"anyOf": [_TEXT, {"type": "array", "items": _ITEM, "minItems": 1}]},
    "instructions": _NULLABLE,
    "previous_response_id": _NULLABLE,
    "max_output_tokens": _integer(1),
    "tools": _list(_object({"type": _FUNCTION, "name": _NAME}, description=_NULLABLE, parameters=_OBJECT)),
    "tool_choice": _CONVERSATION["tool_choice"],
    "parallel_tool_calls": _FLAG,
    "text": {"type": ["object", "null"]},
    "reasoning": {"type": ["object", "null"], "properties": {"effort": _NULLABLE}},
    "store": _FLAG,
    "metadata": {"type": ["object", "null"]},
}
EMBEDDING: Mapping[str, Schema] = {
    **_MODEL,
    "input": _TEXTS,
    "encoding_format": {"enum": ["float", "base64", None]},
    "dimensions": _integer(1),
    "pooling": {"enum": ["mean", "last", "cls", "max", None]},
    "normalize": _FLAG,
    "user": _NULLABLE,
}
TOKENIZE: Mapping[str, Schema] = {**_MODEL, **_CONVERSATION, "prompt": _TEXT, "add_special_tokens": _FLAG}
DETOKENIZE: Mapping[str, Schema] = {**_MODEL, "tokens": {"type": "array", "items": {"type": "integer", "minimum": 0}}}
ERROR: Schema = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": _NULLABLE,
                "code": _NULLABLE,
            },
            "required": ["message", "type", "param", "code"],
        }
    },
    "required": ["error"],
}
