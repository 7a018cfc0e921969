"""Finds the earlier runs of a resumed training, whose checkpoints belong to the same training.

A run removes their old checkpoints only if no other run can need them: in its own output folder, of runs that have
ended, and from which no other run was resumed.
"""

from collections.abc import Set
from pathlib import Path
from typing import NamedTuple

from fgc_runtime import checkpoint, runs


class Earlier(NamedTuple):
    """The checkpoints of an earlier run, up to the step at which it was resumed."""

    root: Path
    last_step: int
    is_taken_over: bool  # no other run was resumed from them, so they count for `save_total_limit`

    def find(self) -> list[Path]:
        """Returns those that still exist."""
        return [path for path in checkpoint.find_checkpoints(self.root) if checkpoint.step_of(path) <= self.last_step]


def earlier_runs(folder: Path, step: int, output_dir: Path, own_root: Path) -> list[Earlier]:
    """Returns the runs before one that resumes from the checkpoint `folder` of a step, oldest first.

    `own_root` is the folder of the run's own checkpoints, which may contain `folder`.
    """
    root = folder.parent.resolve()
    earlier = _listed(checkpoint.read_manifest(folder).get("earlier"), output_dir)
    line = {item.root.resolve() for item in earlier} | {root, own_root.resolve()}
    free = {path.resolve() for path in checkpoint.roots_in(output_dir)} - _shared_roots(output_dir, line)
    if root == own_root.resolve():
        return [item._replace(is_taken_over=item.is_taken_over and item.root.resolve() in free) for item in earlier]
    is_last = checkpoint.latest_checkpoint(root) == root / folder.name and runs.has_ended(root.parent)
    found = [*earlier, Earlier(folder.parent, step, is_last)]
    return [
        item._replace(is_taken_over=item.is_taken_over and is_last and item.root.resolve() in free) for item in found
    ]


def _shared_roots(output_dir: Path, line: Set[Path]) -> set[Path]:
    """Returns the folders from which runs outside of `line` were resumed.

    A run counts while it is running, and as long as it has checkpoints.
    """
    found = set()
    for folder in (output_dir / "runs").glob("*"):
        start, own = runs.start_of(folder), checkpoint.root_of_run(folder)
        is_other = own.resolve() not in line and (runs.living_run(folder) or checkpoint.find_checkpoints(own))
        if start is not None and is_other:
            found.add(start.parent.resolve())
    return found


def _listed(listed: object, output_dir: Path) -> list[Earlier]:
    """Returns the earlier runs that a checkpoint's manifest lists; invalid entries are ignored."""
    found = []
    for item in listed if isinstance(listed, list) else []:
        values = [item.get(name) for name in ("folder", "last_step", "is_taken_over")] if isinstance(item, dict) else []
        match values:
            case [str() as folder, int() as last_step, bool() as is_taken_over]:
                found.append(Earlier(output_dir / folder, last_step, is_taken_over))
            case _:
                pass
    return found
