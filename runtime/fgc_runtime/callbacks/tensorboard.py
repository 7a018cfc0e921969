"""Log records to TensorBoard scalars in the run's logging folder."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
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

        self._writer = SummaryWriter(str(run.logging_dir))
        self._writer.add_text("arguments", _as_markdown(run.arguments))

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Add every number of the record, zeros included."""
        if self._writer is None:
            return
        for key, value in logs.items():
            self._writer.add_scalar(_tag(key), value, run.state.global_step)

    def on_train_end(self, run: TrainingRun) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None


def _tag(key: str) -> str:
    for prefix, group in _GROUPS.items():
        if key.startswith(prefix):
            return group + key.removeprefix(prefix)
    return "eval/perplexity" if key == "perplexity" else f"train/{key}"


def _as_markdown(arguments: Mapping[str, object]) -> str:
    return "\n".join(["| argument | value |", "|---|---|", *(f"| {k} | {v} |" for k, v in arguments.items())])
