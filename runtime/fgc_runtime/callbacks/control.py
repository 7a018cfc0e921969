"""A run that can be steered from another terminal: what `fgc control` asks, passed on to the loop."""

import contextlib
import faulthandler
import os
import signal
import socket
import sys
import time
import warnings
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import IO

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.checkpoint import step_of
from fgc_runtime.control import Command, ControlServer, Job, UnsafeFolder, remove_job
from fgc_runtime.control.jobs import claimed_folder
from fgc_runtime.control.mailbox import FOLDER, Mailbox
from fgc_runtime.distributed import World

_INTERVALS = ("logging_steps", "eval_steps", "save_steps")
_STEPS_OF_SPEED = 64  # tokens per second are those of so many steps
_STACKS_S = 0.3  # the kernel delivers a signal at once, the handler writes for some milliseconds
_STACKS_SIGNAL = signal.SIGUSR2


class TrainerControlCallback(TrainerCallback):
    """Lets `fgc control` show, save, stop and abort the run; on this machine, for the user who started it.

    `job_id` is the name by which it is called, by default the output folder's with the process number. A run whose
    folder of jobs cannot be used trains all the same, with a warning. Raises ValueError for a `job_id` that is no name
    or that a running job has.
    """

    def __init__(self, job_id: str | None = None) -> None:
        self.job_id = job_id
        self._server: ControlServer | None = None
        self._job: Job | None = None
        self._mailbox: Mailbox | None = None
        self._stacks: IO[str] | None = None
        self._saves: list[Command] = []  # answered when the next checkpoint is complete
        self._sets: list[tuple[Command, int]] = []  # answered when the loop has taken them over, before this step
        self._ends: list[Command] = []  # answered when the run has ended
        self._logs: dict[str, float] = {}
        self._checkpoint: Path | None = None
        self._speed: deque[tuple[float, int, int]] = deque(maxlen=_STEPS_OF_SPEED)

    def on_train_begin(self, run: TrainingRun) -> None:
        """Listen."""
        self._note_speed(run)
        problem = self._open(run) if run.is_main else None
        folder, problem = run.world.from_main((self._job.folder if self._job else None, problem))
        if problem is not None:
            raise ValueError(problem)
        processes = run.world.gather((socket.gethostname(), os.getpid()))
        if folder is not None and processes[run.world.rank][0] == processes[0][0]:
            self._watch_stacks(folder, run.world)
        if self._job is not None:
            self._job.pids.extend(pid for host, pid in processes if host == processes[0][0])
            self._job.write()
            if self._mailbox is not None:
                self._mailbox.write_job(self._job.pids)

    def on_poll(self, run: TrainingRun) -> None:
        """Answer what the loop has taken over; pass on what has been asked since the last time."""
        self._answer_sets(run)
        for command in self._server.take() if self._server is not None else ():
            self._obey(run, command)

    def on_step_end(self, run: TrainingRun) -> None:
        """Take note of the speed; answer what the loop has taken over."""
        self._answer_sets(run)
        self._note_speed(run)

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Keep the latest of each number."""
        self._logs.update(logs)

    def on_save(self, run: TrainingRun, folder: Path) -> None:
        """Tell those who wait for a checkpoint."""
        self._checkpoint = folder
        for command in self._saves:
            command.done(f"saved {folder}", checkpoint=str(folder), step=step_of(folder))
        self._saves.clear()

    def on_save_failed(self, run: TrainingRun, folder: Path, problem: str) -> None:
        """Tell them that there is none."""
        for command in self._saves:
            command.failed(f"{folder.name} could not be written: {problem}")
        self._saves.clear()

    def on_train_end(self, run: TrainingRun) -> None:
        """Listen no longer, and remove the job's folder."""
        if self._stacks is not None:
            faulthandler.unregister(_STACKS_SIGNAL)
            self._stacks.close()
            self._stacks = None
        if self._server is None or self._job is None:
            return
        for command in self._ends:
            newest = f"; the newest checkpoint is {self._checkpoint}" if self._checkpoint else ""
            command.done(f"ended at step {run.state.global_step} of {run.max_steps}{newest}", **self._status(run))
        self._server.close("the run has ended before it came to this")
        if self._mailbox is not None:
            self._mailbox.close()
        remove_job(self._job)
        self._server = self._job = self._mailbox = None

    def _open(self, run: TrainingRun) -> str | None:
        """Claim a name and listen; returns what is wrong with the name that was asked for."""
        name = self.job_id if self.job_id is not None else f"{run.output_dir.name or 'train'}-{os.getpid()}"
        try:
            with claimed_folder(name) as folder:
                self._job = Job(
                    job_id=name,
                    folder=folder,
                    pid=os.getpid(),
                    started_at=datetime.now().astimezone().isoformat(timespec="seconds"),
                    program=str(Path(sys.argv[0]).absolute()),
                    output_dir=str(run.output_dir.absolute()),
                    logging_dir=str(run.logging_dir.absolute()),
                    host=socket.gethostname(),
                )
                questions = {"status": lambda: self._status(run), "stacks": self._read_stacks}
                self._server = ControlServer(self._job.address, questions)
        except (UnsafeFolder, OSError, ValueError) as problem:
            self._job = None
            if isinstance(problem, ValueError) and self.job_id is not None:
                return str(problem)
            warnings.warn(f"`fgc control` cannot reach this run: {problem}", stacklevel=2)
            return None
        try:
            self._mailbox = Mailbox(run.logging_dir / FOLDER, self._job, self._server)
        except (UnsafeFolder, OSError) as problem:
            warnings.warn(f"`fgc control` cannot reach this run from other machines: {problem}", stacklevel=2)
        return None

    def _obey(self, run: TrainingRun, command: Command) -> None:
        control = run.control
        if command.name == "save":
            control.should_save = True
            self._saves.append(command)
        elif command.name == "set":
            self._set(run, command)
        else:
            control.reason = f"fgc control {command.name}"
            control.should_stop |= command.name == "stop"
            control.should_pause |= command.name == "save-stop"
            control.should_abort |= command.name == "abort"
            self._ends.append(command)

    def _set(self, run: TrainingRun, command: Command) -> None:
        wanted: dict[str, int] = {}
        for name, value in command.options.items():
            if name not in _INTERVALS:
                command.failed(f"{name} cannot be set in a running job; {', '.join(_INTERVALS)} can")
                return
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                command.failed(f"{name} ({value!r}) must be at least 1")
                return
            wanted[name] = value
        run.control.intervals |= wanted
        self._sets.append((command, run.state.global_step + 1))

    def _answer_sets(self, run: TrainingRun) -> None:
        for command, step in self._sets:
            changes = ", ".join(f"{name} {value}" for name, value in command.options.items())
            if all(run.arguments[name] == value for name, value in command.options.items()):
                command.done(f"from step {step} on: {changes}")
            else:
                command.failed(f"intervals stay as they are: {run.control.intervals_problem}")
        self._sets.clear()

    def _note_speed(self, run: TrainingRun) -> None:
        self._speed.append((time.monotonic(), run.state.global_step, run.state.num_tokens))

    def _status(self, run: TrainingRun) -> dict[str, object]:
        state, (begin_s, begin_step, begin_tokens) = run.state, self._speed[0]
        now_s, step, tokens = self._speed[-1]
        steps, seconds = step - begin_step, now_s - begin_s
        return {
            "phase": run.phase,
            "step": state.global_step,
            "max_steps": run.max_steps,
            "epoch": state.epochs_done,
            "loss": self._logs.get("loss"),
            "eval_loss": self._logs.get("eval_loss"),
            "tokens_per_second": (tokens - begin_tokens) / seconds if steps else None,
            "seconds_left": seconds / steps * (run.max_steps - state.global_step) if steps else None,
            "num_tokens": state.num_tokens,
            "checkpoint": str(self._checkpoint) if self._checkpoint else None,
            "world_size": run.world.size,
        }

    def _watch_stacks(self, folder: Path, world: World) -> None:
        """Write this process's stacks when it is asked to by a signal: that works also where Python hangs."""
        with contextlib.suppress(OSError):
            self._stacks = (folder / f"stacks-{world.rank}.txt").open("a", encoding="utf-8")
            faulthandler.register(_STACKS_SIGNAL, file=self._stacks, all_threads=True)

    def _read_stacks(self) -> dict[str, object]:
        assert self._job is not None, "a job that is asked has a record"
        files = sorted(self._job.folder.glob("stacks-*.txt"))
        for file in files:
            os.truncate(file, 0)
        for pid in self._job.pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, _STACKS_SIGNAL)
        time.sleep(_STACKS_S)
        stacks: Mapping[str, str] = {file.stem.removeprefix("stacks-"): file.read_text() for file in files}
        text = "\n".join(f"process {rank}:\n{stack}" for rank, stack in stacks.items())
        return {"message": text, "stacks": stacks}
