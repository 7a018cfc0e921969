"""JSON bodies in, checked requests out: what `/v1/completions` and `/v1/chat/completions` may be asked.

A parameter that would change the answer and is not supported is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from fgc_runtime.generate.sampling import Sampling
from fgc_runtime.serve.defaults import Defaults, read_sampling
from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json, as_integer, as_list, as_text
from fgc_runtime.serve.messages import Conversation, conversation
from fgc_runtime.serve.parameters import check_names
from fgc_runtime.serve.schemas import CHAT, COMPLETION, DETOKENIZE, MAX_CHOICES, MAX_STOPS, MAX_TOP_LOGPROBS, TOKENIZE
from fgc_runtime.serve.structure import Structure, asked_structure
from fgc_runtime.serve.thoughts import ThoughtPlace
from fgc_runtime.serve.tools import ToolWishes, asked_tools

MAX_PROMPTS = 256
MAX_SEQUENCES = 1024
_MAX_SEED = 2**63 - 1
_MAX_TOKENS = 2**31 - 1
_COMPLETION_TOKENS = 16  # the completions API's default; chat goes on to the end of the context

_USUAL = Defaults()
_STREAM_OPTIONS = {"include_usage", "continuous_usage_stats", "include_obfuscation"}

StreamUsage = Literal["none", "end", "always"]  # in which events of a stream the numbers of tokens are


@dataclass(frozen=True, slots=True)
class Wishes:
    """Holds what both endpoints understand about how to continue."""

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
    usage: StreamUsage


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    wishes: Wishes
    prompts: tuple[str | tuple[int, ...], ...]
    is_echo: bool
    is_begun: bool = True  # texts get the special tokens that the tokenizer begins them with
    num_best: int = 1  # of the texts that are made of a prompt, so many are the answer
    suffix: str = ""  # what follows the text that is wanted


@dataclass(frozen=True, slots=True)
class ChatRequest:
    wishes: Wishes
    conversation: Conversation
    tools: ToolWishes | None = None
    thoughts: ThoughtPlace = "apart"


@dataclass(frozen=True, slots=True)
class TokenizeRequest:
    asked: str | Conversation
    is_begun: bool  # with the special tokens in front


def completion_request(body: Json, defaults: Defaults = _USUAL) -> CompletionRequest:
    """Reads the body of `/v1/completions`. Raises RequestError."""
    fields = Fields(body)
    check_names(fields, COMPLETION, is_strict=defaults.is_strict)
    num_top = fields.integer("logprobs", low=0, high=MAX_TOP_LOGPROBS)
    wishes = _wishes(fields, defaults, num_top=num_top, max_tokens=_max_tokens(fields, "max_tokens", low=0))
    if fields.get("max_tokens") is None:
        wishes = replace(wishes, max_tokens=_COMPLETION_TOKENS)
    num_best = wishes.num_choices
    wishes = replace(wishes, num_choices=_num_made(fields, wishes))
    prompts = read_prompts(fields.required("prompt"), "prompt")
    if len(prompts) * wishes.num_choices > MAX_SEQUENCES:
        message = f"Too many texts: {len(prompts)} prompts times 'n', at most {MAX_SEQUENCES} in one request."
        raise invalid(message, param="n", code="integer_above_max_value")
    is_echo, suffix = fields.flag("echo") or False, fields.text("suffix") or ""
    if suffix and is_echo:
        raise invalid("'echo' and 'suffix' exclude each other.", param="echo", code="invalid_value")
    is_begun = fields.flag("add_special_tokens") is not False
    return CompletionRequest(wishes, prompts, is_echo, is_begun, num_best, suffix)


def _num_made(fields: Fields, wishes: Wishes) -> int:
    """Returns how many texts are made of each prompt: all that are wanted, or `best_of` to choose from."""
    best_of = fields.integer("best_of", low=1, high=MAX_CHOICES)
    if best_of is None or best_of == wishes.num_choices:
        return wishes.num_choices
    if best_of < wishes.num_choices:
        raise invalid("'best_of' must not be less than 'n'.", param="best_of", code="integer_below_min_value")
    if wishes.is_stream:
        message = "The best texts are known when all have ended: leave out 'stream', or 'best_of'."
        raise invalid(message, param="best_of", code="invalid_value")
    return best_of


def chat_request(body: Json, defaults: Defaults = _USUAL) -> ChatRequest:
    """Reads the body of `/v1/chat/completions`. Raises RequestError."""
    fields = Fields(body)
    check_names(fields, CHAT, is_strict=defaults.is_strict)
    is_scored = fields.flag("logprobs") or False
    num_top = fields.integer("top_logprobs", low=0, high=MAX_TOP_LOGPROBS)
    if num_top and not is_scored:
        raise invalid("'top_logprobs' needs 'logprobs' to be true.", param="top_logprobs")
    limits = [name for name in ("max_completion_tokens", "max_tokens") if fields.get(name) is not None]
    read = [_max_tokens(fields, name, low=1) for name in limits]
    max_tokens = read[0] if read else defaults.max_tokens
    wishes = _wishes(fields, defaults, num_top=(num_top or 0) if is_scored else None, max_tokens=max_tokens)
    tools = asked_tools(fields)
    if tools is not None and tools.mode == "required":
        _refuse_cuts(fields, "tool_choice")
    said = conversation(fields, () if tools is None else tools.tools)
    divides, shows = (fields.flag(name) is not False for name in ("separate_reasoning", "include_reasoning"))
    return ChatRequest(wishes, said, tools, "nowhere" if not shows else "apart" if divides else "within")


def tokenize_request(body: Json) -> TokenizeRequest:
    fields = Fields(body)
    check_names(fields, TOKENIZE)
    fields.text("model")
    is_begun = fields.flag("add_special_tokens")
    if fields.get("messages") is not None:
        if fields.get("prompt") is not None:
            raise invalid("'messages' and 'prompt' exclude each other.", param="prompt", code="invalid_value")
        tools = asked_tools(fields)
        return TokenizeRequest(conversation(fields, () if tools is None else tools.tools), True)
    return TokenizeRequest(as_text(fields.required("prompt"), "prompt"), is_begun is not False)


def detokenize_request(body: Json) -> tuple[int, ...]:
    fields = Fields(body)
    check_names(fields, DETOKENIZE)
    fields.text("model")
    tokens = as_list(fields.required("tokens"), "tokens")
    return tuple(as_integer(token, f"tokens[{i}]") for i, token in enumerate(tokens))


def _max_tokens(fields: Fields, name: str, *, low: int) -> int | None:
    """Read a limit; -1 is none, as for other servers."""
    return None if fields.get(name) == -1 else fields.integer(name, low=low, high=_MAX_TOKENS)


def _wishes(fields: Fields, defaults: Defaults, *, num_top: int | None, max_tokens: int | None) -> Wishes:
    if defaults.is_strict:
        fields.required("model")
    stream = fields.flag("stream") or False
    return Wishes(
        model=fields.text("model"),
        sampling=replace(read_sampling(fields, defaults.sampling), logit_bias=_logit_bias(fields.inner("logit_bias"))),
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
        usage=_usage(fields, is_stream=stream),
    )


def _usage(fields: Fields, *, is_stream: bool) -> StreamUsage:
    options = fields.inner("stream_options")
    if options is None:
        return "none"
    if not is_stream:
        raise invalid("'stream_options' needs 'stream' to be true.", param="stream_options")
    for name in sorted(options.names() - _STREAM_OPTIONS):
        raise invalid(f"Unknown parameter: '{options.at(name)}'.", param=options.at(name), code="unknown_parameter")
    wanted, is_always = (options.flag(name) for name in ("include_usage", "continuous_usage_stats"))
    return "none" if not wanted else "always" if is_always else "end"


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
