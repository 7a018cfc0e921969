"""Which checkpoints of an output folder may go, and how they go: each is there whole, or not at all.

The newest, the best and those that links lead to stay in any case.
"""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fgc.cli.arguments import CannotRun
from fgc.cli.outputs import Checkpoint
from fgc.cli.runs import runs_in
from fgc.reading import read_json


def marks(output: Path, found: Sequence[Checkpoint]) -> dict[int, list[str]]:
    """Returns what is said of each checkpoint, by its step: `latest`, `best`, `linked`."""
    said: dict[int, list[str]] = {checkpoint.step: [] for checkpoint in found}
    if found:
        said[found[-1].step].append("latest")
    for step in _best(found):
        said[step].append("best")
    targets = {path.resolve().parent for path in _links(output)}
    for checkpoint in found:
        if checkpoint.folder.resolve() in targets:
            said[checkpoint.step].append("linked")
    return said


def excess(found: Sequence[Checkpoint], said: Mapping[int, Sequence[str]], *, keep: int) -> list[Checkpoint]:
    """All but the `keep` newest and those of which something is said."""
    return [checkpoint for checkpoint in found[: max(len(found) - keep, 0)] if not said[checkpoint.step]]


def remove(output: Path, checkpoints: Sequence[Checkpoint]) -> None:
    """Remove them; each is renamed before its files go. Raises CannotRun while a training writes there."""
    running = [run.folder.name for run in runs_in(output) if run.state == "running"]
    if running:
        raise CannotRun(f"`{running[-1]}` is running and removes checkpoints itself; end it first: `fgc control stop`")
    for checkpoint in checkpoints:
        going = checkpoint.folder.with_name(checkpoint.folder.name + ".unfinished")  # a name that nothing reads
        checkpoint.folder.rename(going)
        shutil.rmtree(going)
    for leftover in (output / "checkpoints").glob("checkpoint-*.unfinished"):
        shutil.rmtree(leftover, ignore_errors=True)


def _links(output: Path) -> list[Path]:
    return [path for path in output.iterdir() if path.is_symlink()] if output.is_dir() else []


def _best(found: Sequence[Checkpoint]) -> set[int]:
    """Steps whose metric is the lowest or highest, if the training looked for one: its best is not beyond theirs."""
    best = _read(found[-1].folder / "trainer_state.json").get("best_metric") if found else None
    if not isinstance(best, (int, float)):
        return set()
    by_metric: dict[str, dict[int, float]] = {}
    for checkpoint in found:
        metrics = _read(checkpoint.folder / "checkpoint.json").get("metrics")
        for name, value in metrics.items() if isinstance(metrics, dict) else ():
            if isinstance(value, (int, float)):
                by_metric.setdefault(name, {})[checkpoint.step] = value
    steps = set()
    for values in by_metric.values():
        if best <= min(values.values()):
            steps.add(min(values, key=lambda step: (values[step], step)))
        elif best >= max(values.values()):
            steps.add(max(values, key=lambda step: (values[step], -step)))
    return steps


def _read(path: Path) -> dict[str, Any]:
    """A JSON object; empty if there is none."""
    try:
        value = read_json(path)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
