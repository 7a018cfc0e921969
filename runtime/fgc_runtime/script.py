"""How a generated `train.py` ends: train, save, evaluate, and leave the other processes in good order."""

import argparse
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from fgc_runtime.callbacks import readable
from fgc_runtime.distributed import disconnect
from fgc_runtime.trainers import Trainer, TrainingInterrupted

_KEPT_WITH_THE_RUN = ("config.yaml", "graph.json", "manifest.json")  # what the program was built from, beside it


class TrainingScript:
    """Runs a trainer: training, the final model into `output_dir`, an evaluation; each if asked for.

    A copy of the program's `config.yaml`, `graph.json` and `manifest.json` goes into the run's logging folder.
    """

    def __init__(self, trainer: Trainer, *, do_train: bool = True, do_save: bool = True, do_eval: bool = False) -> None:
        self.trainer = trainer
        self.do_train = do_train
        self.do_save = do_save
        self.do_eval = do_eval

    def run(self, arguments: Sequence[str] | None = None, *, resume: bool | str | None = None) -> None:
        """Do what was asked for. An interrupted training exits with 130 or 143 and leaves the final model alone.

        Of the program's `arguments`, by default its command line, `--resume [CHECKPOINT]` is obeyed: with a path that
        checkpoint, without one the latest. Whatever else they are is left to the program. A program that reads its
        command line itself gives `resume`: a checkpoint, or True for the latest.
        """
        if resume is None:
            resume = _resume_option(sys.argv[1:] if arguments is None else arguments)
        exit_code = 0
        try:
            self._run(resume)
        except TrainingInterrupted as interrupted:
            exit_code = interrupted.exit_code
        # out of the except block: its traceback keeps the model's parallel wrapper, which outlives no process group
        disconnect()
        if exit_code:
            sys.exit(exit_code)

    def _run(self, resume: bool | str | None) -> None:
        trainer = self.trainer
        if self.do_train:
            if trainer.world.is_main:
                _keep_sources(trainer.logging_dir)
            trainer.train(resume_from_checkpoint=resume)
        if self.do_save:
            self._say(f"The model is in {trainer.save_model()}")
        if self.do_eval:
            self._say(readable(trainer.evaluate()))

    def _say(self, text: str) -> None:
        if self.trainer.world.is_main:
            print(text, flush=True)


def _resume_option(arguments: Sequence[str]) -> bool | str | None:
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--resume", nargs="?", const=True)
    resume: bool | str | None = parser.parse_known_args(arguments)[0].resume
    return resume


def _keep_sources(logging_dir: Path) -> None:
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is None:
        return
    for name in _KEPT_WITH_THE_RUN:
        source = Path(program).with_name(name)
        if source.is_file():
            logging_dir.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, logging_dir / name)
