"""How a generated `train.py` ends: train, save, evaluate, and leave the other processes in good order."""

import shutil
import sys
from pathlib import Path

from fgc_runtime.callbacks import readable
from fgc_runtime.distributed import disconnect
from fgc_runtime.trainers import Trainer, TrainingInterrupted

_KEPT_WITH_THE_RUN = ("config.yaml", "manifest.json")  # what the program was built from, beside it


class TrainingScript:
    """Runs a trainer: training, the final model into `output_dir`, an evaluation; each if asked for.

    A copy of the program's `config.yaml` and `manifest.json` goes into the run's logging folder.
    """

    def __init__(self, trainer: Trainer, *, do_train: bool = True, do_save: bool = True, do_eval: bool = False) -> None:
        self.trainer = trainer
        self.do_train = do_train
        self.do_save = do_save
        self.do_eval = do_eval

    def run(self) -> None:
        """Do what was asked for. An interrupted training exits with 130 or 143 and leaves the final model alone."""
        exit_code = 0
        try:
            self._run()
        except TrainingInterrupted as interrupted:
            exit_code = interrupted.exit_code
        # out of the except block: its traceback keeps the model's parallel wrapper, which outlives no process group
        disconnect()
        if exit_code:
            sys.exit(exit_code)

    def _run(self) -> None:
        trainer = self.trainer
        if self.do_train:
            if trainer.world.is_main:
                _keep_sources(trainer.logging_dir)
            trainer.train()
        if self.do_save:
            self._say(f"The model is in {trainer.save_model()}")
        if self.do_eval:
            self._say(readable(trainer.evaluate()))

    def _say(self, text: str) -> None:
        if self.trainer.world.is_main:
            print(text, flush=True)


def _keep_sources(logging_dir: Path) -> None:
    program = getattr(sys.modules["__main__"], "__file__", None)
    if program is None:
        return
    for name in _KEPT_WITH_THE_RUN:
        source = Path(program).with_name(name)
        if source.is_file():
            logging_dir.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, logging_dir / name)
