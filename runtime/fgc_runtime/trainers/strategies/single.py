"""One process, one device."""

from torch import Tensor
from transformers import PreTrainedModel

from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.losses.training_loss import TrainingLoss
from fgc_runtime.trainers.strategies.base import Strategy


class SingleDevice(Strategy):
    """The whole model on the only process."""

    def prepare(self, model: PreTrainedModel, loss: TrainingLoss, args: TrainingArguments, world: World) -> None:
        """Put the model on the device."""
        if world.size > 1:
            raise ValueError(f"SingleDevice trains on one process, not on {world.size}: use DDP, FSDP2 or Pipeline")
        super().prepare(model, loss, args, world)

    def backward(self, window: Window, divisor: float) -> Tensor:
        """Gradients of all micro-batches, added up."""
        return self._accumulate(self.objective, window.micro_batches, 1 / divisor)
