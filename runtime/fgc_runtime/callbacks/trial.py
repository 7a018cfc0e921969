"""Records of a trial to the sweep that started it, and the sweep's word to the loop. Does nothing outside of sweeps."""

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.trial import Trial

PRUNED = "pruned by its sweep"


class TrialCallback(TrainerCallback):
    """Reports every record on the main process; leaves the training if the sweep says so, or is gone.

    A trial that is pruned writes nothing more. One whose sweep was killed writes a checkpoint first: the sweep goes on
    from it when it is resumed.
    """

    def __init__(self, trial: Trial) -> None:
        self.trial = trial

    def on_train_begin(self, run: TrainingRun) -> None:
        """Say where the run's folder is."""
        if run.is_main:
            self.trial.begin(run=run.logging_dir, step=run.state.global_step, max_steps=run.max_steps)

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Report, and obey."""
        if not run.is_main:
            return
        reason = self.trial.report(logs, step=run.state.global_step)
        if reason is not None and run.state.global_step < run.max_steps:
            run.control.should_abort = True
            run.control.reason = f"{PRUNED}: {reason}"

    def on_poll(self, run: TrainingRun) -> None:
        """Leave with a checkpoint if nobody waits for the result any more."""
        if run.is_main and self.trial.is_orphan:
            run.control.should_pause = True
            run.control.reason = "its sweep is gone"
