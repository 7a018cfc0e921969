"""A window of micro-batches to one optimizer step: backward, clipping, the step."""

from collections.abc import Callable

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fgc_runtime.data.windows import Window
from fgc_runtime.trainers.strategies import Strategy


class Stepper:
    """Owns optimizer and scheduler; the strategy owns the gradients."""

    def __init__(
        self, strategy: Strategy, optimizer: Optimizer, scheduler: LRScheduler, *, max_grad_norm: float | None
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.learning_rate = 0.0  # of the last step
        self.grad_norm: Tensor | None = None  # of the last step, before clipping
        self._strategy = strategy
        self._max_grad_norm = max_grad_norm

    def step(self, window: Window, num_label_tokens: int, before_step: Callable[[], None]) -> Tensor:
        """One optimizer step on the mean over `num_label_tokens`, the labels of all processes; returns the summed loss.

        `before_step` is called when gradients are complete and clipped.
        """
        loss_sum = self._strategy.backward(window, num_label_tokens)
        if self._max_grad_norm is not None:
            self.grad_norm = self._strategy.clip_grad_norm(self._max_grad_norm)
        before_step()
        self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum
