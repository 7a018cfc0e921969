"""A run's checkpoints: written beside the training, kept or removed, read again to go on."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from torch.optim import Optimizer
from transformers import PreTrainedTokenizerBase

from fgc_runtime import checkpoint
from fgc_runtime.callbacks import TrainerCallback, TrainerState
from fgc_runtime.distributed import World
from fgc_runtime.output import say
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.fingerprint import Change, Fingerprint, differences
from fgc_runtime.trainers.hyperparameters import Hyperparameters
from fgc_runtime.trainers.stepper import Stepper
from fgc_runtime.trainers.strategies import Strategy

Metrics = Mapping[str, float]
_LAST_WAIT_S = 60.0  # for a save that is under way when the training fails


class SaveFailed(Exception):
    """A checkpoint could not be written; the ones before it are as they were."""


class ResumeRefused(Exception):
    """A checkpoint that this run cannot go on from as it is."""


class Moment(NamedTuple):
    """What a checkpoint holds beside weights and optimizer."""

    state: TrainerState
    metrics: Metrics  # of the evaluation at this step; empty without one
    log_history: Sequence[Mapping[str, object]]


class Checkpoints:
    """The checkpoints below `root`. Every process calls the same methods in the same order."""

    def __init__(self, root: Path, strategy: Strategy, tokenizer: PreTrainedTokenizerBase | None) -> None:
        self.root = root
        self.newest_step: int | None = None  # of this run, complete or on its way
        self._strategy = strategy
        self._tokenizer = tokenizer
        self._stale_after_step: int | None = -1  # later ones are an earlier run's; None: they have been moved
        self._staging = checkpoint.Staging()
        self._saver: checkpoint.Saver | None = None
        self._args: TrainingArguments | None = None

    @property
    def world(self) -> World:
        """The processes that share them."""
        return self._strategy.world

    def begin(self, args: TrainingArguments) -> None:
        """Make ready for a training. Raises OSError if checkpoints cannot be written here."""
        self._args = args
        problem = None
        if self.world.is_main and args.save_strategy != "no":
            problem = _cannot_write(self.root)
        problem = self.world.from_main(problem)
        if problem is not None:
            raise OSError(f"output_dir ({str(args.output_dir)!r}) cannot be written: {problem}")
        self._saver = checkpoint.Saver(self.world, is_async=args.async_save, after=self._remove_old)

    @property
    def is_done(self) -> bool:
        """Whether a save has ended on this process that `finish` has not told of."""
        return self._saver is not None and self._saver.is_done

    def start(
        self,
        moment: Moment,
        stepper: Stepper,
        callbacks: Sequence[TrainerCallback],
        fingerprint: Fingerprint,
    ) -> Path:
        """Copy everything and begin to write; the folder in which it will lie."""
        assert self._saver is not None, "begin comes first"
        self._move_stale()
        folder = checkpoint.checkpoint_folder(self.root, moment.state.global_step)
        tensors, values = checkpoint.split(self._strategy.state_dict(stepper.optimizer))
        full = self._strategy.full_model()
        staged = self._staging.copy({"tensors": tensors, "weights": full.state_dict if full else {}})
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
        }
        export = checkpoint.Export(full.model, self._tokenizer, staged["weights"]) if full else None
        self._saver.start(checkpoint.Snapshot(folder, staged["tensors"], state, about, export))
        self.newest_step = moment.state.global_step
        return folder

    def finish(self) -> checkpoint.Saved | None:
        """Wait for the save that is on its way, if there is one; how it ended, the same on all processes.

        Raises SaveFailed where it failed and `save_failure` is "stop".
        """
        assert self._saver is not None and self._args is not None, "begin comes first"
        saved = self._saver.finish()
        if saved is None or saved.problem is None:
            return saved
        self.newest_step = None
        before = checkpoint.latest_checkpoint(self.root) if self.world.is_main else None
        newest = f"the newest checkpoint is {before}" if before else "there is no checkpoint yet"
        message = f"{saved.folder.name} could not be written: {saved.problem}; {newest}"
        if self._args.save_failure == "stop":
            raise SaveFailed(f"{message}. With save_failure 'continue' training would have gone on without it")
        if self.world.is_main:
            say(f"warning: {message}; training goes on (save_failure 'continue')", is_warning=True)
        return saved

    def let_go(self) -> None:
        """After an error: give a save that is on its way the time to become complete."""
        if self._saver is not None:
            self._saver.finish(timeout_s=_LAST_WAIT_S)

    def chosen(self, wanted: bool | str | Path) -> Path | None:
        """The checkpoint to go on from, with every file as it was written; None: none was asked for, or there is none.

        Raises DamagedCheckpoint, offering the one before it, or FileNotFoundError.
        """
        folder, problem = None, None
        if self.world.is_main:
            try:
                folder = self._checked(wanted)
            except (checkpoint.DamagedCheckpoint, OSError) as error:
                problem = error
        folder, problem = self.world.from_main((folder, problem))
        if problem is not None:
            raise problem
        return folder

    def restore(self, folder: Path, stepper: Stepper, changes: Sequence[Change] = ()) -> checkpoint.TrainingState:
        """Load weights, optimizer, scheduler and loss scale, but for hyperparameters that changed; all that was saved.

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
        step = checkpoint.step_of(folder)
        self.newest_step = step
        self._stale_after_step = step if folder.parent.resolve() == self.root.resolve() else -1
        return saved

    def load_tensors(self, folder: Path, optimizer: Optimizer, saved: checkpoint.TrainingState) -> None:
        """Load weights and optimizer."""
        tensors, values = checkpoint.split(self._strategy.state_dict(optimizer))
        checkpoint.load_tensors(folder, tensors, world_size=self.world.size)
        if missing := sorted(set(values) - set(saved.values)):
            raise checkpoint.CheckpointMismatch(f"{folder} is of another optimizer: it has no {missing[0]}")
        own = {name: saved.values[name] for name in values}
        self._strategy.load_state_dict(optimizer, checkpoint.join(tensors, own))

    def load_weights(self, folder: Path, optimizer: Optimizer) -> None:
        """Load the weights of a checkpoint; the optimizer gets its state of then too."""
        self.load_tensors(folder, optimizer, checkpoint.load_training_state(folder))

    def best(self) -> list[Path]:
        """The checkpoints with the best metrics, the best first."""
        assert self._args is not None, "begin comes first"
        args = self._args
        if args.metric_for_best_model is None:
            return []
        found = []
        for folder in checkpoint.find_checkpoints(self.root):
            value = checkpoint.metrics_of(folder).get(args.metric_for_best_model)
            if value is not None:
                found.append((-value if args.greater_is_better else value, folder))
        return [folder for _, folder in sorted(found)][: args.save_best_limit]

    def _remove_old(self) -> None:
        assert self._args is not None, "begin comes first"
        checkpoint.remove_old_checkpoints(self.root, limit=self._args.save_total_limit, best=self.best())

    def _move_stale(self) -> None:
        if self._stale_after_step is None:
            return
        if self.world.is_main and (aside := checkpoint.set_aside(self.root, after_step=self._stale_after_step)):
            say(f"Moved the checkpoints of an earlier run to {aside}")
        self._stale_after_step = None

    def _checked(self, wanted: bool | str | Path) -> Path | None:
        folder = checkpoint.latest_checkpoint(self.root) if isinstance(wanted, bool) else Path(wanted)
        if folder is None or wanted is False:
            return None
        try:
            checkpoint.verify(folder)
        except (checkpoint.DamagedCheckpoint, FileNotFoundError) as error:
            whole = _last_whole(folder) if not isinstance(wanted, bool) or folder.is_dir() else None
            if whole is None:
                raise
            raise checkpoint.DamagedCheckpoint(
                f"{error}. The one before it is whole; go on from there with: --resume {whole}"
            ) from error
        return folder


def compare(folder: Path, now: Fingerprint, *, is_told: bool) -> list[Change]:
    """Returns what has changed since the checkpoint was written. Raises ResumeRefused for it unless the user wants it.

    `is_told` says that, or `FGC_RESUME_ANYWAY=1` in the environment.
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
    """The checkpoint with the highest step below a damaged one that is as it was written."""
    for folder in reversed(checkpoint.find_checkpoints(damaged.parent)):
        if folder == damaged or checkpoint.step_of(folder) > checkpoint.step_of(damaged):
            continue
        try:
            checkpoint.verify(folder)
        except (checkpoint.DamagedCheckpoint, FileNotFoundError):
            continue
        return folder
    return None


def _states(callbacks: Sequence[TrainerCallback]) -> dict[str, Mapping[str, object]]:
    """What callbacks remember, by class and position among those of the class."""
    return {name: state for name, callback in named(callbacks) if (state := callback.state_dict())}


def named(callbacks: Sequence[TrainerCallback]) -> list[tuple[str, TrainerCallback]]:
    """Callbacks with names that stay the same when others come or go."""
    names = [type(callback).__qualname__ for callback in callbacks]
    return [(f"{name}.{names[:number].count(name)}", callbacks[number]) for number, name in enumerate(names)]
