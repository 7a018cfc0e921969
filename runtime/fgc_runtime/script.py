"""How a generated `train.py` ends: train, save, evaluate, and leave the other processes in good order."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from fgc_runtime.callbacks import TrainerCallback, TrainingRun, readable
from fgc_runtime.distributed import disconnect
from fgc_runtime.output import say
from fgc_runtime.runs import RunRecord, fingerprint_of
from fgc_runtime.sources import program_files
from fgc_runtime.trainers import ResumeRefused, Trainer, TrainingInterrupted
from fgc_runtime.trainers.fingerprint import differences

_KEPT_WITH_THE_RUN = ("config.yaml", "graph.json", "manifest.json")  # what the program was built from, beside it


class TrainingScript:
    """Runs a trainer: training, the final model into `output_dir`, an evaluation; each if asked for.

    The run's logging folder gets `run.json` and a copy of the program, from which `fgc rerun` repeats it; beside them
    the program's `config.yaml`, `graph.json` and `manifest.json`.
    """

    def __init__(self, trainer: Trainer, *, do_train: bool = True, do_save: bool = True, do_eval: bool = False) -> None:
        self.trainer = trainer
        self.do_train = do_train
        self.do_save = do_save
        self.do_eval = do_eval

    def run(self, arguments: Sequence[str] | None = None, *, resume: bool | str | None = None) -> None:
        """Do what was asked for. An interrupted training ends with its exit code and leaves the final model alone.

        Of the program's `arguments`, by default its command line, `--resume [CHECKPOINT]` is obeyed: with a path that
        checkpoint, without one the latest. Whatever else they are is left to the program. A program that reads its
        command line itself gives `resume`: a checkpoint, or True for the latest.
        """
        if resume is None:
            resume = _resume_option(sys.argv[1:] if arguments is None else arguments)
        exit_code = 0
        records = RecordsRun(self.trainer)
        self.trainer.callbacks.append(records)
        try:
            self._run(resume)
            records.end("finished")
        except TrainingInterrupted as interrupted:
            exit_code = interrupted.exit_code
            records.end("stopped", exit_code=exit_code, checkpoint=interrupted.checkpoint)
        except BaseException as error:
            records.end("failed", reason=f"{type(error).__name__}: {error}")
            raise
        # out of the except block: its traceback keeps the model's parallel wrapper, which outlives no process group
        disconnect()
        if exit_code:
            sys.exit(exit_code)

    def _run(self, resume: bool | str | None) -> None:
        trainer = self.trainer
        if self.do_train:
            trainer.train(resume_from_checkpoint=resume)
        if self.do_save:
            self._say(f"The model is in {trainer.save_model()}")
        if self.do_eval:
            self._say(readable(trainer.evaluate()))

    def _say(self, text: str) -> None:
        if self.trainer.world.is_main:
            say(text)


class RecordsRun(TrainerCallback):
    """Keeps the record of a training, and refuses a repetition that would not be one."""

    def __init__(self, trainer: Trainer) -> None:
        self._trainer = trainer
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
        self._record.begin(
            trainer.fingerprint, max_steps=run.max_steps, metric=metric, greater_is_better=bool(is_greater)
        )
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
