"""The loop of a sweep: asks for values, builds and starts trials, answers their reports, tells how they ended.

One thread does all of it. Whatever happens to this process, the study says which trials were running, and each of them
has its own folder: a sweep that is resumed loses no step that a checkpoint holds.
"""

import math
import os
import signal
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from msgspec import Struct
from optuna.pruners import NopPruner
from optuna.trial import FrozenTrial

from fgc.cli.arguments import CannotRun
from fgc.cli.launching import is_training_script, start_of
from fgc.cli.outputs import checkpoints_in
from fgc.cli.sweeping.builds import Builder, TrialBuild, changed_inputs
from fgc.cli.sweeping.endings import Ending, ending_of
from fgc.cli.sweeping.progress import Progress
from fgc.cli.sweeping.space import Values
from fgc.cli.sweeping.study import Study
from fgc.cli.sweeping.trials import Report, Start, TrialProcess
from fgc.workspace import ProjectError

_LOOK_S = 0.02
_MOST_SAME = 20  # in a row: then the sampler has nothing new
_FIRST_FAILURES = 3  # all of the first ones: then it is the configuration
_PATIENCE_S = 120.0  # for a trial that was told to write its checkpoint


class Limits(Struct, frozen=True):
    """Limits of a sweep, and its policy for trials that fail."""

    trials: int | None
    deadline_s: float | None
    jobs: int
    retries: int = 0
    on_failure: str = "continue"


class Sweep:
    """One process's part in a study."""

    def __init__(
        self,
        study: Study,
        builder: Builder,
        folder: Path,
        arguments: Namespace,
        limits: Limits,
        devices: Sequence[str | None],
        progress: Progress,
    ) -> None:
        self._study = study
        self._builder = builder
        self._folder = folder
        self._arguments = arguments
        self._limits = limits
        self._free: list[str | None] = list(devices)
        self._progress = progress
        self._running: dict[int, _Running] = {}
        self._waits_for: dict[int, int] = {}  # trials that are the program of one that is running
        self._num_same = 0
        self._num_signals = 0
        self._problem: str | None = None

    def run(self) -> int:
        """Work until the budget is spent; returns 0, 1 if there is no result, 2 if it could not go on, or 130."""
        with _signals(self._interrupted):
            while True:
                self._study.beat()
                while self._may_begin():
                    self._begin()
                for running in list(self._running.values()):
                    self._look(running)
                self._settle_same()
                if not self._running and not self._may_begin() and not self._waits_for:
                    break
                self._progress.show(self._study, [each.process for each in self._running.values()])
                time.sleep(_LOOK_S)
        self._progress.end()
        if self._problem is not None:
            raise CannotRun(self._problem)
        if self._num_signals:
            return 130
        return 0 if self._study.best() is not None else 1

    def _interrupted(self) -> None:
        self._num_signals += 1
        if self._num_signals == 1:
            self._progress.say("stopping: trials write a checkpoint; press Ctrl-C again to end them immediately")
        for running in self._running.values():
            running.process.interrupt() if self._num_signals == 1 else running.process.kill()

    def _stop(self, problem: str) -> None:
        """Begin nothing more, and say why at the end."""
        self._problem = self._problem or problem

    def _may_begin(self) -> bool:
        if self._problem is not None or self._num_signals or len(self._running) >= self._limits.jobs:
            return False
        if self._limits.deadline_s is not None and time.monotonic() > self._limits.deadline_s:
            return False
        if self._study.num_waiting:
            return True
        if self._study.plan.is_grid or self._num_same >= _MOST_SAME:
            return False
        return self._limits.trials is None or self._study.num_counted < self._limits.trials

    def _begin(self) -> None:
        """Ask for a trial, build it and start it, unless it is the same program as another one's."""
        trial, values = self._study.ask()
        number = trial.number
        if self._study.plan.is_grid and "fixed_params" not in self._study.trials[number].system_attrs:
            self._study.tell(number, "surplus", reason="another worker took the last combination")
            return
        try:
            build = self._builder.build(self._study.plan.dimensions, values)
            if changed := changed_inputs(self._study.plan.inputs, build.inputs):
                self._stop(
                    f"{', '.join(changed)} changed since the sweep started: later trials would not be comparable"
                )
                self._study.tell(number, "surplus", reason=f"{changed[0]} changed")
                return
        except (CannotRun, ProjectError) as problem:
            self._ended(number, values, Ending("failed", reason=str(problem)), seconds=0.0)
            return
        trial.set_user_attr("build", build.digest)
        continued = trial.user_attrs.get("continues")
        if (original := self._same_as(number, build.digest)) is not None:
            self._num_same += 1
            trial.set_user_attr("waits for", original.number)
            self._waits_for[number] = original.number
            if self._num_same == _MOST_SAME and not self._study.plan.is_grid:
                self._progress.say(f"the sampler proposed nothing new {_MOST_SAME} times in a row")
            return
        self._num_same = 0
        self._start(number, values, build, continued)

    def _same_as(self, number: int, digest: str) -> FrozenTrial | None:
        """An earlier trial of the same program that has, or will have, a result."""
        for trial in self._study.trials[:number]:
            has_result = trial.user_attrs.get("outcome") in (None, "complete", "pruned", "diverged")
            if has_result and trial.user_attrs.get("build") == digest and "waits for" not in trial.user_attrs:
                return trial
        return None

    def _settle_same(self) -> None:
        """Tell trials whose program another one ran what that came to."""
        lost = {trial.number for trial in self._study.stale()} if self._waits_for else set()
        for number, original in list(self._waits_for.items()):
            found = self._study.trials[original]
            outcome = found.user_attrs.get("outcome")
            if outcome in ("complete", "pruned", "diverged"):
                self._study.tell_same(number, found)
                self._progress.trial_ended(self._study, number)
            elif outcome is not None or self._num_signals or original in lost:
                self._study.tell(number, "surplus", reason=f"trial {original}, the same program, has no result")
            else:
                continue
            del self._waits_for[number]

    def _start(self, number: int, values: Values, build: TrialBuild, continued: int | None) -> None:
        device = self._free.pop(0)
        checkpoint = None if continued is None else self._take_up(number, continued)
        arguments = Namespace(
            devices=device if device is not None else self._arguments.devices,
            passed_on=[],
            resume=None if checkpoint is None else str(checkpoint),
            resume_anyway=False,
            output_dir=str(self._folder) if is_training_script(build.selected) else None,
            run_name=f"trial-{number:04d}" if is_training_script(build.selected) else None,
        )
        process = TrialProcess(self._folder / "trials" / f"{number:04d}", number, values, build.digest)
        try:
            command, environment = start_of(build.selected, arguments, build.folder)
            threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // self._limits.jobs))}
            environment = {**(threads if self._limits.jobs > 1 else {}), **environment}
            process.start(
                Start(command, build.selected.folder, environment),
                sweep=self._study.plan.name,
                metric=self._study.plan.metric,
            )
        except OSError as problem:
            self._free.append(device)
            self._study.tell(number, "failed", reason=str(problem))
            self._stop(f"trial {number} cannot be started: {problem}")
            return
        except CannotRun:
            self._free.append(device)
            self._study.tell(number, "surplus", reason="it cannot be started")
            raise
        self._running[number] = _Running(process, device, time.monotonic())
        self._study.running(number).set_user_attr("process", process.identity)

    def _take_up(self, number: int, continued: int) -> Path | None:
        """The newest checkpoint of an interrupted trial; what it reported up to there counts for the new one too."""
        before = self._study.trials[continued]
        folder = before.user_attrs.get("run")
        found = checkpoints_in(Path(folder)) if folder is not None else []
        if not found:
            return None
        trial = self._study.running(number)
        for step, value in sorted(before.intermediate_values.items()):
            if step <= found[-1].step:
                trial.report(value, step)
        return found[-1].folder

    def _look(self, running: "_Running") -> None:
        """Answer reports of a trial, and take note of its end."""
        process = running.process
        code = process.exit_code()
        had_run = process.run
        for report in process.reports():
            self._answer(process, report)
        if process.run is not None and had_run is None:
            self._study.running(process.number).set_user_attr("run", str(process.run))
        if code is None:
            return
        del self._running[process.number]
        self._free.append(running.device)
        process.close()
        seconds = time.monotonic() - running.began_s
        trial = self._study.trials[process.number]
        ending = ending_of(process, code, self._study.plan, trial.intermediate_values, was_told=bool(self._num_signals))
        self._ended(process.number, process.values, ending, seconds=seconds)

    def _answer(self, process: TrialProcess, report: Report) -> None:
        plan = self._study.plan
        if plan.metric not in report.metrics:
            return
        value = float(report.metrics[plan.metric])
        trial = self._study.running(process.number)
        trial.report(value, report.step)
        reason = None
        if math.isnan(value):
            reason = f"{plan.metric} is not a number"
        elif not isinstance(self._study.study.pruner, NopPruner) and not process.is_at_end and trial.should_prune():
            reason = f"{plan.metric} {value:.4g} at step {report.step}"
        process.answer(report, reason)

    def _ended(self, number: int, values: Values, ending: Ending, *, seconds: float) -> None:
        """Write down how a trial ended, and decide what that means for the sweep."""
        if ending.outcome == "interrupted":  # first the one to come: killed in between, the next recovery finds both
            self._study.enqueue(values, continues=number)
        metrics = {name: value for name, value in ending.metrics.items() if math.isfinite(value)}
        self._study.tell(
            number,
            ending.outcome,
            value=ending.value,
            reason=ending.reason,
            seconds=round(seconds, 3),
            metrics=metrics,
            run=None if ending.run is None else str(ending.run),
        )
        self._progress.trial_ended(self._study, number)
        if ending.lacks_metric:
            self._stop(ending.reason or "the metric is not logged")
        elif ending.outcome == "failed":
            self._failed(number, values, ending)

    def _failed(self, number: int, values: Values, ending: Ending) -> None:
        trial = self._study.trials[number]
        retried = int(trial.user_attrs.get("retries", 0))
        if retried < self._limits.retries:
            self._study.enqueue(values, retries=retried + 1)
            return
        if self._limits.on_failure == "stop":
            self._stop(f"trial {number} failed: {ending.reason}")
            return
        finished = [each for each in self._study.trials if each.state.is_finished()]
        outcomes = [each.user_attrs.get("outcome") for each in finished]
        if len(outcomes) >= _FIRST_FAILURES and set(outcomes) <= {"failed", "interrupted", "surplus"}:
            self._stop(f"all of the first {outcomes.count('failed')} trials failed, the last one: {ending.reason}")


class _Running(Struct):
    """A process, where it runs, and since when."""

    process: TrialProcess
    device: str | None
    began_s: float


@contextmanager
def _signals(receive: Callable[[], None]) -> Iterator[None]:
    """While entered, Ctrl-C, SIGTERM and a closed terminal stop the sweep; each trial has a session of its own."""

    def handle(number: int, _: FrameType | None) -> None:
        receive()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup`
        numbers.append(signal.SIGHUP)
    earlier = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
