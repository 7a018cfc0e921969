"""The state of one call of `train`: the loop and the objects beside it share one session."""

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

    args: TrainingArguments  # with the intervals that were changed meanwhile
    run: TrainingRun  # what callbacks see
    strategy: Strategy
    stepper: Stepper
    callbacks: Sequence[TrainerCallback]
    fingerprint: Fingerprint
    metrics: dict[str, float]  # of the newest evaluation
    log_history: list[dict[str, float]]
    model_step: int | None = None  # of weights that were put in place of the last ones
    why_ended: str | None = None  # of a run that was told to end before its last step

    @property
    def state(self) -> TrainerState:
        """Returns where the run stands."""
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
        """Says what the run does in the body, for those who ask."""
        before, self.run.phase = self.run.phase, name
        yield
        self.run.phase = before
