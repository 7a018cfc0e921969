"""The whole model on every process, gradients averaged once per step."""

import inspect
from typing import Any

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.training_loss import TrainingLoss
from fgc_runtime.trainers.strategies.base import Strategy


class DDP(Strategy):
    """torch's DistributedDataParallel: gradients are exchanged during the last micro-batch's backward.

    `find_unused_parameters` is for models that leave some parameters out of some batches; it costs a walk through the
    graph per step. On one process this is SingleDevice.
    """

    def __init__(self, *, find_unused_parameters: bool = False, bucket_cap_mb: int = 25) -> None:
        self.find_unused_parameters = find_unused_parameters
        self.bucket_cap_mb = bucket_cap_mb
        self._replica: DistributedDataParallel | None = None

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Moves the model to the device; replicas are made when training begins."""
        super().prepare(model, loss, args, world)
        self.refuse_in_backward(args, "processes exchange gradients after they are complete; FSDP2 can")

    def backward(self, window: Window, divisor: float) -> Tensor:
        """Computes gradients of this process's micro-batches, averaged over processes during the last one."""
        if self.world.size == 1:
            return self._accumulate(self.objective, window.micro_batches, 1 / divisor)
        replica = self._replica = self._replica or self._parallel()
        scale = self.world.size / divisor  # DistributedDataParallel takes the mean over processes
        with replica.no_sync():
            loss_sum = self._accumulate(replica, window.micro_batches[:-1], scale)
        return loss_sum + self._accumulate(replica, window.micro_batches[-1:], scale)

    def rehearse(self, window: Window, divisor: float) -> Tensor:
        """Runs backward as on one device, with the gradient buckets that several processes keep from step to step."""
        if self.world.size > 1:
            for parameter in self._trainable():
                parameter.grad = torch.zeros_like(parameter)
        return super().rehearse(window, divisor)

    def end(self) -> None:
        """Drops the replica, which must not outlive the process group."""
        self._replica = None

    def _parallel(self) -> DistributedDataParallel:
        # exchanging buffers would make every forward wait, and processes may run different numbers of them
        is_new = "forward_sync_buffers" in inspect.signature(DistributedDataParallel).parameters
        no_buffers: dict[str, Any] = {"forward_sync_buffers" if is_new else "broadcast_buffers": False}
        return DistributedDataParallel(
            self.objective,
            gradient_as_bucket_view=True,
            find_unused_parameters=self.find_unused_parameters,
            bucket_cap_mb=self.bucket_cap_mb,
            **no_buffers,
        )
