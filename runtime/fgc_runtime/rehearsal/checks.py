"""A window of real examples and a model to what will go wrong with them, in words."""

from typing import Any

from transformers import PreTrainedModel

from fgc_runtime.data.windows import Window


def problems_of(window: Window, model: PreTrainedModel, tokenizer: Any) -> list[str]:
    """Lengths, token ids and special tokens that do not fit together."""
    found = []
    config = model.config
    length = max(batch["input_ids"].shape[1] for batch in window.micro_batches)
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and length > longest:
        found.append(
            f"examples have {length} tokens, max_position_embeddings of the model is {longest}: shorten the blocks "
            "(block_size), or give the model more positions"
        )
    highest = max(int(batch["input_ids"].max()) for batch in window.micro_batches)
    if highest >= config.vocab_size:
        found.append(f"token id {highest} is beyond the model's vocab_size ({config.vocab_size})")
    if window.num_label_tokens == 0:
        found.append("the first step has no label token: there is nothing to learn from it")
    if tokenizer is None:
        return found
    if len(tokenizer) > config.vocab_size:
        found.append(f"the tokenizer has {len(tokenizer)} tokens, vocab_size of the model is {config.vocab_size}")
    pad, eos = tokenizer.pad_token_id, tokenizer.eos_token_id
    if pad is not None and pad == eos:
        found.append(
            f"the tokenizer's pad token is its eos token ({tokenizer.eos_token!r}): give it a pad token of its own, so "
            "that the end of a text can be learnt"
        )
    return found
