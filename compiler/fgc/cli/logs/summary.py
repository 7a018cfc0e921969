"""A log to what a person asks of it first: how far, how long, how good; as text, JSON, Markdown or one line."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from fgc.cli.layout import aligned, one_line
from fgc.cli.logs.records import Log, Point, is_number
from fgc.cli.runs import metric_of, read_run

_FORMATS: dict[str, Callable[[Any], str]] = {
    "steps": lambda value: f"{value:,}",
    "seconds": lambda value: str(timedelta(seconds=round(value))),
    "tokens": lambda value: f"{value:,.0f}",
    "tokens_per_second": lambda value: f"{value:,.0f}",
    "parameters": lambda value: f"{value:,}",
    "learning_rate": lambda value: f"{value:.3g}",
}
_LABELS = {
    "run": "run",
    "configuration": "configuration",
    "state": "state",
    "steps": "steps",
    "max_steps": "of",
    "epoch": "epoch",
    "seconds": "time",
    "tokens": "tokens",
    "tokens_per_second": "tokens/s",
    "parameters": "parameters",
    "processes": "processes",
    "first_loss": "first loss",
    "loss": "last loss",
    "lowest_loss": "lowest loss",
    "lowest_loss_step": "at step",
    "metric": "metric",
    "best": "best",
    "best_step": "at step",
    "last": "last",
    "learning_rate": "learning rate",
    "highest_grad_norm": "highest grad norm",
    "peak_memory_gib": "peak memory, GiB",
    "not_finite": "numbers that are not finite",
    "broken_lines": "lines that cannot be read",
}
_IN_TABLE = ("run", "state", "steps", "loss", "best", "tokens_per_second", "seconds")


def summary_of(log: Log) -> dict[str, Any]:
    """Returns what there is to know of a run; what its log does not say is None."""
    run = read_run(log.path.parent)
    record = {} if run is None else run.record
    metric, is_maximized = metric_of(record)
    best = log.best(metric, is_maximized=is_maximized)
    losses = log.series("loss")
    lowest: Point | None = min(losses, key=lambda point: point[1], default=None)
    tokens = [value for each in log.records if is_number(value := each.get("num_tokens"))]
    epochs = [value for each in log.records if is_number(value := each.get("epoch"))]
    totals: dict[str, Any] = next((each for each in reversed(log.records) if "train_runtime" in each), {})
    steps = max((int(each["global_step"]) for each in log.records), default=record.get("step"))
    return {
        "run": log.name,
        "configuration": record.get("configuration"),
        "state": None if run is None else run.state,
        "steps": steps,
        "max_steps": log.description.get("max_steps", record.get("max_steps")),
        "epoch": max(epochs, default=None),
        "seconds": totals.get("train_runtime", _seconds(log)),
        "tokens": max(tokens, default=totals.get("train_tokens")),
        "tokens_per_second": totals.get("train_tokens_per_second", _mean(log.series("tokens_per_second"))),
        "parameters": log.description.get("num_parameters"),
        "processes": log.description.get("world_size"),
        "first_loss": losses[0][1] if losses else None,
        "loss": losses[-1][1] if losses else None,
        "lowest_loss": lowest[1] if lowest else None,
        "lowest_loss_step": round(lowest[0]) if lowest else None,
        "metric": metric if best else None,
        "best": best[1] if best else None,
        "best_step": round(best[0]) if best else None,
        "last": _last(log.series(metric)),
        "learning_rate": _last(log.series("learning_rate")),
        "highest_grad_norm": max((value for _, value in log.series("grad_norm")), default=None),
        "peak_memory_gib": max((value for _, value in log.series("peak_memory_gib")), default=None),
        "not_finite": log.num_not_finite or None,
        "broken_lines": log.num_broken or None,
        "log": str(log.path),
    }


def text_of(logs: Sequence[Log]) -> str:
    """Returns a paragraph for each run, a fact a line."""
    return "\n\n".join("\n".join(_lines(summary_of(log))) for log in logs)


def json_of(logs: Sequence[Log]) -> str:
    """Returns a list of objects."""
    return json.dumps([summary_of(log) for log in logs], indent=2, ensure_ascii=False)


def markdown_of(logs: Sequence[Log]) -> str:
    """Returns a table with a row for each run."""
    names = ("run", "configuration", *_IN_TABLE[1:])
    rows = [[_shown(name, summary[name]) for name in names] for summary in map(summary_of, logs)]
    head = [_LABELS[name] for name in names]
    lines = [head, ["---"] * len(names), *([one_line(cell).replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def lines_of(logs: Sequence[Log]) -> str:
    """Returns a line for each run, in columns."""
    rows = [tuple(_LABELS[name].upper() for name in _IN_TABLE)]
    rows += [_table_row(summary_of(log)) for log in logs]
    return "\n".join(aligned(rows))


def _table_row(summary: dict[str, Any]) -> tuple[str, ...]:
    goal = f"/{summary['max_steps']:,}" if isinstance(summary["max_steps"], int) else ""
    return tuple(_shown(name, summary[name]) + (goal if name == "steps" else "") for name in _IN_TABLE)


def _lines(summary: dict[str, Any]) -> list[str]:
    pairs = [(_LABELS[name], _shown(name, value)) for name, value in summary.items() if name in _LABELS]
    width = max(len(label) for label, _ in pairs)
    return [f"{label.ljust(width)}  {shown}" for label, shown in pairs if shown]


def _shown(name: str, value: Any) -> str:
    if value is None:
        return ""
    form = _FORMATS.get(name)
    if form is not None and is_number(value):
        with suppress(OverflowError):  # more seconds than there are
            return form(value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _seconds(log: Log) -> float | None:
    times = [each["timestamp"] for each in log.records if is_number(each.get("timestamp"))]
    begin = log.begin
    return max(times) - begin if times and begin is not None else None


def _mean(points: Sequence[Point]) -> float | None:
    return sum(value for _, value in points) / len(points) if points else None


def _last(points: Sequence[Point]) -> float | None:
    return points[-1][1] if points else None
