"""The training loop: data in, forward, backward, optimizer, log; evaluations, saves and requests between two steps.

One loop for one process and for many. Every loss is a sum over label tokens divided by the number of label tokens of
the whole step, on all processes: how a step is cut into micro-batches, accumulation and processes does not change it.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from fgc_runtime.data.windows import Window
from fgc_runtime.trainers.arguments import IntervalStrategy
from fgc_runtime.trainers.checkpoints.weight_average import WeightAverage
from fgc_runtime.trainers.loop.control import Control, Requests
from fgc_runtime.trainers.loop.evaluation import Evaluations
from fgc_runtime.trainers.loop.log import Log
from fgc_runtime.trainers.loop.saving import Saves
from fgc_runtime.trainers.loop.session import Session


class Totals(NamedTuple):
    """Counts of one step over all processes."""

    num_label_tokens: int
    num_micro_batches: int


class Loop:
    """Makes the remaining steps of a run. Every process calls the same methods in the same order."""

    def __init__(
        self,
        session: Session,
        windows: Iterator[Window],
        log: Log,
        saves: Saves,
        control: Control,
        evaluations: Evaluations,
        average: WeightAverage | None,
    ) -> None:
        self.windows = windows
        self.stepper = session.stepper
        self.log = log
        self.saves = saves
        self.control = control
        self.evaluations = evaluations
        self.average = average
        self._session = session
        self._begin = replace(session.state)

    def run(self) -> None:
        """Makes steps until the last one, or until the run should end as finished. Else raises TrainingInterrupted.

        A window contains the micro-batches of one optimizer step.
        """
        state, run = self._session.state, self._session.run
        self.evaluations.catch_up()
        while state.global_step < run.max_steps:
            window = next(self.windows)
            totals, requests = self._agree(window)
            if requests.should_evaluate and not requests.should_leave:
                self.evaluations.run_if_there_is_data()
            if self.control.answer(requests):
                return
            self.step(window, totals)
            self._follow_up(window)

    def step(self, window: Window, totals: Totals) -> None:
        """Makes one optimizer step on the mean loss over the label tokens of all processes."""
        session, run = self._session, self._session.run
        number = session.state.global_step + 1
        run.is_step_logged = self._is_logged(number, window) or number == run.max_steps
        loss_sums = self.stepper.backward(window, totals.num_label_tokens)  # forward and backward, batch by batch
        if self.stepper.clip():
            session.tell(lambda callback: callback.on_pre_optimizer_step(run))
            self.stepper.update()
        self.stepper.end()
        if self.average is not None:
            self.average.update()
        self._count(window, totals)
        self.log.meter.record(loss_sums, totals.num_label_tokens, window, self.stepper.watched_norm)
        session.tell(lambda callback: callback.on_step_end(run))

    def end(self) -> dict[str, float]:
        """Makes a last evaluation and checkpoint, unless the last step had them; logs and returns the totals.

        A run that was stopped early does not evaluate again.
        """
        session, state = self._session, self._session.state
        self.log.meter.settle()
        if state.num_examples:
            self.log.require_labels()  # also for a run that is too short for a record
        is_ended = self.control.answer(self.control.agree()[1])
        if not is_ended and session.args.eval_strategy != "no" and state.evaluated_step != state.global_step:
            self.evaluations.run()
            self.control.answer(self.control.agree()[1])
        if session.args.save_strategy != "no" and self.saves.newest_step != state.global_step:
            self.saves.start()  # before the log, so that the checkpoint equals that of a longer run
        self.saves.finish()
        if state.unlogged_tokens and session.args.logging_strategy != "no":
            self.log.training()
        totals = self.log.totals(self._begin)
        if self._begin.global_step < session.run.max_steps:
            self.log.write(totals)
        else:
            session.say(f"Nothing was left to train: the checkpoint is of step {state.global_step}, the last one")
        if session.args.load_best_model_at_end:
            self.saves.load_best()
        return totals

    def _agree(self, window: Window) -> tuple[Totals, Requests]:
        """Returns the counts over all processes, and the requests to any of them."""
        own = [window.num_label_tokens, len(window.micro_batches)]
        sums, requests = self.control.agree([count * self._session.strategy.is_counted for count in own])
        return Totals(*sums), requests

    def _count(self, window: Window, totals: Totals) -> None:
        state = self._session.state
        state.global_step += 1
        state.num_micro_batches += totals.num_micro_batches
        state.num_examples += window.num_examples
        state.examples_in_epoch += window.num_examples
        state.stream = window.stream_state
        state.num_tokens += totals.num_label_tokens

    def _follow_up(self, window: Window) -> None:
        """Logs, evaluates and saves, if they are due after the step."""
        session, number = self._session, self._session.state.global_step
        if self._is_logged(number, window):
            self.log.training()
        is_last = session.args.eval_strategy != "no" and number == session.run.max_steps
        if is_last or _is_due(session.args.eval_strategy, session.args.eval_steps, number, window):
            self.evaluations.run()  # before the save, which keeps the metrics
        if _is_due(session.args.save_strategy, session.args.save_steps, number, window):
            self.saves.start()
        if window.ends_epoch and session.args.dataloader_num_workers:
            self.saves.finish()  # the next epoch forks processes, which must not inherit a lock of the writer

    def _is_logged(self, number: int, window: Window) -> bool:
        """Returns True if the step of this number ends with a record."""
        args = self._session.args
        is_first = number == 1 and args.logging_first_step
        return is_first or _is_due(args.logging_strategy, args.logging_steps, number, window)


def _is_due(strategy: IntervalStrategy, every_steps: int, number: int, window: Window) -> bool:
    if strategy == "steps":
        return number % every_steps == 0
    return strategy == "epoch" and window.ends_epoch
