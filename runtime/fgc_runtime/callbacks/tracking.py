"""The base of loggers to other projects: what they are told of a run, and what happens where one of them fails.

A logger that cannot begin ends the program before its first step. One that fails later, as a service does that is away
for a while, is told of once, and training goes on.
"""

import sys
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.callbacks.tensorboard import tag_of
from fgc_runtime.output import say
from fgc_runtime.packages import require_package
from fgc_runtime.secrets import is_secret
from fgc_runtime.sources import program_files
from fgc_runtime.trial import current_trial

Opened: TypeAlias = tuple[str | None, str | None]  # the service's id of a run, and where it is to be seen
End: TypeAlias = Literal["finished", "stopped", "failed"]


class TrackingCallback(TrainerCallback):
    """Hands a run on to a service: arguments, program, numbers by step, checkpoints if asked for, how it ended.

    `package` is what must be installed, `service` what it is called. A resumed run goes on under the id of the one it
    resumes, which checkpoints keep.
    """

    package = ""
    service = ""

    def __init__(self, *, log_model: bool = False) -> None:
        """Raises ModuleNotFoundError if the service's package is missing."""
        require_package(self.package, type(self).__name__)
        self.log_model = log_model
        self._id: str | None = None
        self._is_open = False
        self._num_failures = 0

    def on_train_begin(self, run: TrainingRun) -> None:
        """Begin, on the main process; say where the run is to be seen."""
        if not run.is_main:
            return
        self._id, link = self._open(run, facts_of(run), self._id)
        self._is_open = True
        if link:
            run.links[self.package] = link
            say(f"{self.service}: {link}")
        self._try("the program", lambda: self._log_program(program_texts()))

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Hand on a record, under the names that TensorBoard has."""
        if self._is_open:
            step = run.state.global_step
            numbers = {tag_of(name): float(value) for name, value in logs.items()}
            self._try(f"the numbers of step {step}", lambda: self._log(numbers, step))

    def on_save(self, run: TrainingRun, folder: Path) -> None:
        """Hand on a checkpoint, if `log_model`."""
        if self._is_open and self.log_model:
            self._try(folder.name, lambda: self._log_folder(folder))

    def on_train_end(self, run: TrainingRun) -> None:
        """Say how it ended."""
        if not self._is_open:
            return
        self._is_open = False
        self._try("the end", lambda: self._close(_end()))
        if self._num_failures:
            records = f"{self._num_failures} record{'' if self._num_failures == 1 else 's'}"
            say(f"warning: {self.service} did not accept {records}", is_warning=True)

    def state_dict(self) -> dict[str, object]:
        """Returns the service's id of the run."""
        return {"id": self._id}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """Go on under it."""
        found = state_dict.get("id")
        self._id = None if found is None else str(found)

    def _try(self, what: str, act: Callable[[], None]) -> None:
        """Do it; where the service fails, say so the first time, and train on."""
        try:
            act()
        except Exception as problem:  # of any library
            self._num_failures += 1
            if self._num_failures == 1:
                said = (str(problem).strip().splitlines() or [type(problem).__name__])[0]
                say(f"warning: {self.service} did not accept {what}: {said}; training continues", is_warning=True)

    @abstractmethod
    def _open(self, run: TrainingRun, facts: Mapping[str, object], earlier: str | None) -> Opened:
        """Begins a run, or goes on with an earlier one; returns its id, and where it is to be seen."""

    @abstractmethod
    def _log_program(self, texts: Mapping[str, str]) -> None:
        """Hands on the files of the program, by their names."""

    @abstractmethod
    def _log(self, numbers: Mapping[str, float], step: int) -> None:
        """Hands on numbers of a step."""

    @abstractmethod
    def _log_folder(self, folder: Path) -> None:
        """Hands on all files of a folder."""

    @abstractmethod
    def _close(self, end: End) -> None:
        """Ends the run."""


def facts_of(run: TrainingRun) -> dict[str, object]:
    """Returns what decides about a run: arguments without secrets, its size, and the values of its trial."""
    trial = current_trial()
    swept: dict[str, object] = {} if trial is None else {"trial": trial.number, **trial.values}
    own: dict[str, object] = {
        "output_dir": str(run.output_dir),
        "max_steps": run.max_steps,
        "num_parameters": run.num_parameters,
        "world_size": run.world_size,
    }
    arguments = {name: value for name, value in run.arguments.items() if not is_secret(name)}
    return {**arguments, **own, **swept}


def group_of(run: TrainingRun) -> str:
    """Returns what the run belongs to: its sweep, else its model's folder."""
    trial = current_trial()
    return trial.sweep if trial is not None else run.output_dir.name or "train"


def program_texts() -> dict[str, str]:
    """Returns the files of the program and of its build; empty for one that is no file."""
    own = program_files()
    return {} if own is None else {name: text.decode(errors="replace") for name, text in own.contents.items()}


def _end() -> End:
    """Returns how a training ends, as seen in the event of its end."""
    error = sys.exception()
    if error is None:
        return "finished"
    return "stopped" if isinstance(error, (SystemExit, KeyboardInterrupt)) else "failed"
