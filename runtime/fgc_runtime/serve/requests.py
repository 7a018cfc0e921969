"""JSON bodies in, checked requests out: what `/v1/completions` and `/v1/chat/completions` may be asked.

A parameter that would change the answer and is not supported is refused; a name that the API does not know is
refused too, as OpenAI does, so that a misspelt one is noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json, as_integer, as_list, as_text, wrong_type

MAX_CHOICES = 128
MAX_PROMPTS = 256
MAX_SEQUENCES = 1024
MAX_TOP_LOGPROBS = 20
MAX_STOPS = 16
_MAX_SEED = 2**63 - 1
_MAX_TOKENS = 2**31 - 1

# Change nothing about the text here: accounting, caching, routing.
_NO_EFFECT = {
    "user",
    "metadata",
    "store",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "parallel_tool_calls",
    "prediction",
}
# Would change the text: refused unless they say what is done anyway.
_NEUTRAL: Mapping[str, tuple[Json, ...]] = {
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "suffix": ("",),
    "audio": (),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "web_search_options": (),
    "moderation": (),
}
_SHARED = {
    "model",
    "stream",
    "stream_options",
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "n",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "ignore_eos",
}


@dataclass(frozen=True, slots=True)
class Wishes:
    """What both endpoints understand about how to continue."""

    model: str
    sampling: Sampling
    max_tokens: int | None
    num_choices: int
    stops: tuple[str, ...]
    seed: int | None
    ignores_end: bool
    num_top: int | None
    is_stream: bool
    includes_usage: bool


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    wishes: Wishes
    prompts: tuple[str | tuple[int, ...], ...]
    is_echo: bool


@dataclass(frozen=True, slots=True)
class Message:
    role: str
    content: str
    name: str | None


@dataclass(frozen=True, slots=True)
class ChatRequest:
    wishes: Wishes
    messages: tuple[Message, ...]


def completion_request(body: Json) -> CompletionRequest:
    fields = Fields(body)
    _check_names(fields, _SHARED | {"prompt", "echo", "best_of"})
    num_top = fields.integer("logprobs", low=0, high=MAX_TOP_LOGPROBS)
    wishes = _wishes(fields, num_top=num_top, max_tokens=fields.integer("max_tokens", low=0, high=_MAX_TOKENS))
    best_of = fields.integer("best_of", low=1, high=MAX_CHOICES)
    if best_of not in (None, wishes.num_choices):
        raise invalid("'best_of' is not supported: leave it out or give it the value of 'n'.", param="best_of")
    prompts = _prompts(fields.required("prompt"))
    if len(prompts) * wishes.num_choices > MAX_SEQUENCES:
        message = f"Too many texts: {len(prompts)} prompts times 'n', at most {MAX_SEQUENCES} in one request."
        raise invalid(message, param="n", code="integer_above_max_value")
    return CompletionRequest(wishes, prompts, fields.flag("echo") or False)


def chat_request(body: Json) -> ChatRequest:
    fields = Fields(body)
    _check_names(fields, _SHARED | {"messages", "max_completion_tokens", "top_logprobs"})
    is_scored = fields.flag("logprobs") or False
    num_top = fields.integer("top_logprobs", low=0, high=MAX_TOP_LOGPROBS)
    if num_top and not is_scored:
        raise invalid("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    names = ("max_completion_tokens", "max_tokens")
    limits = [fields.integer(name, low=1, high=_MAX_TOKENS) for name in names]
    max_tokens = limits[0] if limits[0] is not None else limits[1]
    wishes = _wishes(fields, num_top=(num_top or 0) if is_scored else None, max_tokens=max_tokens)
    messages = as_list(fields.required("messages"), "messages")
    if not messages:
        raise invalid("Invalid 'messages': expected at least one message.", param="messages", code="empty_array")
    return ChatRequest(wishes, tuple(_message(each, f"messages[{i}]") for i, each in enumerate(messages)))


def _check_names(fields: Fields, known: set[str]) -> None:
    for name in sorted(fields.names() - known - _NO_EFFECT):
        value = fields.get(name)
        if name not in _NEUTRAL:
            raise invalid(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if value is not None and value not in _NEUTRAL[name]:
            raise invalid(f"'{name}' is not supported by this server.", param=name, code="unsupported_parameter")


def _wishes(fields: Fields, *, num_top: int | None, max_tokens: int | None) -> Wishes:
    stream = fields.flag("stream") or False
    options = fields.inner("stream_options")
    if options is not None and not stream:
        raise invalid("'stream_options' needs 'stream' to be true.", param="stream_options")
    return Wishes(
        model=as_text(fields.required("model"), "model"),
        sampling=_sampling(fields),
        max_tokens=max_tokens,
        num_choices=fields.integer("n", low=1, high=MAX_CHOICES) or 1,
        stops=_stops(fields.get("stop")),
        seed=fields.integer("seed", low=-_MAX_SEED - 1, high=_MAX_SEED),
        ignores_end=fields.flag("ignore_eos") or False,
        num_top=num_top,
        is_stream=stream,
        includes_usage=bool(options and options.flag("include_usage")),
    )


def _sampling(fields: Fields) -> Sampling:
    temperature = fields.number("temperature", low=0, high=2)
    top_p = fields.number("top_p", low=0, high=1)
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        top_k=fields.integer("top_k", low=0, high=_MAX_TOKENS) or 0,
        frequency_penalty=fields.number("frequency_penalty", low=-2, high=2) or 0.0,
        presence_penalty=fields.number("presence_penalty", low=-2, high=2) or 0.0,
        logit_bias=_logit_bias(fields.inner("logit_bias")),
    )


def _logit_bias(fields: Fields | None) -> dict[int, float]:
    bias = {}
    for name in fields.names() if fields is not None else ():
        if not (name.isascii() and name.isdigit()):
            message = f"Invalid key in 'logit_bias': {name!r}. Keys are token ids, written in digits."
            raise invalid(message, param="logit_bias", code="invalid_key")
        assert fields is not None
        bias[int(name)] = fields.number(name, low=-100, high=100) or 0.0
    return bias


def _stops(value: Json) -> tuple[str, ...]:
    stops = (value,) if isinstance(value, str) else as_list(value or [], "stop")
    if len(stops) > MAX_STOPS:
        message = f"Invalid 'stop': expected at most {MAX_STOPS} sequences, but got {len(stops)} instead."
        raise invalid(message, param="stop", code="array_above_max_length")
    texts = tuple(as_text(stop, "stop") for stop in stops)
    if "" in texts:
        raise invalid("Invalid 'stop': a stop sequence must not be empty.", param="stop", code="empty_string")
    return texts


def _prompts(value: Json) -> tuple[str | tuple[int, ...], ...]:
    if isinstance(value, str):
        return (as_text(value, "prompt"),)
    items = as_list(value, "prompt")
    if not items:
        raise invalid("Invalid 'prompt': expected at least one prompt.", param="prompt", code="empty_array")
    if isinstance(items[0], int):
        return (_token_ids(items, "prompt"),)
    if len(items) > MAX_PROMPTS:
        message = f"Invalid 'prompt': expected at most {MAX_PROMPTS} prompts, but got {len(items)} instead."
        raise invalid(message, param="prompt", code="array_above_max_length")
    return tuple(_prompt(item, f"prompt[{i}]") for i, item in enumerate(items))


def _prompt(value: Json, path: str) -> str | tuple[int, ...]:
    return as_text(value, path) if isinstance(value, str) else _token_ids(as_list(value, path), path)


def _token_ids(items: Sequence[Json], path: str) -> tuple[int, ...]:
    ids = tuple(as_integer(item, f"{path}[{i}]") for i, item in enumerate(items))
    if not ids:
        raise invalid(f"Invalid '{path}': expected at least one token.", param="prompt", code="empty_array")
    return ids


def _message(value: Json, path: str) -> Message:
    fields = Fields(value, path=path)
    role = as_text(fields.required("role"), fields.at("role"))
    if role not in ("system", "developer", "user", "assistant"):
        message = f"Invalid '{fields.at('role')}': {role!r} is not supported; use system, user or assistant."
        raise invalid(message, param=fields.at("role"), code="invalid_value")
    for name in ("tool_calls", "function_call", "audio"):
        if fields.get(name):
            raise invalid(f"'{fields.at(name)}' is not supported by this server.", param=fields.at(name))
    return Message(role, _content(fields.required("content"), fields.at("content")), fields.text("name"))


def _content(value: Json, path: str) -> str:
    """A string, or text parts joined."""
    if isinstance(value, str):
        return as_text(value, path)
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of text parts", value)
    return "".join(_text_part(Fields(part, path=f"{path}[{i}]")) for i, part in enumerate(value))


def _text_part(fields: Fields) -> str:
    if fields.get("type") != "text":
        message = f"Invalid '{fields.at('type')}': only parts of type 'text' are supported."
        raise invalid(message, param=fields.at("type"), code="invalid_value")
    return as_text(fields.required("text"), fields.at("text"))
