"""Combines a model and a loss into one module that takes a batch and returns the summed terms of the loss."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.graph import save_on_cpu
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from fgc_runtime.data.collator import Batch
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.inputs import unknown_inputs, without_cache
from fgc_runtime.trainers.losses.training_loss import TrainingLoss

SDPA_BACKENDS = {
    "math": SDPBackend.MATH,
    "flash": SDPBackend.FLASH_ATTENTION,
    "efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cudnn": SDPBackend.CUDNN_ATTENTION,
}


class Objective(nn.Module):
    """Calls a model on a batch, on any device, without its labels, and then the loss.

    It is a module so that parallel wrappers enclose model and loss, and no logits leave them.
    """

    def __init__(
        self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, device: torch.device
    ) -> None:
        super().__init__()
        if args.fused_loss != "no" and not loss.serves_fused_loss:
            raise ValueError(
                f"fused_loss ({args.fused_loss!r}) must be 'no' with {type(loss).__name__}: it computes the cross "
                "entropy of the next token, and nothing else"
            )
        self.model = model
        self.settings = ForwardSettings(args, device)
        self._loss = loss
        self._device = device
        self._options = without_cache(model)
        self._unknown = unknown_inputs(model)

    def forward(self, batch: Batch) -> Tensor:
        """Returns sums over the labels of the batch, shape (terms): the loss itself, then its other terms."""
        inputs = {
            name: tensor.to(self._device, non_blocking=True)
            for name, tensor in batch.items()
            if name not in self._unknown
        }
        labels = inputs.pop("labels")
        with self.settings.active():
            terms = self._loss(self.model, {**inputs, **self._options}, labels)
        # no view of the loss: FSDP2 warns of one
        return torch.stack([terms.loss_sum, *(terms.others[name].float() for name in self._loss.weights)])

    @property
    def num_terms(self) -> int:
        """Returns the number of terms, including the loss itself."""
        return 1 + len(self._loss.weights)

    def total(self, sums: Tensor) -> Tensor:
        """Returns the loss to minimise, from the sums that `forward` returns."""
        if not self._loss.weights:
            return sums  # one number
        total = sums[0] if self._loss.own_weight == 1 else self._loss.own_weight * sums[0]
        for number, weight in enumerate(self._loss.weights.values(), start=1):
            total = total + weight * sums[number]
        return total


class ForwardSettings:
    """The contexts in which a model computes: autocast, the attention kernel, activations in host memory."""

    def __init__(self, args: TrainingArguments, device: torch.device) -> None:
        self._device = device
        self._dtype = torch.bfloat16 if args.bf16 else torch.float16 if args.fp16 else None
        self._backends = [SDPA_BACKENDS[name] for name in args.sdpa_backends]
        self._offloads = args.activation_offloading

    @contextmanager
    def active(self) -> Iterator[None]:
        """Enters all of them."""
        with ExitStack() as stack:
            stack.enter_context(torch.autocast(self._device.type, self._dtype) if self._dtype else nullcontext())
            if self._backends:
                stack.enter_context(sdpa_kernel(self._backends))
            if self._offloads and torch.is_grad_enabled():
                stack.enter_context(save_on_cpu(pin_memory=self._device.type == "cuda"))
            yield
