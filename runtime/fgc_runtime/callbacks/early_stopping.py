"""Evaluations that get no better to the end of a training."""

import math
from collections.abc import Mapping

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.output import say


class EarlyStoppingCallback(TrainerCallback):
    """Stops when `metric_for_best_model` has not improved for `early_stopping_patience` evaluations in a row.

    It has improved if it is better than the best before by more than `early_stopping_threshold`; NaN never is. The run
    ends as after its last step, with a checkpoint and the final model; `load_best_model_at_end` makes that the best
    one. Checkpoints keep what has been seen: a resumed run stops where one without a break would have.
    """

    def __init__(self, early_stopping_patience: int = 1, early_stopping_threshold: float = 0.0) -> None:
        if early_stopping_patience < 1:
            raise ValueError(f"early_stopping_patience ({early_stopping_patience}) must be at least 1")
        if early_stopping_threshold < 0:
            raise ValueError(f"early_stopping_threshold ({early_stopping_threshold}) must not be negative")
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold
        self._best: float | None = None
        self._num_worse = 0

    def on_train_begin(self, run: TrainingRun) -> None:
        """Stop again, where the run that goes on here had been stopped. Raises ValueError without a metric."""
        if run.arguments.get("metric_for_best_model") is None:
            raise ValueError(
                "metric_for_best_model (None) must be given for EarlyStoppingCallback, such as eval_loss, "
                "with greater_is_better and an eval_strategy"
            )
        self._stop_if_done(run)

    def on_evaluate(self, run: TrainingRun, metrics: Logs) -> None:
        """Judge an evaluation."""
        sign = 1 if run.arguments["greater_is_better"] else -1
        value = metrics[str(run.arguments["metric_for_best_model"])]
        is_better = self._best is None or sign * (value - self._best) > self.early_stopping_threshold
        if is_better and not math.isnan(value):
            self._best, self._num_worse = value, 0
        else:
            self._num_worse += 1
        self._stop_if_done(run)

    def state_dict(self) -> dict[str, object]:
        """Returns what has been seen."""
        return {"best": self._best, "num_worse": self._num_worse}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """See it again."""
        best = state_dict["best"]
        self._best = None if best is None else float(str(best))
        self._num_worse = int(str(state_dict["num_worse"]))

    def _stop_if_done(self, run: TrainingRun) -> None:
        if self._num_worse < self.early_stopping_patience:
            return
        name = run.arguments["metric_for_best_model"]
        run.control.should_stop = True
        run.control.reason = f"{name} no longer improved"
        if run.is_main:
            rule = "no number" if self._best is None else f"no better than {self._best:.4f}"
            say(f"Stopping at step {run.state.global_step}: {name} has been {rule} for {self._num_worse} evaluations")
