"""One call of a causal language model: token ids in, float32 logits out.

Knows which optional parameters the model's forward has, so that callers need not. Letters: B rows, T time,
K columns of the cache, V vocabulary.
"""

import inspect
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from fgc_runtime.generate.scaling import forget, remembering_modules, scaling_of


class Forward:
    """A model, ready to be called for its logits; never computes gradients."""

    def __init__(self, model: PreTrainedModel) -> None:
        model.train(False)
        self.model = model
        self.vocab_size = model.get_input_embeddings().get_parameter("weight").shape[0]
        self._parameters = set(inspect.signature(model.forward).parameters)
        self.device: torch.device = model.device
        self.scaling = scaling_of(model)
        self._remembering = remembering_modules(model)

    def __call__(
        self,
        ids: Sequence[Sequence[int]],
        *,
        cache: Cache | None = None,
        positions_BT: Tensor | None = None,
        mask_BK: Tensor | None = None,
        keeps_all: bool = False,
    ) -> Tensor:
        """Logits of the last position, shape (B, V); with `keeps_all` of each position, shape (B, T, V)."""
        given: dict[str, object] = {"past_key_values": cache, "position_ids": positions_BT, "attention_mask": mask_BK}
        arguments = {name: value for name, value in given.items() if value is not None}
        if "position_ids" not in self._parameters:
            arguments.pop("position_ids", None)
        if "logits_to_keep" in self._parameters:
            arguments["logits_to_keep"] = 0 if keeps_all else 1
        for module in self._remembering:
            forget(module)
        ids_BT = torch.tensor(ids, dtype=torch.long, device=self.device)
        output = self.model(input_ids=ids_BT, use_cache=cache is not None, return_dict=True, **arguments)
        logits_BTV: Tensor = output.logits
        return logits_BTV.float() if keeps_all else logits_BTV[:, -1].float()
