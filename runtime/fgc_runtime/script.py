"""The end of a generated `train.py`: train, save, evaluate, and leave the other processes in good order."""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from fgc_runtime.callbacks import TrainerCallback, TrainingRun, TrialCallback, readable
from fgc_runtime.distributed import disconnect
from fgc_runtime.output import say
from fgc_runtime.runs import RunRecord, configuration, fingerprint_of, versions
from fgc_runtime.runs.card import write_card
from fgc_runtime.sources import program_files
from fgc_runtime.trainers import ResumeRefused, Trainer, TrainingInterrupted
from fgc_runtime.trainers.checkpoints.fingerprint import differences
from fgc_runtime.trial import Trial, current_trial

_PLACES = ("global_step", "epoch", "timestamp", "step")
_KEPT_WITH_THE_RUN = ("config.yaml", "graph.json", "manifest.json")  # what the program was built from, beside it


class TrainingScript:
    """Runs a trainer: training, the final model into `output_dir`, an evaluation; each if asked for.

    Beside the final model lies a card, `README.md`, unless a person's own file is there (`model_card`).
    The run's logging folder gets `run.json` and a copy of the program, from which `fgc rerun` repeats it; beside them
    the program's `config.yaml`, `graph.json` and `manifest.json`.
    """

    def __init__(
        self,
        trainer: Trainer,
        *,
        do_train: bool = True,
        do_save: bool = True,
        do_eval: bool = False,
        model_card: bool = True,
    ) -> None:
        self.trainer = trainer
        self.do_train = do_train
        self.do_save = do_save
        self.do_eval = do_eval
        self.model_card = model_card

    def run(self, arguments: Sequence[str] | None = None, *, resume: bool | str | None = None) -> None:
        """Do what was asked for. An interrupted training ends with its exit code and leaves the final model alone.

        Of the program's `arguments`, by default its command line, `--resume [CHECKPOINT]` is obeyed: with a path that
        checkpoint, without one the latest. Whatever else they are is left to the program. A program that reads its
        command line itself gives `resume`: a checkpoint, or True for the latest.
        """
        if resume is None:
            resume = _resume_option(sys.argv[1:] if arguments is None else arguments)
        exit_code = 0
        trial = current_trial()
        records = RecordsRun(self.trainer, trial)
        self.trainer.callbacks += [records] if trial is None else [records, TrialCallback(trial)]
        try:
            self._run(resume, trial)
            records.end("finished")
        except TrainingInterrupted as interrupted:
            exit_code, reason = interrupted.exit_code, self.trainer.why_ended
            why = {} if reason is None else {"reason": reason}
            records.end("stopped", exit_code=exit_code, checkpoint=interrupted.checkpoint, **why)
        except BaseException as error:
            records.end("failed", reason=f"{type(error).__name__}: {error}")
            raise
        # out of the except block: its traceback keeps the model's parallel wrapper, which outlives no process group
        disconnect()
        if exit_code:
            sys.exit(exit_code)

    def _run(self, resume: bool | str | None, trial: Trial | None) -> None:
        trainer = self.trainer
        if self.do_train:
            trainer.train(resume_from_checkpoint=resume)
        if self.do_save:
            self._say(f"The model is in {trainer.save_model()}")
        metrics = None
        if self.do_eval:
            metrics = trainer.evaluate()
            self._say(readable(metrics))
            if trial is not None and trainer.world.is_main:
                trial.report(metrics, step=trainer.state.global_step)
        if self.do_save and self.model_card and trainer.world.is_main:
            _write_card(trainer, metrics)

    def _say(self, text: str) -> None:
        if self.trainer.world.is_main:
            say(text)


class TransformersScript:
    """Runs a trainer of transformers, or one made like it, such as TRL's: training, the final model, an evaluation."""

    def __init__(self, trainer: Any, *, do_train: bool = True, do_save: bool = True, do_eval: bool = False) -> None:
        self.trainer = trainer
        self.do_train = do_train
        self.do_save = do_save
        self.do_eval = do_eval

    def run(self, arguments: Sequence[str] | None = None, *, resume: bool | str | None = None) -> None:
        """Do what was asked for. `resume` is a checkpoint, or True for the latest, if there is one."""
        from transformers.trainer_utils import get_last_checkpoint

        if resume is None:
            resume = _resume_option(sys.argv[1:] if arguments is None else arguments)
        folder = str(self.trainer.args.output_dir)
        if resume is True:
            resume = get_last_checkpoint(folder) if Path(folder).is_dir() else None  # type: ignore[no-untyped-call]
        if self.do_train:
            self.trainer.train(resume_from_checkpoint=resume or None)
        if self.do_save:
            self.trainer.save_model()
        is_main = self.trainer.is_world_process_zero()
        if self.do_save and is_main:
            say(f"The model is in {folder}")
        metrics = self.trainer.evaluate() if self.do_eval else {}
        if metrics and is_main:
            say(readable(metrics))


class RecordsRun(TrainerCallback):
    """Keeps the record of a training, and refuses a repetition that would not be one."""

    def __init__(self, trainer: Trainer, trial: Trial | None = None) -> None:
        self._trainer = trainer
        self._trial = trial
        self._record: RunRecord | None = None

    def on_train_begin(self, run: TrainingRun) -> None:
        """Compare with the run that is to be repeated, if that is what this is; write the record."""
        trainer = self._trainer
        repeated = os.environ.get("FGC_SAME_AS")
        if repeated and (changed := differences(fingerprint_of(Path(repeated)), trainer.fingerprint)):
            listed = "".join(f"\n  {change.sentence}" for change in changed)
            raise ResumeRefused(f"this would not be {repeated} again:{listed}\nTo run it all the same: --anyway")
        if not run.is_main:
            return
        self._record = RunRecord(
            trainer.logging_dir,
            world_size=run.world_size,
            output_dir=trainer.output_dir,
            resumed_from=trainer.resumed_from,
        )
        metric, is_greater = trainer.args.metric_for_best_model, trainer.args.greater_is_better
        more: dict[str, object] = {"metric": metric, "greater_is_better": bool(is_greater)}
        if (trial := self._trial) is not None:
            more["trial"] = {"sweep": trial.sweep, "number": trial.number, "values": trial.values}
        if run.links:
            more["links"] = dict(run.links)
        self._record.begin(trainer.fingerprint, max_steps=run.max_steps, **more)
        _keep_sources(trainer.logging_dir)

    def end(self, state: str, **more: object) -> None:
        """Say how it ended; nothing where no training began. A run that was told to end early has not finished."""
        if self._record is None:
            return
        trainer, step = self._trainer, self._trainer.state.global_step
        if state == "finished" and step < trainer.max_steps:
            state, more = "stopped", {"reason": trainer.why_ended, **more}
        best = {"best_metric": trainer.state.best_metric, "best_step": trainer.state.best_step}
        self._record.end(state, step=step, max_steps=trainer.max_steps, **best, **more)


def _resume_option(arguments: Sequence[str]) -> bool | str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?", const=True)
    resume: bool | str | None = parser.parse_known_args(arguments)[0].resume
    return resume


def _keep_sources(logging_dir: Path) -> None:
    own = program_files()
    contents = {} if own is None else own.contents
    for name in _KEPT_WITH_THE_RUN:
        if name in contents:
            (logging_dir / name).write_bytes(contents[name])


def _write_card(trainer: Trainer, metrics: Mapping[str, float] | None) -> None:
    """Without a card nothing is lost: a disk that is full says so, and the program ends well."""
    model, folder = trainer.model, trainer.output_dir
    evaluated = [record for record in trainer.log_history if "eval_loss" in record]
    found = next((record for record in reversed(evaluated) if record["step"] == trainer.model_step), {})
    shown = metrics or {name: value for name, value in found.items() if name not in _PLACES}
    about = {
        "name": folder.resolve().name,
        "class": type(model).__name__,
        "num_parameters": trainer.strategy.num_parameters,
        "configuration": configuration(),
        "run": trainer.logging_dir.name,
        "step": trainer.model_step,
        "num_tokens": trainer.state.num_tokens,
        "data": {
            name.removeprefix("data."): value for name, value in trainer.fingerprint.items() if name.startswith("data.")
        },
        "arguments": {field.name: getattr(trainer.args, field.name) for field in fields(trainer.args)},
        "metrics": shown,
        "versions": versions(),
        "has_code": any(folder.glob("modeling_*.py")),
    }
    try:
        write_card(folder, about)
    except OSError as error:
        say(f"The model card was not written: {error}", is_warning=True)
