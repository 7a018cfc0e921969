"""Averages losses and time of the steps since the last log, without waiting for the accelerator in between.

`Meter` adds up; `Log` writes records.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.data.windows import Window
from fgc_runtime.distributed import World
from fgc_runtime.trainers.loop.nonfinite import FiniteWatch, NonFiniteLoss, StepOrigin, has_finite_weights
from fgc_runtime.trainers.loop.session import Session

_MOST_PENDING = 64  # steps whose losses are read at once


class _Step(NamedTuple):
    sums: Tensor  # of the loss, then of its other terms
    grad_norm: Tensor | None
    origin: StepOrigin
    window: Window


class Meter:
    """Steps record their loss as a tensor; `settle` reads them all at once and adds them up over all processes."""

    def __init__(self, world: World, state: TrainerState, term_names: Sequence[str] = ()) -> None:
        self._world = world
        self._names = tuple(term_names)
        self._state = state
        self._pending: list[_Step] = []
        self._newest: _Step | None = None
        self._watch = FiniteWatch()
        self._begin_s = self._lap_begin_s = time.perf_counter()
        self._lap_tokens = 0
        self._earlier_laps_s = 0.0
        self._is_paused = False
        self.num_tokens = 0
        self._num_unlabelled: int | None = 0  # None: it has been reported

    @property
    def age_s(self) -> float:
        """Returns the seconds since the first step could begin."""
        return time.perf_counter() - self._begin_s

    @property
    def running_s(self) -> float:
        """Returns the seconds spent in steps, without evaluations and saves; never 0."""
        return self._earlier_laps_s + self._lap_s

    @property
    def _lap_s(self) -> float:
        return max(1e-9, time.perf_counter() - self._lap_begin_s)

    @property
    def has_bad(self) -> bool:
        """Returns True if this process knows of a number that is not finite; then all processes must settle."""
        return self._watch.is_bad

    def record(self, sums: Tensor, num_label_tokens: int, window: Window, grad_norm: Tensor | None = None) -> None:
        """Records the step that just ended. Raises NonFiniteLoss if a step so far was not finite.

        `sums` has the loss and the other terms of this process, shape (terms); everything else is for all processes.
        """
        state = self._state
        first = state.examples_in_epoch - window.num_examples
        origin = StepOrigin(state.global_step, state.epoch, first, window.num_examples)
        self._newest = _Step(sums, grad_norm, origin, window)
        self._pending.append(self._newest)
        self._state.unlogged_tokens += num_label_tokens
        self._lap_tokens += num_label_tokens
        self.num_tokens += num_label_tokens
        if self._num_unlabelled is not None:
            self._num_unlabelled += window.num_unlabelled
        self._watch.see(*(number for number in (sums.sum(), grad_norm) if number is not None))
        if len(self._pending) >= _MOST_PENDING or (self.has_bad and self._world.size == 1):
            self.settle()

    def settle(self) -> None:
        """Moves pending losses to the state. Raises NonFiniteLoss with the first step that is not finite."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        self._watch = FiniteWatch()
        own = torch.stack([step.sums for step in pending])
        everyones = torch.tensor(self._world.sum_floats(own.flatten().tolist()), dtype=torch.float64).view(own.shape)
        nothing = torch.zeros((), device=own.device)
        norms = [nothing if step.grad_norm is None else step.grad_norm.float() for step in pending]
        for sums, norm, step in zip(everyones.tolist(), torch.stack(norms).tolist(), pending, strict=True):
            loss = sum(sums)
            if not math.isfinite(loss):
                raise NonFiniteLoss(f"the loss is {loss}", loss, step.origin, step.window)
            if not math.isfinite(norm):
                raise NonFiniteLoss(f"the gradient's norm is {norm}", loss, step.origin, step.window)
            self._state.unlogged_loss += sums[0]
            for name, value in zip(self._names, sums[1:], strict=True):
                self._state.unlogged_terms[name] = self._state.unlogged_terms.get(name, 0.0) + value

    def require_finite_weights(self, model: nn.Module) -> None:
        """Checks the weights before a save, on all processes. Raises NonFiniteLoss with the newest step."""
        if self._newest is None or has_finite_weights(model, self._world):
            return
        sums, _, origin, window = self._newest
        raise NonFiniteLoss("weights are not finite", sums[0].item(), origin, window)

    def take(self) -> dict[str, float]:
        """Returns mean loss per label token and throughput (tokens per second) since the last call."""
        self.settle()
        lap_s = self._lap_s
        num_tokens = max(1, self._state.unlogged_tokens)
        record = {
            "loss": self._state.unlogged_loss / num_tokens,
            **{name: value / num_tokens for name, value in self._state.unlogged_terms.items()},
            "tokens_per_second": self._lap_tokens / lap_s,
        }
        self._state.unlogged_loss, self._state.unlogged_terms, self._state.unlogged_tokens = 0.0, {}, 0
        self._lap_tokens, self._lap_begin_s = 0, time.perf_counter()
        self._earlier_laps_s += lap_s
        return record

    def take_unlabelled(self) -> int:
        """Returns the number of this process's examples without any label that counts; 0 after the first call."""
        found = self._num_unlabelled or 0
        if found:
            self._num_unlabelled = None
        return found

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Stops the clock in the body. Settles first, so that the time of running steps is counted."""
        if self._is_paused:  # a save that was asked for during an evaluation
            yield
            return
        self.settle()
        begin_s = time.perf_counter()
        self._is_paused = True
        yield
        self._is_paused = False
        self._lap_begin_s += time.perf_counter() - begin_s


class Log:
    """Writes the records of a training: means of the steps since the last one, metrics, totals."""

    def __init__(self, session: Session, meter: Meter) -> None:
        self.meter = meter
        self._session = session

    def training(self) -> None:
        """Writes the means since the last record. Raises ValueError if no label has counted so far."""
        session, stepper = self._session, self._session.stepper
        self.require_labels()
        record = self.meter.take()
        if stepper.grad_norm is not None:
            record["grad_norm"] = stepper.grad_norm.item()
        record["learning_rate"] = stepper.learning_rate
        session.tell(lambda callback: callback.on_record(session.run, record))
        self.write(record)

    def require_labels(self) -> None:
        """Raises ValueError if no label has counted so far; warns about examples without labels."""
        session, done = self._session, self._session.state.num_examples
        cut = "a conversation may be cut before its answer (max_length)"
        if session.state.num_tokens == 0:
            raise ValueError(f"labels: none of the labels of all {done} examples so far counts, all are -100: {cut}")
        unlabelled = self.meter.take_unlabelled()
        if unlabelled:
            of_process = "" if session.world.size == 1 else " of this process"
            session.warn(
                f"{unlabelled} examples{of_process}, of {done} in all, teach nothing: all their labels are -100; {cut}"
            )

    def write(self, record: Mapping[str, float]) -> None:
        """Stores a record with its step, and passes it to the callbacks."""
        session = self._session
        session.log_history.append({"step": session.state.global_step, **record})
        session.tell(lambda callback: callback.on_log(session.run, record))

    def totals(self, begin: TrainerState) -> dict[str, float]:
        """Returns the totals since `begin`, and speeds.

        The runtime includes evaluations and saves; the speeds do not.
        """
        meter, end = self.meter, self._session.state
        running_s, num_steps = meter.running_s, end.global_step - begin.global_step
        return {
            "train_runtime": meter.age_s,
            "train_steps": num_steps,
            "train_examples": end.num_examples - begin.num_examples,
            "train_tokens": meter.num_tokens,
            "train_steps_per_second": num_steps / running_s if num_steps else 0.0,
            "train_tokens_per_second": meter.num_tokens / running_s if num_steps else 0.0,
        }
