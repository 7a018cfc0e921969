"""A window of micro-batches to one optimizer step; also a batch to its loss, for training and evaluation alike."""

import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from transformers import PreTrainedModel

from fgc_runtime.data.collator import Batch
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.loss import next_token_loss_sum


class LossOfBatch:
    """Calls a model on a batch that lies anywhere; the labels stay outside, so that one loss serves every model."""

    def __init__(self, model: PreTrainedModel, device: torch.device, *, bf16: bool) -> None:
        self._device = device
        self._autocast = torch.autocast(device.type, torch.bfloat16, enabled=bf16)
        # a cache would be filled and thrown away, and hides from transformers' masks that documents are packed
        takes_use_cache = "use_cache" in inspect.signature(model.forward).parameters
        self._options = {"use_cache": False} if takes_use_cache else {}

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """Summed loss of the labels in the batch."""
        inputs = {name: tensor.to(self._device, non_blocking=True) for name, tensor in batch.items()}
        labels = inputs.pop("labels")
        with self._autocast:
            logits = model(**inputs, **self._options).logits
        return next_token_loss_sum(logits, labels)


class Stepper:
    """Owns the optimizer: backward through a window, clipping, the step."""

    def __init__(
        self,
        model: PreTrainedModel,
        optimizer: Optimizer,
        scheduler: LRScheduler,
        loss_of_batch: LossOfBatch,
        world: World,
        *,
        max_grad_norm: float | None,
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.learning_rate = 0.0  # of the last step
        self.grad_norm: Tensor | None = None  # of the last step, before clipping
        self._model = model if world.size == 1 else _parallel(model, world)
        self._parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
        self._loss_of_batch = loss_of_batch
        self._world = world
        self._max_grad_norm = max_grad_norm

    def step(self, window: Window, num_label_tokens: int, before_step: Callable[[], None]) -> Tensor:
        """One optimizer step on the mean over `num_label_tokens`, the labels of all processes; returns the summed loss.

        `before_step` is called when gradients are complete and clipped.
        """
        loss_sum = self._backward(window, num_label_tokens)
        if self._max_grad_norm is not None:
            self.grad_norm = nn.utils.clip_grad_norm_(self._parameters, self._max_grad_norm)
        before_step()
        self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum

    def _backward(self, window: Window, num_label_tokens: int) -> Tensor:
        scale = self._world.size / max(1, num_label_tokens)  # DistributedDataParallel takes the mean over processes
        loss_sum = torch.zeros((), device=self._world.device)
        for number, batch in enumerate(window.micro_batches, start=1):
            with self._exchange(number == len(window.micro_batches)):
                loss = self._loss_of_batch(self._model, batch)
                (loss * scale).backward()  # type: ignore[no-untyped-call]
            loss_sum += loss.detach()
        return loss_sum

    def _exchange(self, is_last: bool) -> AbstractContextManager[None]:
        """Gradients travel once per step, with the last micro-batch."""
        if is_last or not isinstance(self._model, DistributedDataParallel):
            return nullcontext()
        return self._model.no_sync()


def _parallel(model: PreTrainedModel, world: World) -> DistributedDataParallel:
    # exchanging buffers would make every forward wait, and processes may differ in how many they run
    is_new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
    no_buffers: dict[str, Any] = {"forward_sync_buffers" if is_new else "broadcast_buffers": False}  # renamed by torch
    return DistributedDataParallel(
        model,
        device_ids=[world.device.index] if world.device.type == "cuda" else None,
        gradient_as_bucket_view=True,
        **no_buffers,
    )
