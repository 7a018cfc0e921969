"""Calls a causal language model: token ids in, float32 logits out.

Passes only the optional parameters that the model's `forward` has. Letters: B rows, T time, K columns of the cache,
V vocabulary, D channels.
"""

import inspect
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from fgc_runtime.generate.scaling import forget, remembering_modules, scaling_of


class Forward:
    """A model in evaluation mode, called for its logits."""

    def __init__(self, model: PreTrainedModel) -> None:
        model.train(False)
        self.model = model
        self.vocab_size = cast(Tensor, model.get_input_embeddings().weight).shape[0]  # with an adapter it is a property
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
        """Returns float32 logits of the last position, (B, V), or with `keeps_all` of all positions, (B, T, V)."""
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

    def states(self, ids: Sequence[int]) -> Tensor:
        """Returns the states of one text after the last layer and norm, shape (T, D)."""
        for module in self._remembering:
            forget(module)
        ids_1T = torch.tensor([list(ids)], dtype=torch.long, device=self.device)
        base = self.model.base_model
        if base is not self.model:
            states_1TD: Tensor = base(input_ids=ids_1T, return_dict=True).last_hidden_state
            return states_1TD[0]
        output = self.model(input_ids=ids_1T, return_dict=True, output_hidden_states=True)
        last_1TD = getattr(output, "last_hidden_state", None)
        states_1TD = output.hidden_states[-1] if last_1TD is None else last_1TD
        return states_1TD[0]
