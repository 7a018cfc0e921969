"""A model and evaluation data to the mean loss per label token, and whether that is the best so far."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

import torch

from fgc_runtime.callbacks import TrainerState
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.feed import Collator, ExampleDataset, eval_windows
from fgc_runtime.trainers.metrics import Predictions
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
) -> dict[str, float] | None:
    """Returns `eval_loss`, its `perplexity`, `eval_tokens`, and other terms of the loss and metrics as `eval_NAME`.

    Returns None if `should_leave`, asked before each batch, says so. Raises ValueError if the data has no label tokens,
    and for a metric with the name of another number.
    """
    sums = torch.zeros(1 + len(term_names), dtype=torch.float64, device=strategy.world.device)
    num_tokens = 0
    was_training = strategy.model.training
    strategy.model.train(False)
    watching = nullcontext() if predictions is None else predictions.watching(strategy.model)
    with torch.no_grad(), watching:
        for window in eval_windows(dataset, collate, args, strategy):
            if should_leave():
                strategy.model.train(was_training)
                return None
            num_tokens += window.num_label_tokens * strategy.is_counted
            if predictions is not None:
                predictions.begin_window()
            for batch in window.micro_batches:
                sums += strategy.loss(batch)
                if predictions is not None:
                    predictions.add(batch)
    strategy.model.train(was_training)
    *totals, total_tokens = strategy.world.sum_floats([*sums.tolist(), num_tokens])
    if not total_tokens:
        raise ValueError("eval_dataset holds no label tokens: it is empty, or all of its labels are -100")
    loss, *others = (total / total_tokens for total in totals)
    perplexity = math.exp(loss) if loss < _MAX_EXPONENT else math.inf
    terms = {f"eval_{name}": value for name, value in zip(term_names, others, strict=True)}
    own = {"eval_loss": loss, "perplexity": perplexity, **terms, "eval_tokens": total_tokens}
    metrics = {} if predictions is None else predictions.metrics(strategy.world, strategy.is_counted)
    if taken := sorted(own.keys() & metrics.keys()):
        raise ValueError(f"compute_metrics returns {taken[0]}, which an evaluation has already: give it another name")
    return {**own, **metrics}


def require_metric(args: TrainingArguments, term_names: Sequence[str], *, has_own_metrics: bool) -> None:
    """Raises ValueError if no evaluation will give `metric_for_best_model`; names of the user's own begin with eval_.

    The first evaluation may come after hours.
    """
    name, known = args.metric_for_best_model, ["eval_loss", "perplexity", *(f"eval_{term}" for term in term_names)]
    if name is None or name in known or (has_own_metrics and name.startswith("eval_")):
        return
    own = ", or eval_NAME for a NAME of compute_metrics" if has_own_metrics else ""
    raise ValueError(f"metric_for_best_model ({name!r}) must be one of {', '.join(known)}{own}")


def note_best(state: TrainerState, metrics: Mapping[str, float], args: TrainingArguments) -> None:
    """Keeps in `state` the best value of `metric_for_best_model`; NaN is none.

    Raises ValueError where metrics have no such name.
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
