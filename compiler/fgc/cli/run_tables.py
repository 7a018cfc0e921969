"""The runs of an output folder to rows: sorted, as a table, JSON or CSV."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.layout import aligned
from fgc.cli.outputs import readable_size
from fgc.cli.runs import Run, run_of_model, runs_in
from fgc.diagnostics import did_you_mean

_NUM_SHOWN = 2  # results of an evaluation


class RunRow(Struct, frozen=True):
    """A run, with what has been read of its folder. `size_bytes` is None where nobody asked."""

    run: Run
    loss: float | None
    last: float | None
    best: tuple[str, float] | None
    is_model: bool
    size_bytes: int | None = None

    @property
    def step(self) -> int | None:
        """Returns how many steps it has made."""
        step = self.run.last.get("global_step", self.run.record.get("step"))
        return step if isinstance(step, int) else None


_KEYS: dict[str, Callable[[RunRow], Any]] = {
    "run": lambda row: row.run.folder.name,
    "configuration": lambda row: row.run.record.get("configuration"),
    "state": lambda row: row.run.state,
    "step": lambda row: row.step,
    "loss": lambda row: row.loss,
    "last": lambda row: row.last,
    "best": lambda row: row.best[1] if row.best else None,
    "started": lambda row: row.run.record.get("started_at"),
    "size": lambda row: row.size_bytes,
}


def rows_of(output: Path, *, with_size: bool) -> list[RunRow]:
    """Returns the runs of an output folder, the oldest first."""
    of_model = run_of_model(output)
    return [_row(run, of_model, with_size=with_size) for run in runs_in(output)]


def sorted_rows(rows: Sequence[RunRow], key: str) -> list[RunRow]:
    """Returns rows by a column, downwards with a dash before its name; those without a value last. Raises CannotRun."""
    name, is_reversed = key.removeprefix("-"), key.startswith("-")
    if name not in _KEYS:
        help = did_you_mean(name, _KEYS) or f"it is one of {', '.join(_KEYS)}"
        raise CannotRun(f"`--sort {key}`: there is no such column; {help}")
    of = _KEYS[name]
    known = [row for row in rows if of(row) is not None]
    return [*sorted(known, key=of, reverse=is_reversed), *(row for row in rows if of(row) is None)]


def table_text(rows: Sequence[RunRow], *, with_size: bool) -> str:
    """Returns a table."""
    head = ["RUN", "CONFIGURATION", "STATE", "STEP", "LOSS", "LAST", "BEST", "EVALUATED"]
    lines = [[*head, *(["SIZE"] if with_size else []), "OPTIONS"]]
    for row in rows:
        size = [readable_size(row.size_bytes or 0)] if with_size else []
        lines.append([*_cells(row), *size, _options(row.run)])
    return "\n".join(aligned(lines))


def json_text(rows: Sequence[RunRow]) -> str:
    """Returns a list of objects."""
    return json.dumps([_values(row) for row in rows], indent=2)


def csv_text(rows: Sequence[RunRow]) -> str:
    """Returns CSV, with a column for each value of a trial that any run has."""
    swept = list(dict.fromkeys(name for row in rows for name in _trial_values(row.run)))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = ("run", "configuration", "state", "step", "max_steps", "loss", "metric", "last", "best", "started_at")
    writer.writerow([*names, "ended_at", "size_bytes", "options", *swept])
    for row in rows:
        record, values = row.run.record, _trial_values(row.run)
        metric, best = row.best or (None, None)
        cells = [row.run.folder.name, record.get("configuration"), row.run.state, row.step, record.get("max_steps")]
        cells += [row.loss, metric, row.last, best, record.get("started_at"), record.get("ended_at"), row.size_bytes]
        writer.writerow(["" if cell is None else cell for cell in [*cells, row.run.options, *map(values.get, swept)]])
    return text.getvalue().rstrip("\n")


def size_of(folder: Path) -> int:
    """Returns the bytes of all files in a folder; links are not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _row(run: Run, of_model: str | None, *, with_size: bool) -> RunRow:
    loss, best = run.last.get("loss"), run.best
    return RunRow(
        run,
        loss if isinstance(loss, (int, float)) else None,
        run.last_of(best[0]) if best else None,
        best,
        run.folder.name == of_model,
        size_of(run.folder) if with_size else None,
    )


def _cells(row: RunRow) -> list[str]:
    run = row.run
    return [
        run.folder.name,
        str(run.record.get("configuration") or ""),
        run.state,
        run.steps,
        "" if row.loss is None else f"{row.loss:.4f}",
        "" if row.last is None else f"{row.last:.4f}",
        f"{row.best[0]} {row.best[1]:.4f}" if row.best else "",
        _evaluated(run.evaluated),
    ]


def _options(run: Run) -> str:
    """The values of a trial, which say more than the words it was started with; else these."""
    values = _trial_values(run)
    return "  ".join(f"{name}={value}" for name, value in values.items()) or run.options


def _trial_values(run: Run) -> dict[str, Any]:
    trial = run.record.get("trial")
    values = trial.get("values") if isinstance(trial, dict) else None
    return values if isinstance(values, dict) else {}


def _evaluated(values: dict[str, float]) -> str:
    """The first results by name; `--format json` has all."""
    shown = [f"{name} {value:.4f}" for name, value in sorted(values.items())]
    more = [f"{len(shown) - _NUM_SHOWN} more"] if len(shown) > _NUM_SHOWN else []
    return ", ".join([*shown[:_NUM_SHOWN], *more])


def _values(row: RunRow) -> dict[str, object]:
    run, record = row.run, row.run.record
    times = ("configuration", "started_at", "ended_at", "max_steps", "reason", "resumed_from")
    names = (*times, "repository", "trial", "links")
    return {
        "folder": str(run.folder),
        "state": run.state,
        "step": row.step,
        "loss": row.loss,
        "last": row.last,
        "best": {"metric": row.best[0], "value": row.best[1]} if row.best else None,
        "evaluations": run.evaluations,
        "options": record.get("words"),
        "is_model": row.is_model,
        "size_bytes": row.size_bytes,
        **{name: record.get(name) for name in names},
    }
