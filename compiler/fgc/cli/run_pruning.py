"""Chooses the runs of an output folder to remove, and removes each as a whole.

What is alive, what another run has gone on from, what links lead to, whose model the output folder holds, and the best
run of each metric stay in any case.
"""

import json
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from fgc.cli.arguments import CannotRun
from fgc.cli.outputs import readable_size
from fgc.cli.run_tables import RunRow, rows_of
from fgc.cli.runs import read_run

STATES = ("finished", "stopped", "failed", "killed")
_REMOVING = ".removing"
_DAY_S = 86_400


class Wish(Struct, frozen=True):
    """Limits that a run must exceed to be removed: rank, age and ending. A run must exceed all that are given."""

    keep: int | None = None
    older_than_days: float | None = None
    states: tuple[str, ...] = ()


class Decision(Struct, frozen=True):
    """A run, whether it goes, and what keeps one that was wished away."""

    row: RunRow
    is_removed: bool
    kept_by: tuple[str, ...] = ()


def wish_of(keep: int | None, days: float | None, states: str | None) -> Wish:
    """Returns what is wished. Raises CannotRun for nothing, and for what makes no sense."""
    names = tuple(name.strip() for name in states.split(",")) if states else ()
    if unknown := [name for name in names if name not in STATES]:
        raise CannotRun(f"`--state {unknown[0]}` must be of {', '.join(STATES)}")
    if (keep is not None and keep < 0) or (days is not None and days < 0):
        raise CannotRun("`--keep` and `--older-than` must not be negative")
    if keep is None and days is None and not names:
        options = "`--keep N` of the newest, `--older-than DAYS`, `--state failed,killed`"
        raise CannotRun(f"say which runs to remove, or which to keep: {options}")
    return Wish(keep, days, names)


def decide(output: Path, wish: Wish) -> list[Decision]:
    """Returns what would happen to each run, the oldest first."""
    rows = rows_of(output, with_size=True)
    said = reasons(output, rows)
    newest = {row.run.folder for row in rows[max(0, len(rows) - wish.keep) :]} if wish.keep else set()
    found = []
    for row in rows:
        kept_by = said[row.run.folder.name]
        is_wished = _is_wished(row, wish) and row.run.folder not in newest
        found.append(Decision(row, is_wished and not kept_by, tuple(kept_by) if is_wished else ()))
    return found


def reasons(output: Path, rows: Sequence[RunRow]) -> dict[str, list[str]]:
    """Returns what keeps each run, by its name."""
    found: dict[str, list[str]] = {row.run.folder.name: [] for row in rows}
    for row in rows:
        if row.run.state == "running":
            found[row.run.folder.name].append("running")
        if row.is_model:
            found[row.run.folder.name].append("the output folder's model")
        if row.run.folder.is_symlink():
            found[row.run.folder.name].append("a link itself")
    for name in _best_of(rows):
        found[name].append("best")
    folders = {row.run.folder.resolve(): row.run.folder.name for row in rows}
    for target in _linked(output):
        for parent in (target, *target.parents):
            if parent in folders and "linked" not in found[folders[parent]]:
                found[folders[parent]].append("linked")
    for other, start in _starts(rows):
        for parent in Path(start).resolve().parents:
            if parent in folders and folders[parent] != other:
                found[folders[parent]].append(f"{other} went on from it")
    return found


def remove(output: Path, decisions: Sequence[Decision]) -> None:
    """Removes what was decided on; what has become alive meanwhile stays. Each is renamed before its files go."""
    for decision in decisions:
        folder = decision.row.run.folder
        now = read_run(folder)
        if decision.is_removed and now is not None and now.state != "running":
            going = folder.with_name(f"{_REMOVING}-{folder.name}")
            folder.rename(going)
            shutil.rmtree(going)
    for leftover in (output / "runs").glob(f"{_REMOVING}-*"):
        shutil.rmtree(leftover, ignore_errors=True)


def decision_text(decisions: Sequence[Decision], *, is_done: bool) -> str:
    """Returns a line for each run that goes or is kept against the wish, and a sum."""
    verb = "removed" if is_done else "would remove"
    lines = []
    for each in decisions:
        name, size = each.row.run.folder.name, readable_size(each.row.size_bytes or 0)
        if each.is_removed:
            lines.append(f"{verb} {name} ({each.row.run.state}, {size})")
        elif each.kept_by:
            lines.append(f"kept {name} ({', '.join(each.kept_by)})")
    going = [each for each in decisions if each.is_removed]
    total = readable_size(sum(each.row.size_bytes or 0 for each in going))
    hint = "" if is_done or not going else "; `--yes` removes them"
    return "\n".join([*lines, f"{len(going)} of {len(decisions)} runs, {total}{hint}"])


def decision_json(decisions: Sequence[Decision]) -> str:
    """Returns a list of objects."""
    rows = [
        {
            "folder": str(each.row.run.folder),
            "state": each.row.run.state,
            "size_bytes": each.row.size_bytes,
            "is_removed": each.is_removed,
            "kept_by": list(each.kept_by),
        }
        for each in decisions
    ]
    return json.dumps(rows, indent=2)


def _is_wished(row: RunRow, wish: Wish) -> bool:
    is_old = wish.older_than_days is None or time.time() - _ended(row) > wish.older_than_days * _DAY_S
    return is_old and (not wish.states or row.run.state in wish.states)


def _ended(row: RunRow) -> float:
    """Returns the time of a run's last write, in Unix seconds: its record is written at its end."""
    times = [path.stat().st_mtime for path in row.run.folder.iterdir() if path.is_file()]
    return max(times, default=time.time())


def _best_of(rows: Sequence[RunRow]) -> set[str]:
    """The best run by each metric."""
    best: dict[str, tuple[float, str]] = {}
    for row in rows:
        if row.best is None:
            continue
        metric, value = row.best
        sign = 1 if row.run.record.get("greater_is_better") else -1
        candidate = (sign * value, row.run.folder.name)
        if metric not in best or candidate[0] > best[metric][0]:
            best[metric] = candidate
    return {name for _, name in best.values()}


def _linked(output: Path) -> list[Path]:
    """Returns where the links of an output folder lead, those in its model and its checkpoints too."""
    found = []
    for path in (*output.glob("*"), *output.glob("*/*"), *output.glob("checkpoints/*/*")):
        with suppress(OSError):
            if path.is_symlink() and path.parent.parent.name != "runs" and path.parent.name != "runs":
                found.append(path.resolve())
    return found


def _starts(rows: Sequence[RunRow]) -> list[tuple[str, str]]:
    """Runs that went on from a checkpoint, with its path."""
    starts = [(row.run.folder.name, row.run.record.get("resumed_from")) for row in rows]
    return [(name, start) for name, start in starts if isinstance(start, str)]
