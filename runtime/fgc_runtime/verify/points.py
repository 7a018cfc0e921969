"""Points to kill a training at: each file that it opens, renames or removes, each step, each batch of an evaluation.

Counting them makes a kill reproducible, and as likely inside a save as between two steps.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fgc_runtime.callbacks import TrainerCallback, TrainingRun
from fgc_runtime.trainers import Trainer

_FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
Report = Callable[[str], None]


class Points(TrainerCallback):
    """Counts the points of a training in this process, and kills it at the one whose number is `fatal`."""

    def __init__(self, folder: Path, fatal: int | None, report: Report) -> None:
        self.kinds: list[str] = []  # of the points so far: their first words
        self._folder = str(folder)
        self._fatal = fatal
        self._report = report
        self._run: TrainingRun | None = None
        self._lock = threading.Lock()

    def watch(self) -> None:
        """Be there in every training of this process."""
        train, points = Trainer.train, self

        def watched(trainer: Trainer, **options: Any) -> dict[str, float]:
            trainer.callbacks.append(points)
            return train(trainer, **options)

        Trainer.train = watched  # type: ignore[method-assign, assignment]  # in a process of this trial alone
        sys.addaudithook(self._hear)

    def on_train_begin(self, run: TrainingRun) -> None:
        """From here on there is something to lose."""
        self._run = run

    def on_poll(self, run: TrainingRun) -> None:
        """Before a step, or in an evaluation."""
        self._pass("in the evaluation" if run.phase == "evaluating" else "before the step")

    def on_pre_optimizer_step(self, run: TrainingRun) -> None:
        """Between backward and the optimizer."""
        self._pass("between backward and the optimizer")

    def on_step_end(self, run: TrainingRun) -> None:
        """Between the optimizer and what is due after the step."""
        self._pass("behind the optimizer")

    def on_train_end(self, run: TrainingRun) -> None:
        """Ends the watch: what comes now is the final model's."""
        self._run = None

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _FILE_EVENTS or self._run is None or not arguments:
            return
        path = str(arguments[0])
        if path.startswith(self._folder) and "/checkpoints" in path:
            self._pass(f"while saving ({event} {Path(path).relative_to(self._folder)})")

    def _pass(self, where: str) -> None:
        run = self._run
        if run is None:
            return
        with self._lock:
            self.kinds.append(where.partition(" (")[0])
            if len(self.kinds) == self._fatal:
                self._report(f"after step {run.state.global_step}, {where}")
                os.kill(os.getpid(), signal.SIGKILL)
