"""A training that gets worse and worse to a stop, before it has cost much."""

from collections.abc import Mapping
from typing import Literal

from fgc_runtime.callbacks.base import Logs, TrainerCallback, TrainingRun
from fgc_runtime.output import say


class DivergenceCallback(TrainerCallback):
    """Stops when the smoothed loss stays above its best by more than a threshold.

    Of each record's `metric` x: s <- (1 - smoothing) s + smoothing x, beginning with the first. After `warmup` records,
    a record with s > min(s) + threshold is a strike; any other one clears the strikes. With `relative_threshold` r in
    place of `threshold`, the bound is min(s) (1 + r). `patience` strikes in a row end the run: `stop` as after its last
    step, with a checkpoint, `abort` at once and without one. The state goes into checkpoints.
    """

    def __init__(
        self,
        *,
        metric: str = "loss",
        smoothing: float = 0.3,
        threshold: float = 1.0,
        relative_threshold: float | None = None,
        patience: int = 3,
        warmup: int = 10,
        action: Literal["stop", "abort"] = "stop",
    ) -> None:
        _require("smoothing", smoothing, 0 < smoothing <= 1, "must be above 0 and at most 1")
        _require("threshold", threshold, threshold > 0, "must be above 0")
        is_ratio = relative_threshold is None or relative_threshold > 0
        _require("relative_threshold", relative_threshold, is_ratio, "must be None or above 0")
        _require("patience", patience, patience >= 1, "must be at least 1")
        _require("warmup", warmup, warmup >= 0, "must not be negative")
        _require("action", action, action in ("stop", "abort"), "must be one of stop, abort")
        self.metric = metric
        self.smoothing = smoothing
        self.threshold = threshold
        self.relative_threshold = relative_threshold
        self.patience = patience
        self.warmup = warmup
        self.action = action
        self._smoothed: float | None = None
        self._best = float("inf")
        self._num_records = 0
        self._strikes = 0

    def on_log(self, run: TrainingRun, logs: Logs) -> None:
        """Judge a record that has the metric."""
        if self.metric not in logs or not self._is_diverging(logs[self.metric]):
            return
        if self.action == "stop":
            run.control.should_stop, run.control.reason = True, "it diverged"
        else:
            run.control.should_abort = True
        if run.is_main:
            say(
                f"Diverging at step {run.state.global_step}: the smoothed {self.metric} ({self._smoothed:.4f}) is "
                f"above {self._bound:.4f}, its best being {self._best:.4f}, for {self._strikes} records: {self.action}"
            )

    def state_dict(self) -> dict[str, object]:
        """Returns what has been seen."""
        seen = {"smoothed": self._smoothed, "best": self._best, "num_records": self._num_records}
        return {**seen, "strikes": self._strikes}

    def load_state_dict(self, state_dict: Mapping[str, object]) -> None:
        """See it again."""
        smoothed = state_dict["smoothed"]
        self._smoothed = None if smoothed is None else float(str(smoothed))
        self._best = float(str(state_dict["best"]))
        self._num_records, self._strikes = int(str(state_dict["num_records"])), int(str(state_dict["strikes"]))

    @property
    def _bound(self) -> float:
        if self.relative_threshold is not None:
            return self._best * (1 + self.relative_threshold)
        return self._best + self.threshold

    def _is_diverging(self, value: float) -> bool:
        before = value if self._smoothed is None else self._smoothed
        self._smoothed = (1 - self.smoothing) * before + self.smoothing * value
        self._num_records += 1
        is_strike = self._num_records > self.warmup and self._smoothed > self._bound
        self._best = min(self._best, self._smoothed)
        self._strikes = self._strikes + 1 if is_strike else 0
        return self._strikes >= self.patience


def _require(name: str, value: object, holds: bool, rule: str) -> None:
    if not holds:
        raise ValueError(f"{name} ({value!r}) {rule}")
