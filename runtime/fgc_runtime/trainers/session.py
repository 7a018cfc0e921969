"""One call of `train`: what it works with, where it began, and its totals."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from fgc_runtime.callbacks import TrainerState, TrainingRun
from fgc_runtime.callbacks.base import Phase
from fgc_runtime.trainers.fingerprint import Fingerprint
from fgc_runtime.trainers.interrupts import Interrupts
from fgc_runtime.trainers.meter import Meter
from fgc_runtime.trainers.stepper import Stepper


class Session(NamedTuple):
    """One call of `train`."""

    run: TrainingRun
    stepper: Stepper
    meter: Meter
    begin: TrainerState
    interrupts: Interrupts
    fingerprint: Fingerprint

    def totals(self, end: TrainerState) -> dict[str, float]:
        """Returns what this call did, and how fast; evaluations and saves count for the runtime, not for the speeds."""
        running_s = self.meter.running_s
        num_steps = end.global_step - self.begin.global_step
        return {
            "train_runtime": self.meter.age_s,
            "train_steps": num_steps,
            "train_examples": end.num_examples - self.begin.num_examples,
            "train_tokens": self.meter.num_tokens,
            "train_steps_per_second": num_steps / running_s if num_steps else 0.0,
            "train_tokens_per_second": self.meter.num_tokens / running_s if num_steps else 0.0,
        }


@contextmanager
def phase(run: TrainingRun, name: Phase) -> Iterator[None]:
    """Says what the run does in the body, for those who ask."""
    before, run.phase = run.phase, name
    yield
    run.phase = before
