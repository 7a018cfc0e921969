"""Computes gradients from a window of micro-batches, and makes one step of optimizer and schedule."""

import copy
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.hooks import RemovableHandle

from fgc_runtime.data.windows import Window
from fgc_runtime.optim import Hybrid
from fgc_runtime.optim.rule import UpdateRule, numbered
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.strategies import Strategy

_GROWTH, _BACKOFF, _SMALLEST = 2.0, 0.5, 2.0**-14  # of the loss scale: the constants of torch's GradScaler


class Stepper:
    """Owns optimizer, scheduler and loss scale; the strategy owns the gradients.

    Per step the loop calls `backward`, `clip`, `update` if that returns True, and `end`. A checkpoint of a float16 run
    keeps `loss_scale` too, a dataclass of numbers.
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

    def backward(self, window: Window, num_label_tokens: int) -> Tensor:
        """Computes gradients of the mean over `num_label_tokens`, the labels of all processes; returns summed losses.

        With `optimizer_in_backward` each parameter steps here, as soon as its gradient is complete.
        """
        self.learning_rate = float(self.optimizer.param_groups[0]["lr"])
        with self._in_backward or nullcontext(), torch.autograd.set_detect_anomaly(self._detects_anomaly):
            return self._strategy.backward(window, max(1, num_label_tokens) / self._scale)

    def clip(self) -> bool:
        """Unscales and clips the gradients of the whole model. Returns True if the optimizer should step.

        It should not if it has stepped during backward, or if float16 gradients overflowed.
        """
        if self._in_backward is not None:
            return False
        if self.loss_scale is not None:
            torch._foreach_mul_(self._strategy.gradients(), 1 / self._scale)
        if self._max_grad_norm is not None:
            self.grad_norm = self._strategy.clip_grad_norm(self._max_grad_norm)
        return self.loss_scale is None or self._has_no_overflow(self.loss_scale)

    def update(self) -> None:
        """Steps the optimizer."""
        self.optimizer.step()

    def end(self) -> None:
        """Sets the learning rate of the next step, and drops the gradients."""
        self.skip_rates(1)
        self.optimizer.zero_grad(set_to_none=True)

    def skip_rates(self, num_steps: int) -> None:
        """Advances the scheduler by a number of steps without training."""
        self.optimizer._opt_called = True  # type: ignore[attr-defined]  # else the scheduler warns of steps left out
        for _ in range(num_steps):
            self.scheduler.step()

    @property
    def watched_norm(self) -> Tensor | None:
        """Returns the norm that must be finite; None in float16, where a step that is not finite is skipped."""
        return self.grad_norm if self.loss_scale is None else None

    @property
    def _scale(self) -> float:
        return self.loss_scale.value if self.loss_scale is not None else 1.0

    def _has_no_overflow(self, loss_scale: "LossScale") -> bool:
        norm = self.grad_norm if self.grad_norm is not None else self._strategy.grad_norm()
        is_finite = bool(norm.isfinite())
        loss_scale.update(is_finite=is_finite)
        return is_finite


@dataclass(slots=True)
class LossScale:
    """A factor on the loss that keeps float16 gradients in range.

    Halved when they overflow, doubled after `growth_interval` steps without:
    Micikevicius et al. 2018 (arXiv:1710.03740, section 3.2). It follows the norm over all processes, so that all of
    them agree in every parallel strategy.
    """

    value: float = 2.0**16
    growth_interval: int = 2000
    num_good_steps: int = 0

    def update(self, *, is_finite: bool) -> None:
        """Updates the scale after a step. Raises FloatingPointError if the smallest scale still overflows."""
        if not is_finite:
            self.value *= _BACKOFF
            self.num_good_steps = 0
            if self.value < _SMALLEST:
                raise FloatingPointError(
                    "gradients overflow float16 at every loss scale: the loss itself is not a number, or use bf16"
                )
            return
        self.num_good_steps += 1
        if self.num_good_steps == self.growth_interval:
            self.value *= _GROWTH
            self.num_good_steps = 0


class InBackward:
    """While entered, updates each parameter as soon as its gradient is complete, and drops the gradient.

    Each parameter has a copy of the optimizer with only this parameter, which shares all state. The work therefore
    stays proportional to the parameters, and learning rates and state dictionaries are those of the whole optimizer.
    For a `Hybrid`, the copy is of the part that owns the parameter.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._handles: list[RemovableHandle] = []

    def __enter__(self) -> "InBackward":
        parts = self._optimizer.optimizers if isinstance(self._optimizer, Hybrid) else [self._optimizer]
        self._handles = [
            parameter.register_post_accumulate_grad_hook(_hook(part, number))
            for part in parts
            for number, group in enumerate(part.param_groups)
            for parameter in group["params"]
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()


def _hook(optimizer: Optimizer, group_number: int):  # type: ignore[no-untyped-def]  # torch types the hook
    view = copy.copy(optimizer)
    view.__dict__.pop("step", None)  # a scheduler counts the calls of the whole optimizer by replacing it
    assert view.state is optimizer.state, "the copy is shallow"
    if isinstance(view, UpdateRule):
        view.numbers = numbered(optimizer)  # the copy sees one parameter, and would count it as the first

    def step(parameter: nn.Parameter) -> None:
        view.param_groups = [{**optimizer.param_groups[group_number], "params": [parameter]}]
        view.step()
        parameter.grad = None

    return step
