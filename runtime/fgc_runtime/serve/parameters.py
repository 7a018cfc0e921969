"""Names that requests may have beside those that are understood: lists, and what is done with a name on them.

A name that nobody knows is refused, as OpenAI does, so that a misspelt one is noticed.
"""

from collections.abc import Iterable, Mapping

from fgc_runtime.serve.faults import invalid
from fgc_runtime.serve.fields import Fields, Json

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
_NO_EFFECT_ELSEWHERE = {"cache_prompt", "cache_salt", "id_slot", "priority", "request_id", "timings_per_token"}
# OpenAI's, and would change the text: refused unless they say what is done anyway.
_NEUTRAL: Mapping[str, tuple[Json, ...]] = {
    "suffix": ("",),  # of a chat
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "audio": (),
    "verbosity": ("medium",),
    "web_search_options": (),
    "moderation": (),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "parallel_tool_calls": (True, False),
}
# The same of other servers; strict servers know none of them.
_NEUTRAL_ELSEWHERE: Mapping[str, tuple[Json, ...]] = {
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
    "add_special_tokens": (False,),  # in a chat: the template writes them
    "bad_words": ([],),
    "logits_processors": ([],),
    "documents": ([],),
    "chat_template_kwargs": ({},),
    "allowed_token_ids": ([],),
    "echo": (False,),
    "n_keep": (0,),
    "prompt_logprobs": (),
    "return_token_ids": (False,),
    "return_tokens_as_token_ids": (False,),
    "truncate_prompt_tokens": (),
}


def check_names(fields: Fields, known: Iterable[str], *, is_strict: bool = False) -> None:
    """Raises RequestError for a name that is neither known nor without effect, unless its value changes nothing."""
    neutral = {**_NEUTRAL, **({} if is_strict else _NEUTRAL_ELSEWHERE)}
    ignored = _NO_EFFECT if is_strict else _NO_EFFECT | _NO_EFFECT_ELSEWHERE
    for name in sorted(fields.names().difference(known, ignored)):
        value = fields.get(name)
        if name not in neutral:
            raise invalid(f"Unknown parameter: '{name}'.", param=name, code="unknown_parameter")
        if value is not None and value not in neutral[name]:
            raise invalid(f"'{name}' is not supported by this server.", param=name, code="unsupported_parameter")
