"""Progress for people: a bar on a terminal, a line per log record elsewhere."""

import sys
import time
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.output import say, when_heard

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

_REFRESHES_PER_S = 4  # a bar that is drawn more often costs a visible part of a small model's step


class ProgressCallback(TrainerCallback):
    """Loss, learning rate, tokens per second and the time left: a line for each record, a bar below on a terminal.

    `use_bar` None means: where standard output is a terminal.
    """

    def __init__(self, *, use_bar: bool | None = None) -> None:
        self.use_bar = use_bar
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._begin_s = 0.0
        self._begin_step = 0

    def on_train_begin(self, run: TrainingRun) -> None:
        """Say what will be trained, and start the bar."""
        if not run.is_main:
            return
        self._begin_s, self._begin_step = time.monotonic(), run.state.global_step
        self._print(_headline(run))
        if self.use_bar if self.use_bar is not None else sys.stdout.isatty():
            self._progress = _bar()
            when_heard(self._progress.start)
            self._task = self._progress.add_task("", total=run.max_steps, completed=run.state.global_step)

    def on_step_end(self, run: TrainingRun) -> None:
        """Move the bar."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=run.state.global_step)

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Show the record as a line, and the loss in the bar."""
        if not run.is_main:
            return
        if self._progress is not None and self._task is not None and "loss" in logs:
            self._progress.update(self._task, description=readable({"loss": logs["loss"]}))
        left = "" if self._progress is not None else self._time_left(run)  # the bar has it
        self._print(f"{_position(run)}  {readable(logs)}{left}")

    def on_save(self, run: TrainingRun, folder: Path) -> None:
        """Say where the checkpoint is."""
        if run.is_main:
            self._print(f"{_position(run)}  saved {folder}")

    def on_train_end(self, run: TrainingRun) -> None:
        """Leave the bar as it stands."""
        if self._progress is not None:
            when_heard(self._progress.stop)
            self._progress = None

    def _print(self, text: str) -> None:
        if self._progress is not None:
            show = partial(self._progress.console.print, text, highlight=False, markup=False)
            when_heard(show)
            return
        say(text)

    def _time_left(self, run: TrainingRun) -> str:
        steps = run.state.global_step - self._begin_step
        if steps <= 0 or run.state.global_step >= run.max_steps:
            return ""
        seconds = (time.monotonic() - self._begin_s) / steps * (run.max_steps - run.state.global_step)
        return f"  {timedelta(seconds=round(seconds))} left"


def _bar() -> "Progress":
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    whole = Column(no_wrap=True, overflow="ignore")  # a narrow terminal cuts the bar, then the loss
    return Progress(
        MofNCompleteColumn(table_column=whole),
        TimeRemainingColumn(table_column=whole.copy()),
        TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis")),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        refresh_per_second=_REFRESHES_PER_S,
        expand=True,
    )


def _headline(run: TrainingRun) -> str:
    processes = f" on {run.world_size} processes" if run.world_size > 1 else ""
    goal = f"steps {run.state.global_step} to {run.max_steps}" if run.state.global_step else f"{run.max_steps} steps"
    return f"Training {_size(run)} parameters for {goal}{processes}, logs in {run.logging_dir}"


def _size(run: TrainingRun) -> str:
    """Returns how many weights there are, and how many of them are trained where some stay as they are."""
    weights = list(run.model.parameters()) if run.is_model_whole else []
    if all(weight.requires_grad for weight in weights):
        return f"{run.num_parameters:,}"
    return f"{sum(weight.numel() for weight in weights if weight.requires_grad):,} of {run.num_parameters:,}"


def _position(run: TrainingRun) -> str:
    return f"step {run.state.global_step}/{run.max_steps}  epoch {run.state.epochs_done:.2f}"


def readable(logs: Logs) -> str:
    """A record as one line, with units and as many digits as mean something.

    Numbers of groups, such as `grad_norm/mlp`, are left to the logs: they would fill the terminal.
    """
    return "  ".join(_FORMATS.get(key, key + " {:.4g}").format(value) for key, value in logs.items() if "/" not in key)


_FORMATS = {
    "loss": "loss {:.4f}",
    "learning_rate": "lr {:.2e}",
    "grad_norm": "grad norm {:.3f}",
    "tokens_per_second": "{:,.0f} tokens/s",
    "num_tokens": "{:,.0f} tokens",
    "peak_memory_gib": "{:.2f} GiB",
    "tflops_per_second": "{:.3g} TFLOP/s",
    "mfu": "MFU {:.1%}",
    "eval_loss": "eval loss {:.4f}",
    "perplexity": "perplexity {:.2f}",
    "eval_tokens": "over {:,.0f} tokens",
    "train_runtime": "trained for {:.1f} s",
    "train_steps": "{:,.0f} steps",
    "train_examples": "{:,.0f} examples",
    "train_tokens": "{:,.0f} tokens",
    "train_steps_per_second": "{:.2f} steps/s",
    "train_tokens_per_second": "{:,.0f} tokens/s",
}
