"""Log records to TensorBoard scalars in the run's logging folder.

A file that can no longer be written, as on a full disk, ends its scalars and not the training.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.full_disk import reason_of
from fgc_runtime.output import say

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

_GROUPS = {"eval_": "eval/", "train_": "total/"}


class TensorBoardCallback(TrainerCallback):
    """Scalars `train/loss`, `train/learning_rate`, ..., `eval/loss`, against the step; totals under `total/`."""

    def __init__(self) -> None:
        self._writer: SummaryWriter | None = None

    def on_train_begin(self, run: TrainingRun) -> None:
        """Open an event file; where TensorBoard is not installed, say so and train on."""
        if not run.is_main:
            return
        try:
            from torch.utils.tensorboard import SummaryWriter  # 1 s, and an optional dependency
        except ImportError:
            say("TensorBoard is not installed, so nothing is written for it: pip install tensorboard")
            return

        with self._unless_it_fails("it gets no scalars"):
            self._writer = SummaryWriter(str(run.logging_dir))
            self._writer.add_text("arguments", _as_markdown(run.arguments))

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Add every number of the record, zeros included."""
        step = run.state.global_step
        with self._unless_it_fails(f"its scalars end before step {step}") as writer:
            if writer is not None:
                for key, value in logs.items():
                    writer.add_scalar(tag_of(key), value, step)

    def on_train_end(self, run: TrainingRun) -> None:
        """Close the event file."""
        with self._unless_it_fails("its last scalars are lost") as writer:
            if writer is not None:
                writer.close()
        self._writer = None

    @contextmanager
    def _unless_it_fails(self, consequence: str) -> Iterator["SummaryWriter | None"]:
        """Says it where the body fails, and writes nothing more: TensorBoard's thread has ended with the error."""
        try:
            yield self._writer
        except OSError as error:  # raised by the next call, too, after one that TensorBoard's thread met
            self._writer = None
            say(f"warning: TensorBoard's file cannot be written: {reason_of(error)}; {consequence}", is_warning=True)


def tag_of(key: str) -> str:
    """Returns the name of a number with its group: `train/loss`, `eval/loss`, `total/tokens`."""
    for prefix, group in _GROUPS.items():
        if key.startswith(prefix):
            return group + key.removeprefix(prefix)
    return "eval/perplexity" if key == "perplexity" else f"train/{key}"


def _as_markdown(arguments: Mapping[str, object]) -> str:
    return "\n".join(["| argument | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in arguments.items())])
