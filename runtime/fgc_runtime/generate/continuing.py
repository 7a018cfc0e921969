"""A prompt to its continuation by transformers' own `generate`, without a trace in the random states of the process."""

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase


def continued(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: str, *, seed: int, **generation: Any
) -> Tensor:
    """Returns the ids (T,) of a prompt and of what the model writes behind it; `generation` goes to `generate`.

    The same seed gives the same text. The model's mode, training or not, is the caller's.
    """
    inputs = tokenizer(prompt, return_tensors="pt", return_token_type_ids=False).to(model.device)
    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(seed)
        tokens: Tensor = model.generate(**inputs, **generation)  # type: ignore[operator]  # a mixin brings it
    return tokens[0]
