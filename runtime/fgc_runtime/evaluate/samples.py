"""Continuations of given prompts, each alone and with a random state of its own."""

import sys
from typing import Any

from tqdm import tqdm

from fgc_runtime.evaluate.arguments import Options
from fgc_runtime.evaluate.faults import EvaluationError
from fgc_runtime.generate.continuing import continued
from fgc_runtime.models.loading import Loaded


def continuations(opened: Loaded, prompts: list[str], options: Options) -> list[dict[str, Any]]:
    """Continues each prompt, none of them too long; the same seed gives the same text, whatever the others are."""
    return [_continue(opened, prompt, options) for prompt in tqdm(prompts, "samples", file=sys.stderr, leave=False)]


def refuse_long(opened: Loaded, prompts: list[str]) -> None:
    """Raises EvaluationError for a prompt that leaves no room in the model's context."""
    longest = _longest(opened)
    for prompt in prompts:
        num_tokens = _num_tokens(opened, prompt)
        if longest is not None and num_tokens >= longest:
            raise EvaluationError(f"a prompt has {num_tokens} tokens, the model sees {longest}: {prompt[:40]!r} ...")


def _longest(opened: Loaded) -> int | None:
    return getattr(opened.model.config.get_text_config(), "max_position_embeddings", None)


def _num_tokens(opened: Loaded, prompt: str) -> int:
    return len(opened.tokenizer(prompt, verbose=False)["input_ids"])


def _continue(opened: Loaded, prompt: str, options: Options) -> dict[str, Any]:
    model, tokenizer = opened.model, opened.tokenizer
    num_tokens, longest = _num_tokens(opened, prompt), _longest(opened)
    most = options.max_new_tokens if longest is None else min(options.max_new_tokens, longest - num_tokens)
    sampling: dict[str, Any] = {"temperature": options.temperature, "top_k": 0} if options.temperature else {}
    tokens = continued(
        model,
        tokenizer,
        prompt,
        seed=options.seed,
        max_new_tokens=most,
        do_sample=bool(sampling),
        pad_token_id=_pad(opened),
        **sampling,
    )
    new = tokens[num_tokens:]
    text = str(tokenizer.decode(new, skip_special_tokens=True))
    return {"prompt": prompt, "text": text, "num_tokens": len(new), "is_ended": len(new) < most}


def _pad(opened: Loaded) -> int:
    """Any number will do: one prompt is not padded. Given, so that nothing is said about it."""
    known = opened.tokenizer.pad_token_id
    return int(known) if isinstance(known, int) else 0
