"""The checkpoints of a run: written in the background, kept or removed, and read to resume."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase

from fgc_runtime import checkpoint, runs
from fgc_runtime.callbacks import TrainerCallback, TrainerState
from fgc_runtime.checkpoint.manifest import MANIFEST
from fgc_runtime.distributed import World
from fgc_runtime.output import say
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints.earlier_runs import Earlier, earlier_runs
from fgc_runtime.trainers.checkpoints.fingerprint import Change, Fingerprint, differences
from fgc_runtime.trainers.checkpoints.hyperparameters import Hyperparameters
from fgc_runtime.trainers.checkpoints.weight_average import WeightAverage
from fgc_runtime.trainers.loop.stepper import Stepper
from fgc_runtime.trainers.strategies import Strategy

Metrics = Mapping[str, float]
_AVERAGE = "average"
_LAST_WAIT_S = 60.0  # for a running save when the training fails


class SaveFailed(Exception):
    """A checkpoint could not be written; earlier ones are unchanged."""

    is_of_the_machine = True  # so no line of the configuration is named


class ResumeRefused(Exception):
    """A checkpoint from which this run cannot resume."""


class Moment(NamedTuple):
    """The contents of a checkpoint beside weights and optimizer."""

    state: TrainerState
    metrics: Metrics  # of the evaluation at this step; empty without one
    log_history: Sequence[Mapping[str, object]]


class Checkpoints:
    """The checkpoints of a run, in the folder of the run. Every process calls the same methods in the same order."""

    def __init__(self, args: TrainingArguments, strategy: Strategy, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self.output_dir = Path(args.output_dir)
        self._elsewhere = [checkpoint.root_of_run(Path(args.logging_dir))] if args.logging_dir is not None else []
        self.newest_step: int | None = None  # of this run, complete or being written
        self._root = self.output_dir  # set by `begin`
        self._strategy = strategy
        self._tokenizer = tokenizer
        self._resumed_from: Path | None = None
        self.average: WeightAverage | None = None  # saved beside the weights, and used for the model folder
        self._earlier: list[Earlier] = []
        self._stale_after_step: int | None = -1  # later ones are from an earlier run; None: they have been moved
        self._staging = checkpoint.Staging()
        self._saver: checkpoint.Saver | None = None
        self._args: TrainingArguments | None = None

    @property
    def world(self) -> World:
        """The processes that share them."""
        return self._strategy.world

    def begin(self, args: TrainingArguments, folder: Path) -> None:
        """Prepares for a training in the folder of its run; call it after `restore`, if the run resumes.

        Raises OSError if checkpoints cannot be written there.
        """
        self._args = args
        self._root = checkpoint.root_of_run(folder)
        problem = None
        if self.world.is_main and args.save_strategy != "no":
            problem = _cannot_write(self._root)
        problem = self.world.from_main(problem)
        if problem is not None:
            raise OSError(f"{folder} cannot be written: {problem}")
        if self._resumed_from is not None and self.world.is_main:
            self._look_back(self._resumed_from)
        self._saver = checkpoint.Saver(self.world, is_async=args.async_save, after=self._settle)

    def _look_back(self, folder: Path) -> None:
        """Finds the existing checkpoints of the training that is resumed."""
        assert self.newest_step is not None, "restore comes first"
        if folder.parent.resolve() == self._root.resolve():
            self._stale_after_step = self.newest_step
        self._earlier = earlier_runs(folder, self.newest_step, self.output_dir, self._root)

    @property
    def is_done(self) -> bool:
        """Returns True if a save has ended on this process and `finish` has not reported it."""
        return self._saver is not None and self._saver.is_done

    def start(
        self,
        moment: Moment,
        stepper: Stepper,
        callbacks: Sequence[TrainerCallback],
        fingerprint: Fingerprint,
    ) -> Path:
        """Copies everything and begins to write in the background. Returns the checkpoint's folder."""
        assert self._saver is not None, "begin comes first"
        with self.trained_weights():
            return self._start(moment, stepper, callbacks, fingerprint)

    def _start(
        self,
        moment: Moment,
        stepper: Stepper,
        callbacks: Sequence[TrainerCallback],
        fingerprint: Fingerprint,
    ) -> Path:
        assert self._saver is not None, "begin comes first"
        self._move_stale()
        folder = checkpoint.checkpoint_folder(self._root, moment.state.global_step)
        tensors, values = checkpoint.split(self._state(stepper.optimizer))
        shown = self._shown(tensors, values)
        staged = self._staging.copy(tensors)
        all_values = {name: value for part in self.world.gather(values) for name, value in part.items()}
        state = checkpoint.TrainingState(
            counters=asdict(moment.state),
            values=all_values,
            scheduler=stepper.scheduler.state_dict(),
            loss_scale=asdict(stepper.loss_scale) if stepper.loss_scale is not None else {},
            callbacks=_states(callbacks),
            random_states=self.world.gather(checkpoint.RandomState.capture()),
            log_history=list(moment.log_history),
        )
        about = {
            "step": moment.state.global_step,
            "world_size": self.world.size,
            "metrics": dict(moment.metrics),
            "fingerprint": fingerprint,
            "configuration": runs.configuration(),
            "earlier": [self._listed(item) for item in self._earlier],
        }
        export = checkpoint.Export(
            self._strategy.architecture, self._tokenizer, shown, is_whole=self._strategy.weight_parts() is None
        )
        self._saver.start(checkpoint.Snapshot(folder, staged, state, about, export))
        self.newest_step = moment.state.global_step
        return folder

    def finish(self) -> checkpoint.Saved | None:
        """Waits for the running save, if any. Returns its result, which is the same on all processes.

        Raises SaveFailed if it failed and `save_failure` is "stop".
        """
        assert self._saver is not None and self._args is not None, "begin comes first"
        saved = self._saver.finish()
        if saved is None or saved.problem is None:
            return saved
        self.newest_step = None
        before = self._found() if self.world.is_main else []
        newest = f"the newest checkpoint is {before[-1]}" if before else "there is no checkpoint yet"
        message = f"{saved.folder.name} could not be written: {saved.problem}; {newest}"
        if self._args.save_failure == "stop":
            raise SaveFailed(f"{message}. With save_failure 'continue' training would have gone on without it")
        if self.world.is_main:
            say(f"warning: {message}; training goes on (save_failure 'continue')", is_warning=True)
        return saved

    def let_go(self) -> None:
        """Gives a running save time to complete, after an error."""
        if self._saver is not None:
            self._saver.finish(timeout_s=_LAST_WAIT_S)

    def chosen(self, wanted: bool | str | Path) -> Path | None:
        """Returns the checkpoint to resume from, after verifying its files; None if none was requested or exists.

        Raises DamagedCheckpoint, which names the one before it, FileNotFoundError, or ResumeRefused if another run is
        already resuming from it.
        """
        folder: Path | None = None
        problem: Exception | None = None
        if self.world.is_main:
            try:
                folder = self._named(wanted)
            except (checkpoint.DamagedCheckpoint, ResumeRefused, OSError) as error:
                problem = error
        folder, problem = self.world.from_main((folder, problem))
        if problem is not None:
            raise problem
        if folder is not None:
            self._verify(folder)
        return folder

    def _verify(self, folder: Path) -> None:
        """Verifies a checkpoint, of which each process reads a share.

        Raises DamagedCheckpoint or FileNotFoundError on all processes.
        """
        problem: Exception | None = None
        try:
            checkpoint.verify(folder, rank=self.world.rank, world_size=self.world.size)
        except (checkpoint.DamagedCheckpoint, OSError) as error:
            problem = error
        problem = next((found for found in self.world.gather(problem) if found is not None), None)
        if problem is None:
            return
        whole = self.world.from_main(_last_whole(folder) if self.world.is_main and folder.is_dir() else None)
        if whole is None:
            raise problem
        raise checkpoint.DamagedCheckpoint(
            f"{problem}. The one before it is whole; go on from there with: --resume {whole}"
        )

    def restore(self, folder: Path, stepper: Stepper, changes: Sequence[Change] = ()) -> checkpoint.TrainingState:
        """Loads weights, optimizer, scheduler and loss scale, except changed hyperparameters; returns all saved state.

        Raises CheckpointMismatch.
        """
        saved = checkpoint.load_training_state(folder)
        num_steps = TrainerState.from_record(dict(saved.counters)).global_step
        changed = Hyperparameters.changed(stepper, changes, num_steps=num_steps)
        self.load_tensors(folder, stepper.optimizer, saved)
        if not changed.has_new_rates:
            stepper.scheduler.load_state_dict(dict(saved.scheduler))
        changed.put_over(stepper.optimizer)
        if stepper.loss_scale is not None and saved.loss_scale:
            stepper.loss_scale = replace(stepper.loss_scale, **saved.loss_scale)  # type: ignore[arg-type]  # its own
        self.newest_step = num_steps
        self._resumed_from = folder
        return saved

    def load_tensors(self, folder: Path, optimizer: Optimizer, saved: checkpoint.TrainingState) -> None:
        """Loads weights and optimizer."""
        has_average = f"{_AVERAGE}.num_updates" in saved.values
        tensors, values = checkpoint.split(self._state(optimizer, with_average=has_average))
        checkpoint.load_tensors(folder, tensors, world_size=self.world.size)
        if missing := sorted(set(values) - set(saved.values)):
            raise checkpoint.CheckpointMismatch(f"{folder} is of another optimizer: it has no {missing[0]}")
        own = {name: saved.values[name] for name in values}
        state = checkpoint.join(tensors, own)
        average = state.pop(_AVERAGE, None)
        self._strategy.load_state_dict(optimizer, state)
        if self.average is not None and average is not None:
            self.average.load(average)

    def _state(self, optimizer: Optimizer, *, with_average: bool = True) -> dict[str, dict[str, object]]:
        state = self._strategy.state_dict(optimizer)
        return state if self.average is None or not with_average else {**state, _AVERAGE: self.average.state()}

    @contextmanager
    def shown_weights(self) -> Iterator[None]:
        """Gives the model the weights to evaluate and save in the body: the average, if there is one."""
        with self.average.in_place() if self.average is not None else nullcontext():
            yield

    @contextmanager
    def trained_weights(self) -> Iterator[None]:
        """Gives the model the trained weights in the body, even within an evaluation of the average."""
        with self.average.in_place(False) if self.average is not None else nullcontext():
            yield

    def _shown(self, tensors: checkpoint.Tensors, values: Mapping[str, object]) -> dict[str, checkpoint.Shown]:
        """Returns where the model's weights lie in a snapshot: their average, where there is one."""
        has_average = bool(values.get(f"{_AVERAGE}.num_updates"))
        shown: dict[str, checkpoint.Shown] = {}
        for entry, weight in tensors.items():
            part, _, name = entry.partition(".")
            if part == "model":
                average = f"{_AVERAGE}.{name}"
                is_averaged = has_average and average in tensors
                shown[name] = checkpoint.Shown(average if is_averaged else entry, weight.dtype)
        return shown

    def load_weights(self, folder: Path, optimizer: Optimizer) -> int:
        """Loads the weights and the optimizer state of a checkpoint; returns its step."""
        saved = checkpoint.load_training_state(folder)
        self.load_tensors(folder, optimizer, saved)
        return TrainerState.from_record(dict(saved.counters)).global_step

    def best(self) -> list[Path]:
        """Returns the checkpoints with the best metrics, best first; NaN is ignored."""
        assert self._args is not None, "begin comes first"
        args = self._args
        if args.metric_for_best_model is None:
            return []
        found = []
        for folder in self._found():
            value = checkpoint.metrics_of(folder).get(args.metric_for_best_model)
            if value is not None and not math.isnan(value):
                found.append((-value if args.greater_is_better else value, folder))
        return [folder for _, folder in sorted(found)][: args.save_best_limit]

    @property
    def has_own(self) -> bool:
        """Returns True if this run's folder contains a checkpoint."""
        return bool(checkpoint.find_checkpoints(self._root))

    def _found(self, *, only_ours: bool = False) -> list[Path]:
        """Returns the checkpoints of this training, beginning with those of the runs that it resumed from."""
        earlier = [item for item in self._earlier if item.is_taken_over or not only_ours]
        return [path for item in earlier for path in item.find()] + checkpoint.find_checkpoints(self._root)

    def _settle(self) -> None:
        """Links the run's checkpoints in the model's folder and removes old ones, after a save, on the main process."""
        assert self._args is not None, "begin comes first"
        checkpoint.lead_to(self.output_dir, self._root)
        ours = self._found(only_ours=True)
        checkpoint.remove_old_checkpoints(ours, limit=self._args.save_total_limit, best=self.best())
        checkpoint.remove_leftovers(self._root)

    def _listed(self, item: Earlier) -> dict[str, object]:
        folder = os.path.relpath(item.root.resolve(), self.output_dir.resolve())
        return {"folder": folder, "last_step": item.last_step, "is_taken_over": item.is_taken_over}

    def _move_stale(self) -> None:
        if self._stale_after_step is None:
            return
        if self.world.is_main and (aside := checkpoint.set_aside(self._root, after_step=self._stale_after_step)):
            say(f"Moved the checkpoints of an earlier run to {aside}")
        self._stale_after_step = None

    def _named(self, wanted: bool | str | Path) -> Path | None:
        """Returns the requested checkpoint, if any. Raises FileNotFoundError for the folder of a run."""
        if isinstance(wanted, bool):
            return self._latest() if wanted else None
        folder = Path(wanted)
        if not (folder / MANIFEST).is_file():
            for place in (folder, checkpoint.root_of_run(folder)):
                if (inside := checkpoint.latest_checkpoint(place)) is not None:
                    raise FileNotFoundError(f"{folder} is no checkpoint, but holds some: the latest is {inside}")
        return folder

    def _latest(self) -> Path | None:
        """Returns the newest checkpoint of this configuration. Raises ResumeRefused while its run is training."""
        configuration = runs.configuration()
        for run in runs.living_runs(self.output_dir):
            if run.configuration == configuration and run.pid != os.getpid():
                raise ResumeRefused(
                    f"{run} is training this already. Wait for its end, stop it (fgc control save-stop), or name the "
                    "checkpoint from which another run shall branch off: --resume CHECKPOINT"
                )
        folder, others = checkpoint.latest_in(self.output_dir, configuration, self._elsewhere)
        if folder is not None:
            before = folder.parent.parent
            if not runs.has_ended(before) and runs.living_run(before) is None:
                say(
                    f"warning: {before.name}, from whose {folder.name} this run goes on, may still be training on "
                    "another machine: if it is, this repeats what it does",
                    is_warning=True,
                )
            checkpoint.lead_to(self.output_dir, folder.parent)
        elif others:
            say(
                f"There is no checkpoint of {configuration} in {self.output_dir}; the newest there is another "
                f"configuration's, from which only --resume {others[-1]} goes on"
            )
        return folder


def compare(folder: Path, now: Fingerprint, *, is_told: bool) -> list[Change]:
    """Returns the changes since the checkpoint was written. Raises ResumeRefused unless the user allows them.

    The user does by `is_told`, or by `FGC_RESUME_ANYWAY=1` in the environment.
    """
    is_told = is_told or os.environ.get("FGC_RESUME_ANYWAY") == "1"
    saved = checkpoint.read_manifest(folder).get("fingerprint")
    if not isinstance(saved, dict):
        raise checkpoint.DamagedCheckpoint(f"{folder} is damaged: its manifest has no fingerprint")
    changed = differences(saved, now)
    if changed and not is_told:
        listed = "".join(f"\n  {change.sentence}" for change in changed)
        raise ResumeRefused(
            f"{folder} was written by another program or with other data, so this would not be the same training:"
            f"{listed}\nTo go on all the same: fgc train --resume-anyway, or set FGC_RESUME_ANYWAY=1"
        )
    return changed


def _cannot_write(root: Path) -> str | None:
    probe = root / ".writable"
    try:
        root.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        return str(error)
    return None


def _last_whole(damaged: Path) -> Path | None:
    """Returns the newest intact checkpoint before a damaged one."""
    found = checkpoint.find_checkpoints(damaged.parent)
    before = found[: found.index(damaged)] if damaged in found else []  # a copy has another name
    for folder in reversed(before):
        try:
            checkpoint.verify(folder)
        except (checkpoint.DamagedCheckpoint, FileNotFoundError):
            continue
        return folder
    return None


def _states(callbacks: Sequence[TrainerCallback]) -> dict[str, Mapping[str, object]]:
    """Returns the states of callbacks, by class and position among those of the class."""
    return {name: state for name, callback in named(callbacks) if (state := callback.state_dict())}


def named(callbacks: Sequence[TrainerCallback]) -> list[tuple[str, TrainerCallback]]:
    """Returns callbacks with names that do not change when others are added or removed."""
    names = [type(callback).__qualname__ for callback in callbacks]
    return [(f"{name}.{names[:number].count(name)}", callbacks[number]) for number, name in enumerate(names)]
