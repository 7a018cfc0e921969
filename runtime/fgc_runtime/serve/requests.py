"""JSON bodies in, checked requests out: what `/v1/completions` and `/v1/chat/completions` may be asked.

A parameter that would change the answer and is not supported is refused; a name that the API does not know is
refused too, as OpenAI does, so that a misspelt one is noticed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json, as_integer, as_list, as_text
from fgc_runtime.serve.messages import CONVERSATION_NAMES, Conversation, conversation
from fgc_runtime.serve.structure import STRUCTURE_NAMES, Structure, asked_structure
from fgc_runtime.serve.tools import TOOL_NAMES, ToolWishes, asked_tools

MAX_CHOICES = 128
MAX_PROMPTS = 256
MAX_SEQUENCES = 1024
MAX_TOP_LOGPROBS = 20
MAX_STOPS = 16
_MAX_SEED = 2**63 - 1
_MAX_TOKENS = 2**31 - 1
_COMPLETION_TOKENS = 16  # the completions API's default; chat goes on to the end of the context

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
    "prediction",
}
# Would change the text: refused unless they say what is done anyway.
_NEUTRAL: Mapping[str, tuple[Json, ...]] = {
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "suffix": ("",),
    "audio": (),
    "reasoning_effort": ("none",),
    "verbosity": ("medium",),
    "web_search_options": (),
    "moderation": (),
    # of other servers
    "use_beam_search": (False,),
    "length_penalty": (1,),
    "early_stopping": (False,),
    "no_repeat_ngram_size": (0,),
    "encoder_repetition_penalty": (1,),
    "typical_p": (1,),
    "tfs_z": (1,),
    "top_a": (0,),
    "epsilon_cutoff": (0,),
    "eta_cutoff": (0,),
    "mirostat": (0,),
    "dry_multiplier": (0,),
    "xtc_probability": (0,),
    "smoothing_factor": (0,),
    "dynatemp_range": (0,),
    "include_stop_str_in_output": (False,),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "add_special_tokens": (True,),
    "bad_words": ([],),
    "logits_processors": ([],),
    "documents": ([],),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
    "chat_template_kwargs": ({},),
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
    "min_p",
    "repetition_penalty",
    "min_tokens",
    "stop_token_ids",
} | STRUCTURE_NAMES


@dataclass(frozen=True, slots=True)
class Wishes:
    """What both endpoints understand about how to continue."""

    model: str | None  # None is the one that is served
    sampling: Sampling
    max_tokens: int | None
    num_choices: int
    stops: tuple[str, ...]
    seed: int | None
    stop_ids: frozenset[int]
    min_tokens: int
    ignores_end: bool
    structure: Structure | None
    num_top: int | None
    is_stream: bool
    includes_usage: bool


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    wishes: Wishes
    prompts: tuple[str | tuple[int, ...], ...]
    is_echo: bool


@dataclass(frozen=True, slots=True)
class ChatRequest:
    wishes: Wishes
    conversation: Conversation
    tools: ToolWishes | None = None


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    asked: str | Conversation
    is_begun: bool  # with the special tokens in front


def completion_request(body: Json) -> CompletionRequest:
    fields = Fields(body)
    _check_names(fields, _SHARED | {"prompt", "echo", "best_of"})
    num_top = fields.integer("logprobs", low=0, high=MAX_TOP_LOGPROBS)
    wishes = _wishes(fields, num_top=num_top, max_tokens=_max_tokens(fields, "max_tokens", low=0))
    if fields.get("max_tokens") is None:
        wishes = replace(wishes, max_tokens=_COMPLETION_TOKENS)
    best_of = fields.integer("best_of", low=1, high=MAX_CHOICES)
    if best_of not in (None, wishes.num_choices):
        raise invalid("'best_of' is not supported: leave it out or give it the value of 'n'.", param="best_of")
    prompts = read_prompts(fields.required("prompt"), "prompt")
    if len(prompts) * wishes.num_choices > MAX_SEQUENCES:
        message = f"Too many texts: {len(prompts)} prompts times 'n', at most {MAX_SEQUENCES} in one request."
        raise invalid(message, param="n", code="integer_above_max_value")
    return CompletionRequest(wishes, prompts, fields.flag("echo") or False)


def chat_request(body: Json) -> ChatRequest:
    fields = Fields(body)
    _check_names(fields, _SHARED | CONVERSATION_NAMES | TOOL_NAMES | {"max_completion_tokens", "top_logprobs"})
    is_scored = fields.flag("logprobs") or False
    num_top = fields.integer("top_logprobs", low=0, high=MAX_TOP_LOGPROBS)
    if num_top and not is_scored:
        raise invalid("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    names = ("max_completion_tokens", "max_tokens")
    limits = [_max_tokens(fields, name, low=1) for name in names]
    max_tokens = limits[0] if limits[0] is not None else limits[1]
    wishes = _wishes(fields, num_top=(num_top or 0) if is_scored else None, max_tokens=max_tokens)
    tools = asked_tools(fields)
    if tools is not None and tools.mode == "required":
        _refuse_cuts(fields, "tool_choice")
    return ChatRequest(wishes, conversation(fields, () if tools is None else tools.tools), tools)


def tokenize_request(body: Json) -> TokenizeRequest:
    fields = Fields(body)
    _check_names(fields, CONVERSATION_NAMES | TOOL_NAMES | {"model", "prompt", "add_special_tokens"})
    fields.text("model")
    is_begun = fields.flag("add_special_tokens")
    if fields.get("messages") is not None:
        tools = asked_tools(fields)
        return TokenizeRequest(conversation(fields, () if tools is None else tools.tools), True)
    return TokenizeRequest(as_text(fields.required("prompt"), "prompt"), is_begun is not False)


def detokenize_request(body: Json) -> tuple[int, ...]:
    fields = Fields(body)
    _check_names(fields, {"model", "tokens"})
    fields.text("model")
    tokens = as_list(fields.required("tokens"), "tokens")
    return tuple(as_integer(token, f"tokens[{i}]") for i, token in enumerate(tokens))


def _max_tokens(fields: Fields, name: str, *, low: int) -> int | None:
    """Read a limit; -1 is none, as for other servers."""
    return None if fields.get(name) == -1 else fields.integer(name, low=low, high=_MAX_TOKENS)


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
        model=fields.text("model"),
        sampling=_sampling(fields),
        max_tokens=max_tokens,
        num_choices=fields.integer("n", low=1, high=MAX_CHOICES) or 1,
        stops=_stops(fields.get("stop")),
        seed=None if fields.get("seed") == -1 else fields.integer("seed", low=-_MAX_SEED - 1, high=_MAX_SEED),
        stop_ids=_stop_ids(fields.get("stop_token_ids")),
        min_tokens=fields.integer("min_tokens", low=0, high=_MAX_TOKENS) or 0,
        ignores_end=fields.flag("ignore_eos") or False,
        structure=_structure(fields),
        num_top=num_top,
        is_stream=stream,
        includes_usage=bool(options and options.flag("include_usage")),
    )


def _structure(fields: Fields) -> Structure | None:
    structure = asked_structure(fields)
    if structure is not None:
        _refuse_cuts(fields, structure.param)
    return structure


def _refuse_cuts(fields: Fields, param: str) -> None:
    """Raises RequestError if a structured answer could be cut before it is whole."""
    for name in ("stop", "stop_token_ids"):
        if fields.get(name):
            message = f"'{name}' could cut an answer that '{param}' wants whole: leave one of them out."
            raise invalid(message, param=name, code="invalid_value")


def _sampling(fields: Fields) -> Sampling:
    temperature = fields.number("temperature", low=0, high=2)
    top_p = fields.number("top_p", low=0, high=1)
    repetition = fields.number("repetition_penalty", low=0.01, high=100)
    return Sampling(
        temperature=1.0 if temperature is None else temperature,
        top_p=1.0 if top_p is None else top_p,
        top_k=max(0, fields.integer("top_k", low=-1, high=_MAX_TOKENS) or 0),
        min_p=fields.number("min_p", low=0, high=1) or 0.0,
        repetition_penalty=1.0 if repetition is None else repetition,
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


def _stop_ids(value: Json) -> frozenset[int]:
    ids = frozenset(
        as_integer(item, f"stop_token_ids[{i}]") for i, item in enumerate(as_list(value or [], "stop_token_ids"))
    )
    if any(token < 0 for token in ids):
        raise invalid(
            "Invalid 'stop_token_ids': a token id is 0 or more.", param="stop_token_ids", code="invalid_token_id"
        )
    return ids


def read_prompts(value: Json, name: str) -> tuple[str | tuple[int, ...], ...]:
    """Reads one text, the ids of one, or a list of these. Raises RequestError."""
    if isinstance(value, str):
        return (as_text(value, name),)
    items = as_list(value, name)
    if not items:
        raise invalid(f"Invalid '{name}': expected at least one text.", param=name, code="empty_array")
    if isinstance(items[0], int):
        return (_token_ids(items, name, name),)
    if len(items) > MAX_PROMPTS:
        message = f"Invalid '{name}': expected at most {MAX_PROMPTS} texts, but got {len(items)} instead."
        raise invalid(message, param=name, code="array_above_max_length")
    return tuple(_prompt(item, f"{name}[{i}]", name) for i, item in enumerate(items))


def _prompt(value: Json, path: str, name: str) -> str | tuple[int, ...]:
    return as_text(value, path) if isinstance(value, str) else _token_ids(as_list(value, path), path, name)


def _token_ids(items: Sequence[Json], path: str, name: str) -> tuple[int, ...]:
    ids = tuple(as_integer(item, f"{path}[{i}]") for i, item in enumerate(items))
    if not ids:
        raise invalid(f"Invalid '{path}': expected at least one token.", param=name, code="empty_array")
    return ids
