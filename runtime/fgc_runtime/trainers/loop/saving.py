"""Saves checkpoints: each begins between two steps and is written while training continues."""

from dataclasses import replace
from pathlib import Path

from fgc_runtime import checkpoint
from fgc_runtime.trainers.checkpoints.checkpoints import Checkpoints, Moment
from fgc_runtime.trainers.loop.log import Log
from fgc_runtime.trainers.loop.session import Session


class Saves:
    """Saves a run while it trains. Every process calls the same methods in the same order."""

    def __init__(self, session: Session, checkpoints: Checkpoints, log: Log) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._log = log

    @property
    def newest_step(self) -> int | None:
        """Returns the step of the newest checkpoint, complete or being written; None if there is none or it failed."""
        return self._checkpoints.newest_step

    @property
    def is_done(self) -> bool:
        """Returns True if a save has ended on this process and `finish` has not reported it."""
        return self._checkpoints.is_done

    def start(self) -> Path:
        """Begins to write a checkpoint of the current state; training continues once everything has been copied."""
        session = self._session
        with self._log.meter.paused(), session.phase("saving"):
            self._log.meter.require_finite_weights(session.strategy.model)
            self.finish()
            metrics = session.metrics if session.state.evaluated_step == session.state.global_step else {}
            moment = Moment(replace(session.state), metrics, session.log_history)
            folder = self._checkpoints.start(moment, session.stepper, session.callbacks, session.fingerprint)
            if not session.args.async_save:
                self.finish()
        return folder

    def finish(self) -> checkpoint.Saved | None:
        """Waits for the checkpoint that is being written, if any. Raises SaveFailed."""
        session, saved = self._session, self._checkpoints.finish()
        if saved is None:
            return None
        folder, problem = saved.folder, saved.problem
        if problem is None:
            session.tell(lambda callback: callback.on_save(session.run, folder))
        else:
            session.tell(lambda callback: callback.on_save_failed(session.run, folder, problem))
        return saved

    def load_best(self) -> None:
        """Gives the model the weights of the best checkpoint, if there is one."""
        session, name = self._session, self._session.args.metric_for_best_model
        best = session.world.from_main(self._checkpoints.best() if session.world.is_main else [])
        if not best:
            session.warn(f"no checkpoint has {name} to be the best by: the model is the last")
            return
        session.model_step = self._checkpoints.load_weights(best[0], session.stepper.optimizer)
        session.say(f"The model is that of {best[0].name}: {name} {session.state.best_metric}")
