"""Logits of a long text in parts: all of them at once take more memory than the model.

The base model reads the text once. The model's own code then makes logits of a part of the states, so that whatever it
does behind its last layer, such as a cap, is done. Letters: B rows, T time, V vocabulary.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.generic import ModelOutput

_NUMBERS_AT_ONCE = 2**27  # half a gigabyte in float32


def logits_in_parts(model: PreTrainedModel, tokens_BT: Tensor, *, first: int) -> Iterator[tuple[int, Tensor]]:
    """Yields the logits from position `first` on, and where each part begins.

    A model that is not built of a base model and what makes logits, or whose code does not ask its base model, gives
    all of them in one part.
    """
    num_rows, length = tokens_BT.shape
    vocab_size = cast(Tensor, model.get_input_embeddings().weight).shape[0]
    size = max(1, _NUMBERS_AT_ONCE // (num_rows * vocab_size))
    base = model.base_model
    read = None if base is model or size >= length - first else base(input_ids=tokens_BT, use_cache=False)
    for begin in range(first, length, size):
        logits_BTV = None if read is None else _logits_of(model, read, tokens_BT, begin, begin + size)
        if logits_BTV is None:
            assert begin == first, "a model's code takes one way"
            yield first, model(input_ids=tokens_BT, use_cache=False).logits[:, first:]
            return
        yield begin, logits_BTV


def _logits_of(model: PreTrainedModel, read: object, tokens_BT: Tensor, begin: int, end: int) -> Tensor | None:
    """Returns the logits of some of the positions that were read; None if the model does not ask its base model."""
    if not isinstance(read, ModelOutput) or "last_hidden_state" not in read:
        return None
    part = copy.copy(read)
    part["last_hidden_state"] = read["last_hidden_state"][:, begin:end]
    with _gives(model.base_model, part) as asked:
        logits_BTV: Tensor = model(input_ids=tokens_BT[:, begin:end], use_cache=False).logits
    return logits_BTV if asked else None


@contextmanager
def _gives(module: nn.Module, output: ModelOutput) -> Iterator[list[ModelOutput]]:
    """Lets a module give what it gave before, without work; yields the list of what it was asked for."""
    own, asked = module.__dict__.get("forward"), list[ModelOutput]()

    def forward(*_args: object, **_options: object) -> ModelOutput:
        asked.append(output)
        return output

    module.forward = forward
    try:
        yield asked
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own
