"""Training with replicas made by Hugging Face accelerate, on machines described by `accelerate config`."""

import warnings
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.packages import require_package
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.training_loss import TrainingLoss
from fgc_runtime.trainers.strategies.base import Strategy


class Accelerate(Strategy):
    """Replicas wrapped by `accelerate.Accelerator`; loop, loss, schedule and mixed precision are the trainer's.

    Gradients are therefore exchanged once per step, the loss is not divided twice by the accumulation, and the learning
    rate depends on optimizer steps, not on the number of processes. For sharded models use FSDP2.
    """

    def __init__(self, *, find_unused_parameters: bool = False) -> None:
        self.find_unused_parameters = find_unused_parameters
        self._accelerator: Any = None
        self._replica: Any = None

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Moves the model to the device; replicas are made when training begins."""
        require_package("accelerate", "the strategy Accelerate", otherwise="the strategy DDP needs none")
        super().prepare(model, loss, args, world)
        self.refuse_in_backward(args, "processes exchange gradients after they are complete; FSDP2 can")

    def backward(self, window: Window, divisor: float) -> Tensor:
        """Computes gradients of this process's micro-batches, averaged over processes during the last one."""
        if self._replica is None:
            self._connect()
        scale = self.world.size / divisor  # replicas take the mean over processes
        with self._accelerator.no_sync(self._replica):
            loss_sum = self._accumulate(self._replica, window.micro_batches[:-1], scale)
        return loss_sum + self._accumulate(self._replica, window.micro_batches[-1:], scale)

    def end(self) -> None:
        """Drops the replica, which must not outlive the process group."""
        if self._accelerator is not None:
            self._accelerator.free_memory(self._replica)
        self._accelerator = self._replica = None

    def _connect(self) -> None:
        from accelerate import Accelerator
        from accelerate.utils import DistributedDataParallelKwargs, DistributedType

        options = DistributedDataParallelKwargs(
            broadcast_buffers=False,  # exchanging them would make every forward wait
            gradient_as_bucket_view=True,
            find_unused_parameters=self.find_unused_parameters,
        )
        accelerator: Any = Accelerator(
            cpu=self.world.device.type == "cpu", mixed_precision="no", kwargs_handlers=[options]
        )
        replicas = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)
        if accelerator.distributed_type not in replicas:
            raise ValueError(
                f"accelerate is configured for {accelerator.distributed_type.value}, the strategy Accelerate makes "
                "replicas; for sharded models use FSDP2"
            )
        if accelerator.num_processes != self.world.size:
            raise RuntimeError(
                f"accelerate sees {accelerator.num_processes} processes, there are {self.world.size}: start the "
                "program with torchrun, accelerate launch or `fgc train`"
            )
        self._accelerator = accelerator
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`broadcast_buffers` is deprecated")  # accelerate knows no other name
            self._replica = accelerator.prepare_model(self.objective, device_placement=False)
