"""A window of micro-batches to one optimizer step: backward, clipping, the step."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fgc_runtime.data.windows import Window
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.in_backward import InBackward
from fgc_runtime.trainers.loss_scale import LossScale
from fgc_runtime.trainers.strategies import Strategy


class Stepper:
    """Owns optimizer, scheduler and loss scale; the strategy owns the gradients.

    A checkpoint of a float16 run keeps `loss_scale` too, a dataclass of numbers.
    """

    def __init__(
        self, strategy: Strategy, optimizer: Optimizer, scheduler: LRScheduler, args: TrainingArguments
    ) -> None:
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.loss_scale = LossScale() if args.fp16 else None
        self.learning_rate = 0.0  # of the last step
        self.grad_norm: Tensor | None = None  # of the last step, before clipping
        self._strategy = strategy
        self._max_grad_norm = args.max_grad_norm
        self._in_backward = InBackward(optimizer) if args.optimizer_in_backward else None
        self._detects_anomaly = args.detect_anomaly

    def step(self, window: Window, num_label_tokens: int, before_step: Callable[[], None]) -> Tensor:
        """One optimizer step on the mean over `num_label_tokens`, the labels of all processes; returns the summed loss.

        `before_step` is called when gradients are complete and clipped; with `optimizer_in_backward` they never are all
        there, and it is not called. A float16 step whose gradients overflow leaves the weights as they were.
        """
        self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        scale = self.loss_scale.value if self.loss_scale is not None else 1.0
        with self._in_backward or nullcontext(), torch.autograd.set_detect_anomaly(self._detects_anomaly):
            loss_sum = self._strategy.backward(window, max(1, num_label_tokens) / scale)
        if self._in_backward is None and self._has_good_gradients(scale):
            before_step()
            self.optimizer.step()
        self.optimizer._opt_called = True  # type: ignore[attr-defined]  # else the scheduler warns of steps left out
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss_sum

    def skip_rates(self, num_steps: int) -> None:
        """Let the scheduler set the rates that it would set after this number of further steps."""
        self.optimizer._opt_called = True  # type: ignore[attr-defined]  # else it warns
        for _ in range(num_steps):
            self.scheduler.step()

    @property
    def watched_norm(self) -> Tensor | None:
        """The norm that must be finite: not a float16 step's, which is left out where it is not."""
        return self.grad_norm if self.loss_scale is None else None

    def _has_good_gradients(self, scale: float) -> bool:
        """Gradients unscaled and clipped; False where the step must be left out."""
        if self.loss_scale is not None:
            torch._foreach_mul_(self._strategy.gradients(), 1 / scale)
        if self._max_grad_norm is not None:
            self.grad_norm = self._strategy.clip_grad_norm(self._max_grad_norm)
        if self.loss_scale is None:
            return True
        norm = self.grad_norm if self.grad_norm is not None else self._strategy.grad_norm()
        is_finite = bool(norm.isfinite())
        self.loss_scale.update(is_finite=is_finite)
        return is_finite
