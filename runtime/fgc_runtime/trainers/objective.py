"""A model to what training minimises: a module that takes a batch and returns the summed loss of its labels."""

import inspect

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from fgc_runtime.data.collator import Batch
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.loss import next_token_loss_sum


class Objective(nn.Module):
    """Calls a model on a batch that lies anywhere; the labels stay outside, so that one loss serves every model.

    A module, so that parallel wrappers go around model and loss at once: no logits leave it.
    """

    def __init__(self, model: PreTrainedModel, args: TrainingArguments, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self._device = device
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=args.bf16)
        # a cache would be filled and thrown away, and hides from transformers' masks that documents are packed
        takes_use_cache = "use_cache" in inspect.signature(model.forward).parameters
        self._options = {"use_cache": False} if takes_use_cache else {}

    def forward(self, batch: Batch) -> Tensor:
        """Summed loss of the labels in the batch."""
        inputs = {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}
        labels = inputs.pop("labels")
        with self._autocast:
            logits = self.model(**inputs, **self._options).logits
        return next_token_loss_sum(logits, labels)
