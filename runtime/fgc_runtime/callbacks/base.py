"""The events of a training run and what a callback sees of it.

Callbacks run on every process, in the order they were given; what prints or writes asks `run.is_main` first. A callback
that fails ends the run: nothing is swallowed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from fgc_runtime.distributed import World

Logs = Mapping[str, float]
Phase = Literal["training", "evaluating", "saving"]


@dataclass(slots=True)
class TrainerState:
    """Says where a run stands. Saved with each checkpoint; every number counts all processes."""

    global_step: int = 0  # optimizer steps
    num_micro_batches: int = 0
    num_examples: int = 0
    num_tokens: int = 0  # label tokens: those that the loss counted
    epoch: int = 0
    examples_in_epoch: int = 0
    num_train_examples: int | None = None  # of one epoch; None where the data set does not say
    unlogged_loss: float = 0.0  # summed since the last log, so that a resumed run logs the same mean
    unlogged_terms: dict[str, float] = field(default_factory=dict)  # the same of the loss's other terms, by name
    unlogged_tokens: int = 0
    seed: int = 0
    stream: dict[str, Any] | None = None  # where in its data a run stands whose data set says so itself
    best_metric: float | None = None  # of the evaluations so far, where a metric_for_best_model is given
    best_step: int | None = None
    evaluated_step: int | None = None  # of the newest evaluation that came to its end
    is_evaluation_due: bool = False  # one has begun and did not end: it comes before the next step

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> "TrainerState":
        """The state that a checkpoint's JSON holds."""
        return cls(**record)  # type: ignore[arg-type]  # asdict wrote it

    @property
    def epochs_done(self) -> float:
        """Passes over the data, with the part of the current one; whole passes only where there is no length."""
        return self.epoch + (self.examples_in_epoch / self.num_train_examples if self.num_train_examples else 0.0)


@dataclass(slots=True)
class TrainerControl:
    """Holds what callbacks ask of the loop. It answers before its next step, on all processes if one of them asked."""

    should_stop: bool = False  # end as after the last step, without a further evaluation
    reason: str = "it was told to"  # why the run stops before its last step, in a few words
    should_save: bool = False
    should_evaluate: bool = False
    should_pause: bool = False  # write a checkpoint and leave: to go on later
    should_abort: bool = False  # leave, and write nothing more
    intervals: dict[str, int] = field(default_factory=dict)  # arguments to change, on the main process
    intervals_problem: str | None = None  # the reason why those of the last time stay as they were


@dataclass(slots=True)
class TrainingRun:
    """A run as callbacks see it."""

    state: TrainerState
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    max_steps: int
    output_dir: Path
    logging_dir: Path
    world: World
    arguments: Mapping[str, object]
    num_parameters: int = 0  # of the whole model, however many processes share it
    is_model_whole: bool = True  # whether `model` has all its weights here, and can be called by one process alone
    # False for a weight that another stage counts
    counts: Callable[[nn.Parameter], bool] = lambda _: True
    # the sum of a tensor of numbers, of any shape, over all stages of a pipeline; every process calls it
    add_stages: Callable[[Tensor], Tensor] = lambda numbers: numbers
    control: TrainerControl = field(default_factory=TrainerControl)
    phase: Phase = "training"
    links: dict[str, str] = field(default_factory=dict)  # where loggers show the run, by their names
    is_step_logged: bool = False  # the step that is being made ends with a record

    @property
    def is_main(self) -> bool:
        """Returns True if this process prints, logs and saves."""
        return self.world.is_main

    @property
    def world_size(self) -> int:
        """Returns how many processes train together."""
        return self.world.size


class TrainerCallback:
    """Does nothing at every event; override what you need.

    A callback that remembers something over steps gives it out with `state_dict` and takes it back with
    `load_state_dict`: checkpoints keep it, so that a resumed run decides what an uninterrupted one would have decided.
    """

    def state_dict(self) -> dict[str, object]:
        """Returns what a checkpoint keeps: numbers, strings, lists, dictionaries of these, tensors. Empty: nothing."""
        return {}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Go on from what `state_dict` gave; called after construction, before `on_train_begin`."""

    def on_train_begin(self, run: TrainingRun) -> None:
        """The model is in place and a checkpoint, if any, is loaded; no step has run."""

    def on_poll(self, run: TrainingRun) -> None:
        """Between any two steps and any two batches of an evaluation: the moment to pass on requests from outside."""

    def on_pre_optimizer_step(self, run: TrainingRun) -> None:
        """Gradients are complete and clipped; the weights are still the old ones."""

    def on_step_end(self, run: TrainingRun) -> None:
        """The optimizer has stepped and the counters are up to date."""

    def on_record(self, run: TrainingRun, record: dict[str, float]) -> None:
        """A record of training is about to be logged: add numbers to it."""

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Means since the last log, or the metrics of an evaluation, or the totals at the end."""

    def on_evaluate(self, run: TrainingRun, metrics: Logs) -> None:
        """An evaluation inside training is done; its metrics have been logged."""

    def on_save(self, run: TrainingRun, folder: Path) -> None:
        """A checkpoint lies complete in `folder`; where it is written beside the training, some steps later."""

    def on_save_failed(self, run: TrainingRun, folder: Path, problem: str) -> None:
        """A checkpoint could not be written, and training goes on (`save_failure`)."""

    def on_train_end(self, run: TrainingRun) -> None:
        """The last event of a run, however it ended."""
