"""Losses and time of the steps since the last log to one record, without making the accelerator wait in between."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.nonfinite import NonFiniteLoss, StepOrigin

_MOST_PENDING = 64  # steps; a loss that is not a number is noticed after at most as many


class Meter:
    """Steps record their loss as a tensor; `settle` reads them all at once and adds them up over all processes."""

    def __init__(self, world: World, state: TrainerState) -> None:
        self._world = world
        self._state = state
        self._pending: list[tuple[Tensor, StepOrigin, Window]] = []
        self._begin_s = self._lap_begin_s = time.perf_counter()
        self._lap_tokens = 0
        self._earlier_laps_s = 0.0
        self._is_paused = False
        self.num_tokens = 0

    @property
    def age_s(self) -> float:
        """Seconds since the first step could begin."""
        return time.perf_counter() - self._begin_s

    @property
    def running_s(self) -> float:
        """Seconds spent in steps, without evaluations and saves; never 0."""
        return self._earlier_laps_s + self._lap_s

    @property
    def _lap_s(self) -> float:
        return max(1e-9, time.perf_counter() - self._lap_begin_s)

    def record(self, loss_sum: Tensor, num_label_tokens: int, window: Window) -> None:
        """Take note of the step that just ended; the sum is this process's, the tokens are all processes'."""
        state = self._state
        first = state.examples_in_epoch - window.num_examples
        origin = StepOrigin(state.global_step, state.epoch, first, window.num_examples)
        self._pending.append((loss_sum, origin, window))
        self._state.unlogged_tokens += num_label_tokens
        self._lap_tokens += num_label_tokens
        self.num_tokens += num_label_tokens
        if len(self._pending) >= _MOST_PENDING:
            self.settle()

    def settle(self) -> None:
        """Move pending losses to the state. Raises NonFiniteLoss, naming step and batch, if one is not finite."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        losses = self._world.sum_floats(torch.stack([loss for loss, _, _ in pending]).tolist())
        for loss, (_, origin, window) in zip(losses, pending, strict=True):
            if not math.isfinite(loss):
                raise NonFiniteLoss(loss, origin, window)
            self._state.unlogged_loss += loss

    def take(self) -> dict[str, float]:
        """Mean loss per label token and throughput since the last call; begins anew."""
        self.settle()
        lap_s = self._lap_s
        record = {
            "loss": self._state.unlogged_loss / max(1, self._state.unlogged_tokens),
            "tokens_per_second": self._lap_tokens / lap_s,
        }
        self._state.unlogged_loss, self._state.unlogged_tokens = 0.0, 0
        self._lap_tokens, self._lap_begin_s = 0, time.perf_counter()
        self._earlier_laps_s += lap_s
        return record

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time spent in the body counts nowhere. Settles first, so that steps still running count as steps."""
        if self._is_paused:  # a save that was asked for during an evaluation
            yield
            return
        self.settle()
        begin_s = time.perf_counter()
        self._is_paused = True
        yield
        self._is_paused = False
        self._lap_begin_s += time.perf_counter() - begin_s
