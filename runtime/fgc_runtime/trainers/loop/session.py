"""The state of one call of `train`, shared by the loop and the objects beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from fgc_runtime.callbacks import TrainerCallback, TrainerState, TrainingRun
from fgc_runtime.callbacks.base import Phase
from fgc_runtime.distributed import World
from fgc_runtime.output import say
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints.fingerprint import Fingerprint
from fgc_runtime.trainers.loop.stepper import Stepper
from fgc_runtime.trainers.strategies import Strategy


@dataclass(slots=True)
class Session:
    """One call of `train`."""

    args: TrainingArguments  # with intervals that were changed during the run
    run: TrainingRun  # what callbacks see
    strategy: Strategy
    stepper: Stepper
    callbacks: Sequence[TrainerCallback]
    fingerprint: Fingerprint
    metrics: dict[str, float]  # of the newest evaluation
    log_history: list[dict[str, float]]
    model_step: int | None = None  # of weights that replaced the last ones
    why_ended: str | None = None  # reason, if the run was told to end early

    @property
    def state(self) -> TrainerState:
        """Returns the counters and history of the run."""
        return self.run.state

    @property
    def world(self) -> World:
        """Returns the processes of the run."""
        return self.strategy.world

    @property
    def position(self) -> str:
        """Returns the step and the last one, as `step 3 of 10`."""
        return f"step {self.state.global_step} of {self.run.max_steps}"

    def tell(self, event: Callable[[TrainerCallback], None]) -> None:
        """Calls an event of every callback, in their order."""
        for callback in self.callbacks:
            event(callback)

    def say(self, text: str) -> None:
        """Prints a line, once."""
        if self.world.is_main:
            say(text)

    def warn(self, text: str) -> None:
        """Prints a warning, once."""
        if self.world.is_main:
            say(f"warning: {text}", is_warning=True)

    @contextmanager
    def phase(self, name: Phase) -> Iterator[None]:
        """Sets the phase that the run reports to others in the body."""
        before, self.run.phase = self.run.phase, name
        yield
        self.run.phase = before
