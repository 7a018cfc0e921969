"""A model to what training minimises: a module that takes a batch and returns the summed loss of its labels."""

import inspect
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from fgc_runtime.data.collator import Batch
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.loss import HeadLoss, next_token_loss_sum, require_linear_head

SDPA_BACKENDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


class Objective(nn.Module):
    """Calls a model on a batch that lies anywhere; the labels stay outside, so that one loss serves every model.

    A module, so that parallel wrappers go around model and loss at once: no logits leave it.
    """

    def __init__(self, model: PreTrainedModel, args: TrainingArguments, device: torch.device) -> None:
        super().__init__()
        self.model = model
        self.settings = ForwardSettings(args, device)
        self.head_loss: HeadLoss | None = None
        if args.fused_loss != "no":
            require_linear_head(model, f"fused_loss ({args.fused_loss!r})")
            self.head_loss = HeadLoss(model, args.fused_loss, chunk_size=args.fused_loss_chunk_size)
        self._device = device
        self._options = without_cache(model)
        self._unknown = unknown_inputs(model)

    def forward(self, batch: Batch) -> Tensor:
        """Summed loss of the labels in the batch."""
        inputs = {
            name: tensor.to(self._device, non_blocking=True)
            for name, tensor in batch.items()
            if name not in self._unknown
        }
        labels = inputs.pop("labels")
        with self.settings.active():
            if self.head_loss is not None:
                hidden = self.model.base_model(**inputs, **self._options).last_hidden_state
                return self.head_loss(hidden, labels)
            logits = self.model(**inputs, **self._options).logits
        return next_token_loss_sum(logits, labels)


class ForwardSettings:
    """What is in force while a model computes: autocast, the attention kernel, activations moved to host memory."""

    def __init__(self, args: TrainingArguments, device: torch.device) -> None:
        self._device = device
        self._dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None
        self._backends = [SDPA_BACKENDS[name] for name in args.sdpa_backends]
        self._offloads = args.activation_offloading

    @contextmanager
    def active(self) -> Iterator[None]:
        """Enter all of them."""
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(self._device.type, self._dtype) if self._dtype else nullcontext())
            if self._backends:
                stack.enter_context(sdpa_kernel(self._backends))
            if self._offloads and torch.is_grad_enabled():
                stack.enter_context(save_on_cpu(pin_memory=self._device.type == "cuda"))
            yield


def without_cache(model: nn.Module) -> dict[str, bool]:
    """The argument that keeps a model from filling a cache, if it has one.

    The cache would be thrown away, and hides from transformers' masks that documents are packed.
    """
    return {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}


def unknown_inputs(model: nn.Module) -> frozenset[str]:
    """What batches of packed documents hold and the model does not name: it tells documents by their positions."""
    return frozenset({"sequence_ids"} - inspect.signature(model.forward).parameters.keys())
