"""Computes the user's metrics from an evaluation's logits: predictions of all processes, in the order of the data.

A function of all predictions is exact for any metric, including those that are not means over batches.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy
from torch import Tensor, nn

from fgc_runtime.data.collator import IGNORED_LABEL, Batch
from fgc_runtime.distributed import World
from fgc_runtime.trainers.arguments import TrainingArguments
from fgc_runtime.trainers.strategies import Pipeline, Strategy

Array = Any  # numpy.ndarray


class EvalPrediction(NamedTuple):
    """The argument of `compute_metrics`, with the names of transformers: N examples of T tokens.

    `predictions` [N, T, ...] are for the token after each position. `label_ids` [N, T] are the labels as given: -100
    for no label. Shorter examples are padded with -100. Examples without a label are left out.
    """

    predictions: Array
    label_ids: Array


ComputeMetrics = Callable[[EvalPrediction], Mapping[str, float]]
Preprocess = Callable[[Tensor, Tensor], Tensor]


def require_logits(strategy: Strategy, args: TrainingArguments) -> None:
    """Raises ValueError if no process has the logits that metrics are computed from."""
    if args.fused_loss != "no":
        raise ValueError(f"fused_loss ({args.fused_loss!r}) must be 'no' with compute_metrics: it makes no logits")
    if isinstance(strategy, Pipeline):
        raise ValueError("compute_metrics cannot be with Pipeline: only its last stage has logits, of parts of a batch")


def token_accuracy(prediction: EvalPrediction) -> dict[str, float]:
    """Returns `accuracy`, the fraction of label tokens that are the most likely ones."""
    predicted, labels = prediction.predictions[:, :-1], prediction.label_ids[:, 1:]
    is_label = labels != IGNORED_LABEL
    return {"accuracy": float((predicted == labels)[is_label].mean()) if is_label.any() else 0.0}


class Predictions:
    """Collects a model's predictions in an evaluation, and passes them to `compute`.

    `preprocess(logits, labels)` returns what is kept of a batch; by default the most likely token of each position.
    """

    def __init__(self, compute: ComputeMetrics, preprocess: Preprocess | None = None) -> None:
        self._compute = compute
        self._preprocess = preprocess or (lambda logits, labels: logits.argmax(-1))
        self._windows: list[list[tuple[Array, Array] | None]] = []
        self._logits: Tensor | None = None

    @contextmanager
    def watching(self, model: nn.Module) -> Iterator[None]:
        """Records the logits of each call of the model in the body."""
        self._windows = []
        hook = model.register_forward_hook(self._note)
        try:
            yield
        finally:
            hook.remove()

    def begin_window(self) -> None:
        """Begins a new window; its predictions come after those of earlier windows of all processes."""
        self._windows.append([])

    def add(self, batch: Batch) -> None:
        """Stores the predictions for a batch."""
        assert self._logits is not None, "the model was called"
        labels = batch["labels"]
        kept = self._preprocess(self._logits, labels.to(self._logits.device)).detach()
        kept = kept.float() if kept.is_floating_point() else kept  # numpy has no bfloat16
        self._logits = None
        for row, of_row in zip(kept.cpu().numpy(), labels.cpu().numpy(), strict=True):
            self._windows[-1].append((row, of_row) if (of_row != IGNORED_LABEL).any() else None)

    def metrics(self, world: World, is_counted: bool) -> dict[str, float]:
        """Returns the metrics of all processes' predictions, as `eval_NAME`. Raises what `compute` raises."""
        found, problem = dict[str, float](), None
        rows = _merged([part for part, counts in world.gather((self._windows, is_counted)) if counts])
        self._windows = []
        if world.is_main:
            try:
                predictions, labels = (_padded([row[number] for row in rows]) for number in (0, 1))
                found = dict(self._compute(EvalPrediction(predictions, labels)))
            except Exception as error:
                problem = error
        if problem is not None and world.size == 1:
            raise problem
        found, problem = world.from_main((found, problem))
        if problem is not None:
            raise problem
        return {name if name.startswith("eval_") else f"eval_{name}": float(value) for name, value in found.items()}

    def _note(self, model: nn.Module, inputs: object, outputs: Any) -> None:
        self._logits = outputs.logits.detach()


def _merged(parts: Sequence[Sequence[Sequence[tuple[Array, Array] | None]]]) -> list[tuple[Array, Array]]:
    """Returns rows in the order of the data; within a window, processes took examples in turn."""
    windows = zip_longest(*parts, fillvalue=())
    turns = [turn for window in windows for turn in zip_longest(*window)]
    return [row for turn in turns for row in turn if row is not None]


def _padded(rows: Sequence[Array]) -> Array:
    longest = max((len(row) for row in rows), default=0)
    shape = rows[0].shape[1:] if rows else ()
    whole = numpy.full((len(rows), longest, *shape), IGNORED_LABEL, dtype=rows[0].dtype if rows else "int64")
    for number, row in enumerate(rows):
        whole[number, : len(row)] = row
    return whole
