"""Computes the mean loss per label token on evaluation data, and keeps track of the best one.

`evaluate` computes it; `Evaluations` decides when in a training.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.models.modes import evaluating
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.checkpoints.checkpoints import Checkpoints
from fgc_runtime.trainers.loop.control import Control
from fgc_runtime.trainers.loop.feed import Collator, ExampleDataset, eval_windows
from fgc_runtime.trainers.loop.log import Log
from fgc_runtime.trainers.loop.metrics import Predictions
from fgc_runtime.trainers.loop.session import Session
from fgc_runtime.trainers.strategies import Strategy

_MAX_EXPONENT = 700  # e to the 710 exceeds a float


def evaluate(
    dataset: ExampleDataset,
    collate: Collator,
    args: TrainingArguments,
    strategy: Strategy,
    should_leave: Callable[[], bool],
    *,
    term_names: Sequence[str] = (),
    predictions: Predictions | None = None,
    unit: str = "tokens",
) -> dict[str, float] | None:
    """Returns `eval_loss`, its `perplexity`, `eval_tokens`, and other terms of the loss and metrics as `eval_NAME`.

    For a loss over pairs there is no perplexity, and `eval_pairs` is the number of pairs.

    Returns None if `should_leave`, asked before each batch, says so. Raises ValueError if the data has no label tokens,
    and for a metric with the name of another number.
    """
    sums = torch.zeros(1 + len(term_names), dtype=torch.float64, device=strategy.world.device)
    num_tokens = 0
    watching = nullcontext() if predictions is None else predictions.watching(strategy.model)
    with torch.no_grad(), watching, evaluating(strategy.model):
        for window in eval_windows(dataset, collate, args, strategy):
            if should_leave():
                return None
            num_tokens += window.num_label_tokens * strategy.is_counted
            if predictions is not None:
                predictions.begin_window()
            for batch in window.micro_batches:
                sums += strategy.loss(batch)
                if predictions is not None:
                    predictions.add(batch)
    *totals, total_tokens = strategy.world.sum_floats([*sums.tolist(), num_tokens])
    if not total_tokens:
        raise ValueError("eval_dataset holds no label tokens: it is empty, or all of its labels are -100")
    loss, *others = (total / total_tokens for total in totals)
    perplexity = math.exp(loss) if loss < _MAX_EXPONENT else math.inf
    terms = {f"eval_{name}": value for name, value in zip(term_names, others, strict=True)}
    of_text = {"perplexity": perplexity} if unit == "tokens" else {}
    own = {"eval_loss": loss, **of_text, **terms, f"eval_{unit}": total_tokens}
    metrics = {} if predictions is None else predictions.metrics(strategy.world, strategy.is_counted)
    if taken := sorted(own.keys() & metrics.keys()):
        raise ValueError(f"compute_metrics returns {taken[0]}, which an evaluation has already: give it another name")
    return {**own, **metrics}


def require_metric(
    args: TrainingArguments, term_names: Sequence[str], *, has_own_metrics: bool, unit: str = "tokens"
) -> None:
    """Raises ValueError if no evaluation gives `metric_for_best_model`; names of the user's metrics begin with eval_.

    Checked at the start because the first evaluation may come after hours.
    """
    of_text = ["perplexity"] if unit == "tokens" else []
    name, known = args.metric_for_best_model, ["eval_loss", *of_text, *(f"eval_{term}" for term in term_names)]
    if name is None or name in known or (has_own_metrics and name.startswith("eval_")):
        return
    own = ", or eval_NAME for a NAME of compute_metrics" if has_own_metrics else ""
    raise ValueError(f"metric_for_best_model ({name!r}) must be one of {', '.join(known)}{own}")


def note_best(state: TrainerState, metrics: Mapping[str, float], args: TrainingArguments) -> None:
    """Keeps the best value of `metric_for_best_model` in `state`, ignoring NaN.

    Raises ValueError if there is no such metric.
    """
    name = args.metric_for_best_model
    if name is None:
        return
    if name not in metrics:
        raise ValueError(f"metric_for_best_model ({name!r}) must be one of {', '.join(metrics)}")
    value, sign = metrics[name], 1 if args.greater_is_better else -1
    is_better = state.best_metric is None or sign * value > sign * state.best_metric
    if is_better and not math.isnan(value):
        state.best_metric, state.best_step = value, state.global_step


class Evaluations:
    """Evaluates a run while it trains. Every process calls the same methods in the same order.

    `metrics_of` computes the metrics. It calls its argument before each batch, and returns None if that returns True.
    """

    def __init__(
        self,
        session: Session,
        checkpoints: Checkpoints,
        log: Log,
        control: Control,
        metrics_of: Callable[[Callable[[], bool]], dict[str, float] | None],
        *,
        has_data: bool,
    ) -> None:
        self._session = session
        self._checkpoints = checkpoints
        self._log = log
        self._control = control
        self._metrics_of = metrics_of
        self._has_data = has_data

    def catch_up(self) -> None:
        """Repeats the evaluation during which a run was interrupted, if there is still data for it."""
        if self._session.state.is_evaluation_due and self._has_data:
            self.run()

    def run_if_there_is_data(self) -> None:
        """Evaluates on request; without evaluation data it only warns, so that the training continues."""
        if self._has_data:
            self.run()
        else:
            self._session.warn("an evaluation was asked for, and there is no eval_dataset")

    def run(self) -> None:
        """Evaluates, updates the best value and logs. Requests to stop or to save are answered between two batches."""
        session, state = self._session, self._session.state
        with self._log.meter.paused(), session.phase("evaluating"):
            state.is_evaluation_due = True  # also saved in a checkpoint that is requested meanwhile
            metrics = self._metrics_of(self._control.is_called_away)
            if metrics is None:
                return
            state.evaluated_step, state.is_evaluation_due = state.global_step, False
            session.metrics = metrics
            note_best(state, metrics, session.args)
            self._log.write(metrics)
            with self._checkpoints.shown_weights():
                session.tell(lambda callback: callback.on_evaluate(session.run, metrics))
